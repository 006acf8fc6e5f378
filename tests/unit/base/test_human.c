/* Tests of base/human. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/human.h"

static void test_human__bytes_and_rates_have_three_digits(void **state)
{
	(void)state;
	char text[HUMAN_SIZE];
	assert_string_equal(human_bytes(0, text), "0 B");
	assert_string_equal(human_bytes(999, text), "999 B");
	assert_string_equal(human_bytes(1000, text), "1000 B");
	assert_string_equal(human_bytes(20 << 20, text), "20.0 MB");
	assert_string_equal(human_rate(2500000, text), "20.0 Mbit/s");
}

static void test_human__durations_are_as_exact_as_they_are_short(void **state)
{
	static const struct {
		double seconds;
		const char *expected;
	} cases[] = {{0, "0.00 s"}, {0.017, "0.02 s"}, {0.996, "1.0 s"}, {9.94, "9.9 s"},
		{9.96, "10 s"}, {99.4, "99 s"}, {99.6, "2 min"}, {5399, "90 min"},
		{5400, "1 h 30 min"}, {7199, "2 h 0 min"}, {129599, "36 h 0 min"}, {129600, "2 d"},
		{1e18, "11574 d"}};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[HUMAN_SIZE];
		assert_string_equal(human_duration(cases[i].seconds, text), cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_human__bytes_and_rates_have_three_digits),
		cmocka_unit_test(test_human__durations_are_as_exact_as_they_are_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
