/*
 * status: a snapshot as the JSON of /api/status.
 *
 * Spelled as observe/json_values says; what is not known is null. Paces ("..._per_second",
 * "catch_up_seconds", "seconds_left") are of the last ten seconds.
 */
#ifndef OBSERVE_STATUS_H
#define OBSERVE_STATUS_H

#include "observe/snapshot.h"

struct history;

/* malloc'ed. history: NULL: without it. */
char *status_format(const struct snapshot *snapshot, const struct history *history);

#endif
