/*
 * destinations: what is counted stays counted over restarts, days and months turn where the clock
 * of the zone says so, and limits act on it. The clock is the test's.
 */
#include "destination/destinations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/database.h"

#define GB   (UINT64_C(1) << 30)
#define US   INT64_C(1000000)
#define HOUR (3600 * US)

struct rig {
	char directory[32];
	struct database *database;
	struct destinations *destinations;
	struct destination_options items[2];
	struct destinations_options options;
	int64_t now_us;
};

static int64_t utc_us(int year, int month, int day, int hour)
{
	return calendar_day_of_date(year, month, day) * 24 * HOUR + hour * HOUR;
}

static const struct price_tier two_cents[] = {{20000000, UINT64_MAX}};
static struct peer_rule far_rules[] = {{.kind = PEER_RULE_USER, .text = (char[]){"far"}}};

static void open_rig(struct rig *rig)
{
	char path[64];
	struct error err = {0};
	snprintf(path, sizeof(path), "%s/state.db", rig->directory);
	rig->database = database_open(path, &err);
	assert_non_null(rig->database);
	rig->options.items = rig->items;
	rig->destinations = destinations_new(rig->database, 1, &rig->options, rig->now_us, &err);
	assert_non_null(rig->destinations);
}

static void close_rig(struct rig *rig)
{
	destinations_free(&rig->destinations, rig->now_us);
	database_close(&rig->database);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	strcpy(rig->directory, "/tmp/destinations.XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	rig->items[0] = (struct destination_options){
		.name = "far",
		.provider = "aws",
		.rules = far_rules,
		.rule_count = 1,
		.limits = {.daily_bytes = 10 * GB,
			.monthly_bytes = 100 * GB,
			.warn_at_basis_points = 8000,
			.over_limit = QUOTA_PAUSE},
		.price = {two_cents, 1, GB},
		.price_in = {NULL, 0, GB},
	};
	rig->options =
		(struct destinations_options){.count = 1, .time_zone = "UTC", .currency = "USD"};
	rig->now_us = utc_us(2026, 3, 15, 12);
	open_rig(rig);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[64];
	close_rig(rig);
	snprintf(command, sizeof(command), "rm -r %s", rig->directory);
	assert_int_equal(system(command), 0);
	free(rig);
	return 0;
}

static struct destination *match(const struct rig *rig, const char *user)
{
	const struct peer peer = {.user = user, .application = ""};
	return destinations_match(rig->destinations, &peer);
}

static void send_bytes(const struct rig *rig, const char *user, uint64_t bytes)
{
	const struct meter_counts delta = {{[METER_BILLED_SENT] = bytes, [METER_WAL] = bytes}};
	meter_add(destination_meter(match(rig, user)), 0, &delta);
}

/* Counts, judges, and answers how the destination stands. */
static struct destination_stats look(struct rig *rig, int64_t now_us)
{
	struct destination_stats stats[4];
	rig->now_us = now_us;
	(void)destinations_tick(rig->destinations, now_us);
	assert_in_range(destinations_list(rig->destinations, stats, 4), 1, 4);
	return stats[0];
}

static const char *state_of(const struct destination_stats *stats)
{
	return quota_state_name(&stats->state);
}

