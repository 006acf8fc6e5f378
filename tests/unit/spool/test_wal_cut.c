/*
 * wal_cut: received WAL that is not valid: who hears of it, what is left, and how it goes on.
 */
#include "spool/wal_segment.h"
#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)
#define FIRST   "000000010000000500000000"
#define SECOND  "000000010000000500000001"
#define THIRD   "000000010000000500000002"

/* A store whose upstream goes on with bytes that are not WAL, once it has sent `good`. */
struct spoilt {
	struct wal_fixture fixture;
	struct wal_maker *maker;
	struct wal_watcher *watcher;
	lsn_t good;   /* end of the last record that is right */
	size_t spoil; /* offset of the byte that is not */
};

static sem_t bad_seen;

static void on_bad(void *context, unsigned events)
{
	(void)context;
	assert_int_equal(events, WAL_STORE_BAD);
	sem_post(&bad_seen);
}

static void wait_bad(void)
{
	const struct timespec deadline = {.tv_sec = time(NULL) + 60};

	assert_int_equal(sem_timedwait(&bad_seen, &deadline), 0);
}

/* Of `offset` bytes all is right; a bit of the record that follows is not. */
static void spoilt_open(struct spoilt *test, size_t offset)
{
	size_t record = 0;

	assert_int_equal(sem_init(&bad_seen, 0, 0), 0);
	test->maker = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(test->maker, START + 4 * SEGMENT);
	while (test->maker->starts[record] < START + offset) {
		record++;
	}
	test->good = record == 0 ? START : test->maker->ends[record - 1];
	test->spoil = test->maker->starts[record] + 24 - START;
	fixture_open(&test->fixture);
	test->watcher = wal_store_add_watcher(test->fixture.store, WAL_STORE_BAD, on_bad, NULL);
	fixture_begin(&test->fixture, test->maker);
}

/* Appends up to `to` with the wrong bit. */
static void append_spoilt(struct spoilt *test, lsn_t to)
{
	test->maker->bytes[test->spoil] ^= 1;
	fixture_append(&test->fixture, test->maker, START, to, SIZE_MAX);
	test->maker->bytes[test->spoil] ^= 1;
	wait_bad();
}

static void spoilt_close(struct spoilt *test)
{
	wal_store_remove_watcher(test->fixture.store, &test->watcher);
	fixture_close(&test->fixture);
	wal_maker_free(test->maker);
}

static void check_cut(struct spoilt *test)
{
	struct error err = {0};
	char expected[128];

	snprintf(expected, sizeof(expected),
		"received WAL is not valid at " LSN_FORMAT ": incorrect record checksum",
		LSN_ARGS(START + test->spoil - 24));
	assert_false(wal_store_cut_bad(test->fixture.store, &err));
	assert_int_equal(err.kind, ERROR_DIVERGED);
	assert_string_equal(err.message, expected);
	assert_int_equal(wal_store_received(test->fixture.store).lsn, test->good);
	assert_int_equal(wal_store_flushed(test->fixture.store).lsn, test->good);
	assert_int_equal(wal_store_synced(test->fixture.store).lsn, test->good);
	assert_true(wal_store_cut_bad(test->fixture.store, &err));
}

static void check_zero_after(struct spoilt *test, const char *name, off_t offset)
{
	size_t length = SEGMENT - (size_t)offset;
	uint8_t *bytes = malloc(length);
	uint8_t *zeros = calloc(1, length);
	char path[2 * FIXTURE_PATH_SIZE];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", test->fixture.directory, name);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, bytes, length, offset), (ssize_t)length);
	assert_memory_equal(bytes, zeros, length);
	close(fd);
	free(bytes);
	free(zeros);
}

/* All that is right, once more. */
static void check_goes_on(struct spoilt *test)
{
	lsn_t from = lsn_segment_start(test->good, SEGMENT);

	fixture_append(&test->fixture, test->maker, from, test->maker->at, 131072);
	fixture_wait_flushed(&test->fixture, 1, test->maker->at);
	fixture_check_bytes(&test->fixture, test->maker, 1, START, test->maker->at);
	fixture_stop(&test->fixture);
	fixture_start(&test->fixture);
	assert_int_equal(wal_store_flushed(test->fixture.store).lsn, test->maker->at);
}

static void test_wal_cut__forgets_what_does_not_prove_itself_and_goes_on(void **state)
{
	struct spoilt test;

	(void)state;
	spoilt_open(&test, SEGMENT / 2);
	append_spoilt(&test, START + 3 * SEGMENT + 1000);
	check_cut(&test);
	check_zero_after(&test, FIRST, (off_t)(test.good - START));
	assert_false(fixture_has_file(&test.fixture, SECOND));
	assert_false(fixture_has_file(&test.fixture, THIRD));
	wal_store_remove_watcher(test.fixture.store, &test.watcher);
	check_goes_on(&test);
	spoilt_close(&test);
}

