/*
 * link_division: which megabyte of WAL goes over which of a link's lanes.
 *
 * From `from` on (a multiple of LINK_FRAME_BYTES) the frames go round: the first over lane 0, the
 * next over lane 1, and so on. What precedes it is lane 0's. Pure functions.
 */
#ifndef PROTOCOL_LINK_DIVISION_H
#define PROTOCOL_LINK_DIVISION_H

#include "protocol/lsn.h"

#define LINK_LANES_MAX 16u

struct link_division {
	lsn_t from;
	unsigned count; /* of lanes; 0 and 1: there is nothing to divide */
};

/* That of a lane that was asked to begin at lsn: its frames are lane 0's there. */
struct link_division link_division_begin(lsn_t lsn, unsigned count);
unsigned link_division_lane(const struct link_division *division, lsn_t lsn);
/* The first byte at or after lsn that goes over that lane. */
lsn_t link_division_next(const struct link_division *division, unsigned lane, lsn_t lsn);

#endif
