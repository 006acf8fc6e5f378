/*
 * link_choice: how far back the batches for a receiver may refer, and whose batches will do.
 *
 * Pure decisions. A frame's reach is a power of two, or 0: a receiver can be sent the frames whose
 * reach it covers by its promise.
 */
#ifndef DOWNSTREAM_LINK_CHOICE_H
#define DOWNSTREAM_LINK_CHOICE_H

#include "protocol/link_stream.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stdint.h>

/* Within less there is almost nothing to refer to. */
#define LINK_REACH_MIN ((uint64_t)16 << 20)

/* The largest reach, at most reach_max, with which a batch that begins at lsn refers to nothing but
 * what was promised. held_oldest: whoever encodes holds nothing before it. */
uint64_t link_reach_of(
	const struct link_promise *promise, lsn_t held_oldest, lsn_t lsn, uint64_t reach_max);

/* A frame of that reach can be decoded by a receiver with reach wanted. */
bool link_reach_fits(uint64_t reach, uint64_t wanted);
/* And is about as small as one that is made for it would be: not worth another encoding. */
bool link_reach_serves(uint64_t reach, uint64_t wanted);

#endif
