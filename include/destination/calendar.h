/*
 * calendar: days and months as people in one time zone count them.
 *
 * A day is a number: days since 1970-01-01 of the proleptic Gregorian calendar. Pure; the time is
 * an argument.
 */
#ifndef DESTINATION_CALENDAR_H
#define DESTINATION_CALENDAR_H

#include "destination/time_zone.h"

#include <stdbool.h>
#include <stdint.h>

#define CALENDAR_DAY_TEXT_SIZE 16

#define CALENDAR_NEVER INT32_MIN

typedef int32_t calendar_day;

struct calendar_date {
	int year;
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
};

struct calendar_date calendar_date_of(calendar_day day);
calendar_day calendar_day_of_date(int year, int month, int day);
calendar_day calendar_month_start(calendar_day day);
/* The first day of the month after the day's. */
calendar_day calendar_month_end(calendar_day day);
bool calendar_is_same_month(calendar_day a, calendar_day b);

/* The day it is there at that moment (microseconds since 1970). */
calendar_day calendar_day_at(const struct time_zone *zone, int64_t unix_us);
/* The moment at which the day begins there: midnight, or where clocks jump over it the first moment
 * after. */
int64_t calendar_day_start_us(const struct time_zone *zone, calendar_day day);
/* Minutes since Monday 00:00 as the clocks there show it. */
unsigned calendar_week_minute(const struct time_zone *zone, int64_t unix_us);

/* "2026-02-28"; "2026-02" for a month. Each returns text_out. */
char *calendar_format_day(calendar_day day, char text_out[CALENDAR_DAY_TEXT_SIZE]);
char *calendar_format_month(calendar_day day, char text_out[CALENDAR_DAY_TEXT_SIZE]);
/* A day that exists, as above. */
bool calendar_parse_day(const char *text, calendar_day *day_out) MUST_CHECK;

#endif
