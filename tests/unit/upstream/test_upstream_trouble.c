/*
 * What a stream does when the spool and the server cannot agree: bytes that are not WAL, and ends
 * that lie within a record.
 */
#include "upstream_rig.h"

#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* It does not count as streaming before the place is behind it. */
static void send_what_was_good(struct fake_server *server)
{
	struct upstream_rig *rig = rig_of(server);
	struct standby_status status = {0};
	struct upstream_stats stats;

	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(rig->maker, RIG_SEGMENT),
		proved_end(rig) - RIG_SEGMENT);
	fake_send_keepalive(server, proved_end(rig), true);
	while (!server->is_over && status.write_lsn != proved_end(rig)) {
		fake_expect_status(server, &status);
	}
	stats = rig_stats(rig);
	fake_check(server, stats.state == UPSTREAM_CONNECTING && stats.has_diverged,
		"at the place in doubt: %s", upstream_state_name(stats.state));
}

/* Then nothing more: nobody appends, and still it must end. */
static void play_spoilt_then_good(struct fake_server *server)
{
	struct upstream_rig *rig = rig_of(server);

	play_to_stream(server);
	spoil(rig);
	/* One message: it is judged when all of it was sent. */
	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(rig->maker, RIG_SEGMENT),
		rig->maker->ends[SPOILT_RECORD] - RIG_SEGMENT);
	fake_expect_end(server);
	fake_close(server);
	spoil(rig);
	play_to_stream(server);
	send_what_was_good(server);
	fake_send_wal(server, proved_end(rig), wal_maker_bytes(rig->maker, proved_end(rig)),
		rig->maker->at - proved_end(rig));
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
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_non_null(strstr(rig_stats(&rig).last_error, "received WAL is not valid at 0/1"));
	assert_true(rig_stats(&rig).has_diverged);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, proved_end(&rig));
	assert_int_equal(wal_store_flushed(rig.spool.store).lsn, proved_end(&rig));
	/* Tried again at once, not in ten seconds. */
	options.conninfo = rig.conninfo;
	upstream_reload(rig.upstream, &options);
	rig_wait_all(&rig);
	fixture_check_bytes(&rig.spool, rig.maker, 1, RIG_SEGMENT, rig.maker->at);
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_false(rig_stats(&rig).has_diverged);
	rig_close(&rig);
}

/* --- an end at a segment's border --------------------------------------------------------------
 */

#define PROBE "START_REPLICATION 0/100000 TIMELINE 1"

/* The spool holds exactly the second segment; its last record ends there. */
static void hold_a_segment(struct upstream_rig *rig, void (*play)(struct fake_server *server))
{
	rig_open(rig, play);
	wal_maker_free(rig->maker);
	rig->maker = wal_maker_new(1, RIG_SEGMENT, RIG_SEGMENT, 42);
	wal_maker_fill(rig->maker, RIG_SEGMENT + 100000);
	wal_maker_switch(rig->maker);
	assert_int_equal(rig->maker->at, 2 * RIG_SEGMENT);
	fixture_begin(&rig->spool, rig->maker);
	fixture_append(&rig->spool, rig->maker, RIG_SEGMENT, 2 * RIG_SEGMENT, 131072);
	fixture_wait_flushed(&rig->spool, 1, 2 * RIG_SEGMENT);
	wal_maker_fill(rig->maker, 2 * RIG_SEGMENT + 50000);
	rig->server.client_may_leave = true;
}

static void play_probe(struct fake_server *server)
{
	const struct wal_maker *maker = rig_of(server)->maker;
	uint8_t body[64];
	size_t length;

	play_identity(server, "15.18", maker->at);
	fake_expect_query(server, PROBE);
	fake_send_copy_both(server);
	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(maker, RIG_SEGMENT), 8192);
	while (!server->is_over && fake_read(server, body, sizeof(body), &length) != 'c') {
	}
	fake_send(server, 'c', NULL, 0);
	fake_send_complete(server, "START_REPLICATION");
	fake_send_ready(server);
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
}

static void play_the_segment_before(struct fake_server *server)
{
	play_probe(server);
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	play_send_all(server);
	fake_expect_end(server);
}

