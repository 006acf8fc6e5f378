/*
 * config_schedule: a destination's caps by the hour and the day.
 */
#include "app/config_options.h"
#include "base/memory.h"
#include "base/units.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MINUTES (24 * 60)
#define ALL_DAYS    0x7fu

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* "HH:MM", 24:00 being the end of the day. */
static const char *clock_parse(const char *text, unsigned *minute_out)
{
	unsigned hour, minute;

	if (strspn(text, "0123456789") != 2 || text[2] != ':' ||
		strspn(text + 3, "0123456789") != 2) {
		return NULL;
	}
	hour = (unsigned)atoi(text);
	minute = (unsigned)atoi(text + 3);
	if (minute > 59 || hour * 60 + minute > DAY_MINUTES) {
		return NULL;
	}
	*minute_out = hour * 60 + minute;
	return text + 5;
}

static bool hours_parse(const char *text, struct config_rate_window *window)
{
	const char *rest = clock_parse(text, &window->start_minute);

	if (rest == NULL || *rest != '-') {
		return false;
	}
	rest = clock_parse(rest + 1, &window->end_minute);
	return rest != NULL && *rest == '\0' && window->start_minute < DAY_MINUTES &&
	       window->start_minute != window->end_minute;
}

static bool day_parse(const char *text, size_t length, unsigned *day_out)
{
	for (unsigned day = 0; day < 7; day++) {
		if (length == 3 && strncasecmp(text, day_names[day], 3) == 0) {
			*day_out = day;
			return true;
		}
	}
	return false;
}

/* "mon" or "mon-fri"; a range may run over the end of the week. */
static bool days_parse(const char *text, unsigned *days_out)
{
	size_t length = strcspn(text, "-");
	unsigned first, last, days;

	if (!day_parse(text, length, &first)) {
		return false;
	}
	last = first;
	if (text[length] == '-' &&
		!day_parse(text + length + 1, strlen(text + length + 1), &last)) {
		return false;
	}
	days = 1u << last;
	for (unsigned day = first; day != last; day = (day + 1) % 7) {
		days |= 1u << day;
	}
	*days_out = days;
	return true;
}

static bool take_window(void *context, const char *piece, struct error *err)
{
	struct config_rate_schedule *schedule = context;
	struct config_rate_window window = {.days = ALL_DAYS};
	char hours[16], days[16];
	const char *rest = config_next_word(piece, hours, sizeof(hours));
	const char *rate = config_next_word(rest, days, sizeof(days));

	if (*days >= '0' && *days <= '9') {
		rate = rest;
	} else if (!days_parse(days, &window.days)) {
		rate = "";
	}
	if (!hours_parse(hours, &window) || !units_parse_rate(rate, &window.bytes_per_second) ||
		window.bytes_per_second == 0) {
		return error_set(err, ERROR_INVALID,
			"expected \"HH:MM-HH:MM [DAY[-DAY]] RATE\" such as \"08:00-18:00 mon-fri "
			"20Mbit/s\", not \"%.80s\"",
			piece);
	}
	schedule->items = memory_grow(schedule->items, schedule->count, sizeof(window));
	schedule->items[schedule->count++] = window;
	return true;
}

static void rate_schedule_release(void *field)
{
	struct config_rate_schedule *schedule = field;

	free(schedule->items);
	*schedule = (struct config_rate_schedule){0};
}

static bool rate_schedule_parse(const struct config_option *option,
	const struct config_scope *scope, const char *text, void *field, struct error *err)
{
	struct config_rate_schedule schedule = {0};

	(void)option;
	(void)scope;
	if (!config_split(text, take_window, &schedule, err)) {
		rate_schedule_release(&schedule);
		return false;
	}
	*(struct config_rate_schedule *)field = schedule;
	return true;
}

static void write_days(unsigned days, FILE *out)
{
	unsigned first = 0, last;

	if (days == ALL_DAYS) {
		return;
	}
	/* What was parsed is one run of days, perhaps over the end of the week. */
	while ((days & (1u << first)) == 0 || (days & (1u << (first + 6) % 7)) != 0) {
		first++;
	}
	last = first;
	while ((days & (1u << (last + 1) % 7)) != 0) {
		last = (last + 1) % 7;
	}
	(void)fprintf(out, "%s", day_names[first]);
	if (last != first) {
		(void)fprintf(out, "-%s", day_names[last]);
	}
	(void)fputc(' ', out);
}

static void rate_schedule_format(const struct config_option *option,
	const struct config_scope *scope, const void *field, FILE *out)
{
	const struct config_rate_schedule *schedule = field;
	char rate[UNITS_TEXT_SIZE];

	(void)option;
	(void)scope;
	for (size_t i = 0; i < schedule->count; i++) {
		const struct config_rate_window *window = &schedule->items[i];

		(void)fprintf(out, "%s%02u:%02u-%02u:%02u ", i == 0 ? "" : ", ",
			window->start_minute / 60, window->start_minute % 60,
			window->end_minute / 60, window->end_minute % 60);
		write_days(window->days, out);
		(void)fputs(units_format_rate(window->bytes_per_second, rate), out);
	}
}

const struct config_type config_type_rate_schedule = {rate_schedule_parse, rate_schedule_format,
	rate_schedule_release, sizeof(struct config_rate_schedule)};
