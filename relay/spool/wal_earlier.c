/*
 * wal_earlier: finds the file, keeps its mapping, and has read from disk what it hands out.
 *
 * Mappings stand in a table by segment number, so that a reach of that many segments never pushes
 * out its own. Reads are small and scattered: what is brought in at once is far less than a cursor
 * takes.
 */
#include "spool/wal_earlier.h"

#include "base/memory.h"
#include "spool/wal_store_internal.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_BYTES (64u << 10)

struct wal_earlier_slot {
	struct wal_segment *segment; /* NULL: empty */
	tli_t tli;
	uint64_t number;
	uint64_t *populated; /* a bit a window */
};

struct wal_earlier {
	struct wal_store *store;
	bool waits;                /* for the disk */
	lsn_t oldest;              /* what was removed before it has been let go */
	const struct wal_tip *tip; /* with another one, names may stand for other files */
	struct wal_earlier_slot slots[WAL_EARLIER_SEGMENTS_MAX];
};

struct wal_earlier *wal_earlier_new(struct wal_store *store)
{
	struct wal_earlier *earlier = memory_new(sizeof(*earlier));

	earlier->store = store;
	earlier->waits = true;
	return earlier;
}

void wal_earlier_set_waits(struct wal_earlier *earlier, bool waits)
{
	earlier->waits = waits;
}

static void let_go(struct wal_earlier_slot *slot)
{
	if (slot->segment != NULL) {
		wal_segment_unref(slot->segment);
		free(slot->populated);
		*slot = (struct wal_earlier_slot){0};
	}
}

void wal_earlier_rest(struct wal_earlier *earlier)
{
	for (size_t i = 0; i < WAL_EARLIER_SEGMENTS_MAX; i++) {
		let_go(&earlier->slots[i]);
	}
}

void wal_earlier_free(struct wal_earlier **earlier)
{
	if (*earlier != NULL) {
		wal_earlier_rest(*earlier);
		free(*earlier);
		*earlier = NULL;
	}
}

static void let_go_of_removed(
	struct wal_earlier *earlier, const struct wal_line *line, lsn_t oldest)
{
	if (earlier->tip != line->tip) {
		wal_earlier_rest(earlier);
		earlier->tip = line->tip;
	}
	if (earlier->oldest == oldest) {
		return;
	}
	for (size_t i = 0; i < WAL_EARLIER_SEGMENTS_MAX; i++) {
		if (earlier->slots[i].number * line->segment_bytes < oldest) {
			let_go(&earlier->slots[i]);
		}
	}
	earlier->oldest = oldest;
}

static lsn_t stretch_end(const struct wal_line *line, const struct wal_stretch *stretch)
{
	const struct wal_tip *tip = line->tip;

	if (stretch->end != LSN_INVALID) {
		return stretch->end;
	}
	return atomic_load_explicit(atomic_load_explicit(&tip->is_bad, memory_order_acquire)
					    ? &tip->flushed
					    : &tip->received,
		memory_order_acquire);
}

/* Of the live range, the newest that has the byte. */
static const struct wal_stretch *find_stretch(const struct wal_line *line, lsn_t lsn)
{
	int64_t range = line->stretches[line->stretch_count - 1].range;

	for (size_t i = line->stretch_count; i-- > 0 && line->stretches[i].range == range;) {
		const struct wal_stretch *stretch = &line->stretches[i];

		if (lsn >= stretch->start && lsn < stretch_end(line, stretch)) {
			return stretch;
		}
	}
	return NULL;
}

static struct wal_earlier_slot *enter_segment(
	struct wal_earlier *earlier, tli_t tli, uint64_t number, uint32_t segment_bytes)
{
	struct wal_earlier_slot *slot = &earlier->slots[number % WAL_EARLIER_SEGMENTS_MAX];
	struct error not_held = {0};
	size_t windows = segment_bytes / WINDOW_BYTES;

	if (slot->segment != NULL && slot->tli == tli && slot->number == number) {
		return slot;
	}
	let_go(slot);
	slot->segment =
		wal_segment_cache_get(earlier->store->cache, tli, number, segment_bytes, &not_held);
	if (slot->segment == NULL) {
		return NULL;
	}
	slot->tli = tli;
	slot->number = number;
	slot->populated = memory_new((windows + 63) / 64 * sizeof(uint64_t));
	return slot;
}

static bool populate(struct wal_earlier_slot *slot, uint32_t offset, uint32_t length)
{
	struct error not_held = {0};

	for (uint32_t window = offset / WINDOW_BYTES;
		window <= (offset + length - 1) / WINDOW_BYTES; window++) {
		uint64_t bit = UINT64_C(1) << (window % 64);

		if ((slot->populated[window / 64] & bit) == 0) {
			if (!wal_segment_read_piece(slot->segment, window * WINDOW_BYTES,
				    WINDOW_BYTES, &not_held)) {
				return false;
			}
			slot->populated[window / 64] |= bit;
		}
	}
	return true;
}

static bool can_be_read(const struct wal_earlier *earlier, struct wal_earlier_slot *slot,
	uint32_t offset, uint32_t length)
{
	return earlier->waits ? populate(slot, offset, length)
			      : wal_segment_has_piece(slot->segment, offset, length);
}

size_t wal_earlier_read(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	struct wal_earlier *earlier = context;
	const struct wal_line *line = wal_store_line(earlier->store);
	lsn_t oldest = atomic_load_explicit(&earlier->store->oldest, memory_order_relaxed);
	const struct wal_stretch *stretch;
	struct wal_earlier_slot *slot;
	uint32_t offset;
	lsn_t end;

	if (line == NULL || length == 0) {
		return 0;
	}
	let_go_of_removed(earlier, line, oldest);
	stretch = lsn < oldest ? NULL : find_stretch(line, lsn);
	if (stretch == NULL) {
		return 0;
	}
	end = lsn_min(stretch_end(line, stretch),
		lsn_segment_start(lsn, line->segment_bytes) + line->segment_bytes);
	length = end - lsn < length ? end - lsn : length;
	slot = enter_segment(earlier, stretch->tli, wal_segment_number(lsn, line->segment_bytes),
		line->segment_bytes);
	offset = (uint32_t)(lsn % line->segment_bytes);
	if (slot == NULL || !can_be_read(earlier, slot, offset, (uint32_t)length)) {
		return 0;
	}
	*bytes_out = wal_segment_bytes(slot->segment) + offset;
	return length;
}
