/*
 * Waits between tries: bounds of every attempt, and that chance spreads them.
 */
#include "upstream/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_backoff__doubles_to_the_ceiling(void **state)
{
	static const struct {
		unsigned attempt;
		int64_t whole_us;
	} cases[] = {
		{0, 100000},
		{1, 100000},
		{2, 200000},
		{3, 400000},
		{6, 3200000},
		{7, 5000000},
		{8, 5000000},
		{4000000000u, 5000000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(backoff_delay_us(cases[i].attempt, UINT32_MAX), cases[i].whole_us);
		assert_int_equal(backoff_delay_us(cases[i].attempt, 0), cases[i].whole_us / 2);
	}
}

static void test_backoff__chance_spreads_evenly(void **state)
{
	int64_t half_us = backoff_delay_us(1, UINT32_MAX / 2);

	(void)state;
	assert_in_range(half_us, 74999, 75001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff__doubles_to_the_ceiling),
		cmocka_unit_test(test_backoff__chance_spreads_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
