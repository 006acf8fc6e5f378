/* Tests of observe/console_tables and console_promotion: whole rows of the right columns. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "fake_readers.h"
#include "observe/console_tables.h"

static struct snapshot snapshot;
static struct console_result result;

static int setup(void **state)
{
	(void)state;
	fake_readers_reset();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	console_result_release(&result);
	snapshot_release(&snapshot);
	return 0;
}

static void begin(enum console_command_kind kind)
{
	const struct pg_typed_column *columns;
	const struct snapshot_sources sources = {.relay_name = "r"};
	size_t count;
	console_result_release(&result);
	snapshot_release(&snapshot);
	snapshot_take(&sources, &snapshot);
	assert_true(console_table_columns(kind, &columns, &count));
	console_result_init(&result, columns, count);
}

static void fill(enum console_command_kind kind)
{
	begin(kind);
	console_table_fill(kind, &snapshot, &result);
	assert_int_equal(result.value_count % result.column_count, 0);
}

static const struct pg_value *cell(size_t row, const char *column)
{
	for (size_t i = 0; i < result.column_count; i++) {
		if (strcmp(result.columns[i].name, column) == 0) {
			return &console_result_row(&result, row)[i];
		}
	}
	fail_msg("there is no column \"%s\"", column);
	return NULL;
}

static void test_console_tables__shows_the_upstream(void **state)
{
	(void)state;
	strcpy(fake_readers.upstream.last_error, "it broke");
	fill(CONSOLE_SHOW_UPSTREAM);
	assert_int_equal(console_result_row_count(&result), 1);
	assert_string_equal(cell(0, "state")->text, "streaming");
	assert_int_equal(cell(0, "received_lsn")->integer, 0x3000100);
	assert_string_equal(cell(0, "system_identifier")->text, "7600000000000000001");
	assert_string_equal(cell(0, "server_version")->text, "15.18");
	assert_string_equal(cell(0, "last_error")->text, "it broke");
	fake_readers.identity.system_identifier = 0;
	fake_readers.store.tli = 0;
	fill(CONSOLE_SHOW_UPSTREAM);
	assert_true(cell(0, "system_identifier")->is_null);
	assert_true(cell(0, "timeline")->is_null);
}

static void test_console_tables__shows_standbys(void **state)
{
	(void)state;
	fake_readers.standbys[0].wal_bytes = 3000;
	fake_readers.standbys[0].wire_sent_bytes = 1000;
	struct standby_stats *other = fake_readers_add_standby("s2", 102);
	other->state = STANDBY_BACKUP;
	other->tli = 0;
	other->write_lag_us = -1;
	strcpy(other->peer, "[local]");
	fake_readers.standbys[0].xmin = UINT64_C(1) << 32 | 700;
	fill(CONSOLE_SHOW_STANDBYS);
	assert_int_equal(console_result_row_count(&result), 2);
	assert_int_equal(cell(0, "pid")->integer, 101);
	assert_string_equal(cell(0, "client_addr")->text, "10.0.0.7");
	assert_int_equal(cell(0, "client_port")->integer, 4321);
	assert_true(cell(0, "compression_ratio")->number == 3.0);
	assert_int_equal(cell(0, "write_lag")->integer, 250000);
	assert_int_equal(cell(0, "flush_lag")->integer, 500000);
	assert_int_equal(cell(0, "replay_lag")->integer, 1500000);
	assert_int_equal(cell(0, "backend_xmin")->integer, 700);
	assert_string_equal(cell(0, "sync_state")->text, "async");
	assert_int_equal(cell(0, "lag_bytes")->integer, 0x100);
	assert_true(cell(0, "slot_name")->is_null);
	assert_true(cell(0, "usesysid")->is_null && cell(0, "client_hostname")->is_null);
	assert_true(cell(1, "write_lag")->is_null && cell(1, "backend_xmin")->is_null);
	assert_true(cell(1, "client_addr")->is_null);
	assert_int_equal(cell(1, "client_port")->integer, -1);
	assert_true(cell(1, "lag_bytes")->is_null);
	assert_true(cell(1, "timeline")->is_null);
	assert_true(cell(1, "compression_ratio")->is_null);
}

/* acknowledge = standbys N: as PostgreSQL shows ANY N. */
static void test_console_tables__shows_who_is_waited_for(void **state)
{
	(void)state;
	fake_readers.upstream.acknowledge_standbys = 2;
	struct standby_stats *other = fake_readers_add_standby("s2", 102);
	other->state = STANDBY_BACKUP;
	fill(CONSOLE_SHOW_STANDBYS);
	assert_string_equal(cell(0, "sync_state")->text, "quorum");
	assert_int_equal(cell(0, "sync_priority")->integer, 1);
	assert_string_equal(cell(1, "sync_state")->text, "async");
	assert_int_equal(cell(1, "sync_priority")->integer, 0);
}