static void test_destinations__first_match_wins_and_the_rest_is_other(void **state)
{
	struct rig *rig = *state;
	assert_string_equal(destination_name(match(rig, "far")), "far");
	assert_string_equal(destination_name(match(rig, "near")), "other");
	rig->items[1] = rig->items[0];
	rig->items[1].name = "second";
	rig->options.count = 2;
	struct error err = {0};
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	assert_string_equal(destination_name(match(rig, "far")), "far");
	rig->items[0].name = "second";
	rig->items[1].name = "far";
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	assert_string_equal(destination_name(match(rig, "far")), "second");
	rig->options.count = 0;
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	assert_string_equal(destination_name(match(rig, "far")), "other");
	rig->options.count = 1;
	rig->options.time_zone = "No/Where";
	assert_false(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	assert_string_equal(destination_name(match(rig, "far")), "other");
}

static void test_destinations__the_ladder_by_day(void **state)
{
	struct rig *rig = *state;
	int64_t noon = utc_us(2026, 3, 15, 12);
	struct destination_stats stats = look(rig, noon);
	assert_string_equal(state_of(&stats), "ok");
	send_bytes(rig, "far", 8 * GB);
	stats = look(rig, noon + US);
	assert_string_equal(state_of(&stats), "warning");
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_NO_CAP);
	send_bytes(rig, "far", 2 * GB);
	stats = look(rig, noon + 2 * US);
	assert_string_equal(state_of(&stats), "paused");
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_PAUSED);
	assert_int_equal(destination_cap(match(rig, "near")), QUOTA_NO_CAP);
	stats = look(rig, utc_us(2026, 3, 16, 0) - 1);
	assert_string_equal(state_of(&stats), "paused");
	stats = look(rig, utc_us(2026, 3, 16, 0));
	assert_string_equal(state_of(&stats), "ok");
	assert_int_equal(stats.used.day_bytes, 0);
	assert_int_equal(stats.used.month_bytes, 10 * GB);
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_NO_CAP);
}

static void test_destinations__the_month_turns_at_its_end(void **state)
{
	struct rig *rig = *state;
	struct error err = {0};
	rig->items[0].limits.daily_bytes = 0;
	/* 2028 has a leap day. */
	int64_t leap_day = utc_us(2028, 2, 29, 0);
	rig->now_us = leap_day - HOUR;
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	send_bytes(rig, "far", 60 * GB);
	(void)look(rig, leap_day - HOUR);
	send_bytes(rig, "far", 40 * GB);
	struct destination_stats stats = look(rig, leap_day + HOUR);
	assert_string_equal(state_of(&stats), "paused");
	assert_int_equal(stats.used.day_bytes, 40 * GB);
	assert_int_equal(stats.used.month_bytes, 100 * GB);
	stats = look(rig, utc_us(2028, 3, 1, 0));
	assert_string_equal(state_of(&stats), "ok");
	assert_int_equal(stats.used.month_bytes, 0);
}

static void test_destinations__days_are_those_of_the_time_zone(void **state)
{
	struct rig *rig = *state;
	struct error err = {0};
	if (access("/usr/share/zoneinfo/Europe/Berlin", R_OK) != 0) {
		skip();
	}
	rig->options.time_zone = "Europe/Berlin";
	/* The night in which 2 o'clock comes twice: the day has 25 hours, from 22:00 UTC on. */
	int64_t begin = utc_us(2026, 10, 24, 22);
	rig->now_us = begin;
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	send_bytes(rig, "far", 10 * GB);
	struct destination_stats stats = look(rig, begin);
	assert_string_equal(state_of(&stats), "paused");
	stats = look(rig, begin + 25 * HOUR - US);
	assert_string_equal(state_of(&stats), "paused");
	stats = look(rig, begin + 25 * HOUR);
	assert_string_equal(state_of(&stats), "ok");
}

static void test_destinations__a_clock_that_steps_back(void **state)
{
	struct rig *rig = *state;
	int64_t midnight = utc_us(2026, 3, 16, 0);
	send_bytes(rig, "far", 10 * GB);
	(void)look(rig, midnight - US);
	struct destination_stats stats = look(rig, midnight);
	assert_string_equal(state_of(&stats), "ok");
	/* A second back is yesterday, but yesterday's books stay closed. */
	send_bytes(rig, "far", 1);
	stats = look(rig, midnight - US);
	assert_string_equal(state_of(&stats), "ok");
	assert_int_equal(stats.used.day_bytes, 1);
	/* A day back is believed: today was never the 16th. */
	send_bytes(rig, "far", 2);
	stats = look(rig, midnight - 12 * HOUR);
	assert_string_equal(state_of(&stats), "paused");
	assert_int_equal(stats.used.day_bytes, 10 * GB + 2);
	assert_int_equal(stats.used.month_bytes, 10 * GB + 3);
}

struct turn {
	const char *zone;
	int64_t begin_us; /* of the day or month */
	int64_t end_us;   /* and without */
	bool is_month;
};

