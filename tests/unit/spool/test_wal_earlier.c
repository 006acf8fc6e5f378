/*
 * wal_earlier: what is held and what is not, along timelines, after cuts and removals, by many.
 */
#include "spool/wal_earlier.h"

#include "spool/wal_segment.h"
#include "spool/wal_store.h"
#include "support/page_cache.h"
#include "support/wal_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)

/* Reads all of [from, to) in pieces of at most `piece` and compares. */
static void check_bytes(struct wal_earlier *earlier, const struct wal_maker *maker, lsn_t from,
	lsn_t to, size_t piece)
{
	while (from < to) {
		size_t wanted = to - from < piece ? to - from : piece;
		const uint8_t *bytes;
		size_t length = wal_earlier_read(earlier, from, wanted, &bytes);

		assert_true(length > 0 && length <= wanted);
		assert_memory_equal(bytes, wal_maker_bytes(maker, from), length);
		from += length;
	}
}

static void check_nothing(struct wal_earlier *earlier, lsn_t lsn)
{
	const uint8_t *bytes;

	assert_int_equal(wal_earlier_read(earlier, lsn, 1, &bytes), 0);
}

struct earlier {
	struct wal_fixture fixture;
	struct wal_maker *maker;
	struct wal_earlier *reader;
};

static void earlier_open(struct earlier *test, lsn_t length)
{
	test->maker = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test->maker, START + length);
	fixture_open(&test->fixture);
	test->reader = wal_earlier_new(test->fixture.store);
}

static void earlier_close(struct earlier *test)
{
	wal_earlier_free(&test->reader);
	wal_earlier_free(&test->reader);
	fixture_close(&test->fixture);
	wal_maker_free(test->maker);
}

static void test_wal_earlier__reads_what_is_held(void **state)
{
	struct earlier test;
	const uint8_t *bytes;

	(void)state;
	earlier_open(&test, 3 * SEGMENT);
	check_nothing(test.reader, START);
	fixture_begin(&test.fixture, test.maker);
	check_nothing(test.reader, START);
	fixture_append(&test.fixture, test.maker, START, START + SEGMENT + 5000, 131072);
	check_bytes(test.reader, test.maker, START, START + SEGMENT + 5000, 8192);
	check_bytes(test.reader, test.maker, START, START + SEGMENT + 5000, 1 << 30);
	/* One piece ends with its segment, and with what was received. */
	assert_int_equal(wal_earlier_read(test.reader, START + SEGMENT - 100, 8192, &bytes), 100);
	assert_int_equal(wal_earlier_read(test.reader, START + SEGMENT + 4990, 8192, &bytes), 10);
	assert_int_equal(wal_earlier_read(test.reader, START, 0, &bytes), 0);
	check_nothing(test.reader, START + SEGMENT + 5000);
	check_nothing(test.reader, START - 1);
	check_nothing(test.reader, 0);
	check_nothing(test.reader, UINT64_MAX);
	/* What was looked at before it came. */
	fixture_append(&test.fixture, test.maker, START + SEGMENT + 5000, test.maker->at, 131072);
	check_bytes(test.reader, test.maker, START, test.maker->at, 100000);
	wal_earlier_rest(test.reader);
	check_bytes(test.reader, test.maker, START, test.maker->at, 100000);
	earlier_close(&test);
}

static void test_wal_earlier__goes_over_to_the_timeline_that_took_over(void **state)
{
	struct earlier test;
	struct wal_maker *forked;
	struct error err = {0};
	char history[256];
	lsn_t fork;

	(void)state;
	earlier_open(&test, 2 * SEGMENT + 600000);
	fork = wal_maker_last_end(test.maker, START + 2 * SEGMENT + 400000);
	forked = wal_maker_fork(test.maker, 2, fork);
	wal_maker_fill(forked, START + 3 * SEGMENT + 100000);
	fixture_begin(&test.fixture, test.maker);
	fixture_append(&test.fixture, test.maker, START, test.maker->at, 131072);
	check_bytes(test.reader, test.maker, START, test.maker->at, 8192);
	fixture_wait_flushed(&test.fixture, 1, test.maker->at);
	assert_true(wal_store_put_history(
		test.fixture.store, 2, history, fixture_history(history, test.maker, fork), &err));
	assert_true(wal_store_switch_timeline(test.fixture.store, 2, &err));
	/* The new timeline's first segment has not come yet. */
	check_bytes(test.reader, test.maker, START, fork, 8192);
	check_nothing(test.reader, fork);
	fixture_append(&test.fixture, forked, forked->start, fork - 10000, 131072);
	check_bytes(test.reader, test.maker, START, fork, 8192);
	check_nothing(test.reader, fork);
	fixture_append(&test.fixture, forked, fork - 10000, forked->at, 131072);
	check_bytes(test.reader, test.maker, START, fork, 8192);
	check_bytes(test.reader, forked, fork, forked->at, 8192);
	wal_maker_free(forked);
	earlier_close(&test);
}

static bool has_bad_wal(struct wal_fixture *fixture)
{
	struct error err = {0};

	return !wal_store_cut_bad(fixture->store, &err);
}

