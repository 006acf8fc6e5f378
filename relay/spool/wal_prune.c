/*
 * wal_prune: asks retention what may go and removes it, oldest first.
 *
 * Nothing goes that a restart needs: the segment of the stored good point and what follows it
 * stays. Files that are not of the live line (dead ends of timelines, ranges cut off by a reset) go
 * by their LSNs too, and all of them before the limit on disk use would stop receiving.
 */
#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "spool/retention.h"
#include "spool/wal_store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST_GUESS 16
#define PINS_FIRST_GUESS  4

struct holders {
	struct retention_holder *items;
	size_t count;
	struct slot_stats *slots; /* the names live here */
	size_t slot_count;
	struct pin_stats *pins; /* and here */
	size_t pin_count;
};

static void add_holder(
	struct holders *holders, enum retention_holder_kind kind, const char *name, lsn_t lsn)
{
	holders->items = memory_grow(holders->items, holders->count, sizeof(*holders->items));
	holders->items[holders->count++] = (struct retention_holder){kind, name, lsn};
}

static void add_cursor(void *context, lsn_t lsn)
{
	add_holder(context, RETENTION_CURSOR, "reader", lsn);
}

/* All of them at one moment: one that is made meanwhile must not push out another. */
static void list_slots(struct slots *slots, struct holders *holders)
{
	size_t capacity = SLOTS_FIRST_GUESS;

	holders->slots = memory_new(capacity * sizeof(*holders->slots));
	while ((holders->slot_count = slots_list(slots, holders->slots, capacity)) > capacity) {
		capacity = holders->slot_count;
		free(holders->slots);
		holders->slots = memory_new(capacity * sizeof(*holders->slots));
	}
}

static void list_pins(struct pins *pins, struct holders *holders)
{
	size_t capacity = PINS_FIRST_GUESS;

	holders->pins = memory_new(capacity * sizeof(*holders->pins));
	while ((holders->pin_count = pins_list(pins, holders->pins, capacity)) > capacity) {
		capacity = holders->pin_count;
		free(holders->pins);
		holders->pins = memory_new(capacity * sizeof(*holders->pins));
	}
	for (size_t i = 0; i < holders->pin_count; i++) {
		const struct pin_stats *pin = &holders->pins[i];

		if (!pin->lost) {
			add_holder(holders, RETENTION_PIN, pin->name, pin->lsn);
		}
	}
}

static struct holders find_holders(struct wal_store *store)
{
	struct holders holders = {0};

	if (store->slots != NULL) {
		list_slots(store->slots, &holders);
	}
	for (size_t i = 0; i < holders.slot_count; i++) {
		const struct slot_stats *slot = &holders.slots[i];

		if (!slot->lost) {
			add_holder(&holders, RETENTION_SLOT, slot->name, slot->restart_lsn);
		}
	}
	if (store->pins != NULL) {
		pins_expire(store->pins, wall_clock_unix_us());
		list_pins(store->pins, &holders);
	}
	wal_cursors_visit(store, add_cursor, &holders);
	add_holder(&holders, RETENTION_LINK, "reference",
		wal_promise_lsn(store, wal_store_line(store)));
	return holders;
}

static lsn_t retain_time_lsn(struct wal_store *store, int64_t retain_us, uint32_t segment_bytes)
{
	struct wal_file_entry first;

	if (retain_us <= 0 || !wal_catalogue_first_since(&store->catalogue,
				      wall_clock_unix_us() - retain_us, &first)) {
		return LSN_INVALID;
	}
	/* LSN 0 would mean no such rule. */
	return lsn_max(first.number * segment_bytes, 1);
}

static struct retention_input gather(
	struct wal_store *store, const struct wal_line *line, const struct holders *holders)
{
	struct wal_store_options limits;
	struct retention_input input = {.segment_bytes = line->segment_bytes,
		.oldest_lsn = atomic_load(&store->oldest),
		.received_lsn = atomic_load(&line->tip->received),
		.holders = holders->items,
		.holder_count = holders->count};
	uint64_t live_bytes, disk_bytes;

