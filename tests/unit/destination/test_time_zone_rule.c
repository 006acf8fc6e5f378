#include "destination/time_zone_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "destination/calendar.h"

#define HOUR 3600

static int64_t utc(int year, int month, int day, int hour)
{
	return calendar_day_of_date(year, month, day) * INT64_C(86400) + hour * HOUR;
}

static void test_time_zone_rule__when_clocks_change(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int year, month, day, hour; /* UTC: the offset has just changed to */
		int32_t before, after;
	} rows[] = {
		{"CET-1CEST,M3.5.0,M10.5.0/3", 2026, 3, 29, 1, HOUR, 2 * HOUR},
		{"CET-1CEST,M3.5.0,M10.5.0/3", 2026, 10, 25, 1, 2 * HOUR, HOUR},
		{"EST5EDT,M3.2.0,M11.1.0", 2026, 3, 8, 7, -5 * HOUR, -4 * HOUR},
		{"EST5EDT,M3.2.0,M11.1.0", 2026, 11, 1, 6, -4 * HOUR, -5 * HOUR},
		/* South: the summer runs over the turn of the year. */
		{"AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 4, 4, 16, 11 * HOUR, 10 * HOUR},
		{"AEST-10AEDT,M10.1.0,M4.1.0/3", 2026, 10, 3, 16, 10 * HOUR, 11 * HOUR},
		/* Half an hour, and a change before midnight. */
		{"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, 10, 3, 15, 37800, 11 * HOUR},
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, 3, 29, 1, -2 * HOUR, -1 * HOUR},
		/* Julian days: 1 March is the 60th of every year, and the 59th counted from 0. */
		{"XXX0YYY,J60/0,J300/0", 2028, 3, 1, 0, 0, HOUR},
		{"XXX0YYY,J60/0,J300/0", 2026, 3, 1, 0, 0, HOUR},
		{"XXX0YYY,59/0,300/0", 2026, 3, 1, 0, 0, HOUR},
		{"XXX0YYY,59/0,300/0", 2028, 2, 29, 0, 0, HOUR},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct time_zone_rule rule;
		assert_true(time_zone_rule_parse(rows[i].text, &rule));
		int64_t at = utc(rows[i].year, rows[i].month, rows[i].day, rows[i].hour);
		if (rows[i].before == 37800) {
			at += 1800;
		}
		assert_int_equal(time_zone_rule_offset(&rule, at - 1), rows[i].before);
		assert_int_equal(time_zone_rule_offset(&rule, at), rows[i].after);
	}
}

static void test_time_zone_rule__a_place_without_summer_time(void **state)
{
	(void)state;
	struct time_zone_rule rule;
	assert_true(time_zone_rule_parse("IST-5:30", &rule));
	assert_int_equal(time_zone_rule_offset(&rule, 0), 19800);
	assert_false(rule.has_summer);
}

static void test_time_zone_rule__refuses_what_is_none(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "C", "CET", "CET-", "CET-1CEST", "CET-1CEST,",
		"CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
		"CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J366,M10.5.0", "<CET-1", "CET-1:60",
		"CET-168", "CET-1CEST,M3.5.0,M10.5.0/3x", "CET-99999999999"};
	struct time_zone_rule rule;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_false(time_zone_rule_parse(wrong[i], &rule));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_zone_rule__when_clocks_change),
		cmocka_unit_test(test_time_zone_rule__a_place_without_summer_time),
		cmocka_unit_test(test_time_zone_rule__refuses_what_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
