/*
 * Streams from beginning to end: what is told upstream, and what each way of ending leads to.
 */
#include "upstream_rig.h"

#include "support/cmocka_all.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* --- what is told upstream -------------------------------------------------------------------- */

static void play_and_watch_replies(struct fake_server *server)
{
	struct standby_status status;
	bool asks;

	play_to_stream(server);
	asks = fake_expect_status(server, &status);
	fake_check(server, asks && status.write_lsn == RIG_SEGMENT && status.flush_lsn == 0,
		"first status: %d, %llX, %llX", asks, (unsigned long long)status.write_lsn,
		(unsigned long long)status.flush_lsn);
	play_send_all(server);
	status = play_expect_flushed(server, rig_last_end(rig_of(server)));
	fake_check(server, status.apply_lsn == 0, "apply without standbys");
	fake_send_keepalive(server, rig_of(server)->maker->at, true);
	fake_expect_status(server, &status);
	fake_expect_end(server);
}

static void test_upstream__tells_what_is_flushed_and_answers(void **state)
{
	struct upstream_rig rig;
	struct upstream_stats stats;

	(void)state;
	rig_open(&rig, play_and_watch_replies);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	rig_wait_all(&rig);
	fixture_check_bytes(&rig.spool, rig.maker, 1, RIG_SEGMENT + 40, rig.maker->at);
	/* Counted after they were handed over. */
	rig_wait_wal_bytes(&rig, rig.maker->at - RIG_SEGMENT);
	stats = rig_stats(&rig);
	assert_int_equal(stats.wal_bytes, rig.maker->at - RIG_SEGMENT);
	assert_true(stats.wire_bytes > stats.wal_bytes);
	assert_string_equal(stats.last_error, "");
	assert_string_equal(stats.host, "127.0.0.1");
	assert_string_equal(stats.slot, "rig");
	assert_true(stats.last_message_us > 0);
	rig_stop(&rig);
	rig_close(&rig);
}

static void play_and_watch_the_last_word(struct fake_server *server)
{
	struct standby_status status = {0};
	uint8_t body[64];

	play_to_stream(server);
	play_send_all(server);
	status = play_expect_flushed(server, rig_last_end(rig_of(server)));
	/* It ends as walreceiver does: Terminate in the middle of the COPY, after the last status.
	 */
	fake_expect_status(server, &status);
	fake_check(server, status.flush_lsn == rig_last_end(rig_of(server)), "last word: %llX",
		(unsigned long long)status.flush_lsn);
	fake_expect(server, 'X', body, sizeof(body));
}

static void test_upstream__says_a_last_word_when_stopped(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_and_watch_the_last_word);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	rig_wait_all(&rig);
	rig_stop(&rig);
	rig_close(&rig);
}

static _Atomic lsn_t replayed = LSN_INVALID;

static lsn_t replayed_lsn(void *context, tli_t tli)
{
	assert_non_null(context);
	assert_int_equal(tli, 1);
	return replayed;
}

static void oldest_xmin(void *context, uint64_t *xmin_out, uint64_t *catalog_xmin_out)
{
	assert_non_null(context);
	*xmin_out = (UINT64_C(3) << 32) | 700;
	*catalog_xmin_out = 0;
}

static void play_and_watch_standbys(struct fake_server *server)
{
	struct upstream_rig *rig = rig_of(server);
	struct client_copy copy = {0};
	const char *reason;
	uint8_t body[64];
	size_t length;
	struct standby_status status;

	play_to_stream(server);
	fake_expect_status(server, &status);
	length = fake_expect(server, 'd', body, sizeof(body));
	fake_check(server,
		client_copy_decode(body, length, &copy, &reason) == DECODE_OK &&
			copy.kind == CLIENT_COPY_FEEDBACK && copy.feedback.xmin == 700 &&
			copy.feedback.xmin_epoch == 3 && copy.feedback.catalog_xmin == 0,
		"not the feedback");
	play_send_all(server);
	play_expect_flushed(server, rig_last_end(rig));
	replayed = RIG_SEGMENT + 5000;
	upstream_replayed(rig->upstream);
	do {
		fake_expect_status(server, &status);
	} while (!server->is_over && status.apply_lsn != RIG_SEGMENT + 5000);
}

