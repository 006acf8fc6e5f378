/*
 * wal_promise: WAL kept for batches of the link to refer to.
 *
 * What was promised to a relay upstream is not taken by max_size at once: first the writer is told
 * to promise less, and has some time for it. Should that pass, the WAL goes all the same: who reads
 * a batch that refers to it asks for it plain.
 */
#include "base/log.h"
#include "base/monotonic_clock.h"
#include "spool/wal_store_internal.h"

#include <inttypes.h>

#define YIELD_US INT64_C(10000000)
/* The segment being written, one to write next, one that is being removed, and some air. */
#define SEGMENTS_LEFT 4

static uint64_t minus(uint64_t from, uint64_t bytes)
{
	return from > bytes ? from - bytes : 0;
}

uint64_t wal_store_link_keep(struct wal_store *store)
{
	uint64_t room = atomic_load(&store->keeper.link_room_bytes);
	struct wal_store_options limits;

	wal_keeper_read_limits(store, &limits);
	if (limits.max_bytes != 0) {
		uint64_t left = SEGMENTS_LEFT * (uint64_t)wal_store_segment_bytes(store);

		left = minus(limits.max_bytes, left);
		room = left < room ? left : room;
	}
	return limits.link_bytes < room ? limits.link_bytes : room;
}

void wal_store_promise_link(struct wal_store *store, uint64_t keep_bytes)
{
	uint64_t before = atomic_exchange(&store->keeper.link_promised_bytes, keep_bytes);

	if (keep_bytes < before) {
		wal_keeper_ring(store);
	}
}

static lsn_t lsn_behind(struct wal_store *store, const struct wal_line *line, uint64_t bytes)
{
	return lsn_max(
		minus(atomic_load(&line->tip->received), bytes), atomic_load(&store->oldest));
}

lsn_t wal_promise_lsn(struct wal_store *store, const struct wal_line *line)
{
	uint64_t promised = atomic_load(&store->keeper.link_promised_bytes);
	uint64_t keep = wal_store_link_keep(store);

	keep = promised > keep ? promised : keep;
	return keep == 0 ? LSN_INVALID : lsn_behind(store, line, keep);
}

static void press(struct wal_store *store, const struct wal_line *line, lsn_t horizon_lsn)
{
	lsn_t start = lsn_segment_start(atomic_load(&line->tip->received), line->segment_bytes);
	/* The horizon moves by whole segments. */
	uint64_t room = minus(start, horizon_lsn + line->segment_bytes);

	atomic_store(&store->keeper.link_room_bytes, room);
	log_info(WAL_LOG_SCOPE,
		"max_size leaves %" PRIu64 " MB for the link to refer to: promising less",
		room >> 20);
	wal_store_notify(store, WAL_STORE_LINK);
}

lsn_t wal_promise_yield(
	struct wal_store *store, const struct wal_line *line, lsn_t horizon_lsn, bool *waits_out)
{
	struct wal_keeper *keeper = &store->keeper;
	uint64_t promised = atomic_load(&keeper->link_promised_bytes);
	lsn_t promised_lsn = lsn_behind(store, line, promised);

	*waits_out = false;
	if (promised == 0 || promised_lsn >= horizon_lsn) {
		keeper->link_pressed_us = 0;
		return horizon_lsn;
	}
	if (keeper->link_pressed_us == 0) {
		keeper->link_pressed_us = monotonic_clock_us();
		press(store, line, horizon_lsn);
	}
	*waits_out = monotonic_clock_us() < keeper->link_pressed_us + YIELD_US;
	return *waits_out ? lsn_segment_start(promised_lsn, line->segment_bytes) : horizon_lsn;
}
