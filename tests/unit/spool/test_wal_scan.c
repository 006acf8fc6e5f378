/*
 * wal_scan: what proves itself, byte by byte, on WAL made up for the purpose.
 */
#include "spool/wal_scan.h"

#include "support/wal_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(0x12) << 32 | (7 * SEGMENT))

static const uint8_t *page_of(void *context, lsn_t page_lsn)
{
	const struct wal_maker *maker = context;

	/* The last page may be cut: what follows it is never looked at. */
	return maker->bytes + (page_lsn - maker->start);
}

static void scan_begin(struct wal_scan *scan, struct wal_maker *maker, lsn_t lsn)
{
	wal_scan_init(scan, page_of, maker, maker->tli, SEGMENT, lsn);
}

static lsn_t scan_all(struct wal_scan *scan, struct wal_maker *maker)
{
	scan_begin(scan, maker, maker->start);
	(void)wal_scan_run(scan, maker->at);
	return scan->end;
}

static void test_wal_scan__finds_the_last_whole_record_at_every_step(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		struct wal_maker *maker = wal_maker_new(3, START, SEGMENT, seed);
		struct wal_scan scan;
		lsn_t limit = START;

		wal_maker_fill(maker, START + 2 * SEGMENT + 5000);
		scan_begin(&scan, maker, START);
		while (limit < maker->at) {
			limit += 1 + wal_maker_random(maker, seed < 4 ? 64 : 20000);
			limit = lsn_min(limit, maker->at);
			assert_int_equal(wal_scan_run(&scan, limit), WAL_SCAN_MORE);
			assert_int_equal(scan.end, wal_maker_last_end(maker, limit));
		}
		assert_int_equal(scan.end, maker->at);
		assert_int_equal(scan.record, maker->previous);
		wal_maker_free(maker);
	}
}

static void test_wal_scan__goes_on_from_any_record(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 5);

	(void)state;
	wal_maker_fill(maker, START + 300000);
	(void)wal_maker_switch(maker);
	wal_maker_fill(maker, START + SEGMENT + 300000);
	for (size_t i = 0; i < maker->record_count; i++) {
		struct wal_scan scan;

		scan_begin(&scan, maker, maker->starts[i]);
		assert_int_equal(wal_scan_run(&scan, maker->at), WAL_SCAN_MORE);
		assert_int_equal(scan.end, maker->at);
	}
	wal_maker_free(maker);
}

static void test_wal_scan__takes_the_zeros_after_a_switch(void **state)
{
	static const uint16_t magics[] = {WAL_MAKER_MAGIC_15, WAL_MAKER_MAGIC_10};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 9);
		struct wal_scan scan;
		lsn_t end;

		maker->magic = magics[i];
		wal_maker_fill(maker, START + 100000);
		end = wal_maker_switch(maker);
		assert_int_equal(maker->at, START + SEGMENT);
		wal_maker_fill(maker, START + SEGMENT + 50000);
		scan_begin(&scan, maker, START);
		for (lsn_t limit = end; limit <= START + SEGMENT; limit += 8) {
			uint64_t in_page = limit % WAL_PAGE_BYTES;

			assert_int_equal(wal_scan_run(&scan, limit), WAL_SCAN_MORE);
			assert_int_equal(scan.end,
				in_page < 24 && limit >= end + 24 ? lsn_page_start(limit) : limit);
		}
		assert_int_equal(wal_scan_run(&scan, maker->at), WAL_SCAN_MORE);
		assert_int_equal(scan.end, maker->at);
		wal_maker_free(maker);
	}
}

static void test_wal_scan__takes_no_zeros_for_headers_before_11(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 9);
	struct wal_scan scan;
	lsn_t end;

	(void)state;
	maker->magic = WAL_MAKER_MAGIC_10;
	wal_maker_fill(maker, START + 100000);
	end = wal_maker_switch(maker);
	/* The rest of the tail has not come. */
	end = lsn_page_start(end) + 2 * WAL_PAGE_BYTES;
	memset(maker->bytes + (end - START), 0, START + SEGMENT - end);
	assert_int_equal(scan_all(&scan, maker), end);
	wal_maker_free(maker);
}

