/*
 * upstream_choice: which timeline to follow, from where, or why not.
 *
 * A pure decision over what we hold and what the server says of itself. WAL is always asked for
 * from the start of the segment that holds our last byte (or the server's, when it is behind us),
 * so that the bytes we have there are compared with the server's. Timelines are followed one fork
 * at a time: after a switch the decision is taken anew.
 */
#ifndef UPSTREAM_UPSTREAM_CHOICE_H
#define UPSTREAM_UPSTREAM_CHOICE_H

#include "protocol/lsn.h"
#include "spool/timeline_history.h"

#include <stdint.h>

struct upstream_choice_input {
	const struct timeline_history *ours; /* NULL: nothing begun */
	lsn_t oldest_lsn;                    /* first byte of the live range still held */
	lsn_t received_lsn;                  /* on our current timeline */
	const struct timeline_history *theirs;
	lsn_t server_lsn; /* IDENTIFY_SYSTEM's xlogpos, on their current timeline */
	uint32_t segment_bytes;
};

enum upstream_choice_kind {
	UPSTREAM_CHOICE_FIRST_CONTACT,
	UPSTREAM_CHOICE_CONTINUE, /* stream tli from start_lsn */
	UPSTREAM_CHOICE_SWITCH,   /* our timeline ended at fork_lsn: go on as tli, then choose again
				   */
	UPSTREAM_CHOICE_BEHIND,   /* our timeline, but the server has none of what we hold */
	UPSTREAM_CHOICE_STALE,    /* the server is on a timeline ours descends from */
	UPSTREAM_CHOICE_UNRELATED, /* neither descends from the other */
};

struct upstream_choice {
	enum upstream_choice_kind kind;
	tli_t tli;
	lsn_t start_lsn;
	lsn_t fork_lsn;
	/* Our end, where it is a segment's start and start_lsn the one before: the server may have
	 * removed that, and then streams from here without a comparison. Else LSN_INVALID. */
	lsn_t fallback_lsn;
};

struct upstream_choice upstream_choose(const struct upstream_choice_input *input);

/* The timeline of a history that lsn belongs to: a switchpoint belongs to the timeline it begins.
 */
tli_t upstream_timeline_of(const struct timeline_history *history, lsn_t lsn);

#endif
