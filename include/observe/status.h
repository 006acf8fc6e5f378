/*
 * status: a snapshot as the JSON of /api/status.
 *
 * LSNs are text as PostgreSQL writes them, times ISO 8601 in UTC, sizes bytes; what is not known is
 * null.
 */
#ifndef OBSERVE_STATUS_H
#define OBSERVE_STATUS_H

#include "observe/snapshot.h"

/* malloc'ed. */
char *status_format(const struct snapshot *snapshot);

#endif