static void test_wal_scan__refuses_bytes_after_a_switch(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 11);
	struct wal_scan scan;
	lsn_t end;

	(void)state;
	wal_maker_fill(maker, START + 100000);
	end = wal_maker_switch(maker);
	maker->bytes[600000] = 1;
	assert_true(scan_all(&scan, maker) <= START + 600000);
	assert_true(scan.end >= end);
	assert_string_equal(scan.bad_reason, "bytes after a switch record");
	wal_maker_free(maker);
}

static void test_wal_scan__passes_over_a_record_its_primary_abandoned(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct wal_maker *maker = wal_maker_new(2, START, SEGMENT, seed);
		struct wal_scan scan;
		lsn_t whole, begun;

		wal_maker_fill(maker, START + 1000 + seed * 100000);
		whole = maker->at;
		begun = wal_maker_abandon(maker);
		assert_true(begun >= whole);
		wal_maker_fill(maker, START + 1000 + seed * 100000 + 50000);
		scan_begin(&scan, maker, START);
		for (lsn_t limit = whole; limit < maker->at; limit += 8) {
			assert_int_equal(wal_scan_run(&scan, limit), WAL_SCAN_MORE);
			assert_int_equal(scan.end, wal_maker_last_end(maker, limit));
		}
		wal_maker_free(maker);
	}
}

static void test_wal_scan__passes_over_the_end_of_an_earlier_record(void **state)
{
	static const size_t lengths[] = {1, 8, 8151, 8152, 8153, 30000, SEGMENT - 100000};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, i + 1);
		struct wal_scan scan;
		lsn_t leading = wal_maker_leading(maker, lengths[i]);

		assert_int_equal(scan_all(&scan, maker), LSN_INVALID);
		assert_null(scan.bad_reason);
		wal_maker_fill(maker, leading + 20000);
		assert_int_equal(scan_all(&scan, maker), maker->at);
		wal_maker_free(maker);
	}
}

static void test_wal_scan__goes_over_to_a_new_timeline(void **state)
{
	struct wal_maker *maker = wal_maker_new(4, START, SEGMENT, 3);
	struct wal_maker *forked;
	struct wal_scan scan;

	(void)state;
	wal_maker_fill(maker, START + SEGMENT + 400000);
	forked = wal_maker_fork(maker, 6, wal_maker_last_end(maker, START + SEGMENT + 300000));
	wal_maker_fill(forked, START + 2 * SEGMENT + 100000);
	assert_int_equal(scan_all(&scan, forked), forked->at);
	/* The other way round, an old timeline cannot hold pages of a new one. */
	forked->tli = 5;
	assert_true(scan_all(&scan, forked) < forked->at);
	assert_string_equal(scan.bad_reason, "page of another timeline");
	wal_maker_free(forked);
	wal_maker_free(maker);
}

static void test_wal_scan__tells_the_redo_of_the_last_checkpoint(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_scan scan;
	lsn_t redo;

	(void)state;
	wal_maker_fill(maker, START + 10000);
	(void)scan_all(&scan, maker);
	assert_int_equal(scan.redo, LSN_INVALID);
	redo = maker->at;
	wal_maker_fill(maker, START + 50000);
	(void)wal_maker_checkpoint(maker, redo);
	wal_maker_fill(maker, START + 90000);
	(void)scan_all(&scan, maker);
	assert_int_equal(scan.redo, redo);
	wal_maker_free(maker);
}

/* Bytes that PostgreSQL itself never looks at: padding in headers, flags of no consequence, the
 * system identifier of the first page seen. Bodies here are multiples of 8, so records have no
 * padding. */
