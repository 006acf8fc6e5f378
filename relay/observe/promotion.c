/*
 * promotion: candidates by what they hold.
 */
#include "observe/promotion.h"

#include <stdlib.h>
#include <string.h>

/* The one that has more first; of two that have the same, by name, so that the order stays. */
static int compare(const void *a, const void *b)
{
	const struct promotion_candidate *first = a;
	const struct promotion_candidate *second = b;
	if (first->held_lsn != second->held_lsn) {
		return first->held_lsn > second->held_lsn ? -1 : 1;
	}
	return strcmp(first->standby->application_name, second->standby->application_name);
}

static bool is_candidate(const struct snapshot *snapshot, const struct standby_stats *standby)
{
	return snapshot_is_streaming(standby) && standby->tli == snapshot->store.tli;
}

size_t promotion_rank(const struct snapshot *snapshot, struct promotion_candidate *candidates_out)
{
	lsn_t acknowledged_lsn = snapshot->store.flushed_lsn;
	size_t count = 0;
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		if (is_candidate(snapshot, standby)) {
			lsn_t held_lsn = standby->flush_lsn;
			candidates_out[count++] = (struct promotion_candidate){standby, held_lsn,
				acknowledged_lsn - lsn_min(held_lsn, acknowledged_lsn)};
		}
	}
	qsort(candidates_out, count, sizeof(*candidates_out), compare);
	return count;
}

bool promotion_is_drained(const struct snapshot *snapshot)
{
	size_t holders = 0;
	if (snapshot->upstream.state == UPSTREAM_STREAMING) {
		return false;
	}
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		if (is_candidate(snapshot, standby) && standby->flush_lsn != LSN_INVALID) {
			holders++;
			if (standby->flush_lsn < snapshot->store.flushed_lsn) {
				return false;
			}
		}
	}
	return holders > 0;
}
