/*
 * wal_promise: what is kept for the link, and that max_size asks before it takes it.
 */
#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEGMENT  WAL_SEGMENT_MIN
#define START    (UINT64_C(5) << 32)
#define SEGMENTS 12

struct promised {
	struct wal_fixture fixture;
	struct wal_maker *maker;
	struct wal_watcher *watcher;
	atomic_int link_events;
};

static struct promised *present;

static void on_link(void *context, unsigned events)
{
	struct promised *test = context;

	assert_int_equal(events, WAL_STORE_LINK);
	atomic_fetch_add(&test->link_events, 1);
}

static void promised_open(struct promised *test, uint64_t link_bytes, uint64_t max_bytes)
{
	test->maker = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test->maker, START + SEGMENTS * SEGMENT + 1000);
	fixture_open(&test->fixture);
	test->fixture.options.retain_bytes = 0;
	test->fixture.options.link_bytes = link_bytes;
	test->fixture.options.max_bytes = max_bytes;
	fixture_reopen(&test->fixture);
	fixture_begin(&test->fixture, test->maker);
	atomic_init(&test->link_events, 0);
	test->watcher = wal_store_add_watcher(test->fixture.store, WAL_STORE_LINK, on_link, test);
	present = test;
}

static void promised_close(struct promised *test)
{
	wal_store_remove_watcher(test->fixture.store, &test->watcher);
	fixture_close(&test->fixture);
	wal_maker_free(test->maker);
}

static void feed(struct promised *test)
{
	lsn_t from = START;

	while (from < test->maker->at) {
		lsn_t next = lsn_min(from + SEGMENT / 2, test->maker->at);

		fixture_append(&test->fixture, test->maker, from, next, 131072);
		fixture_wait_flushed(&test->fixture, 1, wal_maker_last_end(test->maker, next));
		from = next;
	}
}

static lsn_t oldest_of(struct wal_fixture *fixture)
{
	struct wal_store_stats stats;

	wal_store_read_stats(fixture->store, &stats);
	return stats.oldest_lsn;
}

static lsn_t wanted_oldest;

static bool is_oldest(struct wal_fixture *fixture)
{
	return oldest_of(fixture) == wanted_oldest;
}

static void wait_oldest(struct promised *test, lsn_t oldest)
{
	wanted_oldest = oldest;
	fixture_wait(&test->fixture, is_oldest);
}

static void test_wal_promise__keeps_so_much_behind_the_tip(void **state)
{
	struct promised test;

	(void)state;
	promised_open(&test, 5 * SEGMENT, 0);
	assert_int_equal(wal_store_link_keep(test.fixture.store), 5 * SEGMENT);
	feed(&test);
	wait_oldest(&test, START + (SEGMENTS - 5) * SEGMENT);
	promised_close(&test);
}

static void test_wal_promise__promises_no_more_than_max_size_leaves(void **state)
{
	struct promised test;

	(void)state;
	promised_open(&test, 100 * SEGMENT, 9 * SEGMENT);
	assert_int_equal(wal_store_link_keep(test.fixture.store), 5 * SEGMENT);
	wal_store_promise_link(test.fixture.store, 5 * SEGMENT);
	feed(&test);
	wait_oldest(&test, START + (SEGMENTS - 5) * SEGMENT);
	/* It was never in the way. */
	assert_int_equal(atomic_load(&test.link_events), 0);
	promised_close(&test);

	promised_open(&test, 100 * SEGMENT, 3 * SEGMENT);
	assert_int_equal(wal_store_link_keep(test.fixture.store), 0);
	promised_close(&test);
}

static bool was_asked(struct wal_fixture *fixture)
{
	(void)fixture;
	/* By the change of limits, then by what it leads to. */
	return atomic_load(&present->link_events) >= 2;
}

/* 10 s are given. */
static void test_wal_promise__asks_before_it_takes_what_was_promised(void **state)
{
	struct promised test;
	struct wal_store_options limits;
	lsn_t before;

	(void)state;
	promised_open(&test, 9 * SEGMENT, 0);
	wal_store_promise_link(test.fixture.store, 9 * SEGMENT);
	feed(&test);
	before = START + (SEGMENTS - 9) * SEGMENT;
	wait_oldest(&test, before);
	limits = test.fixture.options;
	limits.max_bytes = 7 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &limits);
	while (!was_asked(&test.fixture)) {
		fixture_append(&test.fixture, test.maker, START + SEGMENTS * SEGMENT,
			START + SEGMENTS * SEGMENT + 1, SIZE_MAX);
	}
	assert_int_equal(oldest_of(&test.fixture), before);
	assert_int_equal(wal_store_link_keep(test.fixture.store), 3 * SEGMENT);
	assert_false(wal_store_is_full(test.fixture.store));
	wal_store_promise_link(test.fixture.store, 3 * SEGMENT);
	wait_oldest(&test, START + (SEGMENTS - 3) * SEGMENT);
	promised_close(&test);
}

static void test_wal_promise__takes_it_when_nobody_answers(void **state)
{
	struct promised test;
	struct wal_store_options limits;

	(void)state;
	promised_open(&test, 9 * SEGMENT, 0);
	wal_store_promise_link(test.fixture.store, 9 * SEGMENT);
	feed(&test);
	wait_oldest(&test, START + (SEGMENTS - 9) * SEGMENT);
	limits = test.fixture.options;
	limits.max_bytes = 7 * SEGMENT;
	wal_store_set_limits(test.fixture.store, &limits);
	wait_oldest(&test, START + (SEGMENTS - 5) * SEGMENT);
	promised_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_promise__keeps_so_much_behind_the_tip),
		cmocka_unit_test(test_wal_promise__promises_no_more_than_max_size_leaves),
		cmocka_unit_test(test_wal_promise__asks_before_it_takes_what_was_promised),
		cmocka_unit_test(test_wal_promise__takes_it_when_nobody_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
