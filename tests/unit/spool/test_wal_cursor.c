/*
 * wal_cursor: how WAL is cut into messages, what a reader may see, and many readers at once.
 */
#include "spool/wal_segment.h"
#include "spool/wal_store.h"
#include "support/wal_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)

static struct wal_cursor *open_at(struct wal_fixture *fixture, lsn_t lsn, bool flushed_only)
{
	struct error err = {0};
	struct wal_cursor *cursor = wal_cursor_open(fixture->store, 1, lsn, flushed_only, &err);

	if (cursor == NULL) {
		fail_msg("%s", err.message);
	}
	return cursor;
}

static void check_peek(struct wal_cursor *cursor, size_t length_max, size_t expected)
{
	struct error err = {0};
	struct wal_span span;

	assert_int_equal(wal_cursor_peek(cursor, length_max, &span, &err),
		expected > 0 ? WAL_READ_DATA : WAL_READ_WAIT);
	if (expected > 0) {
		assert_int_equal(span.lsn, wal_cursor_lsn(cursor));
		assert_int_equal(span.length, expected);
		wal_cursor_advance(cursor, expected);
	}
}

static void test_wal_cursor__ends_messages_at_pages_and_at_what_was_received(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_fixture fixture;
	struct wal_cursor *cursor;

	(void)state;
	wal_maker_fill(maker, START + 2 * SEGMENT);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	cursor = open_at(&fixture, START, false);
	check_peek(cursor, 131072, 0);
	fixture_append(&fixture, maker, START, START + 5000, SIZE_MAX);
	check_peek(cursor, 131072, 5000);
	check_peek(cursor, 131072, 0);
	fixture_append(&fixture, maker, START + 5000, START + 300001, SIZE_MAX);
	check_peek(cursor, 131072, 131072 - 5000 % 8192);
	check_peek(cursor, 10000, 8192);
	check_peek(cursor, 100, 100);
	check_peek(cursor, 8192, 8092);
	check_peek(cursor, 8193, 8192);
	check_peek(cursor, 1 << 30, 300001 - 131072 - 3 * 8192);
	check_peek(cursor, 1 << 30, 0);
	assert_int_equal(wal_cursor_end(cursor), START + 300001);
	/* Never across a segment's end. */
	fixture_append(&fixture, maker, START + 300001, maker->at, SIZE_MAX);
	check_peek(cursor, 1 << 30, SEGMENT - 300001);
	check_peek(cursor, 1 << 30, lsn_min(SEGMENT, maker->at - START - SEGMENT));
	wal_cursor_close(&cursor);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_cursor__sees_only_what_is_durable_when_asked_so(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_fixture fixture;
	struct wal_cursor *cursor;
	lsn_t whole;

	(void)state;
	wal_maker_fill(maker, START + 200000);
	wal_maker_record(maker, 100000);
	whole = wal_maker_last_end(maker, maker->at - 1);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	cursor = open_at(&fixture, START, true);
	fixture_append(&fixture, maker, START, maker->at - 8, SIZE_MAX);
	fixture_wait_flushed(&fixture, 1, whole);
	assert_int_equal(wal_cursor_end(cursor), whole);
	check_peek(cursor, 1 << 30, whole - START);
	check_peek(cursor, 1 << 30, 0);
	wal_cursor_close(&cursor);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_cursor__keeps_bytes_while_somebody_holds_them(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_fixture fixture;
	struct wal_cursor *cursor;
	struct error err = {0};
	struct wal_segment *held;
	struct wal_span span;

	(void)state;
	wal_maker_fill(maker, START + 3 * SEGMENT);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, maker->at, 131072);
	cursor = open_at(&fixture, START + 100, false);
	assert_int_equal(wal_cursor_peek(cursor, 50000, &span, &err), WAL_READ_DATA);
	held = wal_segment_ref(span.segment);
	wal_cursor_close(&cursor);
	fixture_close(&fixture);
	assert_memory_equal(span.bytes, wal_maker_bytes(maker, START + 100), span.length);
	wal_segment_unref(held);
	wal_maker_free(maker);
}

#define READERS 4

struct reader {
	pthread_t thread;
	struct wal_fixture *fixture;
	const struct wal_maker *maker;
	size_t length_max;
	bool flushed_only;
	lsn_t until;
	lsn_t start;
	/* The watcher's ring. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned rings;
};

static void ring(void *context, unsigned events)
{
	struct reader *reader = context;

	(void)events;
	pthread_mutex_lock(&reader->lock);
	reader->rings++;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->lock);
}

static unsigned rings(struct reader *reader)
{
	unsigned count;

	pthread_mutex_lock(&reader->lock);
	count = reader->rings;
	pthread_mutex_unlock(&reader->lock);
	return count;
}

static void wait_for_ring(struct reader *reader, unsigned seen)
{
	pthread_mutex_lock(&reader->lock);
	while (reader->rings == seen) {
		pthread_cond_wait(&reader->wake, &reader->lock);
	}
	pthread_mutex_unlock(&reader->lock);
}

static void *reader_thread(void *argument)
{
	struct reader *reader = argument;
	struct wal_watcher *watcher = wal_store_add_watcher(
		reader->fixture->store, WAL_STORE_RECEIVED | WAL_STORE_FLUSHED, ring, reader);
	struct wal_cursor *cursor = open_at(reader->fixture, reader->start, reader->flushed_only);
	struct error err = {0};

	while (wal_cursor_lsn(cursor) < reader->until) {
		unsigned seen = rings(reader);
		struct wal_span span;
		enum wal_read read = wal_cursor_peek(cursor, reader->length_max, &span, &err);

		if (read == WAL_READ_WAIT) {
			wait_for_ring(reader, seen);
			continue;
		}
		assert_int_equal(read, WAL_READ_DATA);
		if (memcmp(span.bytes, wal_maker_bytes(reader->maker, span.lsn), span.length) !=
			0) {
			abort();
		}
		wal_cursor_advance(cursor, span.length);
	}
	wal_cursor_close(&cursor);
	wal_store_remove_watcher(reader->fixture->store, &watcher);
	return NULL;
}

static void test_wal_cursor__serves_many_readers_while_wal_comes_in(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct reader readers[READERS];
	struct wal_fixture fixture;
	lsn_t middle;

	(void)state;
	wal_maker_fill(maker, START + 8 * SEGMENT);
	middle = wal_maker_last_end(maker, START + 3 * SEGMENT + 1000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, middle, 131072);
	for (size_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){.fixture = &fixture,
			.maker = maker,
			.length_max = i % 2 == 0 ? 131072 : 5000,
			.flushed_only = i >= 2,
			.until = maker->at,
			.start = START + i * 3 * SEGMENT / 2,
			.lock = PTHREAD_MUTEX_INITIALIZER,
			.wake = PTHREAD_COND_INITIALIZER};
		readers[i].start = lsn_min(readers[i].start, middle);
		assert_int_equal(
			pthread_create(&readers[i].thread, NULL, reader_thread, &readers[i]), 0);
	}
	while (middle < maker->at) {
		lsn_t next = lsn_min(middle + 1 + wal_maker_random(maker, 40000), maker->at);

		fixture_append(&fixture, maker, middle, next, SIZE_MAX);
		middle = next;
	}
	for (size_t i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
	}
	fixture_close(&fixture);
	wal_maker_free(maker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_cursor__ends_messages_at_pages_and_at_what_was_received),
		cmocka_unit_test(test_wal_cursor__sees_only_what_is_durable_when_asked_so),
		cmocka_unit_test(test_wal_cursor__keeps_bytes_while_somebody_holds_them),
		cmocka_unit_test(test_wal_cursor__serves_many_readers_while_wal_comes_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
