/*
 * link_choice: which chain of batches serves a receiver, and how far back its batches may refer.
 *
 * Pure decisions. A chain's reach is a power of two, or 0: a receiver is served by the one with the
 * largest that it covers by its promise, and changes over where a frame begins.
 */
#ifndef DOWNSTREAM_LINK_CHOICE_H
#define DOWNSTREAM_LINK_CHOICE_H

#include "protocol/link_stream.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Within less there is almost nothing to refer to. */
#define LINK_REACH_MIN ((uint64_t)16 << 20)

/* The largest reach, at most reach_max, with which a batch that begins at lsn refers to nothing but
 * what was promised. held_oldest: whoever encodes holds nothing before it. */
uint64_t link_reach_of(
	const struct link_promise *promise, lsn_t held_oldest, lsn_t lsn, uint64_t reach_max);

/* What a chain is to a receiver that stands at some LSN. */
struct link_option {
	uint64_t reach;   /* of the batch it has there, or will have */
	lsn_t known_from; /* it knows the pages logged from here on */
	bool goes_on;     /* it has the next batch for this receiver, or will make it */
	bool has_frame;   /* a frame begins there, ready made */
	bool can_begin;   /* it is there itself, and may begin a frame */
	unsigned receivers;
};

#define LINK_CHOICE_NONE SIZE_MAX

/* reach: the receiver's. Which of count options, LINK_CHOICE_NONE: a chain has to be made. */
size_t link_choose(const struct link_option *options, size_t count, uint64_t reach, lsn_t lsn);

#endif
