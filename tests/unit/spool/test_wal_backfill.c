/*
 * wal_backfill: what is wanted, in which order it comes, and that nobody reads across a hole.
 */
#include "spool/wal_segment.h"
#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)
#define BEGIN   (START + 4 * SEGMENT)
#define WANTED  (START + 2 * SEGMENT)

struct filled {
	struct wal_fixture fixture;
	struct wal_maker *maker;
};

/* A store that began in the middle of what its upstream has. */
static void filled_open(struct filled *test)
{
	struct error err = {0};

	test->maker = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test->maker, START + 6 * SEGMENT);
	fixture_open(&test->fixture);
	assert_true(wal_store_begin(test->fixture.store, 1, BEGIN, SEGMENT, &err));
	fixture_append(&test->fixture, test->maker, BEGIN, test->maker->at, 131072);
	wal_store_set_filler(test->fixture.store, true);
}

static void filled_close(struct filled *test)
{
	fixture_close(&test->fixture);
	wal_maker_free(test->maker);
}

static enum wal_read read_at(struct filled *test, lsn_t lsn)
{
	struct error err = {0};
	struct wal_span span;
	struct wal_cursor *cursor = wal_cursor_open(test->fixture.store, 1, lsn, false, &err);
	enum wal_read result;

	assert_non_null(cursor);
	result = wal_cursor_peek(cursor, 8192, &span, &err);
	wal_cursor_close(&cursor);
	return result;
}

static lsn_t oldest_of(struct filled *test)
{
	struct wal_store_stats stats;

	wal_store_read_stats(test->fixture.store, &stats);
	return stats.oldest_lsn;
}

static void fill_next(struct filled *test, lsn_t expected)
{
	struct wal_want want;
	struct error err = {0};

	assert_int_equal(wal_store_next_want(test->fixture.store, &want), WAL_WANT_SEGMENT);
	assert_int_equal(want.lsn, expected);
	assert_int_equal(want.end_lsn, expected + SEGMENT);
	if (!wal_store_fill(
		    test->fixture.store, &want, wal_maker_bytes(test->maker, want.lsn), &err)) {
		fail_msg("%s", err.message);
	}
}

static void take_in(struct filled *test)
{
	struct wal_want want;
	struct error err = {0};

	assert_int_equal(wal_store_next_want(test->fixture.store, &want), WAL_WANT_COMPLETE);
	assert_true(wal_store_take_in(test->fixture.store, &err));
	assert_int_equal(wal_store_next_want(test->fixture.store, &want), WAL_WANT_NOTHING);
}

static void test_wal_backfill__comes_downward_and_is_read_when_all_is_there(void **state)
{
	struct filled test;

	(void)state;
	filled_open(&test);
	assert_true(wal_store_want(test.fixture.store, 1, WANTED + 77));
	/* Shared by who asks for later. */
	assert_true(wal_store_want(test.fixture.store, 1, WANTED + SEGMENT));
	fill_next(&test, START + 3 * SEGMENT);
	assert_int_equal(read_at(&test, WANTED), WAL_READ_GONE);
	fill_next(&test, WANTED);
	take_in(&test);
	assert_int_equal(oldest_of(&test), WANTED);
	fixture_check_bytes(&test.fixture, test.maker, 1, WANTED, test.maker->at);
	assert_int_equal(read_at(&test, START), WAL_READ_GONE);
	assert_false(wal_store_want(test.fixture.store, 1, WANTED));
	fixture_reopen(&test.fixture);
	assert_int_equal(oldest_of(&test), WANTED);
	fixture_check_bytes(&test.fixture, test.maker, 1, WANTED, test.maker->at);
	filled_close(&test);
}

/* What came before a crash is there, and only the rest is asked for. */
static void test_wal_backfill__goes_on_after_a_restart(void **state)
{
	struct filled test;

	(void)state;
	filled_open(&test);
	assert_true(wal_store_want(test.fixture.store, 1, WANTED));
	fill_next(&test, START + 3 * SEGMENT);
	fixture_reopen(&test.fixture);
	assert_int_equal(oldest_of(&test), BEGIN);
	assert_int_equal(read_at(&test, START + 3 * SEGMENT), WAL_READ_GONE);
	wal_store_set_filler(test.fixture.store, true);
	assert_true(wal_store_want(test.fixture.store, 1, WANTED));
	fill_next(&test, WANTED);
	take_in(&test);
	fixture_check_bytes(&test.fixture, test.maker, 1, WANTED, test.maker->at);
	filled_close(&test);
}

static void test_wal_backfill__refuses_what_does_not_go_on(void **state)
{
	struct wal_maker *other = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_want want;
	struct error err = {0};
	struct filled test;

	(void)state;
	wal_maker_fill(other, START + 6 * SEGMENT);
	filled_open(&test);
	assert_true(wal_store_want(test.fixture.store, 1, WANTED));
	assert_int_equal(wal_store_next_want(test.fixture.store, &want), WAL_WANT_SEGMENT);
	assert_false(
		wal_store_fill(test.fixture.store, &want, wal_maker_bytes(other, want.lsn), &err));
	assert_int_equal(err.kind, ERROR_DIVERGED);
	assert_false(fixture_has_file(&test.fixture, "000000010000000500000003"));
	assert_false(fixture_has_file(&test.fixture, "fill_segment.tmp"));
	/* Its readers are told, and nobody asks for it again at once. */
	wal_store_refuse(test.fixture.store, &want);
	assert_int_equal(wal_store_next_want(test.fixture.store, &want), WAL_WANT_NOTHING);
	assert_false(wal_store_want(test.fixture.store, 1, WANTED));
	assert_false(wal_store_want(test.fixture.store, 1, START));
	wal_maker_free(other);
	filled_close(&test);
}

static void test_wal_backfill__wants_only_what_there_could_be(void **state)
{
	struct filled test;

	(void)state;
	filled_open(&test);
	assert_false(wal_store_want(test.fixture.store, 1, BEGIN));
	assert_false(wal_store_want(test.fixture.store, 1, test.maker->at + 1));
	assert_false(wal_store_want(test.fixture.store, 2, WANTED));
	test.fixture.options.max_bytes = 4 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	assert_false(wal_store_want(test.fixture.store, 1, WANTED));
	test.fixture.options.max_bytes = 64 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	wal_store_set_filler(test.fixture.store, false);
	assert_false(wal_store_want(test.fixture.store, 1, WANTED));
	filled_close(&test);
}

/* Retention has no use for it, and lets it be until its readers came for it. */
static void test_wal_backfill__is_kept_for_a_while(void **state)
{
	struct filled test;

	(void)state;
	filled_open(&test);
	test.fixture.options.retain_bytes = 0;
	assert_true(wal_store_want(test.fixture.store, 1, WANTED));
	fill_next(&test, START + 3 * SEGMENT);
	wal_store_set_limits(test.fixture.store, &test.fixture.options);
	wal_maker_fill(test.maker, START + 9 * SEGMENT);
	fixture_append(&test.fixture, test.maker, START + 6 * SEGMENT, test.maker->at, 131072);
	fill_next(&test, WANTED);
	take_in(&test);
	fixture_check_bytes(&test.fixture, test.maker, 1, WANTED, test.maker->at);
	filled_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_backfill__comes_downward_and_is_read_when_all_is_there),
		cmocka_unit_test(test_wal_backfill__goes_on_after_a_restart),
		cmocka_unit_test(test_wal_backfill__refuses_what_does_not_go_on),
		cmocka_unit_test(test_wal_backfill__wants_only_what_there_could_be),
		cmocka_unit_test(test_wal_backfill__is_kept_for_a_while),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
