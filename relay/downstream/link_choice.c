/*
 * link_choice: reaches are powers of two and are compared roughly, so that receivers come together.
 */
#include "downstream/link_choice.h"

/* Less than a checkpoint cycle holds few pages twice: to refer that far gains hardly anything
 * (measured: almost nothing within 128 MB, everything within a cycle of 0.75 to 1 GB). */
#define REACH_POOR ((uint64_t)128 << 20)
/* At most so much less counts as the same. */
#define REACH_RATIO 4u

static uint64_t power_of_two(uint64_t value)
{
	return value == 0 ? 0 : (uint64_t)1 << (63 - __builtin_clzll(value));
}

uint64_t link_reach_of(
	const struct link_promise *promise, lsn_t held_oldest, lsn_t lsn, uint64_t reach_max)
{
	uint64_t reach = promise->keep_bytes < reach_max ? promise->keep_bytes : reach_max;
	bool is_all_held = promise->oldest_lsn <= held_oldest;
	if (promise->oldest_lsn > lsn) {
		return 0;
	}
	if (!is_all_held && lsn - promise->oldest_lsn < reach) {
		reach = lsn - promise->oldest_lsn;
	}
	reach = power_of_two(reach);
	return reach >= LINK_REACH_MIN ? reach : 0;
}

bool link_reach_fits(uint64_t reach, uint64_t wanted)
{
	return reach <= wanted;
}

bool link_reach_serves(uint64_t reach, uint64_t wanted)
{
	return link_reach_fits(reach, wanted) &&
	       (wanted <= REACH_POOR || reach >= wanted / REACH_RATIO);
}