/* Up the ladder within a day or month, to its last moment, and off it with the next. */
static void climb(const struct turn *turn, enum quota_action action, const char *over)
{
	void *state;
	struct error err = {0};
	assert_int_equal(set_up(&state), 0);
	struct rig *rig = state;
	struct quota_limits *limits = &rig->items[0].limits;
	limits->over_limit = action;
	limits->throttle_bytes_per_second = 1000;
	*(turn->is_month ? &limits->daily_bytes : &limits->monthly_bytes) = 0;
	uint64_t limit = turn->is_month ? limits->monthly_bytes : limits->daily_bytes;
	rig->options.time_zone = turn->zone;
	rig->now_us = turn->begin_us;
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	send_bytes(rig, "far", limit * 8 / 10 - 1);
	struct destination_stats stats = look(rig, turn->begin_us);
	assert_string_equal(state_of(&stats), "ok");
	send_bytes(rig, "far", 1);
	stats = look(rig, turn->begin_us + US);
	assert_string_equal(state_of(&stats), "warning");
	send_bytes(rig, "far", limit - limit * 8 / 10);
	const int64_t moments[] = {turn->begin_us + 2 * US, turn->begin_us + 12 * HOUR,
		turn->end_us - HOUR, turn->end_us - 1};
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		stats = look(rig, moments[i]);
		assert_string_equal(state_of(&stats), over);
		assert_int_equal(stats.state.rung, QUOTA_OVER);
	}
	stats = look(rig, turn->end_us);
	assert_string_equal(state_of(&stats), "ok");
	assert_int_equal(
		turn->is_month ? stats.used.month_bytes : stats.used.day_bytes, 0);
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_NO_CAP);
	assert_int_equal(tear_down(&state), 0);
}

static void test_destinations__each_rung_ends_with_its_day_or_month(void **state)
{
	(void)state;
	const struct turn turns[] = {
		{"UTC", utc_us(2026, 1, 1, 0), utc_us(2026, 2, 1, 0), true},
		{"UTC", utc_us(2026, 4, 1, 0), utc_us(2026, 5, 1, 0), true},
		{"UTC", utc_us(2026, 2, 1, 0), utc_us(2026, 3, 1, 0), true},
		{"UTC", utc_us(2028, 2, 1, 0), utc_us(2028, 3, 1, 0), true},
		{"UTC", utc_us(2100, 2, 1, 0), utc_us(2100, 3, 1, 0), true},
		{"UTC", utc_us(2026, 12, 1, 0), utc_us(2027, 1, 1, 0), true},
		{"UTC", utc_us(2028, 2, 29, 0), utc_us(2028, 3, 1, 0), false},
		{"UTC", utc_us(2026, 12, 31, 0), utc_us(2027, 1, 1, 0), false},
		/* Clocks change within the month, on its first day, and within the day. */
		{"Europe/Berlin", utc_us(2026, 2, 28, 23), utc_us(2026, 3, 31, 22), true},
		{"Europe/Berlin", utc_us(2026, 9, 30, 22), utc_us(2026, 10, 31, 23), true},
		{"America/New_York", utc_us(2026, 11, 1, 4), utc_us(2026, 12, 1, 5), true},
		{"Europe/Berlin", utc_us(2026, 3, 28, 23), utc_us(2026, 3, 29, 22), false},
		{"Europe/Berlin", utc_us(2026, 10, 24, 22), utc_us(2026, 10, 25, 23), false},
		{"America/New_York", utc_us(2026, 11, 1, 4), utc_us(2026, 11, 2, 5), false},
	};
	bool has_zones = access("/usr/share/zoneinfo/America/New_York", R_OK) == 0;
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		if (has_zones || strcmp(turns[i].zone, "UTC") == 0) {
			climb(&turns[i], QUOTA_ALERT, "warning");
			climb(&turns[i], QUOTA_THROTTLE, "throttled");
			climb(&turns[i], QUOTA_PAUSE, "paused");
		}
	}
}