static bool is_unchecked(lsn_t lsn, uint8_t bit)
{
	uint32_t in_page = (uint32_t)(lsn % WAL_PAGE_BYTES);

	return (in_page == 2 && (bit & (4 | 8)) != 0) || (in_page >= 20 && in_page < 24) ||
	       (lsn >= START + 24 && lsn < START + 32);
}

static void test_wal_scan__believes_nothing_past_a_flipped_bit(void **state)
{
	struct wal_maker *maker = wal_maker_new(2, START, SEGMENT, 77);
	struct wal_scan scan;

	(void)state;
	while (maker->at < START + SEGMENT + 200000) {
		(void)wal_maker_record(maker, 8 * wal_maker_random(maker, 1500));
	}
	for (int i = 0; i < 3000; i++) {
		/* Half of them in or near page headers. */
		size_t place = wal_maker_random(maker, maker->at - START);
		uint8_t bit = (uint8_t)(1u << wal_maker_random(maker, 8));
		lsn_t lsn;

		if (i % 2 == 0) {
			place = place - place % WAL_PAGE_BYTES + wal_maker_random(maker, 48);
		}
		lsn = START + place;
		if (lsn >= maker->at || is_unchecked(lsn, bit)) {
			continue;
		}
		maker->bytes[place] ^= bit;
		assert_true(scan_all(&scan, maker) <= lsn);
		assert_non_null(scan.bad_reason);
		maker->bytes[place] ^= bit;
	}
	assert_int_equal(scan_all(&scan, maker), maker->at);
	wal_maker_free(maker);
}

static void test_wal_scan__rewinds_to_other_bytes(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 21);
	struct wal_scan scan;
	uint8_t saved;
	lsn_t torn;

	(void)state;
	wal_maker_fill(maker, START + 300000);
	torn = START + 200000;
	saved = maker->bytes[torn - START];
	maker->bytes[torn - START] ^= 0xFF;
	assert_true(scan_all(&scan, maker) <= torn);
	assert_int_equal(wal_scan_run(&scan, maker->at), WAL_SCAN_BAD);
	maker->bytes[torn - START] = saved;
	wal_scan_rewind(&scan);
	assert_int_equal(wal_scan_run(&scan, maker->at), WAL_SCAN_MORE);
	assert_int_equal(scan.end, maker->at);
	wal_maker_free(maker);
}

static const uint8_t *no_page(void *context, lsn_t page_lsn)
{
	(void)context;
	(void)page_lsn;
	return NULL;
}

static void test_wal_scan__says_when_it_gets_no_page(void **state)
{
	struct wal_scan scan;

	(void)state;
	wal_scan_init(&scan, no_page, NULL, 1, SEGMENT, START);
	assert_int_equal(wal_scan_run(&scan, START), WAL_SCAN_MORE);
	assert_int_equal(wal_scan_run(&scan, START + 100), WAL_SCAN_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_scan__finds_the_last_whole_record_at_every_step),
		cmocka_unit_test(test_wal_scan__goes_on_from_any_record),
		cmocka_unit_test(test_wal_scan__takes_the_zeros_after_a_switch),
		cmocka_unit_test(test_wal_scan__takes_no_zeros_for_headers_before_11),
		cmocka_unit_test(test_wal_scan__refuses_bytes_after_a_switch),
		cmocka_unit_test(test_wal_scan__passes_over_a_record_its_primary_abandoned),
		cmocka_unit_test(test_wal_scan__passes_over_the_end_of_an_earlier_record),
		cmocka_unit_test(test_wal_scan__goes_over_to_a_new_timeline),
		cmocka_unit_test(test_wal_scan__tells_the_redo_of_the_last_checkpoint),
		cmocka_unit_test(test_wal_scan__believes_nothing_past_a_flipped_bit),
		cmocka_unit_test(test_wal_scan__rewinds_to_other_bytes),
		cmocka_unit_test(test_wal_scan__says_when_it_gets_no_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
