/*
 * From the connection to the stream, with servers of several versions and servers that make no
 * sense.
 */
#include "upstream_rig.h"

#include "upstream/slot_memory.h"

#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#define START_SLOT "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1"

static struct wal_maker *maker_of(const struct fake_server *server)
{
	return ((struct upstream_rig *)server->context)->maker;
}

/* Sends what the maker has from lsn on and stays until the client goes. */
static void play_stream(struct fake_server *server, const char *sql, lsn_t lsn)
{
	const struct wal_maker *maker = maker_of(server);

	fake_expect_query(server, sql);
	fake_send_copy_both(server);
	fake_send_wal(server, lsn, wal_maker_bytes(maker, lsn), maker->at - lsn);
	fake_expect_end(server);
	fake_close(server);
}

static lsn_t oldest_lsn(struct upstream_rig *rig)
{
	struct wal_store_stats stats;

	wal_store_read_stats(rig->spool.store, &stats);
	return stats.oldest_lsn;
}

/* --- versions -------------------------------------------------------------------------------- */

static void play_15(struct fake_server *server)
{
	play_identity(server, "15.18 (Debian 15.18-0+deb12u1)", maker_of(server)->at);
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "", "", "");
	fake_answer(server, "CREATE_REPLICATION_SLOT \"rig\" PHYSICAL (RESERVE_WAL)", "rig", "0/0",
		"", "");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	play_stream(server, START_SLOT, RIG_SEGMENT);
}

static void test_upstream_handshake__makes_a_slot_and_begins_where_it_does(void **state)
{
	struct upstream_rig rig;
	struct cluster_parameters parameters;
	struct cluster_identity identity;

	(void)state;
	rig_open(&rig, play_15);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	cluster_read_parameters(rig.cluster, &parameters);
	assert_string_equal(parameters.server_version, "15.18 (Debian 15.18-0+deb12u1)");
	assert_int_equal(parameters.server_version_num, 150018);
	assert_string_equal(parameters.time_zone, "Etc/UTC");
	assert_string_equal(parameters.data_directory_mode, "0700");
	assert_string_equal(parameters.wal_segment_size_text, "1MB");
	cluster_read_identity(rig.cluster, &identity);
	assert_int_equal(identity.system_identifier, UINT64_C(7300000000000000001));
	assert_int_equal(identity.segment_bytes, RIG_SEGMENT);
	assert_int_equal(rig_stats(&rig).max_slot_wal_keep_bytes, INT64_C(1) << 30);
	rig_wait_all(&rig);
	rig_close(&rig);
}

/* No READ_REPLICATION_SLOT: the oldest segment is searched for, without the slot. */
static void play_13(struct fake_server *server)
{
	uint8_t done[8];

	play_identity(server, "13.23", maker_of(server)->at);
	fake_answer(server, "CREATE_REPLICATION_SLOT \"rig\" PHYSICAL RESERVE_WAL", "rig", "0/0",
		"", "");
	fake_expect_query(server, "START_REPLICATION 0/200000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_send_wal(
		server, 2 * RIG_SEGMENT, wal_maker_bytes(maker_of(server), 2 * RIG_SEGMENT), 8192);
	fake_expect(server, 'c', done, sizeof(done));
	fake_send_wal(server, 2 * RIG_SEGMENT + 8192,
		wal_maker_bytes(maker_of(server), 2 * RIG_SEGMENT + 8192), 8192);
	fake_send(server, 'c', NULL, 0);
	fake_send_complete(server, "START_STREAMING");
	fake_send_complete(server, "SELECT");
	fake_send_ready(server);
	fake_expect_query(server, "START_REPLICATION 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_send_error(server, "58P01",
		"requested WAL segment 000000010000000000000001 has already been removed");
	fake_send_ready(server);
	play_stream(server, "START_REPLICATION SLOT \"rig\" 0/200000 TIMELINE 1", 2 * RIG_SEGMENT);
}

static void test_upstream_handshake__searches_where_slots_cannot_be_read(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_13);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_int_equal(oldest_lsn(&rig), 2 * RIG_SEGMENT);
	rig_wait_all(&rig);
	rig_close(&rig);
}

static void play_10(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "10.23");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "1", "0/200000", "");
	fake_answer(server, "SHOW wal_segment_size", "1MB");
	fake_refuse(server, "CREATE_REPLICATION_SLOT \"rig\" PHYSICAL RESERVE_WAL", "42710",
		"replication slot \"rig\" already exists");
	play_stream(server, START_SLOT, RIG_SEGMENT);
}

