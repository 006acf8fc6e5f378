/*
 * promotion: which standby is to be promoted when the upstream is gone, and whether it is time.
 *
 * Pure functions of a snapshot. A standby counts for what it has flushed on our timeline; what it
 * would lose is what we acknowledged and it has not. Relays that follow us are listed as well:
 * behind them are standbys that have no more than they.
 */
#ifndef OBSERVE_PROMOTION_H
#define OBSERVE_PROMOTION_H

#include "observe/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

struct promotion_candidate {
	const struct standby_stats *standby; /* in the snapshot */
	lsn_t held_lsn;                      /* LSN_INVALID: it does not say what it has flushed */
	uint64_t lost_bytes;                 /* if it were promoted now */
};

/* Those that stream, the one that has most first. candidates_out has room for all standbys of the
 * snapshot. Returns how many there are. */
size_t promotion_rank(const struct snapshot *snapshot, struct promotion_candidate *candidates_out);
/* The upstream does not stream, and every standby that says what it has flushed, at least one,
 * holds all that was acknowledged: nothing that was is lost, whichever is promoted. */
bool promotion_is_drained(const struct snapshot *snapshot);

#endif
