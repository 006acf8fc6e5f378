#include "destination/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GB                    (UINT64_C(1) << 30)
#define MONDAY                0u
#define SATURDAY              (5u * 24 * 60)
#define SUNDAY                (6u * 24 * 60)
#define AT(day, hour, minute) ((day) + (hour)*60u + (minute))

static const struct quota_orders no_orders = {0};

static struct quota_state judge(const struct quota_limits *limits, uint64_t day, uint64_t month)
{
	struct quota_used used = {.day_bytes = day, .month_bytes = month};
	return quota_judge(limits, &no_orders, &used, 0);
}

static void test_quota__climbs_the_ladder(void **state)
{
	(void)state;
	static const struct {
		uint64_t day, month;
		enum quota_rung rung;
		enum quota_period period;
	} rows[] = {
		{0, 0, QUOTA_OK, QUOTA_MONTH},
		{8 * GB - 1, 80 * GB - 1, QUOTA_OK, QUOTA_MONTH},
		{8 * GB, 0, QUOTA_WARNING, QUOTA_DAY},
		{0, 80 * GB, QUOTA_WARNING, QUOTA_MONTH},
		{8 * GB, 80 * GB, QUOTA_WARNING, QUOTA_MONTH},
		{10 * GB - 1, 0, QUOTA_WARNING, QUOTA_DAY},
		{10 * GB, 0, QUOTA_OVER, QUOTA_DAY},
		{10 * GB, 80 * GB, QUOTA_OVER, QUOTA_DAY},
		{8 * GB, 100 * GB, QUOTA_OVER, QUOTA_MONTH},
		{UINT64_MAX, UINT64_MAX, QUOTA_OVER, QUOTA_MONTH},
	};
	const struct quota_limits limits = {
		.daily_bytes = 10 * GB, .monthly_bytes = 100 * GB, .warn_at_basis_points = 8000};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct quota_state got = judge(&limits, rows[i].day, rows[i].month);
		assert_int_equal(got.rung, rows[i].rung);
		assert_int_equal(got.period, rows[i].period);
		assert_true(got.cap_bytes == QUOTA_NO_CAP);
	}
}

static void test_quota__without_limits_is_always_ok(void **state)
{
	(void)state;
	const struct quota_limits limits = {
		.warn_at_basis_points = 8000, .over_limit = QUOTA_PAUSE};
	struct quota_state got = judge(&limits, UINT64_MAX, UINT64_MAX);
	assert_int_equal(got.rung, QUOTA_OK);
	assert_false(got.is_paused);
}

static void test_quota__what_happens_over_the_limit(void **state)
{
	(void)state;
	struct quota_limits limits = {.daily_bytes = GB,
		.warn_at_basis_points = 8000,
		.rate_cap_bytes = 1000,
		.throttle_bytes_per_second = 100};
	limits.over_limit = QUOTA_ALERT;
	struct quota_state got = judge(&limits, GB, 0);
	assert_string_equal(quota_state_name(&got), "warning");
	assert_string_equal(quota_rung_name(got.rung), "over");
	assert_int_equal(got.cap_bytes, 1000);
	limits.over_limit = QUOTA_THROTTLE;
	got = judge(&limits, GB, 0);
	assert_string_equal(quota_state_name(&got), "throttled");
	assert_int_equal(got.cap_bytes, 100);
	assert_int_equal(judge(&limits, GB - 1, 0).cap_bytes, 1000);
	limits.throttle_bytes_per_second = 5000;
	assert_int_equal(judge(&limits, GB, 0).cap_bytes, 1000);
	limits.over_limit = QUOTA_PAUSE;
	got = judge(&limits, GB, 0);
	assert_string_equal(quota_state_name(&got), "paused");
	assert_int_equal(got.cap_bytes, QUOTA_PAUSED);
}

