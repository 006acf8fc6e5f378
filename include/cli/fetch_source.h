/*
 * fetch_source: one try to get one file of WAL from a relay over its replication port.
 *
 * Blocks. Each step is bounded: connecting by the conninfo's connect_timeout (10 s without), the
 * rest by 30 s without a byte.
 */
#ifndef CLI_FETCH_SOURCE_H
#define CLI_FETCH_SOURCE_H

#include "base/error.h"
#include "cli/fetched_file.h"

#include <stddef.h>
#include <stdint.h>

enum fetch_result {
	FETCH_DONE,
	FETCH_ABSENT, /* the relay answered: it has no such file, or not all of it yet */
	FETCH_FAILED, /* err says why; may be tried again */
};

struct fetched_bytes {
	uint8_t *bytes; /* malloc'ed, checked; of a segment all of it */
	size_t length;
};

/* bytes_out is set with FETCH_DONE only. */
enum fetch_result fetch_from(const char *conninfo, const struct fetched_name *name,
	struct fetched_bytes *bytes_out, struct error *err);

#endif
