/*
 * slot_outlook: the sum retention does with each new segment, done ahead.
 */
#include "observe/slot_outlook.h"

#include <assert.h>
#include <stddef.h>

#include "observe/pace.h"

const char *slot_wal_status_name(enum slot_wal_status status)
{
	static const char *const names[] = {
		[SLOT_WAL_RESERVED] = "reserved",
		[SLOT_WAL_EXTENDED] = "extended",
		[SLOT_WAL_UNRESERVED] = "unreserved",
		[SLOT_WAL_LOST] = "lost",
	};
	assert((unsigned)status < sizeof(names) / sizeof(names[0]));
	return names[status];
}

/* Whole segments are kept, and taken. */
static uint64_t safe_bytes(const struct snapshot *snapshot, lsn_t lsn)
{
	uint64_t segment_bytes = snapshot->identity.segment_bytes;
	lsn_t start_lsn = segment_bytes == 0 ? lsn : lsn - lsn % segment_bytes;
	lsn_t end_lsn = start_lsn + snapshot->store.room_bytes;
	lsn_t received_lsn = snapshot->store.received_lsn;
	return end_lsn > received_lsn ? end_lsn - received_lsn : 0;
}

void slot_outlook_find(
	const struct snapshot *snapshot, lsn_t lsn, bool is_lost, struct slot_outlook *outlook_out)
{
	const struct wal_store_stats *store = &snapshot->store;
	struct slot_outlook outlook = {.status = SLOT_WAL_LOST,
		.has_limit = store->room_bytes != 0,
		.safe_seconds = PACE_UNKNOWN};
	if (lsn == LSN_INVALID && !is_lost) {
		outlook.status = SLOT_WAL_NONE;
		outlook.has_limit = false;
	} else if (!is_lost) {
		uint64_t behind = store->received_lsn - lsn_min(lsn, store->received_lsn);
		outlook.safe_bytes = outlook.has_limit ? safe_bytes(snapshot, lsn) : 0;
		outlook.status = outlook.has_limit && outlook.safe_bytes == 0 ? SLOT_WAL_UNRESERVED
				 : behind <= store->retain_bytes              ? SLOT_WAL_RESERVED
									      : SLOT_WAL_EXTENDED;
	}
	if (outlook.has_limit && !is_lost) {
		outlook.safe_seconds = pace_seconds_left(
			outlook.safe_bytes, snapshot->upstream_pace.wal_per_second);
	}
	*outlook_out = outlook;
}
