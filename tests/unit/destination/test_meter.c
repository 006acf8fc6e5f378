#include "destination/meter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOOPS  4u
#define ROUNDS 100000u

struct writer {
	struct meter *meter;
	unsigned loop;
};

static void *write_many(void *context)
{
	const struct writer *writer = context;
	const struct meter_counts delta = {{[METER_WAL] = 3, [METER_BILLED_SENT] = writer->loop}};
	for (unsigned i = 0; i < ROUNDS; i++) {
		meter_add(writer->meter, writer->loop, &delta);
	}
	return NULL;
}

static void test_meter__sums_what_many_loops_count(void **state)
{
	(void)state;
	struct meter *meter = meter_new(LOOPS);
	struct writer writers[LOOPS];
	pthread_t threads[LOOPS];
	struct meter_counts sum, before = {{0}};
	for (unsigned i = 0; i < LOOPS; i++) {
		writers[i] = (struct writer){meter, i};
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		struct meter_counts delta;
		meter_read(meter, &sum);
		meter_difference(&sum, &before, &delta);
		before = sum;
	}
	for (unsigned i = 0; i < LOOPS; i++) {
		pthread_join(threads[i], NULL);
	}
	meter_read(meter, &sum);
	assert_int_equal(sum.bytes[METER_WAL], 3 * LOOPS * ROUNDS);
	assert_int_equal(sum.bytes[METER_BILLED_SENT], (0 + 1 + 2 + 3) * ROUNDS);
	assert_int_equal(sum.bytes[METER_BACKUP], 0);
	meter_free(&meter);
	assert_null(meter);
}

static void *add_many_kinds(void *context)
{
	const struct writer *writer = context;
	struct meter_kinds delta = {{0}, {0}};
	delta.wal_bytes[0] = 5;
	delta.wal_bytes[METER_KINDS - 1] = 7;
	delta.encoded_bytes[METER_KINDS - 1] = writer->loop;
	for (unsigned i = 0; i < ROUNDS; i++) {
		meter_add_kinds(writer->meter, writer->loop, &delta);
	}
	return NULL;
}

static void test_meter__sums_kinds_apart_from_all_else(void **state)
{
	(void)state;
	struct meter *meter = meter_new(LOOPS);
	struct writer writers[LOOPS];
	pthread_t threads[LOOPS];
	struct meter_kinds sum, before = {{0}, {0}};
	struct meter_counts counts;
	for (unsigned i = 0; i < LOOPS; i++) {
		writers[i] = (struct writer){meter, i};
		assert_int_equal(pthread_create(&threads[i], NULL, add_many_kinds, &writers[i]), 0);
	}
	for (unsigned i = 0; i < 1000; i++) {
		meter_read_kinds(meter, &sum);
		assert_true(sum.wal_bytes[0] >= before.wal_bytes[0]);
		before = sum;
	}
	for (unsigned i = 0; i < LOOPS; i++) {
		pthread_join(threads[i], NULL);
	}
	meter_read_kinds(meter, &sum);
	assert_int_equal(sum.wal_bytes[0], 5 * LOOPS * ROUNDS);
	assert_int_equal(sum.wal_bytes[1], 0);
	assert_int_equal(sum.wal_bytes[METER_KINDS - 1], 7 * LOOPS * ROUNDS);
	assert_int_equal(sum.encoded_bytes[0], 0);
	assert_int_equal(sum.encoded_bytes[METER_KINDS - 1], (0 + 1 + 2 + 3) * ROUNDS);
	meter_read(meter, &counts);
	for (int counter = 0; counter < METER_COUNTERS; counter++) {
		assert_int_equal(counts.bytes[counter], 0);
	}
	meter_free(&meter);
}

static void test_meter__bills_headers_and_handshake(void **state)
{
	(void)state;
	struct meter_tcp tcp = {.is_tcp = true,
		.has_timestamps = true,
		.bytes_sent = 14480,
		.segments_sent = 12,
		.bytes_received = 100,
		.segments_received = 5,
		.segment_bytes = 1448};
	/* 60 bytes of SYN-ACK; 52 of headers a segment. */
	assert_int_equal(meter_billed_sent(&tcp), 14480 + 12 * 52 + 60);
	assert_int_equal(meter_billed_received(&tcp), 100 + 5 * 52 + 60);
	tcp.is_ipv6 = true;
	assert_int_equal(meter_billed_sent(&tcp), 14480 + 12 * 72 + 80);
	tcp.has_timestamps = false;
	assert_int_equal(meter_billed_sent(&tcp), 14480 + 12 * 60 + 80);
	tcp.unsent_bytes = 1449;
	assert_int_equal(meter_billed_sent(&tcp), 14480 + 1449 + 14 * 60 + 80);
	tcp.is_tcp = false;
	assert_int_equal(meter_billed_sent(&tcp), 0);
	assert_int_equal(meter_billed_received(&tcp), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meter__sums_what_many_loops_count),
		cmocka_unit_test(test_meter__sums_kinds_apart_from_all_else),
		cmocka_unit_test(test_meter__bills_headers_and_handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
