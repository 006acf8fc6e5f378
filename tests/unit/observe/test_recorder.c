/* Tests of observe/recorder: paces of what snapshots show, and the hour that is kept. */
#include "support/cmocka_all.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fake_readers.h"
#include "observe/history_json.h"
#include "observe/pace.h"
#include "observe/recorder.h"
#include "observe/status.h"

#define START_US INT64_C(1767323045000000)
#define MB       (UINT64_C(1) << 20)

static struct recorder *recorder;
static int64_t now_us;

static int setup(void **state)
{
	(void)state;
	fake_readers_reset();
	recorder = recorder_new();
	now_us = START_US;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	recorder_free(&recorder);
	recorder_free(&recorder);
	return 0;
}

static struct snapshot take(void)
{
	struct snapshot snapshot;
	const struct snapshot_sources sources = {.relay_name = "r"};
	snapshot_take(&sources, &snapshot);
	snapshot.time_us = now_us;
	return snapshot;
}

static void look(void)
{
	struct snapshot snapshot = take();
	recorder_take(recorder, &snapshot);
	snapshot_release(&snapshot);
	now_us += RECORDER_INTERVAL_US;
}

static struct snapshot filled(void)
{
	struct snapshot snapshot = take();
	recorder_fill(recorder, &snapshot);
	return snapshot;
}

static void test_recorder__knows_no_pace_at_first(void **state)
{
	(void)state;
	look();
	struct snapshot snapshot = filled();
	assert_true(snapshot.upstream_pace.wal_per_second == PACE_UNKNOWN);
	assert_true(snapshot.standby_paces[0].wal_per_second == PACE_UNKNOWN);
	assert_true(snapshot.destination_paces[0].wire_per_second == PACE_UNKNOWN);
	snapshot_release(&snapshot);
}

static void test_recorder__measures_upstream_and_destinations(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		fake_readers.store.received_lsn += 4 * MB;
		fake_readers.upstream.server_end_lsn = fake_readers.store.received_lsn + 10 * MB;
		fake_readers.upstream.wire_bytes += 2 * MB;
		fake_readers.destinations[0].counted.bytes[METER_WIRE_SENT] += 6 * MB;
		fake_readers.destinations[0].counted.bytes[METER_WAL] += 8 * MB;
		look();
	}
	struct snapshot snapshot = filled();
	assert_true(snapshot.upstream_pace.wal_per_second == 2 * MB);
	assert_true(snapshot.upstream_pace.wire_per_second == MB);
	/* It runs ahead as fast as we follow. */
	assert_true(snapshot.upstream_pace.catch_up_seconds == PACE_UNKNOWN);
	assert_true(snapshot.destination_paces[0].wire_per_second == 3 * MB);
	assert_true(snapshot.destination_paces[0].wal_per_second == 4 * MB);
	snapshot_release(&snapshot);
}

static void test_recorder__says_when_an_edge_has_caught_up(void **state)
{
	(void)state;
	fake_readers.upstream.server_end_lsn = fake_readers.store.received_lsn + 100 * MB;
	for (int i = 0; i < 3; i++) {
		fake_readers.store.received_lsn += 20 * MB;
		fake_readers.upstream.server_end_lsn += 10 * MB;
		look();
	}
	struct snapshot snapshot = filled();
	assert_int_equal(snapshot_behind_bytes(&snapshot), 70 * MB);
	assert_true(snapshot.upstream_pace.catch_up_seconds == 14);
	snapshot_release(&snapshot);
}

static void test_recorder__says_when_a_standby_has_caught_up(void **state)
{
	(void)state;
	struct standby_stats *standby = &fake_readers.standbys[0];
	standby->state = STANDBY_CATCHUP;
	fake_readers.store.received_lsn = 200 * MB;
	standby->replay_lsn = 60 * MB;
	for (int i = 0; i < 3; i++) {
		fake_readers.store.received_lsn += 4 * MB;
		standby->replay_lsn += 20 * MB;
		look();
	}
	struct snapshot snapshot = filled();
	assert_int_equal(snapshot_lag_bytes(&snapshot, &snapshot.standbys[0]), 92 * MB);
	assert_true(snapshot.standby_paces[0].wal_per_second == 10 * MB);
	assert_true(snapshot.standby_paces[0].catch_up_seconds == 11.5);
	snapshot.standbys[0].state = STANDBY_STREAMING;
	snapshot.standbys[0].replay_lsn = fake_readers.store.received_lsn - MB;
	snapshot.standby_paces[0].catch_up_seconds = PACE_UNKNOWN;
	recorder_fill(recorder, &snapshot);
	assert_true(snapshot.standby_paces[0].catch_up_seconds == PACE_UNKNOWN);
	snapshot_release(&snapshot);
}