static void test_upstream_handshake__asks_an_old_server_for_what_it_knows(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_10);
	rig_follow(&rig, (struct upstream_options){
				 .start = UPSTREAM_START_LSN, .start_lsn = RIG_SEGMENT + 40});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_int_equal(rig_stats(&rig).max_slot_wal_keep_bytes, -2);
	rig_wait_all(&rig);
	rig_close(&rig);
}

/* --- the slot that was there ------------------------------------------------------------------ */

static void remember_slot(struct upstream_rig *rig)
{
	struct error err;

	assert_true(slot_memory_open(rig->spool.database, &err));
	assert_true(
		slot_memory_store(rig->spool.database, "rig", UINT64_C(7300000000000000001), &err));
}

static void begin_spool(struct upstream_rig *rig)
{
	fixture_begin(&rig->spool, rig->maker);
	fixture_append(&rig->spool, rig->maker, RIG_SEGMENT, RIG_SEGMENT + 65536, 8192);
}

/* Before 15 a missing slot is told by START_REPLICATION; the next try makes it. */
static void play_14_lost_its_slot(struct fake_server *server)
{
	uint8_t done[8];
	const struct wal_maker *maker = maker_of(server);

	play_identity(server, "14.5", maker->at);
	fake_refuse(server, START_SLOT, "42704", "replication slot \"rig\" does not exist");
	fake_expect_end(server);
	fake_close(server);
	play_identity(server, "14.5", maker->at);
	fake_expect_query(server, "START_REPLICATION 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_send_wal(server, RIG_SEGMENT, wal_maker_bytes(maker, RIG_SEGMENT), 8192);
	fake_expect(server, 'c', done, sizeof(done));
	fake_send(server, 'c', NULL, 0);
	fake_send_complete(server, "START_STREAMING");
	fake_send_complete(server, "START_REPLICATION");
	fake_send_ready(server);
	fake_answer(server, "CREATE_REPLICATION_SLOT \"rig\" PHYSICAL RESERVE_WAL", "rig", "0/0",
		"", "");
	play_stream(server, START_SLOT, RIG_SEGMENT);
}

static void test_upstream_handshake__makes_a_lost_slot_again_before_15(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_14_lost_its_slot);
	remember_slot(&rig);
	begin_spool(&rig);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_int_equal(rig_stats(&rig).reconnects, 1);
	rig_wait_all(&rig);
	rig_close(&rig);
}

static void play_15_lost_slot_and_wal(struct fake_server *server)
{
	play_identity(server, "15.18", maker_of(server)->at);
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "", "", "");
	fake_refuse(server, "START_REPLICATION 0/100000 TIMELINE 1", "58P01",
		"requested WAL segment 000000010000000000000001 has already been removed");
	fake_expect_end(server);
}

static void test_upstream_handshake__makes_no_slot_beyond_a_gap(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_15_lost_slot_and_wal);
	remember_slot(&rig);
	begin_spool(&rig);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_error(
		&rig, "upstream has lost slot \"rig\" and no longer has the WAL at 0/100000");
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_true(rig_stats(&rig).has_gap);
	rig_close(&rig);
}

/* --- servers that make no sense --------------------------------------------------------------- */

static void play_96(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "9.6.24");
	fake_expect_end(server);
}

static void play_strange_identity(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "0", "0/200000", "");
	fake_expect_end(server);
}

static void play_two_columns(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "1");
	fake_expect_end(server);
}

static void play_refused_identity(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_refuse(server, "IDENTIFY_SYSTEM", "XX000", "no");
	fake_expect_end(server);
}

static void play_strange_segments(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "1", "0/200000", "");
	fake_answer(server, "SHOW wal_segment_size", "3MB");
	fake_expect_end(server);
}

static void play_to_history(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "10.23");
	fake_answer(server, "IDENTIFY_SYSTEM", RIG_SYSTEM, "2", "0/200000", "");
	fake_answer(server, "SHOW wal_segment_size", "1MB");
}

static void play_other_history(struct fake_server *server)
{
	play_to_history(server);
	fake_answer(server, "TIMELINE_HISTORY 2", "00000003.history", "1\t0/180000\tx\n");
	fake_expect_end(server);
}

