/*
 * units: decimal fixed point in 128 bits, so that every fraction people write is exact or rounded
 * once, and nothing overflows unseen.
 */
#include "base/units.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* More digits than any unit here can use; further ones are refused, not dropped. */
#define FRACTION_DIGITS_MAX 9
#define FRACTION_SCALE      1000000000u

typedef unsigned __int128 wide;

struct unit {
	const char *name;
	uint64_t factor;
};

/* Smallest first. */
static const struct unit size_units[] = {{"B", 1}, {"kB", 1ull << 10}, {"MB", 1ull << 20},
	{"GB", 1ull << 30}, {"TB", 1ull << 40}, {NULL}};
static const struct unit time_units[] = {{"ms", 1000}, {"s", 1000000}, {"min", 60000000},
	{"h", 3600000000}, {"d", 86400000000}, {NULL}};
/* In the order in which they are tried when formatting, last first: bits are what people buy. */
static const struct unit rate_units[] = {{"kB/s", 1024}, {"kbit/s", 125}, {"MB/s", 1048576},
	{"Mbit/s", 125000}, {"Gbit/s", 125000000}, {NULL}};
static const struct unit percent_units[] = {{"%", 100}, {NULL}};
static const struct unit nano_units[] = {{"", 1000000000}, {NULL}};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Value times FRACTION_SCALE; NULL: no number, or too large to be one. */
static const char *parse_decimal(const char *text, wide *scaled_out)
{
	uint64_t whole = 0, fraction = 0, scale = FRACTION_SCALE;

	if (!is_digit(*text)) {
		return NULL;
	}
	for (; is_digit(*text); text++) {
		if (__builtin_mul_overflow(whole, 10u, &whole) ||
			__builtin_add_overflow(whole, (uint64_t)(*text - '0'), &whole)) {
			return NULL;
		}
	}
	if (*text == '.') {
		text++;
		if (!is_digit(*text)) {
			return NULL;
		}
		for (; is_digit(*text); text++) {
			if (scale == 1) {
				return NULL;
			}
			scale /= 10;
			fraction += (uint64_t)(*text - '0') * scale;
		}
	}
	*scaled_out = (wide)whole * FRACTION_SCALE + fraction;
	return text;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (const struct unit *unit = units; unit->name != NULL; unit++) {
		if (strcmp(unit->name, name) == 0) {
			return unit;
		}
	}
	return NULL;
}

static bool parse(const char *text, const struct unit *units, uint64_t max, uint64_t *out)
{
	const struct unit *unit;
	const char *rest;
	wide scaled, value;

	rest = parse_decimal(text, &scaled);
	if (rest == NULL) {
		return false;
	}
	if (*rest == '\0' && scaled == 0) {
		*out = 0;
		return true;
	}
	rest += strspn(rest, " \t");
	unit = find_unit(units, rest);
	/* A factor has at most 41 bits and scaled at most 94: the product may not fit. */
	if (unit == NULL || scaled > (wide)UINT64_MAX * FRACTION_SCALE / unit->factor) {
		return false;
	}
	value = (scaled * unit->factor + FRACTION_SCALE / 2) / FRACTION_SCALE;
	if (value > max) {
		return false;
	}
	*out = (uint64_t)value;
	return true;
}

bool units_parse_size(const char *text, uint64_t *bytes_out)
{
	return parse(text, size_units, UINT64_MAX, bytes_out);
}

bool units_parse_time(const char *text, int64_t *us_out)
{
	uint64_t us;

	if (!parse(text, time_units, INT64_MAX, &us)) {
		return false;
	}
	*us_out = (int64_t)us;
	return true;
}

bool units_parse_rate(const char *text, uint64_t *bytes_per_second_out)
{
	return parse(text, rate_units, UINT64_MAX, bytes_per_second_out);
}

bool units_parse_percent(const char *text, unsigned *basis_points_out)
{
	uint64_t basis_points;

	if (!parse(text, percent_units, UINT32_MAX, &basis_points)) {
		return false;
	}
	*basis_points_out = (unsigned)basis_points;
	return true;
}

bool units_parse_nanos(const char *text, int64_t *nanos_out)
{
	uint64_t nanos;

	if (!parse(text, nano_units, INT64_MAX, &nanos)) {
		return false;
	}
	*nanos_out = (int64_t)nanos;
	return true;
}

static const struct unit *largest_exact(uint64_t value, const struct unit *units)
{
	const struct unit *found = NULL;

	for (const struct unit *unit = units; unit->name != NULL; unit++) {
		if (value % unit->factor == 0) {
			found = unit;
		}
	}
	return found;
}

/* value / factor as a decimal without zeros at its end. factor divides FRACTION_SCALE times some
 * power of ten for every unit this is asked for, so it is exact. */
static char *format_decimal(
	uint64_t value, uint64_t factor, const char *name, char text_out[UNITS_TEXT_SIZE])
{
	uint64_t fraction = (uint64_t)((wide)(value % factor) * FRACTION_SCALE / factor);
	int digits = FRACTION_DIGITS_MAX;

	assert((wide)fraction * factor == (wide)(value % factor) * FRACTION_SCALE);
	while (digits > 0 && fraction % 10 == 0) {
		fraction /= 10;
		digits--;
	}
	if (digits == 0) {
		(void)snprintf(text_out, UNITS_TEXT_SIZE, "%llu%s",
			(unsigned long long)(value / factor), name);
	} else {
		(void)snprintf(text_out, UNITS_TEXT_SIZE, "%llu.%0*llu%s",
			(unsigned long long)(value / factor), digits, (unsigned long long)fraction,
			name);
	}
	return text_out;
}

/* smallest: the unit for what no unit divides. */
static char *format(uint64_t value, const struct unit *units, const struct unit *smallest,
	char text_out[UNITS_TEXT_SIZE])
{
	const struct unit *unit = largest_exact(value, units);

	if (value == 0) {
		return strcpy(text_out, "0");
	}
	if (unit == NULL) {
		unit = smallest;
	}
	return format_decimal(value, unit->factor, unit->name, text_out);
}

char *units_format_size(uint64_t bytes, char text_out[UNITS_TEXT_SIZE])
{
	return format(bytes, size_units, &size_units[0], text_out);
}

char *units_format_time(int64_t us, char text_out[UNITS_TEXT_SIZE])
{
	assert(us >= 0);
	return format((uint64_t)us, time_units, &time_units[0], text_out);
}

char *units_format_rate(uint64_t bytes_per_second, char text_out[UNITS_TEXT_SIZE])
{
	return format(bytes_per_second, rate_units, &rate_units[1], text_out);
}

char *units_format_percent(unsigned basis_points, char text_out[UNITS_TEXT_SIZE])
{
	return format_decimal(basis_points, 100, "%", text_out);
}

char *units_format_nanos(int64_t nanos, char text_out[UNITS_TEXT_SIZE])
{
	assert(nanos >= 0);
	return format_decimal((uint64_t)nanos, 1000000000, "", text_out);
}