static void test_upstream__tells_what_standbys_need_and_replayed(void **state)
{
	struct upstream_rig rig;

	(void)state;
	replayed = LSN_INVALID;
	rig_open(&rig, play_and_watch_standbys);
	rig_follow(&rig,
		(struct upstream_options){
			.replayed_lsn = replayed_lsn, .oldest_xmin = oldest_xmin, .context = &rig});
	rig_wait_error(&rig, "server closed the connection");
	rig_close(&rig);
}

/* --- ways to end ------------------------------------------------------------------------------ */

static void play_hole(struct fake_server *server)
{
	play_to_stream(server);
	fake_send_wal(server, RIG_SEGMENT + 8192,
		wal_maker_bytes(rig_of(server)->maker, RIG_SEGMENT), 8192);
	fake_expect_end(server);
}

static void play_nonsense(struct fake_server *server)
{
	play_to_stream(server);
	fake_send(server, 'd', "x", 1);
	fake_expect_end(server);
}

static void play_shutdown(struct fake_server *server)
{
	play_to_stream(server);
	play_send_all(server);
	play_expect_flushed(server, rig_last_end(rig_of(server)));
	fake_send_complete(server, "COPY 0");
}

static void play_gap(struct fake_server *server)
{
	play_to_stream(server);
	fake_send_error(server, "XX000",
		"requested WAL segment 000000010000000000000001 has already been removed");
	fake_send_ready(server);
	fake_expect_end(server);
}

static void play_error_in_stream(struct fake_server *server)
{
	play_to_stream(server);
	play_send_all(server);
	fake_send_error(server, "57P01", "terminating connection due to administrator command");
	fake_expect_end(server);
}

static void end_timeline(struct fake_server *server, const char *next, const char *lsn)
{
	uint8_t body[64];
	size_t length;

	fake_send(server, 'c', NULL, 0);
	/* Statuses may still be on their way. */
	while (!server->is_over && fake_read(server, body, sizeof(body), &length) != 'c') {
	}
	fake_send_row(server, next, lsn, NULL);
	fake_send_complete(server, "START_STREAMING");
	fake_send_complete(server, "START_REPLICATION");
	fake_send_ready(server);
}

static void play_early_end(struct fake_server *server)
{
	play_to_stream(server);
	fake_send_wal(
		server, RIG_SEGMENT, wal_maker_bytes(rig_of(server)->maker, RIG_SEGMENT), 8192);
	end_timeline(server, "2", "0/200000");
	fake_expect_end(server);
}

static void play_nameless_end(struct fake_server *server)
{
	play_to_stream(server);
	end_timeline(server, "two", "0/200000");
	fake_expect_end(server);
}

static void play_bare_end(struct fake_server *server)
{
	play_to_stream(server);
	fake_send(server, 'c', NULL, 0);
	fake_send_complete(server, "START_STREAMING");
	fake_send_complete(server, "START_REPLICATION");
	fake_send_ready(server);
	fake_expect_end(server);
}

static void play_end_of_the_present(struct fake_server *server)
{
	play_to_stream(server);
	play_send_all(server);
	end_timeline(server, "2", "0/200000");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "1", "0/400000", "");
	fake_expect_end(server);
}

