/*
 * fetched_file: what a restore_command asks for by name, and whether bytes are a whole one of it.
 * Pure functions.
 */
#ifndef UPSTREAM_FETCHED_FILE_H
#define UPSTREAM_FETCHED_FILE_H

#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stdint.h>

enum fetched_kind {
	FETCHED_SEGMENT, /* "TTTTTTTTXXXXXXXXYYYYYYYY" */
	FETCHED_PARTIAL, /* the same and ".partial": the last of a timeline, up to the switch */
	FETCHED_HISTORY, /* "TTTTTTTT.history" */
	FETCHED_OTHER,   /* what no relay has, such as backup history files */
};

struct fetched_name {
	enum fetched_kind kind;
	tli_t tli;        /* but of others */
	char segment[25]; /* the name without ".partial" */
};

void fetched_name_parse(const char *name, struct fetched_name *name_out);

struct fetched_segment {
	const uint8_t *bytes; /* segment_bytes of them */
	uint32_t segment_bytes;
	lsn_t start_lsn;
	lsn_t end_lsn; /* of what was received; after it zeros */
	tli_t tli;
	uint64_t system_identifier;
};

/* Page headers name their places and the cluster, records are linked and have their checksums. */
bool fetched_segment_check(const struct fetched_segment *segment, struct error *err) MUST_CHECK;

#endif
