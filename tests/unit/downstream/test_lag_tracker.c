/* How long ago what a standby replays was there. */
#include "downstream/lag_tracker.h"

#include "cmocka_all.h"

#define MS INT64_C(1000)

static void test_lag_tracker__measures_from_the_sample_passed(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	lag_tracker_on_sent(&tracker, 200, 20 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 100, 200, 15 * MS), 5 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 200, 200, 32 * MS), 12 * MS);
}

static void test_lag_tracker__interpolates_between_samples(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	lag_tracker_on_sent(&tracker, 200, 20 * MS);
	lag_tracker_on_replayed(&tracker, 100, 200, 15 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 150, 200, 30 * MS), 15 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 150, 200, 40 * MS), 25 * MS);
}

static void test_lag_tracker__guesses_before_the_first_sample_is_reached(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 50, 100, 17 * MS), 7 * MS);
}

static void test_lag_tracker__forgets_after_two_reports_of_everything(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 50, 100, MS), LAG_UNKNOWN);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 100, 100, 12 * MS), 2 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 100, 100, 99 * MS), LAG_UNKNOWN);
}

static void test_lag_tracker__keeps_the_last_lag_while_nothing_is_known(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 100, 300, 12 * MS), 2 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 110, 300, 99 * MS), 2 * MS);
}

static void test_lag_tracker__spans_any_backlog_with_few_samples(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	for (int i = 1; i <= 100000; i++) {
		lag_tracker_on_sent(&tracker, (lsn_t)i * 1000, i * MS);
	}
	assert_true(tracker.count <= LAG_SAMPLES_MAX);
	/* Half of it was there 50 s ago; the ring is coarse, not wrong. */
	int64_t lag_us = lag_tracker_on_replayed(&tracker, 50000000, 100000000, 100000 * MS);
	assert_in_range(lag_us, 46000 * MS, 54000 * MS);
	lag_us = lag_tracker_on_replayed(&tracker, 90000000, 100000000, 100000 * MS);
	assert_in_range(lag_us, 9000 * MS, 14000 * MS);
}

static void test_lag_tracker__ignores_positions_that_do_not_move(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	lag_tracker_on_sent(&tracker, 100, 90 * MS);
	lag_tracker_on_sent(&tracker, 90, 91 * MS);
	assert_int_equal(tracker.count, 1);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 100, 200, 92 * MS), 82 * MS);
	lag_tracker_on_sent(&tracker, 100, 93 * MS);
	assert_int_equal(tracker.count, 0);
}

static void test_lag_tracker__a_clock_that_went_back_is_no_lag(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(lag_tracker_on_replayed(&tracker, 100, 200, 9 * MS), LAG_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lag_tracker__measures_from_the_sample_passed),
		cmocka_unit_test(test_lag_tracker__interpolates_between_samples),
		cmocka_unit_test(test_lag_tracker__guesses_before_the_first_sample_is_reached),
		cmocka_unit_test(test_lag_tracker__forgets_after_two_reports_of_everything),
		cmocka_unit_test(test_lag_tracker__keeps_the_last_lag_while_nothing_is_known),
		cmocka_unit_test(test_lag_tracker__spans_any_backlog_with_few_samples),
		cmocka_unit_test(test_lag_tracker__ignores_positions_that_do_not_move),
		cmocka_unit_test(test_lag_tracker__a_clock_that_went_back_is_no_lag),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
