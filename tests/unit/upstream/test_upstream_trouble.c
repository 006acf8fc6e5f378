/*
 * What a stream does when the spool and the server cannot agree: bytes that are not WAL, and ends
 * that lie within a record.
 */
#include "upstream_rig.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

/* --- WAL that is not valid ---------------------------------------------------------------------
 */

#define SPOILT_RECORD 40

static lsn_t proved_end(const struct upstream_rig *rig)
{
	return rig->maker->ends[SPOILT_RECORD - 1];
}

static void spoil(struct upstream_rig *rig)
{
	rig->maker->bytes[rig->maker->starts[SPOILT_RECORD] + 24 - RIG_SEGMENT] ^= 1;
}

/* Then nothing more: nobody appends, and still it must end. */
static void play_spoilt_then_good(struct fake_server *server)
{
	struct upstream_rig *rig = rig_of(server);

	play_to_stream(server);
	spoil(rig);
	play_send_all(server);
	fake_expect_end(server);
	fake_close(server);
	spoil(rig);
	play_to_stream(server);
	play_send_all(server);
	play_expect_flushed(server, rig_last_end(rig));
	fake_expect_end(server);
}

static void test_upstream_trouble__wal_that_is_not_valid_stops_it_until_it_is(void **state)
{
	struct upstream_rig rig;
	struct upstream_options options = {
		.relay_name = "other", .slot = "rig", .status_interval_us = 10000000};

	(void)state;
	rig_open(&rig, play_spoilt_then_good);
	rig.server.client_may_leave = true;
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_non_null(strstr(rig_stats(&rig).last_error, "received WAL is not valid at 0/1"));
	assert_true(rig_stats(&rig).has_diverged);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, proved_end(&rig));
	assert_int_equal(wal_store_flushed(rig.spool.store).lsn, proved_end(&rig));
	/* Tried again at once, not in ten seconds. */
	options.conninfo = rig.conninfo;
	upstream_reload(rig.upstream, &options);
	fixture_wait_flushed(&rig.spool, 1, rig_last_end(&rig));
	fixture_check_bytes(&rig.spool, rig.maker, 1, RIG_SEGMENT, rig.maker->at);
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_false(rig_stats(&rig).has_diverged);
	rig_close(&rig);
}

#define TEST(name) cmocka_unit_test(test_upstream_trouble__##name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wal_that_is_not_valid_stops_it_until_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