static void test_upstream__every_end_has_its_reason(void **state)
{
	static const struct {
		void (*play)(struct fake_server *server);
		const char *error;
		enum upstream_state state;
		bool has_gap;
	} cases[] = {
		{play_hole, "upstream sent WAL at 0/102000 where 0/100000 comes next",
			UPSTREAM_WAITING, false},
		{play_nonsense, "upstream sent a malformed message", UPSTREAM_WAITING, false},
		{play_shutdown, "upstream ended the stream: it shuts down", UPSTREAM_WAITING,
			false},
		{play_gap,
			"upstream does not stream: requested WAL segment 000000010000000000000001 "
			"has already been removed",
			UPSTREAM_STOPPED, true},
		{play_error_in_stream,
			"upstream does not stream: terminating connection due to administrator "
			"command",
			UPSTREAM_WAITING, false},
		{play_early_end,
			"upstream ended timeline 1 at 0/102000, but begins timeline 2 at 0/200000",
			UPSTREAM_WAITING, false},
		{play_nameless_end, "upstream ended timeline 1 without naming the next",
			UPSTREAM_WAITING, false},
		{play_bare_end, "upstream ended the stream", UPSTREAM_WAITING, false},
		{play_end_of_the_present,
			"upstream ended timeline 1, but its history goes on with it",
			UPSTREAM_WAITING, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upstream_rig rig;

		rig_open(&rig, cases[i].play);
		rig_follow(&rig, (struct upstream_options){0});
		rig_wait_error(&rig, cases[i].error);
		assert_int_equal(rig_stats(&rig).has_gap, cases[i].has_gap);
		rig_wait_state(&rig, cases[i].state);
		rig_close(&rig);
	}
}

static void play_other_bytes(struct fake_server *server)
{
	play_to_stream(server);
	play_send_all(server);
	fake_expect_end(server);
}

static void test_upstream__other_bytes_at_the_same_place_stop_it(void **state)
{
	struct upstream_rig rig;
	struct wal_maker *other = wal_maker_new(1, RIG_SEGMENT, RIG_SEGMENT, 43);
	struct wal_position received;

	(void)state;
	wal_maker_fill(other, RIG_SEGMENT + 100000);
	rig_open(&rig, play_other_bytes);
	rig.server.client_may_leave = true;
	fixture_begin(&rig.spool, other);
	fixture_append(&rig.spool, other, RIG_SEGMENT, other->at, 8192);
	received = wal_store_received(rig.spool.store);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_error(&rig, "upstream has diverged at 0/1000");
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_true(rig_stats(&rig).has_diverged);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, received.lsn);
	rig_close(&rig);
	wal_maker_free(other);
}

static void play_silence(struct fake_server *server)
{
	struct standby_status status;

	play_to_stream(server);
	fake_expect_status(server, &status);
	fake_send_keepalive(server, RIG_SEGMENT, false);
	/* After half the timeout it asks. */
	while (!server->is_over && !fake_expect_status(server, &status)) {
	}
	fake_expect_end(server);
}

static void test_upstream__a_silent_server_is_asked_and_given_up(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_silence);
	rig_follow(&rig, (struct upstream_options){.receiver_timeout_us = 400000});
	rig_wait_error(&rig, "no message from the upstream for 4");
	rig_close(&rig);
}

/* --- timelines ---------------------------------------------------------------------------------
 */

static struct wal_maker *second_timeline;
static lsn_t fork_lsn;

static void play_promotion(struct fake_server *server)
{
	const struct wal_maker *maker = rig_of(server)->maker;
	char history[64];
	char lsn[LSN_TEXT_SIZE];
	char sql[128];

	lsn_format(fork_lsn, lsn);
	play_to_stream(server);
	/* A piece of a record that is never finished comes with it. */
	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(maker, RIG_SEGMENT),
		fork_lsn + 64 - RIG_SEGMENT);
	play_expect_flushed(server, fork_lsn);
	end_timeline(server, "2", lsn);
	snprintf(history, sizeof(history), "1\t%s\tno recovery target specified\n", lsn);
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "2", "0/300000", "");
	fake_answer(server, "TIMELINE_HISTORY 2", "00000002.history", history);
	lsn_format(lsn_segment_start(fork_lsn, RIG_SEGMENT), lsn);
	snprintf(sql, sizeof(sql), "START_REPLICATION SLOT \"rig\" %s TIMELINE 2", lsn);
	fake_expect_query(server, sql);
	fake_send_copy_both(server);
	fake_send_wal(server, second_timeline->start,
		wal_maker_bytes(second_timeline, second_timeline->start),
		second_timeline->at - second_timeline->start);
	fake_expect_end(server);
}

