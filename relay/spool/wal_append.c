/*
 * wal_append: the writer's way in: bytes go to the segment file, then readers are told.
 *
 * One pwrite a segment touched, one atomic store, a ring of the watchers, then of the flusher: no
 * memory is allocated and no lock is taken that a reader holds, except when a segment begins.
 */
#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void wal_writer_leave_file(struct wal_store *store)
{
	struct wal_flusher *flusher = &store->flusher;
	struct wal_written_file *leaving = store->writer.file;

	if (leaving == NULL) {
		return;
	}
	store->writer.file = NULL;
	wal_catalogue_put(&store->catalogue, leaving->tli, leaving->number, wall_clock_unix_us());
	pthread_mutex_lock(&flusher->lock);
	assert(flusher->current == leaving);
	flusher->current = NULL;
	leaving->next = flusher->finished;
	flusher->finished = leaving;
	pthread_mutex_unlock(&flusher->lock);
}

void wal_writer_leave_overlap(struct wal_store *store)
{
	if (store->writer.overlap != NULL) {
		wal_segment_unref(store->writer.overlap);
		store->writer.overlap = NULL;
	}
}

void wal_writer_release(struct wal_store *store)
{
	struct wal_written_file *file = store->writer.file;

	if (file != NULL) {
		durable_file_close(&file->file);
		free(file);
		store->writer.file = NULL;
	}
	wal_writer_leave_overlap(store);
}

/* The file in which lsn lies: the one that is there, or a new one. */
static bool enter_file(struct wal_store *store, lsn_t lsn, struct error *err)
{
	const struct wal_line *line = wal_store_line(store);
	uint64_t number = wal_segment_number(lsn, line->segment_bytes);
	bool is_new = lsn >= line->tip->files_end;
	struct wal_flusher *flusher = &store->flusher;
	struct wal_written_file *entering;
	char name[WAL_SEGMENT_NAME_SIZE];
	struct durable_file *file;

	if (store->writer.file != NULL && store->writer.file->number == number) {
		return true;
	}
	file = is_new ? wal_keeper_take_segment(store, line->tli, number, err)
		      : durable_file_open(store->directory,
				wal_segment_name(line->tli, number, line->segment_bytes, name),
				err);
	if (file == NULL) {
		return false;
	}
	line->tip->files_end = lsn_max(line->tip->files_end, (number + 1) * line->segment_bytes);
	entering = memory_new(sizeof(*entering));
	entering->file = file;
	entering->tli = line->tli;
	entering->number = number;
	wal_writer_leave_file(store);
	wal_catalogue_put(&store->catalogue, line->tli, number, WAL_FILE_IS_GROWING);
	store->writer.file = entering;
	pthread_mutex_lock(&flusher->lock);
	flusher->current = entering;
	flusher->is_directory_dirty |= is_new;
	pthread_mutex_unlock(&flusher->lock);
	wal_keeper_ring(store);
	return true;
}

static bool write_new(
	struct wal_store *store, lsn_t lsn, const uint8_t *bytes, size_t length, struct error *err)
{
	uint32_t segment_bytes = wal_store_line(store)->segment_bytes;

	while (length > 0) {
		uint32_t offset = (uint32_t)(lsn % segment_bytes);
		size_t part = segment_bytes - offset;

		part = part < length ? part : length;
		if (!enter_file(store, lsn, err) ||
			!durable_file_write(store->writer.file->file, offset, bytes, part, err)) {
			return false;
		}
		lsn += part;
		bytes += part;
		length -= part;
	}
	return true;
}

static bool set_diverged(struct error *err, tli_t tli, lsn_t lsn)
{
	(void)error_set(err, ERROR_DIVERGED,
		"upstream has diverged at " LSN_FORMAT " on timeline %u", LSN_ARGS(lsn), tli);
	return error_detail(err, "The byte at " LSN_FORMAT " differs from the one received before.",
		LSN_ARGS(lsn));
}

/* No mapping and no error: what retention removed cannot differ from anything. */
static bool enter_overlap(struct wal_store *store, tli_t tli, uint64_t number, struct error *err)
{
	struct wal_writer *writer = &store->writer;

	if (writer->overlap != NULL && writer->overlap_tli == tli &&
		writer->overlap_number == number) {
		return true;
	}
	wal_writer_leave_overlap(store);
	writer->overlap =
		wal_segment_cache_get(store->cache, tli, number, store->state.segment_bytes, err);
	writer->overlap_tli = tli;
	writer->overlap_number = number;
	return writer->overlap != NULL ||
	       (err->kind == ERROR_NOT_FOUND && !wal_catalogue_has(&store->catalogue, tli, number));
}

