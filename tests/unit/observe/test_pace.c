/* Tests of observe/pace. */
#include "support/cmocka_all.h"

#include "observe/pace.h"

#define START_US INT64_C(1767323045000000)
#define SECOND   INT64_C(1000000)

static void test_pace__needs_two_figures(void **state)
{
	(void)state;
	struct pace pace = {0};
	assert_true(pace_per_second(&pace) == PACE_UNKNOWN);
	pace_add(&pace, START_US, 100);
	assert_true(pace_per_second(&pace) == PACE_UNKNOWN);
	pace_add(&pace, START_US + 2 * SECOND, 300);
	assert_true(pace_per_second(&pace) == 100);
}

static void test_pace__is_of_the_last_figures(void **state)
{
	(void)state;
	struct pace pace = {0};
	for (int i = 0; i < 20; i++) {
		uint64_t figure = i < 10 ? 0 : (uint64_t)(i - 10) * 50;
		pace_add(&pace, START_US + i * SECOND, figure);
	}
	assert_true(pace_per_second(&pace) == 50);
	for (int i = 20; i < 20 + PACE_SAMPLES; i++) {
		pace_add(&pace, START_US + i * SECOND, 450);
	}
	assert_true(pace_per_second(&pace) == 0);
}

static void test_pace__begins_anew_when_figure_or_clock_go_back(void **state)
{
	(void)state;
	struct pace pace = {0};
	pace_add(&pace, START_US, 1000);
	pace_add(&pace, START_US + SECOND, 10);
	assert_true(pace_per_second(&pace) == PACE_UNKNOWN);
	pace_add(&pace, START_US + 2 * SECOND, 30);
	assert_true(pace_per_second(&pace) == 20);
	pace_add(&pace, START_US, 40);
	assert_true(pace_per_second(&pace) == PACE_UNKNOWN);
	pace_add(&pace, START_US, 50);
	assert_true(pace_per_second(&pace) == PACE_UNKNOWN);
}

static void test_pace__says_how_long_it_will_take(void **state)
{
	(void)state;
	assert_true(pace_seconds_left(100, 20) == 5);
	assert_true(pace_seconds_left(0, 20) == 0);
	assert_true(pace_seconds_left(100, 0) == PACE_UNKNOWN);
	assert_true(pace_seconds_left(100, -3) == PACE_UNKNOWN);
	assert_true(pace_seconds_left(100, PACE_UNKNOWN) == PACE_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pace__needs_two_figures),
		cmocka_unit_test(test_pace__is_of_the_last_figures),
		cmocka_unit_test(test_pace__begins_anew_when_figure_or_clock_go_back),
		cmocka_unit_test(test_pace__says_how_long_it_will_take),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
