/*
 * quota: what a destination may still be sent, as pure functions of what was counted, what is
 * allowed, and the time.
 *
 * The ladder has three rungs: ok, warning (from warn_at of a limit on), over. What happens on the
 * last one is the action: nothing but an alert, a slower cap, or a pause. The cap in force is the
 * smallest of what the schedule, the operator and the ladder say. Limits count billed bytes sent,
 * base backups included.
 */
#ifndef DESTINATION_QUOTA_H
#define DESTINATION_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A cap of 0: nothing but what keeps connections alive. */
#define QUOTA_PAUSED UINT64_C(0)
#define QUOTA_NO_CAP UINT64_MAX

#define QUOTA_WEEK_MINUTES (7u * 24 * 60)

enum quota_rung { QUOTA_OK, QUOTA_WARNING, QUOTA_OVER };
enum quota_period { QUOTA_DAY, QUOTA_MONTH };
enum quota_action { QUOTA_ALERT, QUOTA_THROTTLE, QUOTA_PAUSE };

/* One stretch of the day with a cap of its own; end <= start: it runs past midnight. */
struct quota_window {
	unsigned start_minute;
	unsigned end_minute;
	unsigned days; /* bit 0: Monday; of the day on which it starts */
	uint64_t bytes_per_second;
};

struct quota_limits {
	uint64_t daily_bytes;   /* 0: none */
	uint64_t monthly_bytes; /* 0: none */
	unsigned warn_at_basis_points;
	enum quota_action over_limit;
	uint64_t throttle_bytes_per_second; /* with QUOTA_THROTTLE */
	uint64_t rate_cap_bytes;            /* a second; 0: none */
	const struct quota_window *windows; /* the first that holds counts */
	size_t window_count;
};

/* What an operator said by hand. */
struct quota_orders {
	bool is_paused;       /* PAUSE, until RESUME */
	uint64_t cap_bytes;   /* SET CAP, until the next reload; 0: none */
	bool is_let_go_day;   /* RESUME: the daily limit is passed over until the day's end */
	bool is_let_go_month; /* likewise the month's */
};

struct quota_used {
	uint64_t day_bytes;
	uint64_t month_bytes;
};

struct quota_state {
	enum quota_rung rung;
	enum quota_period period; /* whose limit put it there; the month's where both did */
	bool is_throttled;
	bool is_paused;
	uint64_t cap_bytes; /* a second, in force; QUOTA_PAUSED, QUOTA_NO_CAP */
};

/* week_minute: local time, from Monday 00:00 on. */
struct quota_state quota_judge(const struct quota_limits *limits, const struct quota_orders *orders,
	const struct quota_used *used, unsigned week_minute);
/* Of one limit alone; 0: none. warn_at: basis points. */
enum quota_rung quota_rung_of(uint64_t used_bytes, uint64_t limit_bytes, unsigned warn_at);
const char *quota_rung_name(enum quota_rung rung); /* ok, warning, over */
/* What metrics and pages call it: ok, warning, throttled, paused. Over a limit with nothing but an
 * alert is a warning there. */
const char *quota_state_name(const struct quota_state *state);

struct quota_pace {
	uint64_t bytes;  /* of the last days, today's included */
	int64_t seconds; /* that they took */
};

/* Where the month ends up, with seconds_left of it at this pace. */
uint64_t quota_forecast(uint64_t month_bytes, const struct quota_pace *pace, int64_t seconds_left);
/* Seconds from now until limit is reached at this pace; 0: it is; -1: never, or there is no limit.
 */
int64_t quota_seconds_to_limit(
	uint64_t used_bytes, uint64_t limit_bytes, const struct quota_pace *pace);

#endif
