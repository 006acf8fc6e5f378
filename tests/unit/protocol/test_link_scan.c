#include "protocol/link_scan.h"

#include "link_wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START ((lsn_t)0x30 << 24)

struct link_walk {
	struct link_position position;
	struct link_pages pages;
	uint8_t flat[LINK_FRAME_BYTES];
	lsn_t starts[20000]; /* of records whose ends were seen */
	size_t count;
};

static void note_end(void *context, const struct link_scan *scan, const struct link_item *item)
{
	struct link_walk *walk = context;

	(void)scan;
	if (item->is_at_end && item->start != LSN_INVALID &&
		walk->count < sizeof(walk->starts) / sizeof(walk->starts[0])) {
		walk->starts[walk->count++] = item->start;
	}
}

/* In pieces of at most `piece` bytes, chosen at random when 0. */
static struct link_walk *walk_over(struct link_wal *wal, size_t from, size_t to, size_t piece)
{
	struct link_walk *walk = calloc(1, sizeof(*walk));

	assert_non_null(walk);
	link_position_init(&walk->position, wal->start + from, wal->segment_bytes);
	while (from < to) {
		size_t room = LINK_FRAME_BYTES - from % LINK_FRAME_BYTES;
		size_t count = piece != 0 ? piece : 1 + link_wal_random(wal, 20000);

		count = count < room ? count : room;
		count = count < to - from ? count : to - from;
		link_position_follow(&walk->position, wal->bytes + from, (uint32_t)count,
			&walk->pages, walk->flat, note_end, walk);
		from += count;
		assert_int_equal(walk->position.lsn, wal->start + from);
	}
	return walk;
}

static void assert_same_place(const struct link_position *left, const struct link_position *right)
{
	assert_int_equal(left->lsn, right->lsn);
	assert_int_equal(left->mode, right->mode);
	assert_int_equal(left->padding, right->padding);
	assert_int_equal(left->start, right->start);
	assert_int_equal(left->previous, right->previous);
	assert_int_equal(left->total, right->total);
	assert_int_equal(left->done, right->done);
	assert_ptr_equal(left->version, right->version);
}

static void test_link_scan__cuts_make_no_difference(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 20, 2 << 20, 3);

	(void)state;
	link_wal_fill(wal, 700000);
	link_wal_add_switch(wal);
	link_wal_fill(wal, wal->length + 300000);
	for (size_t to = wal->length - 40; to <= wal->length; to += 3) {
		struct link_walk *whole = walk_over(wal, 0, to, 65536);
		struct link_walk *bytes = walk_over(wal, 0, to, 13);
		struct link_walk *any = walk_over(wal, 0, to, 0);

		/* A head that is cut is read elsewhere than one that is not: to the same end. */
		assert_same_place(&whole->position, &bytes->position);
		assert_same_place(&whole->position, &any->position);
		assert_int_not_equal(whole->position.mode, LINK_LOST);
		free(whole);
		free(bytes);
		free(any);
	}
	link_wal_free(wal);
}

/* Every record that was made is seen to end, where it was made. */
static void test_link_scan__sees_every_record(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 20, 2 << 20, 4);
	lsn_t *made = calloc(20000, sizeof(*made));
	struct link_walk *walk;
	size_t count = 0;

	(void)state;
	assert_non_null(made);
	while (wal->length < 1500000) {
		made[count++] = link_wal_add_random(wal);
	}
	walk = walk_over(wal, 0, wal->length, 0);
	assert_int_equal(walk->count, count);
	assert_memory_equal(walk->starts, made, count * sizeof(*made));
	free(walk);
	free(made);
	link_wal_free(wal);
}

static void test_link_scan__finds_itself_at_the_next_page(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 20, 2 << 20, 5);

	(void)state;
	link_wal_fill(wal, 1000000);
	for (size_t from = 1; from < 200000; from += 7919) {
		struct link_walk *late = walk_over(wal, from, wal->length, 0);
		struct link_walk *early = walk_over(wal, 0, wal->length, 0);

		assert_same_place(&late->position, &early->position);
		free(late);
		free(early);
	}
	link_wal_free(wal);
}

static void test_link_scan__steps_over_page_headers(void **state)
{
	(void)state;
	assert_int_equal(link_lsn_advance(START, 1, 1 << 20), START + 41);
	assert_int_equal(link_lsn_advance(START + 8191, 1, 1 << 20), START + 8192);
	assert_int_equal(link_lsn_advance(START + 8191, 2, 1 << 20), START + 8192 + 25);
	assert_int_equal(link_lsn_between(START, START + 41, 1 << 20), 1);
	assert_int_equal(link_lsn_between(START + 8191, START + 8192 + 25, 1 << 20), 2);
	for (uint64_t count = 1; count < 3000000; count += 99991) {
		lsn_t end = link_lsn_advance(START + 100, count, 1 << 20);

		assert_int_equal(link_lsn_between(START + 100, end, 1 << 20), count);
	}
}

static void test_link_scan__pages_go_out_and_in_again(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 20, 2 << 20, 6);
	struct link_pages *pages = malloc(sizeof(*pages));
	uint8_t *flat = malloc(LINK_FRAME_BYTES), *raw = malloc(LINK_FRAME_BYTES);

	(void)state;
	assert_non_null(pages);
	assert_non_null(flat);
	assert_non_null(raw);
	link_wal_fill(wal, 1 << 20);
	for (int i = 0; i < 200; i++) {
		size_t from = link_wal_random(wal, LINK_FRAME_BYTES - 1);
		uint32_t length = 1 + (uint32_t)link_wal_random(wal, LINK_FRAME_BYTES - 1 - from);
		uint32_t headers = 0;

		link_pages_lay(pages, wal->start + from, length, 1 << 20);
		link_pages_flatten(pages, wal->bytes + from, length, flat);
		memcpy(raw, wal->bytes + from, length);
		for (uint32_t k = 0; k < pages->count; k++) {
			uint32_t bytes = pages->pages[k].to - pages->pages[k].from;

			memset(raw + pages->pages[k].raw_at, 0, bytes);
			memcpy(raw + pages->pages[k].raw_at,
				wal->bytes + from + pages->pages[k].raw_at, bytes);
			headers += bytes;
		}
		assert_int_equal(pages->flat_length + headers, length);
		link_pages_unflatten(pages, flat, length, raw);
		assert_memory_equal(raw, wal->bytes + from, length);
	}
	free(pages);
	free(flat);
	free(raw);
	link_wal_free(wal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_scan__cuts_make_no_difference),
		cmocka_unit_test(test_link_scan__sees_every_record),
		cmocka_unit_test(test_link_scan__finds_itself_at_the_next_page),
		cmocka_unit_test(test_link_scan__steps_over_page_headers),
		cmocka_unit_test(test_link_scan__pages_go_out_and_in_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