	wal_keeper_read_limits(store, &limits);
	input.retain_bytes = limits.retain_bytes;
	input.retain_time_lsn = retain_time_lsn(store, limits.retain_us, line->segment_bytes);
	input.max_bytes = limits.max_bytes;
	live_bytes = lsn_segment_start(input.received_lsn, line->segment_bytes) +
		     line->segment_bytes - input.oldest_lsn;
	/* With room for the one to be prepared. */
	disk_bytes = wal_store_disk_bytes(store);
	if (store->keeper.prepared == NULL) {
		disk_bytes += line->segment_bytes;
	}
	input.other_bytes = disk_bytes > live_bytes ? disk_bytes - live_bytes : 0;
	return input;
}

static bool is_live_file(const struct wal_line *line, const struct wal_file_entry *entry)
{
	const struct wal_stretch *live = &line->stretches[line->stretch_count - 1];

	for (size_t i = 0; i < line->stretch_count; i++) {
		const struct wal_stretch *stretch = &line->stretches[i];
		lsn_t start = entry->number * line->segment_bytes;

		if (stretch->range == live->range && stretch->tli == entry->tli &&
			start >= stretch->start &&
			(stretch->end == LSN_INVALID || start < stretch->end)) {
			return true;
		}
	}
	return false;
}

static bool remove_file(
	struct wal_store *store, const struct wal_file_entry *entry, uint32_t segment_bytes)
{
	char name[WAL_SEGMENT_NAME_SIZE];
	struct error err = {0};

	wal_segment_name(entry->tli, entry->number, segment_bytes, name);
	if (!durable_directory_unlink(store->directory, name, &err) &&
		err.kind != ERROR_NOT_FOUND) {
		log_error(LOG_LEVEL_WARNING, WAL_LOG_SCOPE, &err);
		return false;
	}
	log_debug(WAL_LOG_SCOPE, "removed WAL segment \"%s\"", name);
	wal_catalogue_remove(&store->catalogue, entry->tli, entry->number);
	return true;
}

/* Where the live range began. */
static lsn_t range_start(const struct wal_line *line)
{
	size_t first = line->stretch_count - 1;

	while (first > 0 && line->stretches[first - 1].range == line->stretches[first].range) {
		first--;
	}
	return line->stretches[first].start;
}

/* Ranges cut off by a reset are outside retention's line; what keeps WAL keeps theirs by LSN. */
static lsn_t older_horizon(const struct retention_input *input, lsn_t start)
{
	lsn_t horizon_lsn = input->received_lsn > input->retain_bytes
				    ? input->received_lsn - input->retain_bytes
				    : 0;

	if (input->retain_time_lsn != LSN_INVALID) {
		horizon_lsn = lsn_min(horizon_lsn, input->retain_time_lsn);
	}
	for (size_t i = 0; i < input->holder_count; i++) {
		lsn_t lsn = input->holders[i].lsn;

		if (lsn != LSN_INVALID && lsn < start) {
			horizon_lsn = lsn_min(horizon_lsn, lsn);
		}
	}
	return lsn_min(horizon_lsn, start);
}

static size_t remove_before(struct wal_store *store, const struct wal_line *line,
	const struct retention_input *input, lsn_t horizon_lsn)
{
	uint32_t segment_bytes = line->segment_bytes;
	lsn_t start = range_start(line);
	lsn_t older_lsn = older_horizon(input, start);
	struct wal_file_entry entry;
	size_t index = 0, removed = 0;

	while (wal_catalogue_at(&store->catalogue, index, &entry) &&
		(entry.number + 1) * segment_bytes <= horizon_lsn) {
		bool is_older = entry.number * segment_bytes < start;

		if ((is_older && (entry.number + 1) * segment_bytes > older_lsn) ||
			!remove_file(store, &entry, segment_bytes)) {
			index++;
		} else {
			removed++;
		}
	}
	return removed;
}

