/*
 * calendar: civil dates from and to day numbers, by eras of 400 years that begin in March, so that
 * a leap day is the last of its year.
 */
#include "destination/calendar.h"

#include <stdio.h>
#include <string.h>

#define DAY_SECONDS    INT64_C(86400)
#define ERA_DAYS       146097
#define EPOCH_TO_MARCH 719468 /* days from 0000-03-01 to 1970-01-01 */
#define EPOCH_WEEKDAY  3      /* 1970-01-01 was a Thursday; Monday is 0 */

static int64_t floor_divide(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

struct calendar_date calendar_date_of(calendar_day day)
{
	int64_t since_march = (int64_t)day + EPOCH_TO_MARCH;
	int64_t era = floor_divide(since_march, ERA_DAYS);
	int64_t of_era = since_march - era * ERA_DAYS;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int month = (int)((5 * of_year + 2) / 153);
	struct calendar_date date = {
		.month = month < 10 ? month + 3 : month - 9,
		.day = (int)(of_year - (153 * month + 2) / 5 + 1),
	};
	date.year = (int)(year + era * 400) + (date.month <= 2);
	return date;
}

calendar_day calendar_day_of_date(int year, int month, int day)
{
	int64_t march_year = (int64_t)year - (month <= 2);
	int64_t era = floor_divide(march_year, 400);
	int64_t of_era = march_year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
	return (calendar_day)(era * ERA_DAYS + days - EPOCH_TO_MARCH);
}

calendar_day calendar_month_start(calendar_day day)
{
	return day - calendar_date_of(day).day + 1;
}

calendar_day calendar_month_end(calendar_day day)
{
	struct calendar_date date = calendar_date_of(day);
	return date.month == 12 ? calendar_day_of_date(date.year + 1, 1, 1)
				: calendar_day_of_date(date.year, date.month + 1, 1);
}

bool calendar_is_same_month(calendar_day a, calendar_day b)
{
	return calendar_month_start(a) == calendar_month_start(b);
}

static int64_t local_seconds(const struct time_zone *zone, int64_t unix_us)
{
	int64_t seconds = floor_divide(unix_us, 1000000);
	return seconds + time_zone_offset(zone, seconds);
}

calendar_day calendar_day_at(const struct time_zone *zone, int64_t unix_us)
{
	return (calendar_day)floor_divide(local_seconds(zone, unix_us), DAY_SECONDS);
}

int64_t calendar_day_start_us(const struct time_zone *zone, calendar_day day)
{
	/* Local time is never more than a day and a bit from UTC, and the day's number does not go
	 * back over that stretch but for an hour at most: the first moment is found by halving. */
	int64_t before = ((int64_t)day - 2) * DAY_SECONDS;
	int64_t after = ((int64_t)day + 2) * DAY_SECONDS;
	while (after - before > 1) {
		int64_t middle = before + (after - before) / 2;
		if (calendar_day_at(zone, middle * 1000000) >= day) {
			after = middle;
		} else {
			before = middle;
		}
	}
	return after * 1000000;
}

unsigned calendar_week_minute(const struct time_zone *zone, int64_t unix_us)
{
	int64_t minutes = floor_divide(local_seconds(zone, unix_us), 60) + EPOCH_WEEKDAY * 1440;
	return (unsigned)(minutes - floor_divide(minutes, 7 * 1440) * 7 * 1440);
}

char *calendar_format_day(calendar_day day, char text_out[CALENDAR_DAY_TEXT_SIZE])
{
	struct calendar_date date = calendar_date_of(day);
	snprintf(text_out, CALENDAR_DAY_TEXT_SIZE, "%04d-%02d-%02d", date.year, date.month,
		date.day);
	return text_out;
}

char *calendar_format_month(calendar_day day, char text_out[CALENDAR_DAY_TEXT_SIZE])
{
	struct calendar_date date = calendar_date_of(day);
	snprintf(text_out, CALENDAR_DAY_TEXT_SIZE, "%04d-%02d", date.year, date.month);
	return text_out;
}

bool calendar_parse_day(const char *text, calendar_day *day_out)
{
	static const char pattern[] = "0000-00-00";
	int numbers[3] = {0};
	char again[CALENDAR_DAY_TEXT_SIZE];
	if (strlen(text) != strlen(pattern)) {
		return false;
	}
	for (size_t i = 0, field = 0; text[i] != '\0'; i++) {
		if (pattern[i] == '-') {
			if (text[i] != '-') {
				return false;
			}
			field++;
		} else if (text[i] < '0' || text[i] > '9') {
			return false;
		} else {
			numbers[field] = numbers[field] * 10 + text[i] - '0';
		}
	}
	if (numbers[1] < 1 || numbers[1] > 12) {
		return false;
	}
	calendar_day day = calendar_day_of_date(numbers[0], numbers[1], numbers[2]);
	if (strcmp(calendar_format_day(day, again), text) != 0) {
		return false;
	}
	*day_out = day;
	return true;
}
