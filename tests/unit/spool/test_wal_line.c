/*
 * wal_line: timelines, forks, ranges and holes, as readers see them, over restarts.
 */
#include "spool/wal_segment.h"
#include "spool/wal_state.h"
#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)

static void check_position(struct wal_position position, tli_t tli, lsn_t lsn)
{
	assert_int_equal(position.tli, tli);
	assert_int_equal(position.lsn, lsn);
}

static void put_history(struct wal_fixture *fixture, tli_t tli, const char *text)
{
	struct error err = {0};

	if (!wal_store_put_history(fixture->store, tli, text, strlen(text), &err)) {
		fail_msg("%s", err.message);
	}
}

static void switch_to(struct wal_fixture *fixture, tli_t tli)
{
	struct error err = {0};

	if (!wal_store_switch_timeline(fixture->store, tli, &err)) {
		fail_msg("%s", err.message);
	}
}

/* A store that followed `old` to its end, then went over to `forked` at `fork`. */
struct switched {
	struct wal_fixture fixture;
	struct wal_maker *old;
	struct wal_maker *forked;
	lsn_t fork;
};

static void switched_open(struct switched *test, tli_t old_tli, tli_t tli)
{
	char history[256];

	test->old = wal_maker_new(old_tli, START, SEGMENT, 3);
	wal_maker_fill(test->old, START + 2 * SEGMENT + 600000);
	test->fork = wal_maker_last_end(test->old, START + 2 * SEGMENT + 400000);
	test->forked = wal_maker_fork(test->old, tli, test->fork);
	wal_maker_fill(test->forked, START + 4 * SEGMENT + 100000);
	fixture_open(&test->fixture);
	fixture_begin(&test->fixture, test->old);
	fixture_append(&test->fixture, test->old, START, test->old->at, 131072);
	fixture_wait_flushed(&test->fixture, old_tli, test->old->at);
	(void)fixture_history(history, test->old, test->fork);
	put_history(&test->fixture, tli, history);
	switch_to(&test->fixture, tli);
}

static void switched_close(struct switched *test)
{
	fixture_close(&test->fixture);
	wal_maker_free(test->old);
	wal_maker_free(test->forked);
}

static void check_end(struct wal_cursor *cursor, enum wal_read expected)
{
	struct error err = {0};
	struct wal_span span;

	assert_int_equal(wal_cursor_peek(cursor, 8192, &span, &err), expected);
	if (expected == WAL_READ_GONE) {
		assert_string_equal(err.sqlstate, "58P01");
	}
}

static struct wal_cursor *open_at(struct wal_fixture *fixture, tli_t tli, lsn_t lsn)
{
	struct error err = {0};
	struct wal_cursor *cursor = wal_cursor_open(fixture->store, tli, lsn, false, &err);

	if (cursor == NULL) {
		fail_msg("%s", err.message);
	}
	return cursor;
}

