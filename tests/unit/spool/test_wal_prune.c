/*
 * wal_prune and wal_keeper: what goes when, what is lost to max_size, and when receiving stops.
 */
#include "spool/wal_segment.h"
#include "spool/wal_store.h"
#include "support/disk_recorder.h"
#include "support/wal_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)

struct pruned {
	struct wal_fixture fixture;
	struct wal_maker *maker;
};

static void pruned_open(struct pruned *test, lsn_t length)
{
	test->maker = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test->maker, START + length);
	fixture_make_directory(&test->fixture);
}

static void pruned_close(struct pruned *test)
{
	fixture_close(&test->fixture);
	wal_maker_free(test->maker);
}

/* Acknowledged a segment at a time, so that pruning is never held up by the good point. */
static void feed(struct pruned *test, lsn_t from, lsn_t to)
{
	while (from < to) {
		lsn_t next = lsn_min(from + SEGMENT / 2, to);
		lsn_t whole = wal_maker_last_end(test->maker, next);

		fixture_append(&test->fixture, test->maker, from, next, 131072);
		fixture_wait_flushed(&test->fixture, 1, whole);
		from = next;
	}
}

static struct wal_store_stats stats_of(struct wal_fixture *fixture)
{
	struct wal_store_stats stats;

	wal_store_read_stats(fixture->store, &stats);
	return stats;
}

/* Segment files, and what else has a segment's size. */
static size_t count_files(const struct wal_fixture *fixture)
{
	DIR *directory = opendir(fixture->directory);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		count += entry->d_type == DT_REG;
	}
	closedir(directory);
	return count;
}

static lsn_t wanted_oldest;

static bool is_oldest(struct wal_fixture *fixture)
{
	return stats_of(fixture).oldest_lsn >= wanted_oldest;
}

static void test_wal_prune__keeps_what_retain_size_says(void **state)
{
	struct pruned test;
	struct wal_cursor *cursor;
	struct error err = {0};
	struct wal_span span;

	(void)state;
	pruned_open(&test, 8 * SEGMENT);
	test.fixture.options.retain_bytes = 3 * SEGMENT;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	feed(&test, START, test.maker->at);
	wanted_oldest = lsn_segment_start(test.maker->at - 3 * SEGMENT, SEGMENT);
	fixture_wait(&test.fixture, is_oldest);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, wanted_oldest);
	assert_string_equal(stats_of(&test.fixture).horizon_reason, "retain_size");
	assert_false(fixture_has_file(&test.fixture, "000000010000000500000001"));
	cursor = wal_cursor_open(test.fixture.store, 1, START + SEGMENT, false, &err);
	assert_non_null(cursor);
	assert_int_equal(wal_cursor_peek(cursor, 8192, &span, &err), WAL_READ_GONE);
	assert_string_equal(err.sqlstate, "58P01");
	assert_string_equal(err.message,
		"requested WAL segment 000000010000000500000001 has already been removed");
	wal_cursor_close(&cursor);
	fixture_check_bytes(&test.fixture, test.maker, 1, wanted_oldest, test.maker->at);
	pruned_close(&test);
}

static void slot_done(void *context, bool ok, const struct error *err)
{
	(void)context;
	(void)err;
	assert_true(ok);
}

static void create_slot(struct wal_fixture *fixture, const char *name, lsn_t lsn)
{
	struct error err = {0};

	assert_true(slots_create(fixture->slots, name, true, 1, lsn, 1, slot_done, NULL, &err));
}

static void test_wal_prune__keeps_what_slots_and_cursors_need(void **state)
{
	struct pruned test;
	struct wal_cursor *cursor;
	struct error err = {0};

	(void)state;
	pruned_open(&test, 8 * SEGMENT);
	test.fixture.options.retain_bytes = 0;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	cursor = wal_cursor_open(test.fixture.store, 1, START + SEGMENT + 5, false, &err);
	create_slot(&test.fixture, "s1", START + 2 * SEGMENT + 77);
	feed(&test, START, test.maker->at);
	wanted_oldest = START + SEGMENT;
	fixture_wait(&test.fixture, is_oldest);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, wanted_oldest);
	wal_cursor_close(&cursor);
	wanted_oldest = START + 2 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	fixture_wait(&test.fixture, is_oldest);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, wanted_oldest);
	assert_string_equal(stats_of(&test.fixture).horizon_reason, "slot \"s1\"");
	slots_confirm(test.fixture.slots, "s1", START + 4 * SEGMENT, 1);
	wanted_oldest = START + 4 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	fixture_wait(&test.fixture, is_oldest);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, wanted_oldest);
	slots_drop_temporary(test.fixture.slots, 1);
	pruned_close(&test);
}

