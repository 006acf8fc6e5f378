/*
 * config_numbers: the types whose field is a number: booleans, choices, integers and what has
 * units.
 */
#include "app/config_options.h"
#include "base/log.h"
#include "base/units.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Choices are stored as int whatever their enum. */
_Static_assert(sizeof(enum log_level) == sizeof(int), "an enum is not an int");
_Static_assert(sizeof(enum config_over_limit_action) == sizeof(int), "an enum is not an int");

/* Writes a number as the type's users do. */
typedef char *format_number(uint64_t number, char text_out[UNITS_TEXT_SIZE]);

static bool expect_range(const struct config_option *option, const char *what,
	format_number *format, struct error *err)
{
	char min[UNITS_TEXT_SIZE], max[UNITS_TEXT_SIZE];
	const char *empty = (option->flags & CONFIG_EMPTY_OK) != 0 ? ", or nothing" : "";

	format((uint64_t)option->min, min);
	format((uint64_t)option->max, max);
	if (option->max == INT64_MAX) {
		return error_set(err, ERROR_INVALID, "expected %s, %s or more%s", what, min, empty);
	}
	return error_set(err, ERROR_INVALID, "expected %s from %s to %s%s", what, min, max, empty);
}

static bool is_in_range(const struct config_option *option, uint64_t number)
{
	return number >= (uint64_t)option->min && number <= (uint64_t)option->max;
}

static bool is_none(const struct config_option *option, const char *text)
{
	return *text == '\0' && (option->flags & CONFIG_EMPTY_OK) != 0;
}

/* What an empty value set is printed as one. */
static void write_number(
	const struct config_option *option, uint64_t number, format_number *format, FILE *out)
{
	char text[UNITS_TEXT_SIZE];

	if (number != 0 || (option->flags & CONFIG_EMPTY_OK) == 0) {
		(void)fputs(format(number, text), out);
	}
}

static bool bool_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	static const char *const spellings[] = {
		"off", "on", "false", "true", "no", "yes", "0", "1"};

	(void)option;
	(void)scope;
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		if (strcmp(text, spellings[i]) == 0) {
			*(bool *)field = i % 2 == 1;
			return true;
		}
	}
	return error_set(err, ERROR_INVALID, "expected \"on\" or \"off\"");
}

static void bool_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)option;
	(void)scope;
	(void)fputs(*(const bool *)field ? "on" : "off", out);
}

static bool choice_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	char expected[128] = "";

	(void)scope;
	for (int i = 0; option->names[i] != NULL; i++) {
		size_t length = strlen(expected);

		if (strcmp(text, option->names[i]) == 0) {
			*(int *)field = i;
			return true;
		}
		(void)snprintf(expected + length, sizeof(expected) - length, "%s\"%s\"",
			i == 0                         ? ""
			: option->names[i + 1] == NULL ? " or "
						       : ", ",
			option->names[i]);
	}
	return error_set(err, ERROR_INVALID, "expected %s", expected);
}

static void choice_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)scope;
	(void)fputs(option->names[*(const int *)field], out);
}

static bool integer_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	char *end;
	long number;

	(void)scope;
	errno = 0;
	number = strtol(text, &end, 10);
	/* strtol() takes leading blanks and "+". */
	if (strchr("0123456789-", *text) == NULL || end == text || *end != '\0' || errno != 0 ||
		number < option->min || number > option->max) {
		return error_set(err, ERROR_INVALID, "expected an integer from %lld to %lld",
			(long long)option->min, (long long)option->max);
	}
	*(int *)field = (int)number;
	return true;
}

static void integer_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)option;
	(void)scope;
	(void)fprintf(out, "%d", *(const int *)field);
}

static bool size_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	uint64_t bytes = 0;

	(void)scope;
	if (!is_none(option, text) &&
		(!units_parse_size(text, &bytes) || !is_in_range(option, bytes))) {
		return expect_range(
			option, "a size with a unit (B kB MB GB TB)", units_format_size, err);
	}
	*(uint64_t *)field = bytes;
	return true;
}

static void size_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)scope;
	write_number(option, *(const uint64_t *)field, units_format_size, out);
}

static char *format_time(uint64_t us, char text_out[UNITS_TEXT_SIZE])
{
	return units_format_time((int64_t)us, text_out);
}

static bool time_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	int64_t us = 0;

	(void)scope;
	if (!is_none(option, text) &&
		(!units_parse_time(text, &us) || !is_in_range(option, (uint64_t)us))) {
		return expect_range(option, "a time with a unit (ms s min h d)", format_time, err);
	}
	*(int64_t *)field = us;
	return true;
}

static void time_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)scope;
	write_number(option, (uint64_t) * (const int64_t *)field, format_time, out);
}

static bool rate_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	uint64_t rate = 0;

	(void)scope;
	if (!is_none(option, text) &&
		(!units_parse_rate(text, &rate) || !is_in_range(option, rate))) {
		return expect_range(option, "a rate with a unit (kbit/s Mbit/s Gbit/s kB/s MB/s)",
			units_format_rate, err);
	}
	*(uint64_t *)field = rate;
	return true;
}

static void rate_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)scope;
	write_number(option, *(const uint64_t *)field, units_format_rate, out);
}

static char *format_percent(uint64_t basis_points, char text_out[UNITS_TEXT_SIZE])
{
	return units_format_percent((unsigned)basis_points, text_out);
}

static bool percent_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	unsigned basis_points;

	(void)scope;
	if (!units_parse_percent(text, &basis_points) || !is_in_range(option, basis_points)) {
		return expect_range(option, "a percentage", format_percent, err);
	}
	*(unsigned *)field = basis_points;
	return true;
}

static void percent_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)scope;
	write_number(option, *(const unsigned *)field, format_percent, out);
}

static bool billing_gb_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	if (strcmp(text, "2^30") == 0) {
		*(uint64_t *)field = 1u << 30;
	} else if (strcmp(text, "10^9") == 0) {
		*(uint64_t *)field = 1000000000;
	} else {
		return error_set(err, ERROR_INVALID, "expected \"2^30\" or \"10^9\"");
	}
	return true;
}

static void billing_gb_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)option;
	(void)scope;
	(void)fputs(*(const uint64_t *)field == 1000000000 ? "10^9" : "2^30", out);
}

const struct config_type config_type_bool = {bool_parse, bool_format, NULL, sizeof(bool)};
const struct config_type config_type_choice = {choice_parse, choice_format, NULL, sizeof(int)};
const struct config_type config_type_integer = {integer_parse, integer_format, NULL, sizeof(int)};
const struct config_type config_type_size = {size_parse, size_format, NULL, sizeof(uint64_t)};
const struct config_type config_type_time = {time_parse, time_format, NULL, sizeof(int64_t)};
const struct config_type config_type_rate = {rate_parse, rate_format, NULL, sizeof(uint64_t)};
const struct config_type config_type_percent = {
	percent_parse, percent_format, NULL, sizeof(unsigned)};
const struct config_type config_type_billing_gb = {
	billing_gb_parse, billing_gb_format, NULL, sizeof(uint64_t)};
