/*
 * fetched_file: names by their letters, contents by the walk that the spool's own recovery does.
 */
#include "upstream/fetched_file.h"

#include "spool/timeline_history.h"
#include "spool/wal_scan.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENT_LETTERS 24
#define TLI_LETTERS     8

void fetched_name_parse(const char *name, struct fetched_name *name_out)
{
	struct fetched_name parsed = {.kind = FETCHED_OTHER};
	size_t letters = strspn(name, "0123456789ABCDEF");
	char tli[TLI_LETTERS + 1] = "";
	if (timeline_history_file_name_parse(name, &parsed.tli)) {
		parsed.kind = FETCHED_HISTORY;
	} else if (letters == SEGMENT_LETTERS &&
		   (name[letters] == '\0' || strcmp(name + letters, ".partial") == 0)) {
		parsed.kind = name[letters] == '\0' ? FETCHED_SEGMENT : FETCHED_PARTIAL;
		memcpy(tli, name, TLI_LETTERS);
		memcpy(parsed.segment, name, SEGMENT_LETTERS);
		parsed.tli = (tli_t)strtoul(tli, NULL, 16);
	}
	*name_out = parsed;
}

static const uint8_t *page_at(void *context, lsn_t page_lsn)
{
	const struct fetched_segment *segment = context;
	return segment->bytes + (page_lsn - segment->start_lsn);
}

bool fetched_segment_check(const struct fetched_segment *segment, struct error *err)
{
	struct wal_scan scan;
	struct fetched_segment context = *segment;
	wal_scan_init(
		&scan, page_at, &context, segment->tli, segment->segment_bytes, segment->start_lsn);
	if (wal_scan_run(&scan, segment->end_lsn) != WAL_SCAN_MORE) {
		return error_set(err, ERROR_INVALID,
			"what was received is not WAL at " LSN_FORMAT ": %s",
			LSN_ARGS(scan.bad_lsn), scan.bad_reason);
	}
	if (scan.system_identifier != segment->system_identifier) {
		return error_set(err, ERROR_INVALID,
			"what was received is WAL of system identifier %llu, not %llu",
			(unsigned long long)scan.system_identifier,
			(unsigned long long)segment->system_identifier);
	}
	return true;
}
