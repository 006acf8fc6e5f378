/*
 * promotion: candidates in order, and their distances to two ends.
 */
#include "observe/promotion.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const char *promotion_kind_name(enum promotion_kind kind)
{
	static const char *const names[] = {"standby", "relay", "receiver"};
	assert((unsigned)kind < sizeof(names) / sizeof(names[0]));
	return names[kind];
}

/* A relay says how far its standbys have replayed. */
static enum promotion_kind kind_of(const struct standby_stats *standby)
{
	return standby->is_link                     ? PROMOTION_RELAY
	       : standby->replay_lsn != LSN_INVALID ? PROMOTION_STANDBY
						    : PROMOTION_RECEIVER;
}

static int compare_numbers(uint64_t larger_first_a, uint64_t larger_first_b)
{
	return larger_first_a > larger_first_b ? -1 : larger_first_a < larger_first_b;
}

static int compare(const void *a, const void *b)
{
	const struct promotion_candidate *first = a;
	const struct promotion_candidate *second = b;
	const struct standby_stats *left = first->standby;
	const struct standby_stats *right = second->standby;
	const int orders[] = {
		compare_numbers(
			first->kind == PROMOTION_STANDBY, second->kind == PROMOTION_STANDBY),
		compare_numbers(left->tli, right->tli),
		compare_numbers(left->flush_lsn, right->flush_lsn),
		compare_numbers(left->replay_lsn, right->replay_lsn),
		strcmp(left->application_name, right->application_name),
		compare_numbers(right->pid, left->pid),
	};
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (orders[i] != 0) {
			return orders[i];
		}
	}
	return 0;
}

static uint64_t distance(lsn_t from, lsn_t to)
{
	return to > from ? to - from : 0;
}

static struct promotion_candidate candidate_of(
	const struct snapshot *snapshot, const struct standby_stats *standby)
{
	const struct wal_store_stats *store = &snapshot->store;
	lsn_t end_lsn = lsn_max(store->received_lsn, snapshot->upstream.server_end_lsn);
	bool is_known = standby->flush_lsn != LSN_INVALID;
	uint64_t missing_bytes = distance(standby->flush_lsn, store->flushed_lsn);
	return (struct promotion_candidate){
		.standby = standby,
		.kind = kind_of(standby),
		.is_known = is_known,
		.missing_bytes = missing_bytes,
		.would_lose_bytes = distance(standby->flush_lsn, end_lsn),
		.is_drained = is_known && missing_bytes == 0 && standby->tli == store->tli,
	};
}

size_t promotion_rank(const struct snapshot *snapshot, struct promotion_candidate *candidates_out)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		if (snapshot_is_streaming(&snapshot->standbys[i])) {
			candidates_out[count++] = candidate_of(snapshot, &snapshot->standbys[i]);
		}
	}
	qsort(candidates_out, count, sizeof(*candidates_out), compare);
	for (size_t i = 0; i < count && candidates_out[i].kind == PROMOTION_STANDBY; i++) {
		candidates_out[i].rank = (unsigned)i + 1;
	}
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
		struct promotion_candidate candidate = candidate_of(snapshot, standby);
		if (snapshot_is_streaming(standby) && candidate.is_known &&
			standby->tli == snapshot->store.tli) {
			holders++;
			if (!candidate.is_drained) {
				return false;
			}
		}
	}
	return holders > 0;
}
