/*
 * wal_cut: forgets what follows the proved end: after a crash, or when what was received turns out
 * not to be WAL.
 *
 * The rest of the end's segment is zeroed and later segments are removed, so that nothing of them
 * can be taken for WAL once other bytes stand before it. While the store is open the line gets a
 * new tip that ends there; readers stop at the proved end from the moment the old one is bad.
 */
#include "base/log.h"
#include "spool/wal_store_internal.h"

#include <string.h>

lsn_t wal_cut_segment_end(const struct wal_store *store, lsn_t lsn)
{
	return lsn_segment_start(lsn - 1, store->state.segment_bytes) + store->state.segment_bytes;
}

/* Removes files of the live timeline that begin at or after lsn. */
static bool remove_from(struct wal_store *store, tli_t tli, lsn_t lsn, struct error *err)
{
	uint32_t segment_bytes = store->state.segment_bytes;
	struct wal_file_entry entry;
	char name[WAL_SEGMENT_NAME_SIZE];
	size_t index = 0;

	while (wal_catalogue_at(&store->catalogue, index, &entry)) {
		if (entry.tli != tli || entry.number * segment_bytes < lsn) {
			index++;
			continue;
		}
		wal_segment_name(tli, entry.number, segment_bytes, name);
		log_info(WAL_LOG_SCOPE, "removing WAL segment \"%s\": it holds nothing proved",
			name);
		if (!durable_directory_unlink(store->directory, name, err)) {
			return false;
		}
		wal_catalogue_remove(&store->catalogue, tli, entry.number);
	}
	return true;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static bool zero_pages(
	struct wal_tip *tip, struct durable_file *file, lsn_t from, struct error *err)
{
	static const uint8_t zeros[WAL_PAGE_BYTES];
	uint32_t segment_bytes = tip->pages.segment_bytes;
	lsn_t end = lsn_segment_start(from, segment_bytes) + segment_bytes;

	while (from < end) {
		lsn_t page = lsn_page_start(from);
		size_t length = WAL_PAGE_BYTES - (from - page);
		const uint8_t *bytes = wal_pages_at(&tip->pages, page);

		if (bytes == NULL) {
			if (err != NULL) {
				*err = tip->pages.err;
			}
			return false;
		}
		if (!is_zero(bytes + (from - page), length) &&
			!durable_file_write(file, from % segment_bytes, zeros, length, err)) {
			return false;
		}
		from += length;
	}
	return true;
}

static struct durable_file *open_last(
	struct wal_store *store, const struct wal_tip *tip, lsn_t end, struct error *err)
{
	uint32_t segment_bytes = store->state.segment_bytes;
	char name[WAL_SEGMENT_NAME_SIZE];

	wal_segment_name(tip->tli, wal_segment_number(end, segment_bytes), segment_bytes, name);
	return durable_file_open(store->directory, name, err);
}

bool wal_cut_rest(struct wal_store *store, struct wal_tip *tip, lsn_t end, struct error *err)
{
	struct durable_file *file;
	bool ok = true;

	if (end % store->state.segment_bytes != 0) {
		file = open_last(store, tip, end, err);
		ok = file != NULL && zero_pages(tip, file, end, err);
		durable_file_close(&file);
	}
	return ok && remove_from(store, tip->tli, end, err);
}

bool wal_cut_sync(struct wal_store *store, const struct wal_tip *tip, lsn_t end, struct error *err)
{
	struct durable_file *file;
	bool ok = true;

	if (end % store->state.segment_bytes != 0) {
		file = open_last(store, tip, end, err);
		ok = file != NULL && durable_file_sync(file, err);
		durable_file_close(&file);
	}
	return ok && durable_directory_sync(store->directory, err);
}

/* The flusher is at rest: it looks at a bad scan no more. */
static struct wal_tip *cut_tip(struct wal_store *store, const struct wal_tip *bad, lsn_t end)
{
	struct wal_tip *tip = wal_tip_new(store);

	tip->cut_lsn = end;
	if (end == bad->start) {
		return tip;
	}
	tip->scan = bad->scan;
	tip->scan.context = &tip->pages;
	wal_scan_rewind(&tip->scan);
	tip->has_good_point = bad->has_good_point;
	tip->files_end = wal_cut_segment_end(store, end);
	atomic_store(&tip->received, end);
	atomic_store(&tip->flushed, end);
	atomic_store(&tip->synced, end);
	return tip;
}

/* Under keeper.work: retention must not look in between. */
static bool cut_line(struct wal_store *store, struct wal_line *line, struct error *err)
{
	const struct wal_tip *bad = line->tip;
	lsn_t end = atomic_load(&bad->flushed);
	struct timeline_history history;
	struct error unsynced = {0};
	struct wal_tip *tip;

	if (!timeline_history_copy(&history, &line->history)) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	tip = cut_tip(store, bad, end);
	if (!wal_cut_rest(store, tip, end, err)) {
		timeline_history_release(&history);
		wal_tip_free(tip);
		return false;
	}
	wal_pages_release(&tip->pages);
	if (!wal_cut_sync(store, tip, end, &unsynced)) {
		wal_store_die(&unsynced);
	}
	wal_line_publish(store, &history, tip);
	return true;
}

bool wal_store_cut_bad(struct wal_store *store, struct error *err)
{
	struct wal_line *line = wal_store_line(store);
	const struct wal_scan *scan;
	bool is_cut;

	if (line == NULL || !atomic_load_explicit(&line->tip->is_bad, memory_order_acquire)) {
		return true;
	}
	scan = &line->tip->scan;
	wal_writer_leave_file(store);
	wal_writer_leave_overlap(store);
	wal_flusher_wait(store);
	pthread_mutex_lock(&store->keeper.work);
	is_cut = cut_line(store, line, err);
	pthread_mutex_unlock(&store->keeper.work);
	if (!is_cut) {
		return false;
	}
	wal_store_notify(store, WAL_STORE_RECEIVED | WAL_STORE_FLUSHED);
	(void)error_set(err, ERROR_DIVERGED, "received WAL is not valid at " LSN_FORMAT ": %s",
		LSN_ARGS(scan->bad_lsn), scan->bad_reason);
	return error_detail(err, "What came after " LSN_FORMAT " is forgotten.",
		LSN_ARGS(wal_store_received(store).lsn));
}
