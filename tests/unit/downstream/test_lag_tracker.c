/* How long ago what a standby writes, flushes, replays was there. */
#include "downstream/lag_tracker.h"

#include "cmocka_all.h"

#define MS INT64_C(1000)

static void report(struct lag_tracker *tracker, lsn_t write_lsn, lsn_t flush_lsn, lsn_t apply_lsn,
	lsn_t sent_lsn, int64_t now_us)
{
	const struct standby_status status = {
		.write_lsn = write_lsn, .flush_lsn = flush_lsn, .apply_lsn = apply_lsn};
	lag_tracker_on_status(tracker, &status, sent_lsn, now_us);
}

/* A report of a standby that replays what it has at once. */
static int64_t replayed(struct lag_tracker *tracker, lsn_t lsn, lsn_t sent_lsn, int64_t now_us)
{
	report(tracker, lsn, lsn, lsn, sent_lsn, now_us);
	return tracker->lag_us[LAG_REPLAY];
}

static void assert_lags(
	const struct lag_tracker *tracker, int64_t write_us, int64_t flush_us, int64_t replay_us)
{
	assert_int_equal(tracker->lag_us[LAG_WRITE], write_us);
	assert_int_equal(tracker->lag_us[LAG_FLUSH], flush_us);
	assert_int_equal(tracker->lag_us[LAG_REPLAY], replay_us);
}

static void test_lag_tracker__measures_each_stage_by_itself(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	lag_tracker_on_sent(&tracker, 200, 20 * MS);
	report(&tracker, 200, 100, 100, 200, 21 * MS);
	assert_lags(&tracker, 1 * MS, 11 * MS, 11 * MS);
	report(&tracker, 200, 200, 100, 200, 25 * MS);
	assert_lags(&tracker, 1 * MS, 5 * MS, 15 * MS);
	report(&tracker, 200, 200, 200, 200, 40 * MS);
	assert_lags(&tracker, 1 * MS, 5 * MS, 20 * MS);
}

/* A standby tells of each stage by itself: it is not idle because it has written everything. */
static void test_lag_tracker__is_idle_after_the_last_stage_alone(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	report(&tracker, 100, 0, 0, 200, 12 * MS);
	report(&tracker, 200, 0, 50, 200, 13 * MS);
	report(&tracker, 200, 0, 50, 200, 14 * MS);
	assert_int_equal(tracker.lag_us[LAG_WRITE], 2 * MS);
	report(&tracker, 200, 200, 200, 200, 15 * MS);
	report(&tracker, 200, 200, 200, 200, 16 * MS);
	assert_lags(&tracker, LAG_UNKNOWN, LAG_UNKNOWN, LAG_UNKNOWN);
}

static void test_lag_tracker__new_wal_between_two_reports_is_not_idleness(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	report(&tracker, 100, 100, 100, 100, 12 * MS);
	report(&tracker, 150, 150, 150, 150, 13 * MS);
	assert_lags(&tracker, 2 * MS, 2 * MS, 2 * MS);
}

/* pg_receivewal, which replays nothing and syncs what it likes. */
static void test_lag_tracker__a_receiver_has_no_lag_of_replay(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	report(&tracker, 100, 0, 0, 100, 12 * MS);
	assert_lags(&tracker, 2 * MS, LAG_UNKNOWN, LAG_UNKNOWN);
	report(&tracker, 100, 0, 0, 100, 13 * MS);
	assert_lags(&tracker, LAG_UNKNOWN, LAG_UNKNOWN, LAG_UNKNOWN);
}

static void test_lag_tracker__measures_from_the_sample_passed(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	lag_tracker_on_sent(&tracker, 200, 20 * MS);
	assert_int_equal(replayed(&tracker, 100, 200, 15 * MS), 5 * MS);
	assert_int_equal(replayed(&tracker, 200, 200, 32 * MS), 12 * MS);
}

static void test_lag_tracker__interpolates_between_samples(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	lag_tracker_on_sent(&tracker, 200, 20 * MS);
	replayed(&tracker, 100, 200, 15 * MS);
	assert_int_equal(replayed(&tracker, 150, 200, 30 * MS), 15 * MS);
	assert_int_equal(replayed(&tracker, 150, 200, 40 * MS), 25 * MS);
}

static void test_lag_tracker__guesses_before_the_first_sample_is_reached(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(replayed(&tracker, 50, 100, 17 * MS), 7 * MS);
}

static void test_lag_tracker__forgets_after_two_reports_of_everything(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	assert_int_equal(replayed(&tracker, 50, 100, MS), LAG_UNKNOWN);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(replayed(&tracker, 100, 100, 12 * MS), 2 * MS);
	assert_int_equal(replayed(&tracker, 100, 100, 99 * MS), LAG_UNKNOWN);
}

static void test_lag_tracker__keeps_the_last_lag_while_nothing_is_known(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(replayed(&tracker, 100, 300, 12 * MS), 2 * MS);
	assert_int_equal(replayed(&tracker, 110, 300, 99 * MS), 2 * MS);
}

static void test_lag_tracker__spans_any_backlog_with_few_samples(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	for (int i = 1; i <= 100000; i++) {
		lag_tracker_on_sent(&tracker, (lsn_t)i * 1000, i * MS);
	}
	assert_true(tracker.stages[LAG_REPLAY].count <= LAG_SAMPLES_MAX);
	/* Half of it was there 50 s ago; the ring is coarse, not wrong. */
	int64_t lag_us = replayed(&tracker, 50000000, 100000000, 100000 * MS);
	assert_in_range(lag_us, 46000 * MS, 54000 * MS);
	lag_us = replayed(&tracker, 90000000, 100000000, 100000 * MS);
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
	assert_int_equal(tracker.stages[LAG_REPLAY].count, 1);
	assert_int_equal(replayed(&tracker, 100, 200, 92 * MS), 82 * MS);
	lag_tracker_on_sent(&tracker, 100, 93 * MS);
	assert_int_equal(tracker.stages[LAG_REPLAY].count, 0);
}

static void test_lag_tracker__a_clock_that_went_back_is_no_lag(void **state)
{
	(void)state;
	struct lag_tracker tracker;
	lag_tracker_init(&tracker);
	lag_tracker_on_sent(&tracker, 100, 10 * MS);
	assert_int_equal(replayed(&tracker, 100, 200, 9 * MS), LAG_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lag_tracker__measures_each_stage_by_itself),
		cmocka_unit_test(test_lag_tracker__is_idle_after_the_last_stage_alone),
		cmocka_unit_test(test_lag_tracker__new_wal_between_two_reports_is_not_idleness),
		cmocka_unit_test(test_lag_tracker__a_receiver_has_no_lag_of_replay),
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
