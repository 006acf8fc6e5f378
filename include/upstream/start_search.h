/*
 * start_search: finds the oldest segment a server still has, by asking for few of them.
 *
 * A server says "already been removed" or streams; what it has is a run without a hole up to its
 * end. Backwards in doubling steps from the end until one is gone, then halving: at most about
 * 2 log2(n) questions for n segments. Pure; the caller asks the questions.
 */
#ifndef UPSTREAM_START_SEARCH_H
#define UPSTREAM_START_SEARCH_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stdint.h>

/* initdb leaves the first segment out: no cluster ever had it. */
#define START_SEARCH_FIRST_SEGMENT 1

struct start_search {
	uint32_t segment_bytes;
	uint64_t held;     /* segment number known to be there */
	uint64_t gone;     /* the highest known not to be there */
	uint64_t step;     /* of the doubling; 0: halving */
	uint64_t question; /* the segment asked for now */
};

/* The segment that holds end_lsn is taken to be there. */
void start_search_begin(struct start_search *search, lsn_t end_lsn, uint32_t segment_bytes);
/* true: ask whether the server has the WAL at *lsn_out, then answer. false: found, *lsn_out is the
 * start of the oldest segment. */
bool start_search_next(struct start_search *search, lsn_t *lsn_out);
void start_search_answer(struct start_search *search, bool is_held);

#endif