static void test_console_tables__shows_destinations(void **state)
{
	(void)state;
	struct destination_stats *far = fake_readers_add_destination("far");
	far->priority = -3;
	far->state.cap_bytes = QUOTA_PAUSED;
	far->state.is_paused = true;
	far->monthly_limit_bytes = 5000;
	far->has_limit_day = true;
	far->limit_day = 20000;
	far->month_cost_nanos = 1500000000;
	strcpy(fake_readers.standbys[0].slot, "x");
	fake_readers.standbys[0].destination = "far";
	fill(CONSOLE_SHOW_DESTINATIONS);
	assert_int_equal(console_result_row_count(&result), 2);
	assert_true(cell(0, "rate_cap_bytes_per_second")->is_null);
	assert_int_equal(cell(0, "standbys")->integer, 0);
	assert_true(cell(0, "limit_reached_on")->is_null);
	assert_string_equal(cell(1, "name")->text, "far");
	assert_int_equal(cell(1, "priority")->integer, -3);
	assert_string_equal(cell(1, "state")->text, "paused");
	assert_int_equal(cell(1, "standbys")->integer, 1);
	assert_false(cell(1, "rate_cap_bytes_per_second")->is_null);
	assert_int_equal(cell(1, "rate_cap_bytes_per_second")->integer, 0);
	assert_true(cell(1, "daily_limit_bytes")->is_null);
	assert_int_equal(cell(1, "monthly_limit_bytes")->integer, 5000);
	assert_int_equal(cell(1, "limit_reached_on")->integer, 20000);
	assert_true(cell(1, "cost_month")->number == 1.5);
}

static void test_console_tables__shows_who_holds_wal(void **state)
{
	(void)state;
	fake_readers_add_slot("idle", 0x2000000);
	fake_readers_add_slot("gone", 0x1000000)->lost = true;
	fake_readers_add_slot("fresh", LSN_INVALID);
	fake_readers_add_pin("seed", 0x2000100);
	fake_readers_add_pin("old", 0x100)->lost = true;
	fill(CONSOLE_SHOW_SPOOL);
	assert_int_equal(console_result_row_count(&result), 13);
	assert_string_equal(cell(3, "item")->text, "checkpoint");
	assert_int_equal(cell(3, "lsn")->integer, 0x2800000);
	assert_string_equal(cell(4, "item")->text, "horizon");
	assert_string_equal(cell(4, "detail")->text, "retain_size");
	assert_string_equal(cell(7, "name")->text, "idle");
	assert_int_equal(cell(7, "bytes")->integer, 0x1000100);
	assert_true(cell(8, "lsn")->is_null);
	assert_true(cell(9, "lsn")->is_null);
	assert_string_equal(cell(10, "item")->text, "pin");
	assert_int_equal(cell(10, "bytes")->integer, 0x1000000);
	assert_true(cell(11, "lsn")->is_null);
	assert_string_equal(cell(12, "item")->text, "standby");
	fill(CONSOLE_SHOW_SLOTS);
	assert_int_equal(console_result_row_count(&result), 3);
	assert_int_equal(cell(0, "retained_bytes")->integer, 0x1000100);
	assert_true(cell(1, "is_lost")->boolean);
	assert_string_equal(cell(0, "wal_status")->text, "extended");
	assert_string_equal(cell(1, "wal_status")->text, "lost");
	assert_true(cell(2, "wal_status")->is_null);
	assert_true(cell(0, "safe_wal_size")->is_null);
	fake_readers.store.room_bytes = 0x3000000;
	fill(CONSOLE_SHOW_SLOTS);
	assert_int_equal(cell(0, "safe_wal_size")->integer, 0x3000000 - 0x1000100);
	assert_true(cell(1, "safe_wal_size")->is_null);
	assert_true(cell(0, "safe_time")->is_null);
	assert_true(cell(2, "restart_lsn")->is_null);
	fill(CONSOLE_SHOW_PINS);
	assert_int_equal(console_result_row_count(&result), 2);
	assert_int_equal(cell(0, "retained_bytes")->integer, 0x1000000);
	assert_true(cell(0, "expires")->is_null);
}

/* --- promotion ---------------------------------------------------------------------------------
 */