static void test_wal_line__begins_a_timeline_at_its_segment(void **state)
{
	struct switched test;

	(void)state;
	switched_open(&test, 1, 2);
	check_position(wal_store_received(test.fixture.store), 2, START + 2 * SEGMENT);
	check_position(wal_store_flushed(test.fixture.store), 2, START + 2 * SEGMENT);
	fixture_append(&test.fixture, test.forked, test.forked->start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	for (int i = 0; i < 2; i++) {
		fixture_check_bytes(&test.fixture, test.old, 1, START, test.fork);
		fixture_check_bytes(
			&test.fixture, test.forked, 2, test.forked->start, test.forked->at);
		fixture_reopen(&test.fixture);
		check_position(wal_store_received(test.fixture.store), 2, test.forked->at);
	}
	switched_close(&test);
}

/* What both timelines share comes again with the new one. */
static void test_wal_line__compares_what_comes_before_the_fork(void **state)
{
	struct switched test;
	struct error err = {0};
	lsn_t start = START + 2 * SEGMENT;

	(void)state;
	switched_open(&test, 1, 2);
	test.forked->bytes[300000] ^= 1;
	for (int i = 0; i < 2; i++) {
		fixture_append(&test.fixture, test.forked, start, start + 200000, 100000);
		assert_false(wal_store_append(test.fixture.store, start + 200000,
			wal_maker_bytes(test.forked, start + 200000), 150000, &err));
		assert_int_equal(err.kind, ERROR_DIVERGED);
		assert_string_equal(err.message, "upstream has diverged at 5/2493E0 on timeline 1");
		assert_int_equal(wal_store_received(test.fixture.store).lsn, start + 200000);
		fixture_reopen(&test.fixture);
	}
	/* From the fork on there is nothing to compare with. */
	test.forked->bytes[300000] ^= 1;
	fixture_append(&test.fixture, test.forked, start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	switched_close(&test);
}

/* A server made from a backup of timeline 3 has no history file of timeline 2. */
static void test_wal_line__finds_a_timeline_in_the_history_of_a_later_one(void **state)
{
	struct switched test;
	struct timeline_history history;
	char first[256], both[512];
	struct wal_maker *third;
	lsn_t fork;

	(void)state;
	test.old = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test.old, START + 2 * SEGMENT + 600000);
	test.fork = wal_maker_last_end(test.old, START + 2 * SEGMENT + 400000);
	test.forked = wal_maker_fork(test.old, 2, test.fork);
	wal_maker_fill(test.forked, START + 3 * SEGMENT + 100000);
	fork = wal_maker_last_end(test.forked, START + 3 * SEGMENT + 50000);
	third = wal_maker_fork(test.forked, 3, fork);
	wal_maker_fill(third, START + 4 * SEGMENT);
	fixture_open(&test.fixture);
	fixture_begin(&test.fixture, test.old);
	fixture_append(&test.fixture, test.old, START, test.old->at, 131072);
	fixture_history(first, test.old, test.fork);
	(void)snprintf(both, sizeof(both), "%s%u\t" LSN_FORMAT "\tx\n", first, 2, LSN_ARGS(fork));
	put_history(&test.fixture, 3, both);
	switch_to(&test.fixture, 2);
	fixture_append(&test.fixture, test.forked, test.forked->start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	fixture_reopen(&test.fixture);
	check_position(wal_store_received(test.fixture.store), 2, test.forked->at);
	assert_true(wal_store_history(test.fixture.store, &history));
	assert_int_equal(history.count, 2);
	assert_int_equal(history.entries[1].begin, test.fork);
	timeline_history_release(&history);
	switch_to(&test.fixture, 3);
	fixture_append(&test.fixture, third, third->start, third->at, 100000);
	fixture_wait_flushed(&test.fixture, 3, third->at);
	fixture_check_bytes(&test.fixture, test.forked, 2, test.forked->start, fork);
	assert_false(fixture_has_file(&test.fixture, "00000002.history"));
	wal_maker_free(third);
	switched_close(&test);
}

static bool is_mapped(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	bool found = false;
	char line[512];

	assert_non_null(maps);
	while (!found && fgets(line, sizeof(line), maps) != NULL) {
		found = strstr(line, name) != NULL;
	}
	fclose(maps);
	return found;
}

/* A segment that retention removes is given back only when nobody maps it. */
static void test_wal_line__maps_no_segment_it_has_left(void **state)
{
	struct switched test;

	(void)state;
	switched_open(&test, 1, 2);
	fixture_append(&test.fixture, test.forked, test.forked->start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	assert_false(is_mapped("000000010000000500000002"));
	fixture_reopen(&test.fixture);
	fixture_append(&test.fixture, test.forked, START + 3 * SEGMENT, test.forked->at, 100000);
	wal_maker_fill(test.forked, test.forked->at + SEGMENT);
	fixture_append(&test.fixture, test.forked, wal_store_received(test.fixture.store).lsn,
		test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	assert_false(is_mapped("000000020000000500000003"));
	assert_false(is_mapped("000000020000000500000004"));
	switched_close(&test);
}

static void test_wal_line__recovers_a_timeline_that_holds_nothing_yet(void **state)
{
	struct switched test;

	(void)state;
	switched_open(&test, 7, 9);
	fixture_reopen(&test.fixture);
	check_position(wal_store_received(test.fixture.store), 9, START + 2 * SEGMENT);
	fixture_check_bytes(&test.fixture, test.old, 7, START, test.fork);
	/* Half of what both timelines share has come again. */
	fixture_append(&test.fixture, test.forked, test.forked->start, test.fork - 50000, 100000);
	fixture_wait_flushed(&test.fixture, 9, wal_maker_last_end(test.forked, test.fork - 50000));
	fixture_reopen(&test.fixture);
	check_position(wal_store_received(test.fixture.store), 9,
		wal_maker_last_end(test.forked, test.fork - 50000));
	fixture_append(&test.fixture, test.forked, test.forked->start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 9, test.forked->at);
	fixture_check_bytes(&test.fixture, test.forked, 9, test.forked->start, test.forked->at);
	switched_close(&test);
}

static void test_wal_line__ends_the_old_timeline_at_the_fork(void **state)
{
	struct switched test;
	struct wal_cursor *cursor;
	struct error err = {0};
	char expected[256];
	lsn_t end;
	tli_t next;

	(void)state;
	switched_open(&test, 1, 2);
	cursor = open_at(&test.fixture, 1, test.fork - 8);
	assert_int_equal(wal_cursor_end(cursor), test.fork);
	check_end(cursor, WAL_READ_DATA);
	wal_cursor_advance(cursor, 8);
	check_end(cursor, WAL_READ_TIMELINE_END);
	assert_true(wal_cursor_timeline_end(cursor, &end, &next));
	assert_int_equal(end, test.fork);
	assert_int_equal(next, 2);
	wal_cursor_close(&cursor);

	assert_null(wal_cursor_open(test.fixture.store, 1, test.fork + 1, false, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.sqlstate, "XX000");
	(void)snprintf(expected, sizeof(expected),
		"requested starting point " LSN_FORMAT
		" on timeline 1 is not in this server's history",
		LSN_ARGS(test.fork + 1));
	assert_string_equal(err.message, expected);
	(void)snprintf(expected, sizeof(expected),
		"This server's history forked from timeline 1 at " LSN_FORMAT ".",
		LSN_ARGS(test.fork));
	assert_string_equal(err.detail, expected);
	assert_null(wal_cursor_open(test.fixture.store, 3, test.fork, false, &err));
	assert_string_equal(err.message, "requested timeline 3 is not in this server's history");
	/* As in PostgreSQL: that timeline has no file there. */
	cursor = open_at(&test.fixture, 2, START + SEGMENT);
	check_end(cursor, WAL_READ_GONE);
	wal_cursor_close(&cursor);
	switched_close(&test);
}

static void test_wal_line__tells_readers_that_their_timeline_ended(void **state)
{
	struct wal_maker *old = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_cursor *before, *past, *ahead;
	struct wal_fixture fixture;
	char history[256];
	lsn_t fork, end;
	tli_t next;

	(void)state;
	wal_maker_fill(old, START + 500000);
	fork = wal_maker_last_end(old, START + 400000);
	fixture_open(&fixture);
	fixture_begin(&fixture, old);
	fixture_append(&fixture, old, START, old->at, SIZE_MAX);
	before = open_at(&fixture, 1, fork - 100);
	past = open_at(&fixture, 1, old->at);
	ahead = open_at(&fixture, 1, old->at + 5000);
	check_end(past, WAL_READ_WAIT);
	check_end(ahead, WAL_READ_WAIT);
	assert_false(wal_cursor_timeline_end(past, &end, &next));
	(void)fixture_history(history, old, fork);
	put_history(&fixture, 2, history);
	switch_to(&fixture, 2);
	check_end(before, WAL_READ_DATA);
	wal_cursor_advance(before, 100);
	check_end(before, WAL_READ_TIMELINE_END);
	check_end(past, WAL_READ_TIMELINE_END);
	check_end(ahead, WAL_READ_TIMELINE_END);
	assert_true(wal_cursor_timeline_end(past, &end, &next));
	assert_int_equal(end, fork);
	assert_int_equal(next, 2);
	wal_cursor_close(&before);
	wal_cursor_close(&past);
	wal_cursor_close(&ahead);
	fixture_close(&fixture);
	wal_maker_free(old);
}

static void test_wal_line__serves_the_forks_segment_under_the_next_name(void **state)
{
	struct wal_maker *old = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_maker *forked;
	struct wal_fixture fixture;
	struct wal_cursor *cursor;
	char history[256];
	lsn_t fork;

	(void)state;
	wal_maker_fill(old, START + SEGMENT + 500000);
	fork = wal_maker_last_end(old, START + SEGMENT + 400000);
	forked = wal_maker_fork(old, 2, fork);
	wal_maker_fill(forked, START + 2 * SEGMENT);
	fixture_open(&fixture);
	(void)fixture_history(history, old, fork);
	put_history(&fixture, 2, history);
	fixture_begin(&fixture, forked);
	cursor = open_at(&fixture, 1, START + SEGMENT);
	check_end(cursor, WAL_READ_GONE);
	wal_cursor_close(&cursor);
	fixture_append(&fixture, forked, forked->start, forked->at, SIZE_MAX);
	fixture_check_bytes(&fixture, old, 1, START + SEGMENT, fork);
	cursor = open_at(&fixture, 1, fork);
	check_end(cursor, WAL_READ_TIMELINE_END);
	wal_cursor_close(&cursor);
	cursor = open_at(&fixture, 1, START + 100);
	check_end(cursor, WAL_READ_GONE);
	wal_cursor_close(&cursor);
	fixture_close(&fixture);
	wal_maker_free(old);
	wal_maker_free(forked);
}

static void test_wal_line__takes_another_fork_when_a_promotion_was_lost(void **state)
{
	struct switched test;
	struct wal_maker *other;
	struct wal_cursor *cursor;
	char history[256];
	lsn_t fork;

	(void)state;
	switched_open(&test, 1, 2);
	fixture_append(&test.fixture, test.forked, test.forked->start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	cursor = open_at(&test.fixture, 2, test.forked->at);
	/* Timeline 3 leaves timeline 1 before 2 did: what 2 held is no longer of this line. */
	fork = wal_maker_last_end(test.old, START + SEGMENT + 10000);
	other = wal_maker_fork(test.old, 3, fork);
	wal_maker_fill(other, START + 3 * SEGMENT);
	(void)fixture_history(history, test.old, fork);
	put_history(&test.fixture, 3, history);
	switch_to(&test.fixture, 3);
	check_end(cursor, WAL_READ_GONE);
	wal_cursor_close(&cursor);
	check_position(wal_store_received(test.fixture.store), 3, START + SEGMENT);
	fixture_append(&test.fixture, other, other->start, other->at, 100000);
	fixture_wait_flushed(&test.fixture, 3, other->at);
	fixture_reopen(&test.fixture);
	check_position(wal_store_received(test.fixture.store), 3, other->at);
	fixture_check_bytes(&test.fixture, test.old, 1, START, fork);
	fixture_check_bytes(&test.fixture, other, 3, other->start, other->at);
	wal_maker_free(other);
	switched_close(&test);
}

static void test_wal_line__refuses_a_fork_it_does_not_hold(void **state)
{
	struct switched test;
	struct error err = {0};
	char history[512];

	(void)state;
	switched_open(&test, 1, 2);
	assert_false(wal_store_switch_timeline(test.fixture.store, 3, &err));
	assert_string_equal(err.message, "timeline 3 has no history here");
	/* Past the end of what is held of timeline 1, and of one never seen. */
	(void)fixture_history(history, test.old, test.fork + 8);
	put_history(&test.fixture, 3, history);
	assert_false(wal_store_switch_timeline(test.fixture.store, 3, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	(void)snprintf(history + strlen(history), 200, "3\t5/400000\tnone\n");
	put_history(&test.fixture, 4, history);
	assert_false(wal_store_switch_timeline(test.fixture.store, 4, &err));
	assert_string_equal(
		err.message, "timeline 4 forks from timeline 3, of which nothing is held");
	check_position(wal_store_received(test.fixture.store), 2, START + 2 * SEGMENT);
	switched_close(&test);
}

static void test_wal_line__keeps_history_files_as_they_came(void **state)
{
	struct switched test;
	struct timeline_history history;
	struct error err = {0};
	char expected[256];
	char *text;
	size_t length;

	(void)state;
	switched_open(&test, 1, 2);
	assert_true(wal_store_read_history_file(test.fixture.store, 2, &text, &length, &err));
	(void)fixture_history(expected, test.old, test.fork);
	assert_int_equal(length, strlen(expected));
	assert_memory_equal(text, expected, length);
	assert_true(wal_store_put_history(test.fixture.store, 2, text, length, &err));
	text[2] ^= 1;
	assert_false(wal_store_put_history(test.fixture.store, 2, text, length, &err));
	assert_int_equal(err.kind, ERROR_DIVERGED);
	free(text);
	assert_false(wal_store_read_history_file(test.fixture.store, 5, &text, &length, &err));
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(err.sqlstate, "58P01");
	assert_string_equal(err.message,
		"could not open file \"pg_wal/00000005.history\": No such file or directory");
	assert_false(wal_store_put_history(test.fixture.store, 5, "rubbish\n", 8, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_true(wal_store_history(test.fixture.store, &history));
	assert_int_equal(history.count, 2);
	assert_int_equal(history.entries[0].end, test.fork);
	timeline_history_release(&history);
	switched_close(&test);
}

static void test_wal_line__serves_no_one_across_a_hole(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_cursor *waiting, *inside;
	struct wal_fixture fixture;
	struct error err = {0};
	lsn_t held, again = START + 4 * SEGMENT;

	(void)state;
	wal_maker_fill(maker, START + 6 * SEGMENT);
	held = wal_maker_last_end(maker, START + SEGMENT + 300000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, held, 100000);
	fixture_wait_flushed(&fixture, 1, held);
	waiting = open_at(&fixture, 1, held);
	check_end(waiting, WAL_READ_WAIT);
	assert_true(wal_store_begin(fixture.store, 1, again + 4096, SEGMENT, &err));
	check_end(waiting, WAL_READ_GONE);
	for (int i = 0; i < 2; i++) {
		fixture_check_bytes(&fixture, maker, 1, START, held);
		inside = open_at(&fixture, 1, held + SEGMENT);
		check_end(inside, WAL_READ_GONE);
		wal_cursor_close(&inside);
		wal_cursor_close(&waiting);
		fixture_append(&fixture, maker, again, maker->at, 100000);
		fixture_wait_flushed(&fixture, 1, wal_maker_last_end(maker, maker->at));
		fixture_check_bytes(&fixture, maker, 1, again, maker->at);
		fixture_reopen(&fixture);
		check_position(wal_store_received(fixture.store), 1, maker->at);
	}
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_line__starts_after_a_file_that_went_missing(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_store_stats stats;
	struct wal_fixture fixture;
	struct wal_cursor *cursor;
	char path[2 * FIXTURE_PATH_SIZE];

	(void)state;
	wal_maker_fill(maker, START + 4 * SEGMENT + 1000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, maker->at, 100000);
	fixture_wait_flushed(&fixture, 1, maker->at);
	fixture_stop(&fixture);
	(void)snprintf(path, sizeof(path), "%s/000000010000000500000001", fixture.directory);
	assert_int_equal(remove(path), 0);
	fixture_start(&fixture);
	wal_store_read_stats(fixture.store, &stats);
	assert_int_equal(stats.oldest_lsn, START + 2 * SEGMENT);
	check_position(wal_store_received(fixture.store), 1, maker->at);
	cursor = open_at(&fixture, 1, START + SEGMENT + 1);
	check_end(cursor, WAL_READ_GONE);
	wal_cursor_close(&cursor);
	fixture_check_bytes(&fixture, maker, 1, START + 2 * SEGMENT, maker->at);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void remove_segment(const struct wal_fixture *fixture, tli_t tli, lsn_t lsn)
{
	char path[2 * FIXTURE_PATH_SIZE], name[WAL_SEGMENT_NAME_SIZE];

	wal_segment_name(tli, wal_segment_number(lsn, SEGMENT), SEGMENT, name);
	(void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	assert_int_equal(remove(path), 0);
}

static size_t count_stretches(const struct wal_fixture *fixture)
{
	struct wal_state state;
	struct error err = {0};
	size_t count;

	assert_true(wal_state_load(fixture->database, &state, &err));
	count = state.count;
	wal_state_release(&state);
	return count;
}

static void test_wal_line__forgets_stretches_of_which_nothing_is_left(void **state)
{
	struct switched test;
	struct error err = {0};

	(void)state;
	switched_open(&test, 1, 2);
	fixture_append(&test.fixture, test.forked, test.forked->start, test.forked->at, 100000);
	fixture_wait_flushed(&test.fixture, 2, test.forked->at);
	assert_true(
		wal_store_begin(test.fixture.store, 2, test.forked->at + SEGMENT, SEGMENT, &err));
	fixture_stop(&test.fixture);
	for (lsn_t lsn = START; lsn < test.fork; lsn += SEGMENT) {
		remove_segment(&test.fixture, 1, lsn);
	}
	/* What the second timeline forks from says where the first ends. */
	fixture_start(&test.fixture);
	assert_int_equal(count_stretches(&test.fixture), 3);
	fixture_check_bytes(
		&test.fixture, test.forked, 2, test.forked->start, test.forked->at - 100000);
	fixture_stop(&test.fixture);
	for (lsn_t lsn = test.forked->start; lsn < test.forked->at; lsn += SEGMENT) {
		remove_segment(&test.fixture, 2, lsn);
	}
	fixture_start(&test.fixture);
	assert_int_equal(count_stretches(&test.fixture), 1);
	assert_true(fixture_has_file(&test.fixture, "00000002.history"));
	check_position(wal_store_received(test.fixture.store), 2,
		lsn_segment_start(test.forked->at + SEGMENT, SEGMENT));
	switched_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_line__begins_a_timeline_at_its_segment),
		cmocka_unit_test(test_wal_line__compares_what_comes_before_the_fork),
		cmocka_unit_test(test_wal_line__finds_a_timeline_in_the_history_of_a_later_one),
		cmocka_unit_test(test_wal_line__maps_no_segment_it_has_left),
		cmocka_unit_test(test_wal_line__recovers_a_timeline_that_holds_nothing_yet),
		cmocka_unit_test(test_wal_line__ends_the_old_timeline_at_the_fork),
		cmocka_unit_test(test_wal_line__tells_readers_that_their_timeline_ended),
		cmocka_unit_test(test_wal_line__serves_the_forks_segment_under_the_next_name),
		cmocka_unit_test(test_wal_line__takes_another_fork_when_a_promotion_was_lost),
		cmocka_unit_test(test_wal_line__refuses_a_fork_it_does_not_hold),
		cmocka_unit_test(test_wal_line__keeps_history_files_as_they_came),
		cmocka_unit_test(test_wal_line__serves_no_one_across_a_hole),
		cmocka_unit_test(test_wal_line__starts_after_a_file_that_went_missing),
		cmocka_unit_test(test_wal_line__forgets_stretches_of_which_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