/* Within one segment of that timeline. */
static bool compare_part(struct wal_store *store, tli_t tli, lsn_t lsn, const uint8_t *bytes,
	size_t length, struct error *err)
{
	uint32_t segment_bytes = store->state.segment_bytes;
	const uint8_t *held;

	if (!enter_overlap(store, tli, wal_segment_number(lsn, segment_bytes), err)) {
		return false;
	}
	if (store->writer.overlap == NULL) {
		return true;
	}
	if (!wal_segment_populate(store->writer.overlap, (uint32_t)(lsn % segment_bytes),
		    (uint32_t)length, err)) {
		return false;
	}
	held = wal_segment_bytes(store->writer.overlap) + lsn % segment_bytes;
	if (memcmp(held, bytes, length) == 0) {
		return true;
	}
	while (*held == *bytes) {
		held++;
		bytes++;
		lsn++;
	}
	return set_diverged(err, tli, lsn);
}

static bool compare_overlap(
	struct wal_store *store, lsn_t lsn, const uint8_t *bytes, size_t length, struct error *err)
{
	const struct wal_line *line = wal_store_line(store);

	while (length > 0) {
		size_t part = line->segment_bytes - lsn % line->segment_bytes;

		part = part < length ? part : length;
		if (!compare_part(store, line->tli, lsn, bytes, part, err)) {
			return false;
		}
		lsn += part;
		bytes += part;
		length -= part;
	}
	return true;
}

/* A timeline's files begin with the fork's segment, which its parent has up to the fork. */
static bool compare_parent(
	struct wal_store *store, lsn_t lsn, const uint8_t *bytes, size_t length, struct error *err)
{
	const struct wal_tip *tip = wal_store_line(store)->tip;

	if (lsn >= tip->fork) {
		return true;
	}
	length = tip->fork - lsn < length ? tip->fork - lsn : length;
	return compare_part(store, tip->parent_tli, lsn, bytes, length, err);
}

static bool check_position(
	const struct wal_line *line, lsn_t lsn, lsn_t received, struct error *err)
{
	if (lsn > received) {
		return error_set(err, ERROR_INVALID,
			"WAL at " LSN_FORMAT " leaves a gap after " LSN_FORMAT, LSN_ARGS(lsn),
			LSN_ARGS(received));
	}
	if (lsn < line->tip->start) {
		return error_set(err, ERROR_INVALID,
			"WAL at " LSN_FORMAT " lies before " LSN_FORMAT
			", where timeline %u begins here",
			LSN_ARGS(lsn), LSN_ARGS(line->tip->start), line->tli);
	}
	return true;
}

static bool set_full(struct wal_store *store, struct error *err)
{
	struct wal_store_stats stats;

	wal_store_read_stats(store, &stats);
	return error_set(err, ERROR_FULL, "the spool is full: %s", stats.full_reason);
}

bool wal_store_append(
	struct wal_store *store, lsn_t lsn, const void *bytes, size_t length, struct error *err)
{
	struct wal_line *line = wal_store_line(store);
	const uint8_t *from = bytes;
	struct error unheard = {0};
	lsn_t received;

	if (err == NULL) {
		err = &unheard;
	}
	if (line == NULL) {
		return error_set(err, ERROR_INVALID, "WAL came before its position was agreed on");
	}
	if (!wal_store_cut_bad(store, err)) {
		return false;
	}
	received = atomic_load_explicit(&line->tip->received, memory_order_relaxed);
	if (!check_position(line, lsn, received, err)) {
		return false;
	}
	if (lsn < received) {
		size_t overlap = received - lsn < length ? received - lsn : length;

		if (!compare_overlap(store, lsn, from, overlap, err)) {
			return false;
		}
		lsn += overlap;
		from += overlap;
		length -= overlap;
	}
	if (length == 0) {
		return true;
	}
	if (!compare_parent(store, lsn, from, length, err)) {
		return false;
	}
	/* A removed segment stays allocated as long as it is mapped. */
	if (lsn + length > line->tip->fork) {
		wal_writer_leave_overlap(store);
	}
	if (atomic_load_explicit(&store->keeper.is_full, memory_order_relaxed)) {
		return set_full(store, err);
	}
	if (!write_new(store, lsn, from, length, err)) {
		return false;
	}
	atomic_fetch_add_explicit(&store->appended_bytes, length, memory_order_relaxed);
	atomic_store(&line->tip->received, lsn + length);
	/* In this order: where a processor is free for one of the two, those who wait for the WAL
	 * are not to stand behind a sync. */
	wal_store_notify(store, WAL_STORE_RECEIVED);
	wal_flusher_wake(store);
	return true;
}