/* A file that took another's name must not be read through the mapping of that other. */
static void test_wal_earlier__forgets_what_was_cut(void **state)
{
	struct earlier test;
	lsn_t bad, good;

	(void)state;
	earlier_open(&test, 3 * SEGMENT);
	bad = START + SEGMENT / 2;
	good = wal_maker_last_end(test.maker, bad);
	fixture_begin(&test.fixture, test.maker);
	*(uint8_t *)(uintptr_t)wal_maker_bytes(test.maker, bad) ^= 1;
	fixture_append(&test.fixture, test.maker, START, good, 131072);
	fixture_wait_flushed(&test.fixture, 1, good);
	fixture_append(&test.fixture, test.maker, good, START + 2 * SEGMENT, 2 * (size_t)SEGMENT);
	check_bytes(test.reader, test.maker, START, good, 8192);
	fixture_wait(&test.fixture, has_bad_wal);
	check_nothing(test.reader, START + SEGMENT);
	*(uint8_t *)(uintptr_t)wal_maker_bytes(test.maker, bad) ^= 1;
	fixture_append(&test.fixture, test.maker, wal_store_received(test.fixture.store).lsn,
		test.maker->at, 131072);
	check_bytes(test.reader, test.maker, START, test.maker->at, 8192);
	earlier_close(&test);
}

/* Mappings of that directory's files in this process, removed or not. */
static size_t count_mappings(const struct wal_fixture *fixture)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4096];
	size_t count = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		count +=
			strstr(line, fixture->directory) != NULL && strstr(line, "deleted") != NULL;
	}
	fclose(maps);
	return count;
}

static bool has_pruned(struct wal_fixture *fixture)
{
	struct wal_store_stats stats;

	wal_store_read_stats(fixture->store, &stats);
	return stats.oldest_lsn >= START + 4 * SEGMENT;
}

static void test_wal_earlier__lets_go_of_what_retention_took(void **state)
{
	struct earlier test;
	struct wal_store_options limits;

	(void)state;
	earlier_open(&test, 8 * SEGMENT);
	limits = test.fixture.options;
	limits.retain_bytes = 100 * (uint64_t)SEGMENT;
	wal_store_set_limits(test.fixture.store, &limits);
	fixture_begin(&test.fixture, test.maker);
	fixture_append(&test.fixture, test.maker, START, test.maker->at, 131072);
	fixture_wait_flushed(&test.fixture, 1, wal_maker_last_end(test.maker, test.maker->at));
	check_bytes(test.reader, test.maker, START, test.maker->at, 8192);
	limits.retain_bytes = 0;
	wal_store_set_limits(test.fixture.store, &limits);
	fixture_wait(&test.fixture, has_pruned);
	assert_true(count_mappings(&test.fixture) > 0);
	check_nothing(test.reader, START);
	assert_int_equal(count_mappings(&test.fixture), 0);
	check_bytes(test.reader, test.maker, START + 7 * SEGMENT, test.maker->at, 8192);
	earlier_close(&test);
}

static void test_wal_earlier__waits_for_no_disk_when_told_so(void **state)
{
	struct earlier test;
	char name[WAL_SEGMENT_NAME_SIZE];
	char path[2 * FIXTURE_PATH_SIZE];
	bool is_dropped;

	(void)state;
	test.maker = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test.maker, START + 2 * SEGMENT);
	fixture_open_on_disk(&test.fixture);
	test.reader = wal_earlier_new(test.fixture.store);
	fixture_begin(&test.fixture, test.maker);
	fixture_append(&test.fixture, test.maker, START, test.maker->at, 131072);
	fixture_wait_flushed(&test.fixture, 1, test.maker->at);
	wal_segment_name(1, wal_segment_number(START, SEGMENT), SEGMENT, name);
	(void)snprintf(path, sizeof(path), "%s/%s", test.fixture.directory, name);
	is_dropped = page_cache_drop(path);
	wal_earlier_set_waits(test.reader, false);
	check_bytes(test.reader, test.maker, START + SEGMENT, test.maker->at, 8192);
	if (is_dropped) {
		check_nothing(test.reader, START + 100);
		check_nothing(test.reader, START + SEGMENT - 1);
	}
	wal_earlier_set_waits(test.reader, true);
	check_bytes(test.reader, test.maker, START, START + SEGMENT, 8192);
	wal_earlier_set_waits(test.reader, false);
	check_bytes(test.reader, test.maker, START, START + SEGMENT, 8192);
	check_bytes(test.reader, test.maker, START + 3, START + SEGMENT, 1 << 30);
	earlier_close(&test);
	if (!is_dropped) {
		skip();
	}
}

static void *read_at_random(void *argument)
{
	const struct earlier *test = argument;
	struct wal_earlier *reader = wal_earlier_new(test->fixture.store);
	unsigned seed = (unsigned)(uintptr_t)reader;

	for (int i = 0; i < 2000; i++) {
		lsn_t lsn = START + (lsn_t)rand_r(&seed) % (test->maker->at - START);
		const uint8_t *bytes;
		size_t length = wal_earlier_read(reader, lsn, 8192, &bytes);

		if (length > 0 && memcmp(bytes, wal_maker_bytes(test->maker, lsn), length) != 0) {
			wal_earlier_free(&reader);
			return argument;
		}
	}
	wal_earlier_free(&reader);
	return NULL;
}

static void test_wal_earlier__is_read_by_many_while_it_grows(void **state)
{
	struct earlier test;
	pthread_t threads[4];

	(void)state;
	earlier_open(&test, 8 * SEGMENT);
	fixture_begin(&test.fixture, test.maker);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &test), 0);
	}
	fixture_append(&test.fixture, test.maker, START, test.maker->at, 20000);
	for (size_t i = 0; i < 4; i++) {
		void *found;

		assert_int_equal(pthread_join(threads[i], &found), 0);
		assert_null(found);
	}
	earlier_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_earlier__reads_what_is_held),
		cmocka_unit_test(test_wal_earlier__goes_over_to_the_timeline_that_took_over),
		cmocka_unit_test(test_wal_earlier__forgets_what_was_cut),
		cmocka_unit_test(test_wal_earlier__lets_go_of_what_retention_took),
		cmocka_unit_test(test_wal_earlier__waits_for_no_disk_when_told_so),
		cmocka_unit_test(test_wal_earlier__is_read_by_many_while_it_grows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