static void play_no_history(struct fake_server *server)
{
	play_to_history(server);
	fake_refuse(server, "TIMELINE_HISTORY 2", "58P01",
		"could not open file \"pg_wal/00000002.history\": No such file or directory");
	fake_expect_end(server);
}

static void play_bad_history(struct fake_server *server)
{
	play_to_history(server);
	fake_answer(server, "TIMELINE_HISTORY 2", "00000002.history", "one\n");
	fake_expect_end(server);
}

static void play_logical_slot(struct fake_server *server)
{
	play_identity(server, "15.18", 2 * RIG_SEGMENT);
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "logical", "0/100028", "1");
	fake_expect_end(server);
}

static void play_ahead(struct fake_server *server)
{
	play_identity(server, "15.18", RIG_SEGMENT);
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/200000", "1");
	fake_expect_end(server);
}

static void play_unexpected_stream(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "IDENTIFY_SYSTEM");
	fake_send_copy_both(server);
	fake_expect_end(server);
}

static void test_upstream_handshake__tells_what_is_wrong(void **state)
{
	static const struct {
		void (*play)(struct fake_server *server);
		const char *error;
		enum upstream_state state;
	} cases[] = {
		{play_96, "upstream runs PostgreSQL \"9.6.24\"; 10 is the oldest supported",
			UPSTREAM_STOPPED},
		{play_strange_identity,
			"upstream answered IDENTIFY_SYSTEM with \"" RIG_SYSTEM
			"\", \"0\", \"0/200000\"",
			UPSTREAM_WAITING},
		{play_two_columns, "upstream answered IDENTIFY_SYSTEM with 1 rows of 2 columns",
			UPSTREAM_WAITING},
		{play_refused_identity, "upstream refused IDENTIFY_SYSTEM: no", UPSTREAM_WAITING},
		{play_strange_segments, "upstream has a wal_segment_size of \"3MB\"",
			UPSTREAM_STOPPED},
		{play_other_history,
			"upstream answered TIMELINE_HISTORY 2 with file \"00000003.history\"",
			UPSTREAM_WAITING},
		{play_no_history, "upstream refused TIMELINE_HISTORY: could not open file",
			UPSTREAM_WAITING},
		{play_bad_history, "history", UPSTREAM_WAITING},
		{play_logical_slot, "slot \"rig\" on the upstream is not a physical one",
			UPSTREAM_STOPPED},
		{play_ahead, "the first position 0/200000 is ahead of the upstream at 0/100000",
			UPSTREAM_STOPPED},
		{play_unexpected_stream, "upstream answered IDENTIFY_SYSTEM with a stream",
			UPSTREAM_WAITING},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upstream_rig rig;

		rig_open(&rig, cases[i].play);
		rig_follow(&rig, (struct upstream_options){0});
		rig_wait_error(&rig, cases[i].error);
		rig_wait_state(&rig, cases[i].state);
		assert_int_equal(wal_store_received(rig.spool.store).tli, 0);
		rig_close(&rig);
	}
}

static void play_another_system(struct fake_server *server)
{
	play_identity(server, "15.18", 2 * RIG_SEGMENT);
	fake_close(server);
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_answer(server, "IDENTIFY_SYSTEM", "7300000000000000002", "1", "0/200000", "");
	fake_answer(server, "SHOW wal_segment_size", "1MB");
	fake_answer(server, "SHOW data_directory_mode", "0700");
	fake_answer(server, "SHOW max_slot_wal_keep_size", "-1");
	fake_expect_end(server);
}

static void test_upstream_handshake__refuses_another_system(void **state)
{
	struct upstream_rig rig;

	(void)state;
	rig_open(&rig, play_another_system);
	rig_follow(&rig, (struct upstream_options){0});
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_non_null(strstr(rig_stats(&rig).last_error, "7300000000000000001"));
	assert_non_null(strstr(rig_stats(&rig).last_error, "7300000000000000002"));
	assert_false(rig_stats(&rig).has_gap);
	assert_false(rig_stats(&rig).has_diverged);
	rig_close(&rig);
}

#define TEST(name) cmocka_unit_test(test_upstream_handshake__##name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makes_a_slot_and_begins_where_it_does),
		TEST(searches_where_slots_cannot_be_read),
		TEST(asks_an_old_server_for_what_it_knows),
		TEST(makes_a_lost_slot_again_before_15),
		TEST(makes_no_slot_beyond_a_gap),
		TEST(tells_what_is_wrong),
		TEST(refuses_another_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
