/*
 * fetch_source: a connection to a server or relay from which files of WAL are had one by one, over
 * its replication port.
 *
 * Blocks. Each step is bounded: connecting by the conninfo's connect_timeout (10 s without), the
 * rest by 30 s without a byte. One thread at a time.
 */
#ifndef UPSTREAM_FETCH_SOURCE_H
#define UPSTREAM_FETCH_SOURCE_H

#include "base/error.h"
#include "upstream/fetched_file.h"

#include <stdatomic.h>
#include <stdbool.h>
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

struct fetch_source;

/* NULL: it cannot be reached. is_cancelled: looked at while waiting, and ends what waits; NULL:
 * nothing does. */
struct fetch_source *fetch_source_open(const char *conninfo, const char *application_name,
	const atomic_bool *is_cancelled, struct error *err) MUST_CHECK;
/* Accepts NULL, sets NULL. */
void fetch_source_close(struct fetch_source **source);
/* After FETCH_FAILED nothing more can be had from it. bytes_out is set with FETCH_DONE only. */
enum fetch_result fetch_source_get(struct fetch_source *source, const struct fetched_name *name,
	struct fetched_bytes *bytes_out, struct error *err);
/* Whose WAL came; after FETCH_DONE of a segment. */
uint64_t fetch_source_system_identifier(const struct fetch_source *source);

#endif