static void test_destinations__a_clock_that_steps_back_over_the_end_of_a_month(void **state)
{
	struct rig *rig = *state;
	struct error err = {0};
	int64_t march = utc_us(2028, 3, 1, 0);
	rig->items[0].limits.daily_bytes = 0;
	rig->now_us = march - HOUR;
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	send_bytes(rig, "far", 100 * GB);
	struct destination_stats stats = look(rig, march - HOUR);
	assert_string_equal(state_of(&stats), "paused");
	stats = look(rig, march);
	assert_string_equal(state_of(&stats), "ok");
	/* A correction does not open February again, however often. */
	for (int i = 1; i <= 3; i++) {
		stats = look(rig, march - i * US);
		assert_string_equal(state_of(&stats), "ok");
	}
	send_bytes(rig, "far", 1);
	stats = look(rig, march - US);
	assert_int_equal(stats.used.month_bytes, 1);
	/* A clock set by a day does, and what was counted in March is not counted twice. */
	stats = look(rig, march - 24 * HOUR);
	assert_string_equal(state_of(&stats), "paused");
	assert_int_equal(stats.used.month_bytes, 100 * GB);
	stats = look(rig, march + HOUR);
	assert_string_equal(state_of(&stats), "ok");
	assert_int_equal(stats.used.month_bytes, 1);
}

static void test_destinations__counts_once_over_restarts(void **state)
{
	struct rig *rig = *state;
	for (int i = 1; i <= 3; i++) {
		send_bytes(rig, "far", 3 * GB);
		/* The last bytes are counted by the closing itself. */
		close_rig(rig);
		open_rig(rig);
		struct destination_stats stats = look(rig, rig->now_us);
		assert_int_equal(stats.used.day_bytes, i * 3 * GB);
		assert_int_equal(stats.day_cost_nanos, i * 60000000);
		assert_int_equal(stats.counted.bytes[METER_BILLED_SENT], 0);
	}
	struct destination_stats stats = look(rig, rig->now_us);
	assert_string_equal(state_of(&stats), "warning");
}

static void test_destinations__an_order_survives_a_restart(void **state)
{
	struct rig *rig = *state;
	send_bytes(rig, "far", 10 * GB);
	(void)look(rig, rig->now_us);
	assert_true(destinations_resume(rig->destinations, "far"));
	assert_false(destinations_resume(rig->destinations, "nobody"));
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_NO_CAP);
	close_rig(rig);
	open_rig(rig);
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_NO_CAP);
	/* Only for the day whose limit was reached. */
	send_bytes(rig, "far", 10 * GB);
	struct destination_stats stats = look(rig, rig->now_us + 24 * HOUR);
	assert_string_equal(state_of(&stats), "paused");
	assert_true(destinations_pause(rig->destinations, "far"));
	close_rig(rig);
	open_rig(rig);
	stats = look(rig, rig->now_us + 24 * HOUR);
	assert_string_equal(state_of(&stats), "paused");
	assert_true(destinations_resume(rig->destinations, "far"));
	stats = look(rig, rig->now_us);
	assert_string_equal(state_of(&stats), "ok");
}

static void test_destinations__a_cap_by_hand_lasts_until_the_next_reload(void **state)
{
	struct rig *rig = *state;
	struct error err = {0};
	assert_true(destinations_set_cap(rig->destinations, "far", 5000));
	assert_int_equal(destination_cap(match(rig, "far")), 5000);
	(void)look(rig, rig->now_us);
	assert_int_equal(destination_cap(match(rig, "far")), 5000);
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	assert_int_equal(destination_cap(match(rig, "far")), QUOTA_NO_CAP);
}

static void test_destinations__forecasts_and_names_the_day(void **state)
{
	struct rig *rig = *state;
	/* 5 GB on each of the last eight days, today's half gone. */
	for (int day = 8; day <= 15; day++) {
		send_bytes(rig, "far", 5 * GB);
		(void)look(rig, utc_us(2026, 3, day, 1));
	}
	struct destination_stats stats = look(rig, utc_us(2026, 3, 15, 12));
	/* 40 GB in 7.5 days; 16.5 days to come. */
	assert_int_equal(stats.used.month_bytes, 40 * GB);
	assert_int_equal(stats.forecast_bytes, 40 * GB + 88 * GB);
	/* 60 GB more take 11.25 days. */
	assert_true(stats.has_limit_day);
	assert_int_equal(stats.limit_day, calendar_day_of_date(2026, 3, 26));
	stats = look(rig, utc_us(2026, 4, 20, 0));
	assert_int_equal(stats.forecast_bytes, 0);
	assert_false(stats.has_limit_day);
}

