/*
 * human: divides until three digits are left before the unit.
 */
#include "base/human.h"

#include <stdio.h>

static char *format(double value, double step, const char *const *units, char *text_out)
{
	while (value >= step * 0.9995 && units[1] != NULL) {
		value /= step;
		units++;
	}
	int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	snprintf(text_out, HUMAN_SIZE, "%.*f %s", digits, value, *units);
	return text_out;
}

char *human_bytes(uint64_t bytes, char text_out[HUMAN_SIZE])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", NULL};
	if (bytes < 1000) {
		snprintf(text_out, HUMAN_SIZE, "%u B", (unsigned)bytes);
		return text_out;
	}
	return format((double)bytes, 1024, units, text_out);
}

char *human_rate(uint64_t bytes_per_second, char text_out[HUMAN_SIZE])
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", NULL};
	return format((double)bytes_per_second * 8, 1000, units, text_out);
}

char *human_duration(double seconds, char text_out[HUMAN_SIZE])
{
	long whole = seconds < 1e9 ? (long)(seconds + 0.5) : 1000000000;
	if (seconds < 99.5) {
		int digits = seconds >= 9.95 ? 0 : seconds >= 0.995 ? 1 : 2;
		snprintf(text_out, HUMAN_SIZE, "%.*f s", digits, seconds);
	} else if (whole < 5400) {
		snprintf(text_out, HUMAN_SIZE, "%ld min", (whole + 30) / 60);
	} else if (whole < 129600) {
		long minutes = (whole + 30) / 60;
		snprintf(text_out, HUMAN_SIZE, "%ld h %ld min", minutes / 60, minutes % 60);
	} else {
		snprintf(text_out, HUMAN_SIZE, "%ld d", (whole + 43200) / 86400);
	}
	return text_out;
}
