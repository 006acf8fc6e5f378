#include "protocol/link_refer.h"

#include "link_wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct link_refer_case {
	struct link_earlier earlier;
	struct wal_block block;
	uint8_t image[WAL_PAGE_BYTES];
};

static void fill(struct link_wal *random, uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bytes[i] = (uint8_t)link_wal_random(random, 256);
	}
}

/* Codes [from, to) and decodes it again; returns the coded bytes. */
static size_t round_trip(const struct link_refer_case *item, uint32_t from, uint32_t to)
{
	static struct link_matcher matcher;
	uint8_t *out = malloc(to - from), *bytes;
	struct link_columns columns, in;
	size_t length;

	assert_non_null(out);
	link_columns_init(&columns);
	link_refer_put(
		&matcher, &columns, &item->earlier, &item->block, item->image + from, from, to);
	length = link_columns_bytes(&columns);
	bytes = malloc(length);
	assert_non_null(bytes);
	link_columns_join(&columns, bytes);
	assert_true(link_columns_split(&in, bytes, length));
	assert_true(link_refer_get(&in, &item->earlier, &item->block, out, from, to));
	assert_true(link_columns_are_done(&in));
	assert_memory_equal(out, item->image + from, to - from);
	free(bytes);
	free(out);
	link_columns_release(&columns);
	return length - LINK_COLUMN_COUNT;
}

static struct link_refer_case *new_case(struct link_wal *random, uint16_t old, uint16_t length)
{
	struct link_refer_case *item = calloc(1, sizeof(*item));

	assert_non_null(item);
	item->earlier.is_known = true;
	item->earlier.length = old;
	fill(random, item->earlier.bytes, old);
	item->block.flags = WAL_BLOCK_HAS_IMAGE;
	item->block.image_length = length;
	memcpy(item->image, item->earlier.bytes, old < length ? old : length);
	return item;
}

static void test_link_refer__the_same_page_is_one_copy(void **state)
{
	struct link_wal *random = link_wal_new(0, 1 << 20, 0, 1);
	struct link_refer_case *item = new_case(random, 8000, 8000);

	(void)state;
	assert_true(round_trip(item, 0, 8000) <= 3);
	free(item);
	link_wal_free(random);
}

/* A line pointer more at the front, a tuple more in the middle: what an insert does. */
static void test_link_refer__what_lies_behind_the_hole_is_found_from_the_end(void **state)
{
	struct link_wal *random = link_wal_new(0, 1 << 20, 0, 2);
	struct link_refer_case *item = new_case(random, 5000, 5104);

	(void)state;
	fill(random, item->image + 200, 104);
	memcpy(item->image + 304, item->earlier.bytes + 200, 4800);
	assert_true(round_trip(item, 0, 5104) < 104 + 12);
	free(item);
	link_wal_free(random);
}

static void test_link_refer__moved_tuples_are_found(void **state)
{
	struct link_wal *random = link_wal_new(0, 1 << 20, 0, 3);
	struct link_refer_case *item = new_case(random, 8000, 8000);

	(void)state;
	for (uint32_t i = 0; i < 40; i++) {
		memcpy(item->image + 4000 + 100 * ((i * 7) % 40),
			item->earlier.bytes + 4000 + 100 * i, 100);
	}
	assert_true(round_trip(item, 0, 8000) < 40 * 10);
	free(item);
	link_wal_free(random);
}

static void test_link_refer__any_change_comes_back(void **state)
{
	struct link_wal *random = link_wal_new(0, 1 << 20, 0, 4);

	(void)state;
	for (int round = 0; round < 300; round++) {
		uint16_t old = (uint16_t)(1 + link_wal_random(random, WAL_PAGE_BYTES));
		uint16_t length = (uint16_t)(1 + link_wal_random(random, WAL_PAGE_BYTES));
		struct link_refer_case *item = new_case(random, old, length);
		uint32_t from = (uint32_t)link_wal_random(random, length);
		uint32_t to = from + 1 + (uint32_t)link_wal_random(random, length - from);

		for (int change = 0; change < round % 50; change++) {
			size_t at = link_wal_random(random, length);
			size_t count = link_wal_random(random, 60);

			fill(random, item->image + at, count < length - at ? count : length - at);
		}
		link_refer_foresee(&item->earlier, &item->block);
		round_trip(item, from, to);
		free(item);
	}
	link_wal_free(random);
}

/* Copies from outside of the earlier image, and ones too long for the new one. */
static void test_link_refer__refuses_copies_out_of_bounds(void **state)
{
	static const struct {
		const char *name;
		uint64_t skip, copy, shift;
	} cases[] = {
		{"literals past the end", 101, 0, 0},
		{"copy past the end", 0, 101, 0},
		{"copy past the end after literals", 50, 51, 0},
		{"copy from before the start", 0, 100, 2 + 1},
		{"copy from behind the end", 0, 100, 2 + 2 * 101},
		{"copy from far away", 0, 100, 2 + 0xFFFFFFFEull},
		{"shift of more bits than there are", 0, 100, UINT64_MAX},
	};
	struct link_wal *random = link_wal_new(0, 1 << 20, 0, 5);
	struct link_refer_case *item = new_case(random, 200, 100);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_columns columns;
		uint8_t out[100], literals[200] = {0};

		link_columns_init(&columns);
		link_put_varint(&columns, LINK_COLUMN_SKIP, cases[i].skip);
		link_put_varint(&columns, LINK_COLUMN_COPY, cases[i].copy);
		link_put_varint(&columns, LINK_COLUMN_SHIFT, cases[i].shift);
		link_put_bytes(&columns, LINK_COLUMN_PATCH, literals, sizeof(literals));
		if (link_refer_get(&columns, &item->earlier, &item->block, out, 0, 100)) {
			fail_msg("%s", cases[i].name);
		}
		link_columns_release(&columns);
	}
	free(item);
	link_wal_free(random);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_refer__the_same_page_is_one_copy),
		cmocka_unit_test(test_link_refer__what_lies_behind_the_hole_is_found_from_the_end),
		cmocka_unit_test(test_link_refer__moved_tuples_are_found),
		cmocka_unit_test(test_link_refer__any_change_comes_back),
		cmocka_unit_test(test_link_refer__refuses_copies_out_of_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