static void test_wal_cut__an_append_says_so_too(void **state)
{
	struct spoilt test;
	struct error err = {0};
	lsn_t end = START + SEGMENT / 2 + 300000;

	(void)state;
	spoilt_open(&test, SEGMENT / 2);
	append_spoilt(&test, end);
	assert_false(wal_store_append(
		test.fixture.store, end, wal_maker_bytes(test.maker, end), 100, &err));
	assert_int_equal(err.kind, ERROR_DIVERGED);
	assert_non_null(strstr(err.message, "received WAL is not valid at 5/"));
	assert_int_equal(wal_store_received(test.fixture.store).lsn, test.good);
	/* What comes next leaves a gap, and is refused until it is asked for again. */
	assert_false(wal_store_append(
		test.fixture.store, end, wal_maker_bytes(test.maker, end), 100, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	spoilt_close(&test);
}

static void test_wal_cut__where_nothing_was_proved_nothing_is_left(void **state)
{
	struct spoilt test;

	(void)state;
	spoilt_open(&test, 0);
	append_spoilt(&test, START + SEGMENT + 1000);
	check_cut(&test);
	assert_false(fixture_has_file(&test.fixture, FIRST));
	assert_false(fixture_has_file(&test.fixture, SECOND));
	wal_store_remove_watcher(test.fixture.store, &test.watcher);
	check_goes_on(&test);
	spoilt_close(&test);
}

static void test_wal_cut__may_come_again(void **state)
{
	struct spoilt test;

	(void)state;
	spoilt_open(&test, SEGMENT / 2);
	append_spoilt(&test, START + SEGMENT + 1000);
	check_cut(&test);
	append_spoilt(&test, START + SEGMENT + 1000);
	check_cut(&test);
	wal_store_remove_watcher(test.fixture.store, &test.watcher);
	check_goes_on(&test);
	spoilt_close(&test);
}

/* What lies before a fork stays for good. */
static void test_wal_cut__no_timeline_forks_from_what_is_not_valid(void **state)
{
	struct spoilt test;
	struct error err = {0};
	char history[256];
	size_t length;

	(void)state;
	spoilt_open(&test, SEGMENT / 2);
	length = fixture_history(history, test.maker, START + 2 * SEGMENT);
	assert_true(wal_store_put_history(test.fixture.store, 2, history, length, &err));
	append_spoilt(&test, START + 2 * SEGMENT + 1000);
	assert_false(wal_store_switch_timeline(test.fixture.store, 2, &err));
	assert_int_equal(err.kind, ERROR_DIVERGED);
	assert_int_equal(wal_store_received(test.fixture.store).tli, 1);
	assert_int_equal(wal_store_received(test.fixture.store).lsn, test.good);
	spoilt_close(&test);
}

static void read_to(struct wal_cursor *cursor, lsn_t lsn)
{
	struct error err = {0};
	struct wal_span span;

	while (wal_cursor_lsn(cursor) < lsn) {
		assert_int_equal(wal_cursor_peek(cursor, 131072, &span, &err), WAL_READ_DATA);
		wal_cursor_advance(cursor, lsn_min(span.length, lsn - span.lsn));
	}
}

static void test_wal_cut__readers_stop_at_what_is_proved(void **state)
{
	struct spoilt test;
	struct wal_cursor *early, *late;
	struct error err = {0};
	struct wal_span span;

	(void)state;
	spoilt_open(&test, SEGMENT / 2);
	early = wal_cursor_open(test.fixture.store, 1, START, false, &err);
	late = wal_cursor_open(test.fixture.store, 1, test.good + 100, false, &err);
	assert_non_null(early);
	assert_non_null(late);
	append_spoilt(&test, START + SEGMENT + 1000);
	/* From the moment it is known, before anything is cut. */
	assert_int_equal(wal_cursor_end(early), test.good);
	read_to(early, test.good);
	assert_int_equal(wal_cursor_peek(early, 131072, &span, &err), WAL_READ_WAIT);
	assert_int_equal(wal_cursor_peek(late, 131072, &span, &err), WAL_READ_WAIT);
	check_cut(&test);
	assert_int_equal(wal_cursor_peek(early, 131072, &span, &err), WAL_READ_WAIT);
	fixture_append(&test.fixture, test.maker, START, START + SEGMENT + SEGMENT / 2, SIZE_MAX);
	/* Who read what is gone must ask again; it would get the rest of something else. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wal_cursor_peek(late, 131072, &span, &err), WAL_READ_FAILED);
		assert_non_null(strstr(err.message, "turned out not to be valid"));
	}
	read_to(early, START + SEGMENT + SEGMENT / 2);
	wal_cursor_close(&early);
	wal_cursor_close(&late);
	spoilt_close(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_cut__forgets_what_does_not_prove_itself_and_goes_on),
		cmocka_unit_test(test_wal_cut__an_append_says_so_too),
		cmocka_unit_test(test_wal_cut__where_nothing_was_proved_nothing_is_left),
		cmocka_unit_test(test_wal_cut__may_come_again),
		cmocka_unit_test(test_wal_cut__no_timeline_forks_from_what_is_not_valid),
		cmocka_unit_test(test_wal_cut__readers_stop_at_what_is_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
