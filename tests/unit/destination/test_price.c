#include "destination/price.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GB   (UINT64_C(1) << 30)
#define CENT INT64_C(10000000)

/* "0 to 100GB, 0.09 to 10TB, 0.085" */
static const struct price_tier tiers[] = {
	{0, 100 * GB}, {9 * CENT, 10240 * GB}, {8 * CENT + CENT / 2, UINT64_MAX}};
static const struct price tiered = {tiers, 3, GB};

static void test_price__by_tiers_of_the_month(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		int64_t nanos;
	} rows[] = {
		{0, 0},
		{100 * GB, 0},
		{101 * GB, 9 * CENT},
		{10240 * GB, 10140 * 9 * CENT},
		{10242 * GB, 10140 * 9 * CENT + 17 * CENT},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(price_of_month(&tiered, rows[i].bytes), rows[i].nanos);
	}
}

static void test_price__small_steps_add_up_to_the_whole(void **state)
{
	(void)state;
	uint64_t month = 99 * GB;
	int64_t sum = price_of_month(&tiered, month);
	for (int i = 0; i < 100000; i++) {
		uint64_t more = (uint64_t)(i * 37 + 1);
		sum += price_of_more(&tiered, month, more);
		month += more;
	}
	assert_int_equal(sum, price_of_month(&tiered, month));
}

static void test_price__a_gb_as_the_provider_counts_it(void **state)
{
	(void)state;
	static const struct price_tier flat[] = {{2 * CENT, UINT64_MAX}};
	const struct price binary = {flat, 1, GB};
	const struct price decimal = {flat, 1, 1000000000};
	assert_int_equal(price_of_month(&binary, 5 * GB), 10 * CENT);
	assert_int_equal(price_of_month(&decimal, UINT64_C(5000000000)), 10 * CENT);
	const struct price nothing = {NULL, 0, GB};
	assert_int_equal(price_of_month(&nothing, UINT64_MAX), 0);
	const struct price dear = {(const struct price_tier[]){{INT64_MAX, UINT64_MAX}}, 1, GB};
	assert_int_equal(price_of_month(&dear, UINT64_MAX), INT64_MAX);
	assert_int_equal(price_of_more(&dear, UINT64_MAX - 1, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_price__by_tiers_of_the_month),
		cmocka_unit_test(test_price__small_steps_add_up_to_the_whole),
		cmocka_unit_test(test_price__a_gb_as_the_provider_counts_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
