/*
 * time_zone: how far the clocks of a place are from UTC at a given moment.
 *
 * Read once from the system's zone files and then independent of the process's own TZ, so that a
 * reload can change it while other threads run. Sources: RFC 8536 (TZif, versions 1 to 4), and
 * POSIX 8.3 with RFC 8536's extension of hours for the rule that holds after the last listed
 * change. Immutable: any thread.
 */
#ifndef DESTINATION_TIME_ZONE_H
#define DESTINATION_TIME_ZONE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct time_zone;

/* "UTC" needs no file; other names are of /usr/share/zoneinfo. */
struct time_zone *time_zone_open(const char *name, struct error *err) MUST_CHECK;
/* The same from the bytes of a zone file. */
struct time_zone *time_zone_parse(
	const char *name, const uint8_t *bytes, size_t length, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void time_zone_free(struct time_zone **zone);

const char *time_zone_name(const struct time_zone *zone);
/* Seconds to add to UTC at that moment (seconds since 1970). */
int32_t time_zone_offset(const struct time_zone *zone, int64_t unix_seconds);

#endif