static void add_pin(struct wal_fixture *fixture, const char *name, lsn_t lsn)
{
	struct error err = {0};

	assert_true(pins_add(fixture->pins, name, lsn, 1, PIN_FOREVER_US, NULL, NULL, &err));
}

/* Nothing need be removed for it to be known. */
static void wait_for_horizon(struct wal_fixture *fixture)
{
	for (int i = 0; i < 20000 && stats_of(fixture).horizon_reason[0] == '\0'; i++) {
		usleep(1000);
	}
}

static void test_wal_prune__keeps_what_a_pin_needs(void **state)
{
	struct pruned test;
	struct error err = {0};

	(void)state;
	pruned_open(&test, 8 * SEGMENT);
	test.fixture.options.retain_bytes = 0;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	add_pin(&test.fixture, "snap-1", START + 2 * SEGMENT + 77);
	feed(&test, START, test.maker->at);
	fixture_reopen(&test.fixture);
	wanted_oldest = START + 2 * SEGMENT;
	wait_for_horizon(&test.fixture);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, wanted_oldest);
	assert_string_equal(stats_of(&test.fixture).horizon_reason, "pin \"snap-1\"");
	assert_true(pins_drop(test.fixture.pins, "snap-1", NULL, NULL, &err));
	wanted_oldest = START + 4 * SEGMENT;
	while (!is_oldest(&test.fixture)) {
		wal_store_set_limits(test.fixture.store, &test.fixture.options);
		usleep(1000);
	}
	pruned_close(&test);
}

/* The last of them by name is the one that holds. */
static void test_wal_prune__knows_every_slot_however_many(void **state)
{
	struct pruned test;

	(void)state;
	pruned_open(&test, 6 * SEGMENT);
	test.fixture.options.retain_bytes = 0;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	for (int i = 0; i < 100; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "s%02d", i);
		create_slot(&test.fixture, name, START + (i == 99 ? 2 : 3) * SEGMENT);
	}
	feed(&test, START, test.maker->at);
	wanted_oldest = START + 2 * SEGMENT;
	fixture_wait(&test.fixture, is_oldest);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, wanted_oldest);
	assert_string_equal(stats_of(&test.fixture).horizon_reason, "slot \"s99\"");
	slots_drop_temporary(test.fixture.slots, 1);
	pruned_close(&test);
}

static void test_wal_prune__keeps_what_a_restart_needs(void **state)
{
	struct pruned test;
	lsn_t proved;

	(void)state;
	pruned_open(&test, SEGMENT / 4);
	proved = test.maker->at;
	/* One record of several segments: nothing of it can be acknowledged before its end. */
	wal_maker_record(test.maker, 5 * SEGMENT);
	test.fixture.options.retain_bytes = 0;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	fixture_append(&test.fixture, test.maker, START, proved, 131072);
	fixture_wait_flushed(&test.fixture, 1, proved);
	fixture_append(&test.fixture, test.maker, proved, test.maker->at - 8, 131072);
	fixture_reopen(&test.fixture);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, START);
	assert_int_equal(wal_store_received(test.fixture.store).lsn, proved);
	fixture_check_bytes(&test.fixture, test.maker, 1, START, proved);
	pruned_close(&test);
}

static void test_wal_prune__keeps_what_is_young(void **state)
{
	struct pruned test;

	(void)state;
	pruned_open(&test, 6 * SEGMENT);
	test.fixture.options.retain_bytes = 0;
	test.fixture.options.retain_us = 3600 * INT64_C(1000000);
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	feed(&test, START, test.maker->at);
	/* Also over a restart, by the files' own times. */
	fixture_reopen(&test.fixture);
	assert_int_equal(stats_of(&test.fixture).oldest_lsn, START);
	assert_true(fixture_has_file(&test.fixture, "000000010000000500000000"));
	test.fixture.options.retain_us = 1;
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	wanted_oldest = lsn_segment_start(test.maker->at, SEGMENT) - SEGMENT;
	fixture_wait(&test.fixture, is_oldest);
	pruned_close(&test);
}