static struct standby_stats *candidate(const char *name, uint32_t pid, tli_t tli, lsn_t flush_lsn)
{
	struct standby_stats *standby = fake_readers_add_standby(name, pid);
	standby->tli = tli;
	standby->flush_lsn = flush_lsn;
	return standby;
}

static void test_console_promotion__ranks_by_what_is_held(void **state)
{
	static const struct {
		const char *name;
		const char *kind;
		int rank; /* 0: none */
		int missing;
		int would_lose;
		bool drained;
	} expected[] = {
		{"full", "standby", 1, 0, 0x100, true},
		{"near", "standby", 2, 0x100, 0x200, false},
		{"left behind", "standby", 3, 0, 0x100, false},
		{"hub", "relay", 0, 0, 0x100, true},
		{"archive", "receiver", 0, 0x100, 0x200, false},
	};
	(void)state;
	fake_readers.standby_count = 0;
	fake_readers.store.tli = 2;
	fake_readers.store.flushed_lsn = 0x3000100;
	fake_readers.upstream.server_end_lsn = 0x3000200;
	candidate("archive", 1, 2, 0x3000000)->replay_lsn = LSN_INVALID;
	candidate("near", 2, 2, 0x3000000);
	candidate("left behind", 3, 1, 0x3000100);
	candidate("full", 4, 2, 0x3000100);
	candidate("hub", 5, 2, 0x3000100)->is_link = true;
	candidate("backup", 6, 2, 0x3000100)->state = STANDBY_BACKUP;
	fill(CONSOLE_SHOW_PROMOTION);
	assert_int_equal(console_result_row_count(&result), 5);
	for (size_t i = 0; i < 5; i++) {
		assert_string_equal(cell(i, "application_name")->text, expected[i].name);
		assert_string_equal(cell(i, "kind")->text, expected[i].kind);
		assert_int_equal(cell(i, "rank")->is_null, expected[i].rank == 0);
		assert_int_equal(cell(i, "rank")->integer, expected[i].rank);
		assert_int_equal(cell(i, "missing_bytes")->integer, expected[i].missing);
		assert_int_equal(cell(i, "would_lose_bytes")->integer, expected[i].would_lose);
		assert_int_equal(cell(i, "drained")->boolean, expected[i].drained);
	}
}

static void test_console_promotion__promises_nothing_of_who_has_not_reported(void **state)
{
	(void)state;
	fake_readers.standbys[0].flush_lsn = LSN_INVALID;
	fill(CONSOLE_SHOW_PROMOTION);
	assert_true(cell(0, "missing_bytes")->is_null);
	assert_true(cell(0, "would_lose_bytes")->is_null);
	assert_false(cell(0, "drained")->boolean);
}

/* --- what is not of the snapshot ---------------------------------------------------------------
 */

static void test_console_tables__shows_usage(void **state)
{
	(void)state;
	fake_readers.usage[fake_readers.usage_count++] = (struct usage_line){
		.destination = "far",
		.day = 20454,
		.counts.bytes[METER_BILLED_SENT] = 77,
		.cost_nanos = 500000000,
		.cost_in_nanos = 250000000,
	};
	begin(CONSOLE_SHOW_USAGE_BY_MONTH);
	console_table_fill_usage(true, &snapshot, NULL, &result);
	assert_true(fake_readers.asked.by_month);
	assert_int_equal(console_result_row_count(&result), 1);
	assert_string_equal(cell(0, "destination")->text, "far");
	assert_int_equal(cell(0, "day")->integer, 20454);
	assert_int_equal(cell(0, "billed_bytes")->integer, 77);
	assert_true(cell(0, "cost")->number == 0.75);
}

static void test_console_tables__helps(void **state)
{
	(void)state;
	begin(CONSOLE_SHOW_HELP);
	console_table_fill_help(&result);
	assert_true(console_result_row_count(&result) > 15);
	assert_string_equal(cell(0, "command")->text, "SHOW UPSTREAM");
	begin(CONSOLE_SHOW_VERSION);
	console_table_fill_version(&result);
	assert_non_null(strstr(cell(0, "version")->text, "walrelay "));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_console_tables__shows_the_upstream),
		TEST(test_console_tables__shows_standbys),
		TEST(test_console_tables__shows_who_is_waited_for),
		TEST(test_console_tables__shows_destinations),
		TEST(test_console_tables__shows_who_holds_wal),
		TEST(test_console_promotion__ranks_by_what_is_held),
		TEST(test_console_promotion__promises_nothing_of_who_has_not_reported),
		TEST(test_console_tables__shows_usage),
		TEST(test_console_tables__helps),
	};
#undef TEST
	return cmocka_run_group_tests(tests, NULL, NULL);
}
