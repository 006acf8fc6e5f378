/*
 * calendar and time_zone: month ends, leap days and days of 23 and 25 hours. Zones are those of the
 * system where it has them, and rules by themselves.
 */
#include "destination/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define US   INT64_C(1000000)
#define HOUR 3600

static struct time_zone *open_zone(const char *name)
{
	struct error err = {0};
	struct time_zone *zone = time_zone_open(name, &err);
	if (zone == NULL && strcmp(name, "UTC") != 0 && err.kind == ERROR_SYSTEM) {
		skip(); /* no zone files here */
	}
	assert_non_null(zone);
	return zone;
}

static int64_t utc_us(int year, int month, int day, int hour, int minute)
{
	return (calendar_day_of_date(year, month, day) * INT64_C(86400) + hour * HOUR +
		       minute * 60) *
	       US;
}

static void test_calendar__every_day_of_eight_centuries_reads_back(void **state)
{
	(void)state;
	calendar_day day = calendar_day_of_date(1600, 1, 1);
	struct calendar_date before = {1599, 12, 31};
	assert_int_equal(calendar_day_of_date(1970, 1, 1), 0);
	for (; day < calendar_day_of_date(2400, 1, 1); day++) {
		struct calendar_date date = calendar_date_of(day);
		assert_int_equal(calendar_day_of_date(date.year, date.month, date.day), day);
		assert_true(date.day == before.day + 1 || date.day == 1);
		before = date;
	}
}

static void test_calendar__month_ends_and_leap_days(void **state)
{
	(void)state;
	static const struct {
		int year, month, day;
		const char *first, *end;
	} rows[] = {
		{2026, 1, 31, "2026-01-01", "2026-02-01"},
		{2026, 2, 28, "2026-02-01", "2026-03-01"},
		{2028, 2, 29, "2028-02-01", "2028-03-01"},
		{2100, 2, 28, "2100-02-01", "2100-03-01"},
		{2026, 12, 1, "2026-12-01", "2027-01-01"},
		{2026, 12, 31, "2026-12-01", "2027-01-01"},
	};
	char text[CALENDAR_DAY_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		calendar_day day = calendar_day_of_date(rows[i].year, rows[i].month, rows[i].day);
		assert_string_equal(
			calendar_format_day(calendar_month_start(day), text), rows[i].first);
		assert_string_equal(
			calendar_format_day(calendar_month_end(day), text), rows[i].end);
	}
}

static void test_calendar__takes_only_days_that_exist(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "2026-02-29", "2026-13-01", "2026-00-01",
		"2026-01-00", "2026-1-01", "2026-01-32", "2026/01/01", "2026-01-01x", "x026-01-01"};
	calendar_day day;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(calendar_parse_day(wrong[i], &day));
	}
	assert_true(calendar_parse_day("2028-02-29", &day));
	assert_int_equal(day, calendar_day_of_date(2028, 2, 29));
}

static void test_calendar__days_begin_where_clocks_say(void **state)
{
	(void)state;
	static const struct {
		const char *zone;
		int year, month, day;
		int64_t hours; /* that the day has */
	} rows[] = {
		{"UTC", 2026, 3, 29, 24},
		{"Europe/Berlin", 2026, 3, 28, 24},
		{"Europe/Berlin", 2026, 3, 29, 23},
		{"Europe/Berlin", 2026, 10, 25, 25},
		{"America/New_York", 2026, 3, 8, 23},
		{"America/New_York", 2026, 11, 1, 25},
		/* By the rule in the footer: past what files list. */
		{"Europe/Berlin", 2090, 3, 26, 23},
		{"America/New_York", 2090, 11, 5, 25},
		/* Clocks jump over midnight. */
		{"America/Santiago", 2026, 9, 6, 23},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct time_zone *zone = open_zone(rows[i].zone);
		calendar_day day = calendar_day_of_date(rows[i].year, rows[i].month, rows[i].day);
		int64_t begin_us = calendar_day_start_us(zone, day);
		int64_t end_us = calendar_day_start_us(zone, day + 1);
		assert_int_equal((end_us - begin_us) / US, rows[i].hours * HOUR);
		assert_int_equal(calendar_day_at(zone, begin_us), day);
		assert_int_equal(calendar_day_at(zone, begin_us - 1), day - 1);
		time_zone_free(&zone);
	}
}

static void test_calendar__the_hour_of_the_week(void **state)
{
	(void)state;
	struct time_zone *utc = open_zone("UTC");
	/* 2026-03-02 was a Monday. */
	assert_int_equal(calendar_week_minute(utc, utc_us(2026, 3, 2, 0, 0)), 0);
	assert_int_equal(calendar_week_minute(utc, utc_us(2026, 3, 1, 23, 59)), 7 * 1440 - 1);
	assert_int_equal(calendar_week_minute(utc, utc_us(1969, 12, 29, 0, 1)), 1);
	time_zone_free(&utc);
	struct time_zone *kolkata = open_zone("Asia/Kolkata");
	assert_int_equal(calendar_week_minute(kolkata, utc_us(2026, 3, 1, 18, 30)), 0);
	time_zone_free(&kolkata);
}

static void test_time_zone__refuses_what_is_no_zone_file(void **state)
{
	(void)state;
	struct error err = {0};
	static const uint8_t header[44] = "TZif2";
	for (size_t length = 0; length <= sizeof(header); length++) {
		assert_null(time_zone_parse("x", header, length, &err));
	}
	assert_string_equal(err.message, "time zone \"x\" has an invalid file");
	assert_null(time_zone_open("No/Such", &err));
	assert_int_equal(err.kind, ERROR_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calendar__every_day_of_eight_centuries_reads_back),
		cmocka_unit_test(test_calendar__month_ends_and_leap_days),
		cmocka_unit_test(test_calendar__takes_only_days_that_exist),
		cmocka_unit_test(test_calendar__days_begin_where_clocks_say),
		cmocka_unit_test(test_calendar__the_hour_of_the_week),
		cmocka_unit_test(test_time_zone__refuses_what_is_no_zone_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
