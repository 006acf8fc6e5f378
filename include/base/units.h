/*
 * units: sizes, times, rates, percentages and decimals as people write them.
 *
 * "VALUE UNIT" with an optional blank; VALUE may have a fraction; units are case-sensitive, as
 * PostgreSQL's, and only 0 may go without one. Nothing overflows: what does not fit is not parsed.
 * Formatting is exact: what it writes parses to the same number.
 *   size     B kB MB GB TB             powers of 1024                 -> bytes
 *   time     ms s min h d                                             -> microseconds
 *   rate     kbit/s Mbit/s Gbit/s      powers of 1000, 8 bits a byte  -> bytes a second
 *            kB/s MB/s                 powers of 1024
 *   percent  %                                                        -> basis points (80% is 8000)
 *   nanos    (none)                                                   -> 10^-9
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define UNITS_TEXT_SIZE 40

bool units_parse_size(const char *text, uint64_t *bytes_out) MUST_CHECK;
bool units_parse_time(const char *text, int64_t *us_out) MUST_CHECK;
bool units_parse_rate(const char *text, uint64_t *bytes_per_second_out) MUST_CHECK;
bool units_parse_percent(const char *text, unsigned *basis_points_out) MUST_CHECK;
bool units_parse_nanos(const char *text, int64_t *nanos_out) MUST_CHECK;

/* Each writes the text with its end into text_out and returns text_out. Numbers are not negative.
 */
char *units_format_size(uint64_t bytes, char text_out[UNITS_TEXT_SIZE]);
char *units_format_time(int64_t us, char text_out[UNITS_TEXT_SIZE]);
char *units_format_rate(uint64_t bytes_per_second, char text_out[UNITS_TEXT_SIZE]);
char *units_format_percent(unsigned basis_points, char text_out[UNITS_TEXT_SIZE]);
char *units_format_nanos(int64_t nanos, char text_out[UNITS_TEXT_SIZE]);

#endif
