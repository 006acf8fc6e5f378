/*
 * promotion: which standby is to be promoted when the upstream is gone, and whether it is time.
 *
 * Pure functions of a snapshot; status, the console and walrelay status all show what they say. A
 * standby counts for what it has flushed. Relays and receivers of WAL hold some too, but cannot be
 * promoted: they are listed behind, without a rank.
 */
#ifndef OBSERVE_PROMOTION_H
#define OBSERVE_PROMOTION_H

#include "observe/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum promotion_kind {
	PROMOTION_STANDBY,
	PROMOTION_RELAY,    /* follows over a link; behind it are standbys that have no more */
	PROMOTION_RECEIVER, /* does not say that it replays: pg_receivewal, or not yet */
};

const char *promotion_kind_name(enum promotion_kind kind); /* standby, relay, receiver */

struct promotion_candidate {
	const struct standby_stats *standby; /* in the snapshot */
	enum promotion_kind kind;
	unsigned rank; /* 1: the one to promote; 0: cannot be */
	bool is_known; /* it says what it has flushed; what follows means something then only */
	/* Of what we acknowledged, what it lacks: it comes, while this relay lives. */
	uint64_t missing_bytes;
	/* Of all that the upstream told it had: right as far as it told. */
	uint64_t would_lose_bytes;
	bool is_drained; /* on our timeline, and lacks nothing that we acknowledged */
};

/* Those that stream: by kind, then those on the newest timeline, then who has flushed, and then
 * replayed, most. candidates_out has room for all standbys of the snapshot. Returns how many there
 * are. */
size_t promotion_rank(const struct snapshot *snapshot, struct promotion_candidate *candidates_out);
/* The upstream does not stream, and all who stream on our timeline and say what they have flushed,
 * at least one, are drained: nothing that was acknowledged is lost, whichever is promoted. */
bool promotion_is_drained(const struct snapshot *snapshot);

#endif