static void test_recorder__says_how_long_a_backup_takes(void **state)
{
	(void)state;
	struct standby_stats *standby = fake_readers_add_standby("basebackup", 50);
	standby->state = STANDBY_BACKUP;
	standby->backup.phase = BACKUP_PHASE_STREAMING;
	standby->backup.total_bytes = 100 * MB;
	for (int i = 0; i < 3; i++) {
		standby->backup.done_bytes += 10 * MB;
		look();
	}
	struct snapshot snapshot = filled();
	assert_true(snapshot.standby_paces[1].backup_per_second == 5 * MB);
	assert_true(snapshot.standby_paces[1].backup_seconds == 14);
	assert_true(snapshot.standby_paces[0].backup_per_second == PACE_UNKNOWN);
	char *text = status_format(&snapshot, NULL);
	assert_non_null(strstr(text, "\"phase\": \"streaming database files\""));
	assert_non_null(strstr(text, "\"seconds_left\": 14.0"));
	free(text);
	snapshot_release(&snapshot);
}

static void test_recorder__who_comes_anew_is_another(void **state)
{
	(void)state;
	look();
	fake_readers.standbys[0].replay_lsn += 10 * MB;
	look();
	fake_readers.standbys[0].pid = 999;
	look();
	struct snapshot snapshot = filled();
	assert_true(snapshot.standby_paces[0].wal_per_second == PACE_UNKNOWN);
	snapshot_release(&snapshot);
}

static void test_recorder__looks_no_oftener_than_it_should(void **state)
{
	(void)state;
	look();
	now_us -= RECORDER_INTERVAL_US / 2;
	fake_readers.store.received_lsn += MB;
	look();
	struct snapshot snapshot = filled();
	assert_true(snapshot.upstream_pace.wal_per_second == PACE_UNKNOWN);
	snapshot_release(&snapshot);
}

static void test_recorder__keeps_an_hour_for_charts(void **state)
{
	(void)state;
	struct standby_stats *backup = fake_readers_add_standby("b", 50);
	backup->state = STANDBY_BACKUP;
	fake_readers.standbys[0].replay_lag_us = -1;
	for (int i = 0; i < 12; i++) {
		fake_readers.destinations[0].counted.bytes[METER_WIRE_SENT] += 2000;
		look();
	}
	json_t *root = history_json(recorder_history(recorder));
	json_t *standbys = json_object_get(root, "standbys");
	json_t *destination = json_array_get(json_object_get(root, "destinations"), 0);
	json_t *rates = json_object_get(destination, "wire_bytes_per_second");
	json_t *standby = json_array_get(standbys, 0);
	assert_int_equal(json_integer_value(json_object_get(root, "interval_seconds")), 10);
	assert_int_equal(json_array_size(json_object_get(root, "times")), 3);
	assert_string_equal(json_string_value(json_array_get(json_object_get(root, "times"), 0)),
		"2026-01-02T03:04:05.000Z");
	assert_int_equal(json_array_size(rates), 3);
	assert_true(json_is_null(json_array_get(rates, 0)));
	assert_int_equal(json_integer_value(json_array_get(rates, 2)), 1000);
	assert_int_equal(json_array_size(standbys), 1);
	assert_string_equal(json_string_value(json_object_get(standby, "label")), "s1");
	assert_int_equal(
		json_integer_value(json_array_get(json_object_get(standby, "lag_bytes"), 2)), 256);
	assert_true(json_is_null(
		json_array_get(json_object_get(standby, "replay_lag_seconds"), 2)));
	json_decref(root);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_recorder__knows_no_pace_at_first),
		TEST(test_recorder__measures_upstream_and_destinations),
		TEST(test_recorder__says_when_an_edge_has_caught_up),
		TEST(test_recorder__says_when_a_standby_has_caught_up),
		TEST(test_recorder__says_how_long_a_backup_takes),
		TEST(test_recorder__who_comes_anew_is_another),
		TEST(test_recorder__looks_no_oftener_than_it_should),
		TEST(test_recorder__keeps_an_hour_for_charts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
