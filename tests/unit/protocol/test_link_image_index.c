#include "protocol/link_image_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define START ((lsn_t)7 << 32)

static struct wal_block page(uint32_t number)
{
	return (struct wal_block){.relation = {1663, 5, 16384}, .number = number};
}

static lsn_t find(const struct link_image_index *index, uint32_t number, lsn_t before)
{
	struct wal_block block = page(number);

	return link_image_index_find(index, &block, before);
}

static void add(struct link_image_index *index, uint32_t number, lsn_t lsn)
{
	struct wal_block block = page(number);

	link_image_index_add(index, &block, lsn);
}

static void test_link_image_index__knows_the_last_image_of_a_page(void **state)
{
	struct link_image_index *index = link_image_index_new(65536);
	struct wal_block other = page(1);

	(void)state;
	assert_non_null(index);
	assert_int_equal(find(index, 1, UINT64_MAX), LSN_INVALID);
	add(index, 1, START);
	add(index, 2, START + 8000);
	add(index, 1, START + 16000);
	assert_int_equal(find(index, 1, UINT64_MAX), START + 16000);
	assert_int_equal(find(index, 2, UINT64_MAX), START + 8000);
	assert_int_equal(find(index, 3, UINT64_MAX), LSN_INVALID);
	/* A batch never refers into itself, and those that come later to others. */
	assert_int_equal(find(index, 1, START + 16000), START);
	assert_int_equal(find(index, 1, START), LSN_INVALID);
	add(index, 1, START);
	assert_int_equal(find(index, 1, UINT64_MAX), START + 16000);
	assert_int_equal(find(index, 2, START + 8008), START + 8000);
	other.flags = 1;
	assert_int_equal(link_image_index_find(index, &other, UINT64_MAX), LSN_INVALID);
	other.flags = WAL_BLOCK_HAS_DATA;
	assert_int_equal(link_image_index_find(index, &other, UINT64_MAX), START + 16000);
	other.relation.tablespace++;
	assert_int_equal(link_image_index_find(index, &other, UINT64_MAX), LSN_INVALID);
	link_image_index_free(&index);
	assert_null(index);
}

/* However many pages come, the newest are known and the memory stays what it is. */
static void test_link_image_index__the_oldest_make_room(void **state)
{
	struct link_image_index *index = link_image_index_new(65536); /* 8192 entries */
	uint32_t known = 0;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		add(index, i, START + (lsn_t)i * 8192);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		lsn_t found = find(index, i, UINT64_MAX);

		if (found != LSN_INVALID && i >= 99700) {
			assert_int_equal(found, START + (lsn_t)i * 8192);
		}
		known += found == START + (lsn_t)i * 8192;
		if (i >= 99700) {
			assert_int_not_equal(found, LSN_INVALID);
		}
	}
	assert_in_range(known, 8000, 8192);
	link_image_index_free(&index);
}

/* One far behind adds what is older than all that is there: that makes room for nothing but
 * itself. */
static void test_link_image_index__old_ones_hardly_push_out_new_ones(void **state)
{
	struct link_image_index *index = link_image_index_new(65536);
	lsn_t tip = START + ((lsn_t)4 << 30);
	uint32_t known = 0;

	(void)state;
	for (uint32_t i = 0; i < 8192; i++) {
		add(index, i, tip + (lsn_t)i * 8192);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		add(index, i, START + (lsn_t)i * 8192);
		assert_int_equal(find(index, i, tip), START + (lsn_t)i * 8192);
	}
	for (uint32_t i = 0; i < 8192; i++) {
		known += find(index, i, UINT64_MAX) == tip + (lsn_t)i * 8192;
	}
	assert_in_range(known, 8192 / 2, 8192 * 7 / 8);
	link_image_index_free(&index);
}

static void test_link_image_index__forgets_what_lies_past_a_fork(void **state)
{
	struct link_image_index *index = link_image_index_new(65536);

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		add(index, i, START + (lsn_t)i * 8000);
	}
	link_image_index_purge(index, START + 50 * 8000);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(
			find(index, i, UINT64_MAX), i < 50 ? START + (lsn_t)i * 8000 : LSN_INVALID);
	}
	add(index, 70, START + 50 * 8000 + 64);
	assert_int_equal(find(index, 70, UINT64_MAX), START + 50 * 8000 + 64);
	link_image_index_free(&index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_image_index__knows_the_last_image_of_a_page),
		cmocka_unit_test(test_link_image_index__the_oldest_make_room),
		cmocka_unit_test(test_link_image_index__old_ones_hardly_push_out_new_ones),
		cmocka_unit_test(test_link_image_index__forgets_what_lies_past_a_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
