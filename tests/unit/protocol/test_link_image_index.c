#include "protocol/link_image_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define START ((lsn_t)7 << 32)

/* Since the test has set it to 0. */
static size_t allocated;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
	allocated += count * size;
	return __real_calloc(count, size);
}

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

/* What README states for each GB of "reference": 8 MB, in which a GB of whole images has room, and
 * a GB of WAL whose images were compressed to an eighth nearly so. */
static void test_link_image_index__a_gb_of_images_has_room_in_8_mb(void **state)
{
	static const uint32_t image_bytes[] = {8192, 1024};

	(void)state;
	for (size_t i = 0; i < sizeof(image_bytes) / sizeof(image_bytes[0]); i++) {
		uint32_t count = ((uint32_t)1 << 30) / image_bytes[i], known = 0;
		struct link_image_index *index;

		allocated = 0;
		index = link_image_index_new((size_t)8 << 20);
		assert_non_null(index);
		for (uint32_t number = 0; number < count; number++) {
			add(index, number, START + (lsn_t)number * image_bytes[i]);
		}
		for (uint32_t number = 0; number < count; number++) {
			known += find(index, number, UINT64_MAX) ==
				 START + (lsn_t)number * image_bytes[i];
		}
		assert_in_range(allocated, (8 << 20) / 2, (8 << 20) + 4096);
		assert_true(
			known >= (image_bytes[i] == 8192 ? count - count / 1000 : count / 5 * 4));
		link_image_index_free(&index);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_image_index__knows_the_last_image_of_a_page),
		cmocka_unit_test(test_link_image_index__the_oldest_make_room),
		cmocka_unit_test(test_link_image_index__old_ones_hardly_push_out_new_ones),
		cmocka_unit_test(test_link_image_index__forgets_what_lies_past_a_fork),
		cmocka_unit_test(test_link_image_index__a_gb_of_images_has_room_in_8_mb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