static bool fits(struct wal_store *store, uint64_t max_bytes, uint32_t segment_bytes)
{
	uint64_t wanted = wal_store_disk_bytes(store);

	if (store->keeper.prepared == NULL) {
		wanted += segment_bytes;
	}
	return max_bytes == 0 || wanted <= max_bytes;
}

/* What is not of the live line, until the rest fits. */
static size_t remove_strays(
	struct wal_store *store, const struct wal_line *line, uint64_t max_bytes)
{
	struct wal_file_entry entry;
	size_t index = 0, removed = 0;

	while (!fits(store, max_bytes, line->segment_bytes) &&
		wal_catalogue_at(&store->catalogue, index, &entry)) {
		if (is_live_file(line, &entry) ||
			!remove_file(store, &entry, line->segment_bytes)) {
			index++;
		} else {
			removed++;
		}
	}
	return removed;
}

/* A restart begins at the stored good point. A later one may be had for the asking. */
static lsn_t needed_by_restart(
	struct wal_store *store, const struct wal_line *line, lsn_t horizon_lsn)
{
	const struct wal_keeper *keeper = &store->keeper;

	if (keeper->saved_stretch_id != line->tip->stretch_id ||
		keeper->saved.record_lsn < horizon_lsn) {
		wal_keeper_save_good(store);
	}
	return keeper->saved_stretch_id == line->tip->stretch_id
		       ? lsn_segment_start(keeper->saved.record_lsn, line->segment_bytes)
		       : lsn_segment_start(line->tip->start, line->segment_bytes);
}

static void publish_horizon(struct wal_store *store, const struct retention_input *input,
	const struct retention_decision *decision)
{
	struct wal_keeper *keeper = &store->keeper;

	pthread_mutex_lock(&keeper->lock);
	keeper->horizon_lsn = decision->horizon_lsn;
	keeper->room_bytes = input->max_bytes == 0 ? 0 : lsn_max(decision->room_bytes, 1);
	(void)retention_reason_format(input, decision, keeper->horizon_reason);
	pthread_mutex_unlock(&keeper->lock);
}

static void finish_removal(struct wal_store *store, size_t removed)
{
	struct error err = {0};

	if (removed == 0) {
		return;
	}
	if (!durable_directory_sync(store->directory, &err)) {
		wal_store_die(&err);
	}
	wal_store_notify(store, WAL_STORE_PRUNED);
}

bool wal_store_prune(struct wal_store *store)
{
	const struct wal_line *line = wal_store_line(store);
	struct holders holders = find_holders(store);
	struct retention_input input = gather(store, line, &holders);
	struct retention_decision decision;
	size_t *lost = memory_new((holders.count + 1) * sizeof(*lost));
	size_t removed;
	lsn_t horizon_lsn;
	bool waits;

	retention_decide(&input, &decision, lost);
	wal_loss_report(store, &input, &decision, lost);
	wal_loss_warn(store, &input, &decision);
	publish_horizon(store, &input, &decision);
	horizon_lsn = wal_promise_yield(store, line, decision.horizon_lsn, &waits);
	horizon_lsn = lsn_min(horizon_lsn, needed_by_restart(store, line, horizon_lsn));
	if (horizon_lsn > atomic_load(&store->oldest)) {
		atomic_store(&store->oldest, horizon_lsn);
	}
	/* Older WAL that is being fetched is not held yet. */
	if (decision.reason != RETENTION_BY_MAX_SIZE) {
		horizon_lsn = lsn_min(horizon_lsn, wal_backfill_keeps(store));
	}
	removed = remove_before(store, line, &input, horizon_lsn);
	removed += remove_strays(store, line, input.max_bytes);
	finish_removal(store, removed);
	free(lost);
	free(holders.items);
	free(holders.slots);
	free(holders.pins);
	return waits || fits(store, input.max_bytes, line->segment_bytes);
}
