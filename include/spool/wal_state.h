/*
 * wal_state: what the store remembers in the state database: which stretches of WAL it holds, and
 * from where each restart has to prove the live one.
 *
 * A stretch is WAL of one timeline without a hole. A range is a chain of them along one line of
 * timelines: each but the last ends where the next timeline forks off. At most one stretch of all
 * is live: the last of the last range. Functions that take a database block until it committed.
 */
#ifndef SPOOL_WAL_STATE_H
#define SPOOL_WAL_STATE_H

#include "base/database.h"
#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything of the stretch before end_lsn is durable and proved; a scan started at record_lsn
 * arrives at end_lsn or further. record_lsn LSN_INVALID: nothing is known durable. */
struct wal_good_point {
	lsn_t record_lsn;
	lsn_t end_lsn;
	lsn_t redo_lsn; /* of the newest checkpoint record before it; LSN_INVALID: none seen */
};

struct wal_stretch {
	int64_t id; /* grows with time, never used twice */
	int64_t range;
	tli_t tli;
	lsn_t start; /* a segment's start */
	lsn_t end;   /* LSN_INVALID: live */
	struct wal_good_point good;
};

struct wal_state {
	uint32_t segment_bytes;        /* 0: nothing begun */
	struct wal_stretch *stretches; /* owned, in order of id */
	size_t count;
};

/* Creates the tables on first use. */
bool wal_state_load(
	struct database *database, struct wal_state *state_out, struct error *err) MUST_CHECK;
void wal_state_release(struct wal_state *state);

/* Each stores the change and applies it to *state, or does neither. */

/* A new range. The live stretch, if any, ends at cut_lsn; one that holds nothing goes. */
bool wal_state_begin(struct database *database, struct wal_state *state, uint32_t segment_bytes,
	tli_t tli, lsn_t start, lsn_t cut_lsn, struct error *err) MUST_CHECK;
/* The live range goes on from its stretch at index `from`, which ends at fork_lsn, as timeline tli.
 * Later stretches of the range are forgotten. */
bool wal_state_switch(struct database *database, struct wal_state *state, size_t from,
	lsn_t fork_lsn, tli_t tli, struct error *err) MUST_CHECK;
/* The first `count` stretches, of which nothing is left; fewer than all. */
bool wal_state_forget(struct database *database, struct wal_state *state, size_t count,
	struct error *err) MUST_CHECK;

/* The stretch at index begins further back: start is held too. */
bool wal_state_extend(struct database *database, struct wal_state *state, size_t index, lsn_t start,
	struct error *err) MUST_CHECK;

/* Never moves a good point backwards. */
bool wal_state_store_good(struct database *database, int64_t stretch_id,
	const struct wal_good_point *good, struct error *err) MUST_CHECK;

#endif