static void test_quota__resume_passes_over_the_limit_it_was_for(void **state)
{
	(void)state;
	const struct quota_limits limits = {.daily_bytes = GB,
		.monthly_bytes = 2 * GB,
		.warn_at_basis_points = 8000,
		.over_limit = QUOTA_PAUSE};
	struct quota_orders orders = {.is_let_go_day = true};
	struct quota_used used = {.day_bytes = GB, .month_bytes = GB};
	struct quota_state got = quota_judge(&limits, &orders, &used, 0);
	assert_false(got.is_paused);
	assert_int_equal(got.rung, QUOTA_OVER);
	used.month_bytes = 2 * GB;
	assert_true(quota_judge(&limits, &orders, &used, 0).is_paused);
	orders.is_let_go_month = true;
	assert_false(quota_judge(&limits, &orders, &used, 0).is_paused);
	orders.is_paused = true;
	assert_true(quota_judge(&limits, &orders, &used, 0).is_paused);
}

static void test_quota__the_schedule_by_hour_and_day(void **state)
{
	(void)state;
	static const struct quota_window windows[] = {
		{.start_minute = 8 * 60,
			.end_minute = 18 * 60,
			.days = 0x1f,
			.bytes_per_second = 1},
		/* Sunday night runs into Monday. */
		{.start_minute = 22 * 60,
			.end_minute = 6 * 60,
			.days = 0x40,
			.bytes_per_second = 2},
		{.start_minute = 0, .end_minute = 24 * 60, .days = 0x20, .bytes_per_second = 3},
	};
	static const struct {
		unsigned week_minute;
		uint64_t cap;
	} rows[] = {
		{AT(MONDAY, 7, 59), 9},
		{AT(MONDAY, 8, 0), 1},
		{AT(MONDAY, 17, 59), 1},
		{AT(MONDAY, 18, 0), 9},
		{AT(MONDAY, 5, 59), 2},
		{AT(MONDAY, 6, 0), 9},
		{AT(SATURDAY, 0, 0), 3},
		{AT(SATURDAY, 23, 59), 3},
		{AT(SUNDAY, 12, 0), 9},
		{AT(SUNDAY, 22, 0), 2},
		{AT(SUNDAY, 23, 59), 2},
	};
	const struct quota_limits limits = {
		.rate_cap_bytes = 9, .windows = windows, .window_count = 3};
	const struct quota_used used = {0};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			quota_judge(&limits, &no_orders, &used, rows[i].week_minute).cap_bytes,
			rows[i].cap);
	}
	const struct quota_orders by_hand = {.cap_bytes = 77};
	assert_int_equal(quota_judge(&limits, &by_hand, &used, AT(MONDAY, 9, 0)).cap_bytes, 77);
}

static void test_quota__forecasts_at_the_pace_of_the_last_days(void **state)
{
	(void)state;
	const struct quota_pace pace = {.bytes = 7 * GB, .seconds = 7 * 86400};
	const struct quota_pace none = {0};
	assert_int_equal(quota_forecast(10 * GB, &pace, 20 * 86400), 30 * GB);
	assert_int_equal(quota_forecast(10 * GB, &pace, 0), 10 * GB);
	assert_int_equal(quota_forecast(10 * GB, &none, 86400), 10 * GB);
	const struct quota_pace absurd = {.bytes = UINT64_MAX, .seconds = 1};
	assert_true(quota_forecast(10 * GB, &absurd, 86400) == UINT64_MAX);
	assert_int_equal(quota_seconds_to_limit(10 * GB, 20 * GB, &pace), 10 * 86400);
	assert_int_equal(quota_seconds_to_limit(20 * GB, 20 * GB, &pace), 0);
	assert_int_equal(quota_seconds_to_limit(10 * GB, 20 * GB, &none), -1);
	assert_int_equal(quota_seconds_to_limit(10 * GB, 0, &pace), -1);
	assert_int_equal(quota_seconds_to_limit(0, 1, &absurd), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quota__climbs_the_ladder),
		cmocka_unit_test(test_quota__without_limits_is_always_ok),
		cmocka_unit_test(test_quota__what_happens_over_the_limit),
		cmocka_unit_test(test_quota__resume_passes_over_the_limit_it_was_for),
		cmocka_unit_test(test_quota__the_schedule_by_hour_and_day),
		cmocka_unit_test(test_quota__forecasts_at_the_pace_of_the_last_days),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