static void test_upstream_trouble__at_a_border_the_segment_before_is_compared(void **state)
{
	struct upstream_rig rig;

	(void)state;
	hold_a_segment(&rig, play_the_segment_before);
	/* Only there does the server differ: what comes behind it continues ours. */
	rig.maker->bytes[70000] ^= 1;
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_error(&rig, "upstream has diverged at 0/111170 on timeline 1");
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, 2 * RIG_SEGMENT);
	rig_close(&rig);
}

/* No status names a point before what was held: the slot would be set back to it. */
static void play_and_watch_the_slot(struct fake_server *server)
{
	const struct upstream_rig *rig = rig_of(server);
	struct standby_status status;

	play_probe(server);
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_expect_status(server, &status);
	fake_check(server, status.write_lsn == RIG_SEGMENT && status.flush_lsn == LSN_INVALID,
		"first status: %llX, %llX", (unsigned long long)status.write_lsn,
		(unsigned long long)status.flush_lsn);
	fake_send_keepalive(server, RIG_SEGMENT, true);
	play_send_all(server);
	while (!server->is_over && status.flush_lsn < rig_last_end(rig)) {
		fake_expect_status(server, &status);
		fake_check(server,
			status.flush_lsn == LSN_INVALID || status.flush_lsn >= 2 * RIG_SEGMENT,
			"flush is %llX", (unsigned long long)status.flush_lsn);
	}
	fake_expect_end(server);
}

static void test_upstream_trouble__at_a_border_the_slot_is_not_set_back(void **state)
{
	struct upstream_rig rig;

	(void)state;
	hold_a_segment(&rig, play_and_watch_the_slot);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_all(&rig);
	rig_close(&rig);
}

static void send_only_what_comes_next(struct fake_server *server)
{
	const struct wal_maker *maker = rig_of(server)->maker;

	play_identity(server, "15.18", maker->at);
	fake_refuse(server, PROBE, "58P01",
		"requested WAL segment 000000010000000000000001 has already been removed");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/200000", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/200000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_send_wal(server, 2 * RIG_SEGMENT, wal_maker_bytes(maker, 2 * RIG_SEGMENT),
		maker->at - 2 * RIG_SEGMENT);
}

static void play_only_what_comes_next(struct fake_server *server)
{
	send_only_what_comes_next(server);
	play_expect_flushed(server, rig_last_end(rig_of(server)));
	fake_expect_end(server);
}

static void test_upstream_trouble__without_the_segment_before_it_goes_on(void **state)
{
	struct upstream_rig rig;

	(void)state;
	hold_a_segment(&rig, play_only_what_comes_next);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_all(&rig);
	rig_close(&rig);
}

static void play_another_continuation(struct fake_server *server)
{
	send_only_what_comes_next(server);
	fake_expect_end(server);
}

static void test_upstream_trouble__what_does_not_continue_ours_is_not_acknowledged(void **state)
{
	struct upstream_rig rig;

	(void)state;
	hold_a_segment(&rig, play_another_continuation);
	/* Another history, in which another record came last. */
	wal_maker_free(rig.maker);
	rig.maker = wal_maker_new(1, RIG_SEGMENT, RIG_SEGMENT, 43);
	wal_maker_fill(rig.maker, RIG_SEGMENT + 200000);
	wal_maker_switch(rig.maker);
	wal_maker_fill(rig.maker, 2 * RIG_SEGMENT + 50000);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_error(&rig, "received WAL is not valid at 0/200028: record with another");
	assert_true(rig_stats(&rig).has_diverged);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, 2 * RIG_SEGMENT);
	assert_int_equal(wal_store_flushed(rig.spool.store).lsn, 2 * RIG_SEGMENT);
	rig_close(&rig);
}

/* --- ends within a record ----------------------------------------------------------------------
 */

/* A standby that stops: it asks until it hears of all it sent, one way or the other. */
static void play_a_stop_within_a_record(struct fake_server *server)
{
	const struct wal_maker *maker = rig_of(server)->maker;
	lsn_t end = maker->at - 8;
	struct standby_status status;
	unsigned replies = 0;

	play_to_stream(server);
	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(maker, RIG_SEGMENT), end - RIG_SEGMENT);
	status = play_expect_flushed(server, wal_maker_last_end(maker, end));
	while (!server->is_over && status.write_lsn != end) {
		fake_expect_status(server, &status);
	}
	do {
		fake_send_keepalive(server, end, true);
		fake_expect_status(server, &status);
		replies++;
	} while (!server->is_over && status.flush_lsn != LSN_INVALID && replies < 10);
	fake_check(server, status.flush_lsn == LSN_INVALID && status.write_lsn == end,
		"write %llX, flush %llX", (unsigned long long)status.write_lsn,
		(unsigned long long)status.flush_lsn);
	fake_check(server, replies == 3, "%u replies", replies);
	fake_send_complete(server, "COPY 0");
}

