/*
 * usage: what destinations used and cost, as the JSON of /api/usage, and where they stand now, for
 * that and for /api/status.
 *
 * Days are of the configured time zone; money is in the currency as a number with fractions; what
 * is not known is null.
 */
#ifndef OBSERVE_USAGE_H
#define OBSERVE_USAGE_H

#include "base/error.h"
#include "observe/snapshot.h"

#include <jansson.h>

#define USAGE_DESTINATION_SIZE 128

struct usage_request {
	char destination[USAGE_DESTINATION_SIZE]; /* "": all */
	calendar_day first;
	calendar_day last;
	bool by_month;
};

/* Texts of a query, each may be NULL: "2026-01-31" or "2026-01" (from its first day, to its last);
 * "day" or "month". By day the present month, by month the last twelve where nothing is said. */
bool usage_request_read(const char *from, const char *to, const char *by, const char *destination,
	calendar_day today, struct usage_request *request_out, struct error *err) MUST_CHECK;

/* malloc'ed. */
char *usage_format(const struct snapshot *snapshot, const struct destinations *destinations,
	const struct usage_request *request);
/* All destinations as an array. */
json_t *usage_destinations(const struct snapshot *snapshot);

#endif