struct lines {
	char text[1024];
};

static void add_line(void *context, const struct usage_line *line)
{
	struct lines *lines = context;
	char day[CALENDAR_DAY_TEXT_SIZE];
	size_t length = strlen(lines->text);
	snprintf(lines->text + length, sizeof(lines->text) - length, "%s %s %llu %lld\n",
		line->destination, calendar_format_day(line->day, day),
		(unsigned long long)(line->counts.bytes[METER_BILLED_SENT] / GB),
		(long long)line->cost_nanos / 10000000);
}

static void test_destinations__usage_by_day_and_by_month(void **state)
{
	struct rig *rig = *state;
	struct lines lines = {""};
	send_bytes(rig, "far", 1 * GB);
	(void)look(rig, utc_us(2026, 3, 30, 1));
	send_bytes(rig, "far", 2 * GB);
	send_bytes(rig, "near", 7 * GB);
	(void)look(rig, utc_us(2026, 3, 31, 23));
	send_bytes(rig, "far", 4 * GB);
	(void)look(rig, utc_us(2026, 4, 1, 0));
	struct usage_query query = {
		.first = calendar_day_of_date(2026, 3, 1), .end = calendar_day_of_date(2026, 5, 1)};
	destinations_usage(rig->destinations, &query, add_line, &lines);
	assert_string_equal(lines.text, "far 2026-03-30 1 2\nfar 2026-03-31 2 4\n"
					"far 2026-04-01 4 8\nother 2026-03-31 7 0\n");
	lines.text[0] = '\0';
	query.by_month = true;
	query.destination = "far";
	destinations_usage(rig->destinations, &query, add_line, &lines);
	assert_string_equal(lines.text, "far 2026-03-01 3 6\nfar 2026-04-01 4 8\n");
}

static void test_destinations__a_new_price_holds_for_the_month_not_before(void **state)
{
	struct rig *rig = *state;
	static const struct price_tier five_cents[] = {{50000000, UINT64_MAX}};
	struct lines lines = {""};
	struct error err = {0};
	send_bytes(rig, "far", 1 * GB);
	(void)look(rig, utc_us(2026, 3, 31, 23));
	send_bytes(rig, "far", 1 * GB);
	(void)look(rig, utc_us(2026, 4, 1, 1));
	rig->items[0].price.tiers = five_cents;
	assert_true(destinations_configure(rig->destinations, &rig->options, rig->now_us, &err));
	send_bytes(rig, "far", 2 * GB);
	struct destination_stats stats = look(rig, utc_us(2026, 4, 2, 1));
	assert_int_equal(stats.month_cost_nanos, 150000000);
	const struct usage_query query = {.first = calendar_day_of_date(2026, 3, 1),
		.end = calendar_day_of_date(2026, 5, 1),
		.by_month = true};
	destinations_usage(rig->destinations, &query, add_line, &lines);
	assert_string_equal(lines.text, "far 2026-03-01 1 2\nfar 2026-04-01 3 15\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_destinations__first_match_wins_and_the_rest_is_other),
		TEST(test_destinations__the_ladder_by_day),
		TEST(test_destinations__the_month_turns_at_its_end),
		TEST(test_destinations__days_are_those_of_the_time_zone),
		TEST(test_destinations__a_clock_that_steps_back),
		cmocka_unit_test(test_destinations__each_rung_ends_with_its_day_or_month),
		TEST(test_destinations__a_clock_that_steps_back_over_the_end_of_a_month),
		TEST(test_destinations__counts_once_over_restarts),
		TEST(test_destinations__an_order_survives_a_restart),
		TEST(test_destinations__a_cap_by_hand_lasts_until_the_next_reload),
		TEST(test_destinations__forecasts_and_names_the_day),
		TEST(test_destinations__usage_by_day_and_by_month),
		TEST(test_destinations__a_new_price_holds_for_the_month_not_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