static void test_wal_prune__never_exceeds_max_size(void **state)
{
	struct slot_stats slot;
	struct pin_stats pin;
	struct pruned test;
	lsn_t lsn = START;

	(void)state;
	pruned_open(&test, 12 * SEGMENT);
	test.fixture.options.max_bytes = 5 * SEGMENT;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	create_slot(&test.fixture, "far", START + SEGMENT);
	create_slot(&test.fixture, "near", START + 9 * SEGMENT);
	add_pin(&test.fixture, "far", START + SEGMENT);
	add_pin(&test.fixture, "near", START + 9 * SEGMENT);
	while (lsn < test.maker->at) {
		lsn_t next = lsn_min(lsn + 50000, test.maker->at);

		feed(&test, lsn, next);
		assert_in_range(count_files(&test.fixture), 1, 5);
		assert_in_range(stats_of(&test.fixture).spool_bytes, SEGMENT, 5 * SEGMENT);
		lsn = next;
	}
	assert_true(slots_find(test.fixture.slots, "far", &slot));
	assert_true(slot.lost);
	assert_true(slots_find(test.fixture.slots, "near", &slot));
	assert_false(slot.lost);
	assert_true(pins_find(test.fixture.pins, "far", &pin));
	assert_true(pin.lost);
	assert_true(pins_find(test.fixture.pins, "near", &pin));
	assert_false(pin.lost);
	slots_drop_temporary(test.fixture.slots, 1);
	pruned_close(&test);
}

static bool is_full(struct wal_fixture *fixture)
{
	return wal_store_is_full(fixture->store);
}

static bool is_not_full(struct wal_fixture *fixture)
{
	return !wal_store_is_full(fixture->store);
}

static void test_wal_prune__stops_receiving_below_min_free(void **state)
{
	struct wal_store_options limits;
	struct error err = {0};
	struct pruned test;

	(void)state;
	pruned_open(&test, 4 * SEGMENT);
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	feed(&test, START, START + SEGMENT + 1000);
	limits = test.fixture.options;
	limits.min_free_bytes = UINT64_C(1) << 60;
	wal_store_set_limits(test.fixture.store, &limits);
	fixture_wait(&test.fixture, is_full);
	assert_false(wal_store_append(test.fixture.store, START + SEGMENT + 1000, "x", 1, &err));
	assert_int_equal(err.kind, ERROR_FULL);
	assert_non_null(strstr(err.message, "min_free is 1099511627776 MB"));
	assert_true(stats_of(&test.fixture).is_full);
	assert_int_equal(wal_store_received(test.fixture.store).lsn, START + SEGMENT + 1000);
	/* What is held is compared and served as before. */
	fixture_append(&test.fixture, test.maker, START, START + SEGMENT + 1000, 131072);
	fixture_check_bytes(&test.fixture, test.maker, 1, START, START + SEGMENT + 1000);
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	fixture_wait(&test.fixture, is_not_full);
	feed(&test, START + SEGMENT + 1000, test.maker->at);
	assert_string_equal(stats_of(&test.fixture).full_reason, "");
	pruned_close(&test);
}

