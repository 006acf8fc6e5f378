/*
 * retention: the oldest WAL that must stay on disk, who needs it, and whom max_size takes it from.
 *
 * One pure function. The horizon is the start of a segment: segments before it may be deleted. It
 * follows from these rules; in each the older LSN wins, and all round down to a segment's start.
 *  1. The segment being written and the one before it always stay: standbys ask again from the
 * start of their segment, and a restart of the relay compares the overlap there.
 *  2. retain_size keeps that many bytes behind received, retain_time what is younger: whichever
 *     keeps more.
 *  3. A holder (slot, pin, cursor, link) keeps from its LSN; one without an LSN keeps nothing. A
 * holder that needs WAL from before the oldest held keeps all there is.
 *  4. What the archive has not taken yet stays.
 *  5. max_size is a ceiling for everything on disk, the segment being written counted whole and
 *     other_bytes counted too. Under it 2 and 4 give way, and so does every holder that needs a
 *     segment before the ceiling's: it is lost. That is how the ones that hold most WAL go first,
 *     and no more of them than it takes. Rule 1 never gives way: a max_size below it is exceeded.
 *  6. The horizon is never before the oldest held and never moves past what rule 1 keeps.
 * The caller deletes, marks the lost and says so loudly, before and after; and where the archive
 * gave way too.
 */
#ifndef SPOOL_RETENTION_H
#define SPOOL_RETENTION_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum retention_holder_kind {
	RETENTION_SLOT,
	RETENTION_PIN,
	RETENTION_CURSOR,
	RETENTION_LINK, /* batches of the link may refer to it */
};

struct retention_holder {
	enum retention_holder_kind kind;
	const char *name; /* borrowed */
	lsn_t lsn;        /* first byte it needs; LSN_INVALID: none */
};

struct retention_input {
	uint32_t segment_bytes;
	lsn_t oldest_lsn;   /* first byte held, at a segment's start */
	lsn_t received_lsn; /* not before oldest_lsn */
	uint64_t retain_bytes;
	lsn_t retain_time_lsn; /* oldest LSN young enough for retain_time; LSN_INVALID: no such rule
				*/
	uint64_t max_bytes;    /* 0: no ceiling */
	uint64_t other_bytes; /* on disk besides [oldest, received]: prepared segments, other ranges
			       */
	bool has_archive;
	lsn_t archived_lsn; /* with has_archive: what lies before it is safe elsewhere */
	const struct retention_holder *holders;
	size_t holder_count;
};

/* Who keeps the horizon's segment. Where several do, the first in this order is named: dropping a
 * slot that stands in a segment that retain_size keeps anyway would free nothing. */
enum retention_reason {
	RETENTION_BY_MAX_SIZE, /* the ceiling moved it: somebody wanted more */
	RETENTION_BY_TAIL,     /* rule 1 */
	RETENTION_BY_SIZE,
	RETENTION_BY_TIME,
	RETENTION_BY_ARCHIVE,
	RETENTION_BY_HOLDER, /* the one that needs most; `holder` tells which */
};

#define RETENTION_REASON_SIZE 96

struct retention_decision {
	lsn_t horizon_lsn;
	enum retention_reason reason;
	size_t holder;       /* with RETENTION_BY_HOLDER: index into holders */
	uint64_t room_bytes; /* with max_bytes: for whole segments up to the one being written */
	lsn_t ceiling_lsn; /* nobody can hold WAL from before this; 0: no ceiling, or not reached */
	size_t lost_count;
	bool is_archive_lost; /* WAL goes that the archive has not taken */
	bool exceeds_max;     /* even what rule 1 keeps is more than max_size: stop receiving */
};

/* lost_out has room for holder_count indexes; the first lost_count are set, those that hold most
 * first. Only holders whose WAL this decision takes are lost, not those who came too late. */
void retention_decide(const struct retention_input *input, struct retention_decision *decision_out,
	size_t *lost_out);

/* "retain_size", "slot \"s1\"", "max_size", ... and returns text_out. */
char *retention_reason_format(const struct retention_input *input,
	const struct retention_decision *decision, char text_out[RETENTION_REASON_SIZE]);

#endif
