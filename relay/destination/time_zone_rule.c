/*
 * time_zone_rule: reads "STD offset [DST [offset] , start[/time] , end[/time]]" and applies it.
 *
 * Offsets in the text count westward, as POSIX has them; here they are added to UTC.
 */
#include "destination/time_zone_rule.h"

#include "destination/calendar.h"

#define DAY_SECONDS         86400
#define CHANGE_AT_USUAL     (2 * 3600)
#define NUMBER_MAX          9999
#define JULIAN_FEBRUARY_END 59

static bool take(const char **at, char expected)
{
	if (**at != expected) {
		return false;
	}
	(*at)++;
	return true;
}

static bool take_number(const char **at, int *number_out)
{
	int number = 0;
	const char *start = *at;
	while (**at >= '0' && **at <= '9' && number <= NUMBER_MAX) {
		number = number * 10 + *(*at)++ - '0';
	}
	*number_out = number;
	return *at > start && number <= NUMBER_MAX;
}

/* "[+-]hh[:mm[:ss]]" */
static bool take_time(const char **at, int32_t *seconds_out)
{
	int hours, minutes = 0, seconds = 0;
	bool is_negative = **at == '-';
	if (**at == '-' || **at == '+') {
		(*at)++;
	}
	if (!take_number(at, &hours) || hours > 167) {
		return false;
	}
	if (take(at, ':') && (!take_number(at, &minutes) || minutes > 59)) {
		return false;
	}
	if (take(at, ':') && (!take_number(at, &seconds) || seconds > 59)) {
		return false;
	}
	int32_t total = hours * 3600 + minutes * 60 + seconds;
	*seconds_out = is_negative ? -total : total;
	return true;
}

/* Three or more letters, or anything between angle brackets. */
static bool take_name(const char **at)
{
	const char *start = *at;
	if (take(at, '<')) {
		while (**at != '\0' && **at != '>') {
			(*at)++;
		}
		return take(at, '>');
	}
	while ((**at >= 'A' && **at <= 'Z') || (**at >= 'a' && **at <= 'z')) {
		(*at)++;
	}
	return *at - start >= 3;
}

static bool take_change(const char **at, struct time_zone_change *change)
{
	*change = (struct time_zone_change){
		.kind = TIME_ZONE_DAY_OF_YEAR, .seconds = CHANGE_AT_USUAL};
	if (take(at, 'M')) {
		change->kind = TIME_ZONE_MONTH_WEEK_DAY;
		if (!take_number(at, &change->month) || change->month < 1 || change->month > 12 ||
			!take(at, '.') || !take_number(at, &change->week) || change->week < 1 ||
			change->week > 5 || !take(at, '.') || !take_number(at, &change->day) ||
			change->day > 6) {
			return false;
		}
	} else {
		if (take(at, 'J')) {
			change->kind = TIME_ZONE_JULIAN;
		}
		if (!take_number(at, &change->day) || change->day > 365) {
			return false;
		}
	}
	return !take(at, '/') || take_time(at, &change->seconds);
}

bool time_zone_rule_parse(const char *text, struct time_zone_rule *rule_out)
{
	struct time_zone_rule rule = {0};
	const char *at = text;
	int32_t west;
	if (!take_name(&at) || !take_time(&at, &west)) {
		return false;
	}
	rule.standard_offset = -west;
	if (*at != '\0') {
		rule.has_summer = true;
		rule.summer_offset = rule.standard_offset + 3600;
		if (!take_name(&at)) {
			return false;
		}
		if (*at != ',') {
			if (!take_time(&at, &west)) {
				return false;
			}
			rule.summer_offset = -west;
		}
		if (!take(&at, ',') || !take_change(&at, &rule.to_summer) || !take(&at, ',') ||
			!take_change(&at, &rule.to_standard) || *at != '\0') {
			return false;
		}
	}
	*rule_out = rule;
	return true;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static calendar_day change_day(const struct time_zone_change *change, int year)
{
	calendar_day new_year = calendar_day_of_date(year, 1, 1);
	if (change->kind == TIME_ZONE_DAY_OF_YEAR) {
		return new_year + change->day;
	}
	if (change->kind == TIME_ZONE_JULIAN) {
		/* February 29 is never counted. */
		return new_year + change->day - 1 +
		       (change->day > JULIAN_FEBRUARY_END && is_leap(year));
	}
	calendar_day first = calendar_day_of_date(year, change->month, 1);
	int weekday = (int)(((first % 7) + 7 + 4) % 7); /* 1970-01-01 was a Thursday, 4 */
	calendar_day day = first + (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
	while (day >= calendar_month_end(first)) {
		day -= 7;
	}
	return day;
}

static int64_t change_at(const struct time_zone_change *change, int year, int32_t offset_before)
{
	return (int64_t)change_day(change, year) * DAY_SECONDS + change->seconds - offset_before;
}

int32_t time_zone_rule_offset(const struct time_zone_rule *rule, int64_t unix_seconds)
{
	if (!rule->has_summer) {
		return rule->standard_offset;
	}
	int64_t local = unix_seconds + rule->standard_offset;
	calendar_day day = (calendar_day)(local / DAY_SECONDS - (local % DAY_SECONDS < 0));
	int year = calendar_date_of(day).year;
	int64_t begins = change_at(&rule->to_summer, year, rule->standard_offset);
	int64_t ends = change_at(&rule->to_standard, year, rule->summer_offset);
	bool is_summer = begins < ends ? unix_seconds >= begins && unix_seconds < ends
				       : unix_seconds >= begins || unix_seconds < ends;
	return is_summer ? rule->summer_offset : rule->standard_offset;
}
