/*
 * wal_catalogue: order and look-up, whatever order files come in.
 */
#include "spool/wal_catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_at(struct wal_catalogue *catalogue, size_t index, tli_t tli, uint64_t number)
{
	struct wal_file_entry entry;

	assert_true(wal_catalogue_at(catalogue, index, &entry));
	assert_int_equal(entry.tli, tli);
	assert_int_equal(entry.number, number);
}

static void test_wal_catalogue__orders_by_place_then_timeline(void **state)
{
	struct wal_catalogue catalogue;
	struct wal_file_entry entry;

	(void)state;
	wal_catalogue_init(&catalogue);
	wal_catalogue_put(&catalogue, 2, 7, 1);
	wal_catalogue_put(&catalogue, 1, 9, 1);
	wal_catalogue_put(&catalogue, 1, 7, 1);
	wal_catalogue_put(&catalogue, 1, 5, 1);
	wal_catalogue_put(&catalogue, 1, 7, 2);
	assert_int_equal(wal_catalogue_count(&catalogue), 4);
	check_at(&catalogue, 0, 1, 5);
	check_at(&catalogue, 1, 1, 7);
	check_at(&catalogue, 2, 2, 7);
	check_at(&catalogue, 3, 1, 9);
	assert_false(wal_catalogue_at(&catalogue, 4, &entry));
	assert_true(wal_catalogue_has(&catalogue, 2, 7));
	assert_false(wal_catalogue_has(&catalogue, 2, 9));
	wal_catalogue_remove(&catalogue, 1, 7);
	wal_catalogue_remove(&catalogue, 4, 7);
	assert_int_equal(wal_catalogue_count(&catalogue), 3);
	check_at(&catalogue, 1, 2, 7);
	wal_catalogue_release(&catalogue);
}

static void test_wal_catalogue__grows(void **state)
{
	struct wal_catalogue catalogue;

	(void)state;
	wal_catalogue_init(&catalogue);
	for (uint64_t i = 0; i < 1000; i++) {
		wal_catalogue_put(&catalogue, 1, i * 367 % 1000, 0);
	}
	assert_int_equal(wal_catalogue_count(&catalogue), 1000);
	for (size_t i = 0; i < 1000; i++) {
		check_at(&catalogue, i, 1, i);
	}
	wal_catalogue_release(&catalogue);
}

static void test_wal_catalogue__finds_the_first_young_file(void **state)
{
	struct wal_catalogue catalogue;
	struct wal_file_entry entry;

	(void)state;
	wal_catalogue_init(&catalogue);
	assert_false(wal_catalogue_first_since(&catalogue, 0, &entry));
	wal_catalogue_put(&catalogue, 1, 3, 100);
	wal_catalogue_put(&catalogue, 1, 4, 200);
	wal_catalogue_put(&catalogue, 1, 5, WAL_FILE_IS_GROWING);
	assert_true(wal_catalogue_first_since(&catalogue, 150, &entry));
	assert_int_equal(entry.number, 4);
	assert_true(wal_catalogue_first_since(&catalogue, 201, &entry));
	assert_int_equal(entry.number, 5);
	wal_catalogue_release(&catalogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_catalogue__orders_by_place_then_timeline),
		cmocka_unit_test(test_wal_catalogue__grows),
		cmocka_unit_test(test_wal_catalogue__finds_the_first_young_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