static void test_upstream_trouble__a_server_that_ends_within_a_record_may_stop(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_a_stop_within_a_record);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_error(&rig, "upstream ended the stream: it shuts down");
	rig_close(&rig);
}

static void play_half_a_record(struct fake_server *server)
{
	const struct wal_maker *maker = rig_of(server)->maker;
	lsn_t end = maker->at - 8;

	play_to_stream(server);
	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(maker, RIG_SEGMENT), end - RIG_SEGMENT);
	play_expect_flushed(server, wal_maker_last_end(maker, end));
	fake_expect_end(server);
}

static void test_upstream_trouble__a_stop_within_a_record_does_not_wait_for_its_end(void **state)
{
	struct timespec began, ended;
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_half_a_record);
	rig.server.client_may_leave = true;
	rig_follow(&rig, (struct upstream_options){0});
	fixture_wait_flushed(&rig.spool, 1, wal_maker_last_end(rig.maker, rig.maker->at - 8));
	clock_gettime(CLOCK_MONOTONIC, &began);
	rig_stop(&rig);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	/* It would wait for a second. */
	assert_true((ended.tv_sec - began.tv_sec) * 1000000000 + ended.tv_nsec - began.tv_nsec <
		    800000000);
	rig_close(&rig);
}

/* --- a history file that the server never had ---------------------------------------------------
 */

static lsn_t first_fork;

static void play_a_copy_of_timeline_3(struct fake_server *server)
{
	char fork[LSN_TEXT_SIZE], history[128], sql[128];

	lsn_format(first_fork, fork);
	snprintf(history, sizeof(history), "1\t%s\tx\n2\t0/380000\tx\n", fork);
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "3", "0/500000", "");
	fake_answer(server, "SHOW wal_segment_size", "1MB");
	fake_answer(server, "SHOW data_directory_mode", "0700");
	fake_answer(server, "SHOW max_slot_wal_keep_size", "1GB");
	fake_answer(server, "TIMELINE_HISTORY 3", "00000003.history", history);
	fake_refuse(server, "TIMELINE_HISTORY 2", "58P01",
		"could not open file \"pg_wal/00000002.history\": No such file or directory");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	lsn_format(lsn_segment_start(first_fork, RIG_SEGMENT), fork);
	snprintf(sql, sizeof(sql), "START_REPLICATION SLOT \"rig\" %s TIMELINE 2", fork);
	fake_expect_query(server, sql);
	fake_send_copy_both(server);
	fake_send_keepalive(server, 0x380000, false);
	fake_expect_end(server);
}

static void test_upstream_trouble__a_timeline_without_a_file_is_followed(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_a_copy_of_timeline_3);
	first_fork = wal_maker_last_end(rig.maker, 2 * RIG_SEGMENT + 100000);
	fixture_begin(&rig.spool, rig.maker);
	fixture_append(&rig.spool, rig.maker, RIG_SEGMENT, rig.maker->at, 131072);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_int_equal(wal_store_received(rig.spool.store).tli, 2);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, 2 * RIG_SEGMENT);
	assert_false(fixture_has_file(&rig.spool, "00000002.history"));
	rig_close(&rig);
}

#define TEST(name) cmocka_unit_test(test_upstream_trouble__##name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wal_that_is_not_valid_stops_it_until_it_is),
		TEST(at_a_border_the_segment_before_is_compared),
		TEST(at_a_border_the_slot_is_not_set_back),
		TEST(without_the_segment_before_it_goes_on),
		TEST(what_does_not_continue_ours_is_not_acknowledged),
		TEST(a_server_that_ends_within_a_record_may_stop),
		TEST(a_stop_within_a_record_does_not_wait_for_its_end),
		TEST(a_timeline_without_a_file_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
