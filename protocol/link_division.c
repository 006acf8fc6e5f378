/*
 * link_division: frames by number, modulo the number of lanes.
 */
#include "protocol/link_division.h"

#include "protocol/link_scan.h"

struct link_division link_division_begin(lsn_t lsn, unsigned count)
{
	return (struct link_division){.from = lsn - lsn % LINK_FRAME_BYTES, .count = count};
}

unsigned link_division_lane(const struct link_division *division, lsn_t lsn)
{
	if (division->count <= 1 || lsn < division->from) {
		return 0;
	}
	return (unsigned)((lsn - division->from) / LINK_FRAME_BYTES % division->count);
}

lsn_t link_division_next(const struct link_division *division, unsigned lane, lsn_t lsn)
{
	unsigned here = link_division_lane(division, lsn);

	if (here == lane) {
		return lsn;
	}
	if (lsn < division->from) {
		return division->from + (lsn_t)lane * LINK_FRAME_BYTES;
	}
	lsn -= lsn % LINK_FRAME_BYTES;
	return lsn + (lsn_t)((lane + division->count - here) % division->count) * LINK_FRAME_BYTES;
}
