/*
 * quota: the ladder, the schedule and the forecast; nothing here remembers anything.
 */
#include "destination/quota.h"

#include <assert.h>

#define BASIS_POINTS 10000u
#define DAY_MINUTES  (24u * 60)

/* --- the ladder --------------------------------------------------------------------------------
 */

enum quota_rung quota_rung_of(uint64_t used_bytes, uint64_t limit_bytes, unsigned warn_at)
{
	if (limit_bytes == 0) {
		return QUOTA_OK;
	}
	if (used_bytes >= limit_bytes) {
		return QUOTA_OVER;
	}
	__uint128_t warn_bytes = (__uint128_t)limit_bytes * warn_at;
	return (__uint128_t)used_bytes * BASIS_POINTS >= warn_bytes ? QUOTA_WARNING : QUOTA_OK;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static bool is_in_window(const struct quota_window *window, unsigned week_minute)
{
	unsigned length = window->end_minute > window->start_minute
				  ? window->end_minute - window->start_minute
				  : window->end_minute + DAY_MINUTES - window->start_minute;
	for (unsigned day = 0; day < 7; day++) {
		unsigned start = day * DAY_MINUTES + window->start_minute;
		unsigned since = (week_minute + QUOTA_WEEK_MINUTES - start) % QUOTA_WEEK_MINUTES;
		if ((window->days & (1u << day)) != 0 && since < length) {
			return true;
		}
	}
	return false;
}

static uint64_t configured_cap(const struct quota_limits *limits, unsigned week_minute)
{
	for (size_t i = 0; i < limits->window_count; i++) {
		if (is_in_window(&limits->windows[i], week_minute)) {
			return limits->windows[i].bytes_per_second;
		}
	}
	return limits->rate_cap_bytes != 0 ? limits->rate_cap_bytes : QUOTA_NO_CAP;
}

struct quota_state quota_judge(const struct quota_limits *limits, const struct quota_orders *orders,
	const struct quota_used *used, unsigned week_minute)
{
	enum quota_rung day =
		quota_rung_of(used->day_bytes, limits->daily_bytes, limits->warn_at_basis_points);
	enum quota_rung month = quota_rung_of(
		used->month_bytes, limits->monthly_bytes, limits->warn_at_basis_points);
	struct quota_state state = {
		.rung = day > month ? day : month,
		.period = month >= day ? QUOTA_MONTH : QUOTA_DAY,
		.cap_bytes = orders->cap_bytes != 0 ? orders->cap_bytes
						    : configured_cap(limits, week_minute),
	};
	bool is_held = (day == QUOTA_OVER && !orders->is_let_go_day) ||
		       (month == QUOTA_OVER && !orders->is_let_go_month);
	assert(week_minute < QUOTA_WEEK_MINUTES);
	if (is_held && limits->over_limit == QUOTA_THROTTLE) {
		state.is_throttled = true;
		state.cap_bytes = smaller(state.cap_bytes, limits->throttle_bytes_per_second);
	}
	if (orders->is_paused || (is_held && limits->over_limit == QUOTA_PAUSE)) {
		state.is_paused = true;
		state.cap_bytes = QUOTA_PAUSED;
	}
	return state;
}

const char *quota_rung_name(enum quota_rung rung)
{
	static const char *const names[] = {"ok", "warning", "over"};
	assert((unsigned)rung < sizeof(names) / sizeof(names[0]));
	return names[rung];
}

const char *quota_state_name(const struct quota_state *state)
{
	if (state->is_paused) {
		return "paused";
	}
	if (state->is_throttled) {
		return "throttled";
	}
	return state->rung == QUOTA_OK ? "ok" : "warning";
}

/* --- the forecast ------------------------------------------------------------------------------
 */

uint64_t quota_forecast(uint64_t month_bytes, const struct quota_pace *pace, int64_t seconds_left)
{
	if (pace->seconds <= 0 || seconds_left <= 0) {
		return month_bytes;
	}
	__uint128_t more =
		(__uint128_t)pace->bytes * (uint64_t)seconds_left / (uint64_t)pace->seconds;
	return more > UINT64_MAX - month_bytes ? UINT64_MAX : month_bytes + (uint64_t)more;
}

int64_t quota_seconds_to_limit(
	uint64_t used_bytes, uint64_t limit_bytes, const struct quota_pace *pace)
{
	if (limit_bytes == 0) {
		return -1;
	}
	if (used_bytes >= limit_bytes) {
		return 0;
	}
	if (pace->bytes == 0 || pace->seconds <= 0) {
		return -1;
	}
	__uint128_t seconds = ((__uint128_t)(limit_bytes - used_bytes) * (uint64_t)pace->seconds +
				      pace->bytes - 1) /
			      pace->bytes;
	return seconds > INT64_MAX ? -1 : (int64_t)seconds;
}