static void test_wal_prune__stops_receiving_on_a_full_disk(void **state)
{
	struct disk_recorder *recorder = disk_recorder_new();
	struct durable_operations operations = disk_recorder_operations(recorder);
	struct error err = {0};
	struct pruned test;
	lsn_t lsn = START;

	(void)state;
	pruned_open(&test, 6 * SEGMENT);
	test.fixture.options.operations = &operations;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	feed(&test, START, START + 1000);
	disk_recorder_full(recorder, true);
	while (wal_store_append(
		test.fixture.store, lsn, wal_maker_bytes(test.maker, lsn), 10000, &err)) {
		lsn += 10000;
		assert_true(lsn < START + 3 * SEGMENT);
	}
	assert_int_equal(err.kind, ERROR_FULL);
	assert_true(wal_store_is_full(test.fixture.store));
	assert_non_null(strstr(stats_of(&test.fixture).full_reason, "No space left on device"));
	assert_int_equal(wal_store_received(test.fixture.store).lsn, lsn);
	/* What was allocated is used first. */
	assert_true(lsn > START + SEGMENT - 10000);
	fixture_check_bytes(&test.fixture, test.maker, 1, START, lsn);
	disk_recorder_full(recorder, false);
	fixture_wait(&test.fixture, is_not_full);
	feed(&test, lsn, test.maker->at);
	fixture_check_bytes(&test.fixture, test.maker, 1, START, test.maker->at);
	pruned_close(&test);
	disk_recorder_free(recorder);
}

static bool has_two_files(struct wal_fixture *fixture)
{
	return stats_of(fixture).spool_bytes == 2 * SEGMENT;
}

static void test_wal_prune__asks_for_a_segment_once(void **state)
{
	struct disk_recorder *recorder = disk_recorder_new();
	struct durable_operations operations = disk_recorder_operations(recorder);
	struct error err = {0};
	struct pruned test;
	lsn_t lsn = START + SEGMENT - 5000;

	(void)state;
	pruned_open(&test, 2 * SEGMENT - 100000);
	test.fixture.options.operations = &operations;
	test.fixture.options.max_bytes = 2 * SEGMENT;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	feed(&test, START, lsn);
	while (!has_two_files(&test.fixture)) {
		wal_store_set_limits(test.fixture.store, &test.fixture.options);
		usleep(1000);
	}
	/* The second write goes into the next segment. There is no room for yet another. */
	disk_recorder_fail_kind(recorder, DISK_WRITE, 2, EIO);
	assert_false(wal_store_append(
		test.fixture.store, lsn, wal_maker_bytes(test.maker, lsn), 10000, &err));
	assert_int_equal(err.kind, ERROR_SYSTEM);
	assert_int_equal(wal_store_received(test.fixture.store).lsn, lsn);
	feed(&test, lsn, test.maker->at);
	fixture_check_bytes(&test.fixture, test.maker, 1, START, test.maker->at);
	pruned_close(&test);
	disk_recorder_free(recorder);
}

static void test_wal_prune__stops_receiving_when_max_size_is_too_small(void **state)
{
	struct error err = {0};
	struct pruned test;
	lsn_t lsn = START;

	(void)state;
	pruned_open(&test, 6 * SEGMENT);
	test.fixture.options.max_bytes = 2 * SEGMENT;
	test.fixture.options.retain_bytes = 0;
	fixture_start(&test.fixture);
	fixture_begin(&test.fixture, test.maker);
	while (wal_store_append(
		test.fixture.store, lsn, wal_maker_bytes(test.maker, lsn), 10000, &err)) {
		lsn += 10000;
		assert_true(lsn < START + 3 * SEGMENT);
	}
	assert_int_equal(err.kind, ERROR_FULL);
	assert_in_range(count_files(&test.fixture), 1, 2);
	test.fixture.options.max_bytes = 8 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	fixture_wait(&test.fixture, is_not_full);
	feed(&test, lsn, test.maker->at);
	pruned_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_prune__keeps_what_retain_size_says),
		cmocka_unit_test(test_wal_prune__keeps_what_slots_and_cursors_need),
		cmocka_unit_test(test_wal_prune__keeps_what_a_pin_needs),
		cmocka_unit_test(test_wal_prune__knows_every_slot_however_many),
		cmocka_unit_test(test_wal_prune__keeps_what_a_restart_needs),
		cmocka_unit_test(test_wal_prune__keeps_what_is_young),
		cmocka_unit_test(test_wal_prune__never_exceeds_max_size),
		cmocka_unit_test(test_wal_prune__stops_receiving_below_min_free),
		cmocka_unit_test(test_wal_prune__stops_receiving_on_a_full_disk),
		cmocka_unit_test(test_wal_prune__asks_for_a_segment_once),
		cmocka_unit_test(test_wal_prune__stops_receiving_when_max_size_is_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