static void test_upstream__goes_along_with_a_promotion(void **state)
{
	struct upstream_rig rig;
	lsn_t end;

	(void)state;
	rig_open(&rig, play_promotion);
	fork_lsn = wal_maker_last_end(rig.maker, 2 * RIG_SEGMENT + 100000);
	second_timeline = wal_maker_fork(rig.maker, 2, fork_lsn);
	wal_maker_fill(second_timeline, fork_lsn + 300000);
	end = wal_maker_last_end(second_timeline, second_timeline->at);
	rig_follow(&rig, (struct upstream_options){0});
	fixture_wait_flushed(&rig.spool, 2, end);
	assert_true(fixture_has_file(&rig.spool, "00000002.history"));
	fixture_check_bytes(&rig.spool, second_timeline, 2, fork_lsn, end);
	assert_int_equal(rig_stats(&rig).reconnects, 0);
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	rig_close(&rig);
	wal_maker_free(second_timeline);
}

/* --- room and reload ---------------------------------------------------------------------------
 */

static void play_all(struct fake_server *server)
{
	play_to_stream(server);
	play_send_all(server);
	fake_expect_end(server);
}

static void test_upstream__waits_for_room_and_goes_on_by_itself(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_all);
	fixture_begin(&rig.spool, rig.maker);
	rig.spool.options.min_free_bytes = UINT64_MAX / 2;
	wal_store_set_limits(rig.spool.store, &rig.spool.options);
	rig_wait_spool_full(&rig);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_FULL);
	rig_wait_error(&rig, "not receiving: ");
	rig.spool.options.min_free_bytes = 0;
	wal_store_set_limits(rig.spool.store, &rig.spool.options);
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_string_equal(rig_stats(&rig).last_error, "");
	rig_wait_all(&rig);
	rig_close(&rig);
}

static void play_twice(struct fake_server *server)
{
	struct standby_status status;

	play_to_stream(server);
	play_send_all(server);
	play_expect_flushed(server, rig_last_end(rig_of(server)));
	fake_expect_end(server);
	fake_close(server);
	play_identity(server, "15.18", rig_of(server)->maker->at);
	fake_answer(server, "READ_REPLICATION_SLOT \"other\"", "physical", "0/100028", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"other\" 0/300000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_expect_status(server, &status);
	fake_send_wal(server, 3 * RIG_SEGMENT,
		wal_maker_bytes(rig_of(server)->maker, 3 * RIG_SEGMENT),
		rig_of(server)->maker->at - 3 * RIG_SEGMENT);
	fake_expect_end(server);
}

static void test_upstream__reconnects_on_reload_only_when_it_must(void **state)
{
	struct upstream_rig rig;
	struct upstream_options options = {.relay_name = "rig", .slot = "rig"};

	(void)state;
	rig_open(&rig, play_twice);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_all(&rig);
	options.conninfo = rig.conninfo;
	options.status_interval_us = 5000000;
	upstream_reload(rig.upstream, &options);
	options.slot = "other";
	upstream_reload(rig.upstream, &options);
	rig_wait_reconnects(&rig, 1);
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_string_equal(rig_stats(&rig).slot, "other");
	assert_int_equal(rig_stats(&rig).reconnects, 1);
	rig_close(&rig);
}

static void test_upstream__may_be_freed_without_a_start(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, NULL);
	rig_make(&rig, (struct upstream_options){0});
	assert_int_equal(rig_stats(&rig).state, UPSTREAM_IDLE);
	upstream_replayed(rig.upstream);
	upstream_free(&rig.upstream);
	assert_null(rig.upstream);
	upstream_free(&rig.upstream);
	loop_free(&rig.loop);
	loop_free(&rig.main_loop);
	rig_close(&rig);
}

#define TEST(name) cmocka_unit_test(test_upstream__##name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tells_what_is_flushed_and_answers),
		TEST(says_a_last_word_when_stopped),
		TEST(tells_what_standbys_need_and_replayed),
		TEST(every_end_has_its_reason),
		TEST(other_bytes_at_the_same_place_stop_it),
		TEST(a_silent_server_is_asked_and_given_up),
		TEST(goes_along_with_a_promotion),
		TEST(waits_for_room_and_goes_on_by_itself),
		TEST(reconnects_on_reload_only_when_it_must),
		TEST(may_be_freed_without_a_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
