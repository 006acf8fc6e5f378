/*
 * wal_recovery: what is held after a start, proved from the bytes themselves.
 *
 * The state database says which stretches there are and up to where the live one was proved when
 * that was last stored. From there the scan walks what the disk really has: files are synced and
 * dropped from the page cache first, because after a crash the cache may hold bytes that were never
 * written, and after a failed sync bytes that never will be. What does not prove itself is zeroed,
 * or removed with its file, so that nothing of it can be taken for WAL later.
 */
#include "base/log.h"
#include "spool/wal_store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), suffix_length = strlen(suffix);

	return length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

static bool list_segment(
	struct wal_store *store, const char *name, tli_t tli, uint64_t number, struct error *err)
{
	struct stat status;

	if (fstatat(durable_directory_fd(store->directory), name, &status, 0) != 0) {
		return error_set_errno(err, "could not stat WAL segment \"%s\"", name);
	}
	if (status.st_size != store->state.segment_bytes) {
		log_warning(WAL_LOG_SCOPE,
			"WAL segment \"%s\" has %jd bytes instead of %u: passed over", name,
			(intmax_t)status.st_size, store->state.segment_bytes);
		return true;
	}
	wal_catalogue_put(&store->catalogue, tli, number,
		(int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000);
	return true;
}

static bool list_file(struct wal_store *store, const char *name, struct error *err)
{
	uint64_t number;
	tli_t tli;

	if (strcmp(name, WAL_PREPARED_NAME) == 0 || strcmp(name, WAL_FILL_NAME) == 0 ||
		has_suffix(name, ".history.tmp")) {
		return durable_directory_unlink(store->directory, name, err);
	}
	if (store->state.segment_bytes == 0 ||
		!wal_segment_name_parse(name, store->state.segment_bytes, &tli, &number)) {
		return true;
	}
	return list_segment(store, name, tli, number, err);
}

static bool list_directory(struct wal_store *store, struct error *err)
{
	const char *path = durable_directory_path(store->directory);
	DIR *directory = opendir(path);
	struct dirent *entry;
	bool ok = true;

	if (directory == NULL) {
		return error_set_errno(err, "could not open directory \"%s\"", path);
	}
	while (ok && (entry = readdir(directory)) != NULL) {
		ok = list_file(store, entry->d_name, err);
	}
	closedir(directory);
	return ok;
}

/* So that what is read afterwards is what the disk has. */
static bool settle_file(struct wal_store *store, const char *name, struct error *err)
{
	struct durable_file *file = durable_file_open(store->directory, name, err);
	bool ok;
	int fd;

	if (file == NULL) {
		return false;
	}
	ok = durable_file_sync(file, err);
	durable_file_close(&file);
	if (!ok) {
		return false;
	}
	fd = openat(durable_directory_fd(store->directory), name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
	return true;
}

/* From lsn on as long as one file follows the other; end_out is where the last one ends. */
static bool settle_files(
	struct wal_store *store, tli_t tli, lsn_t lsn, lsn_t *end_out, struct error *err)
{
	uint32_t segment_bytes = store->state.segment_bytes;
	uint64_t number = wal_segment_number(lsn, segment_bytes);
	char name[WAL_SEGMENT_NAME_SIZE];

	for (; wal_catalogue_has(&store->catalogue, tli, number); number++) {
		if (!settle_file(store, wal_segment_name(tli, number, segment_bytes, name), err)) {
			return false;
		}
	}
	*end_out = number * segment_bytes;
	return durable_directory_sync(store->directory, err);
}

static bool set_damaged(const struct wal_tip *tip, lsn_t good_end_lsn, struct error *err)
{
	const struct wal_scan *scan = &tip->scan;

	(void)error_set(err, ERROR_INVALID,
		"WAL that was on disk is missing or damaged at " LSN_FORMAT " on timeline %u",
		LSN_ARGS(scan->bad_lsn != LSN_INVALID ? scan->bad_lsn : scan->at), tip->tli);
	(void)error_detail(err, "Everything up to " LSN_FORMAT " had been acknowledged; found: %s.",
		LSN_ARGS(good_end_lsn),
		scan->bad_reason != NULL ? scan->bad_reason : "end of the files");
	return error_hint(err, "\"walrelay reset\" begins a new range and deletes nothing.");
}

/* Walks from the good point and leaves the scan where appending goes on. */
static bool prove_tip(struct wal_store *store, struct wal_tip *tip,
	const struct wal_good_point *good, struct error *err)
{
	enum wal_scan_result result;
	lsn_t limit;

	if (!settle_files(store, tip->tli, good->record_lsn, &limit, err)) {
		return false;
	}
	wal_scan_init(&tip->scan, wal_pages_at, &tip->pages, tip->tli, store->state.segment_bytes,
		good->record_lsn);
	tip->scan.redo = good->redo_lsn;
	tip->pages.may_be_cold = true;
	result = limit > good->record_lsn ? wal_scan_run(&tip->scan, limit) : WAL_SCAN_MORE;
	if (result == WAL_SCAN_FAILED) {
		if (err != NULL) {
			*err = tip->pages.err;
		}
		return false;
	}
	if (tip->scan.end < good->end_lsn) {
		return set_damaged(tip, good->end_lsn, err);
	}
	wal_scan_rewind(&tip->scan);
	tip->has_good_point = true;
	atomic_store(&tip->received, tip->scan.end);
	atomic_store(&tip->flushed, tip->scan.end);
	atomic_store(&tip->synced, tip->scan.end);
	tip->files_end = wal_cut_segment_end(store, tip->scan.end);
	return true;
}

static bool has_files(struct wal_store *store, const struct wal_stretch *stretch)
{
	uint32_t segment_bytes = store->state.segment_bytes;
	struct wal_file_entry entry;

	for (size_t i = 0; wal_catalogue_at(&store->catalogue, i, &entry); i++) {
		lsn_t start = entry.number * segment_bytes;

		if (entry.tli == stretch->tli && start >= stretch->start && start < stretch->end) {
			return true;
		}
	}
	return false;
}

/* Of the oldest stretches nothing may be left. The one that the next forks from stays: it says
 * where its timeline ends. */
static bool forget_what_is_gone(struct wal_store *store, struct error *err)
{
	const struct wal_stretch *stretches = store->state.stretches;
	size_t first = 0;

	while (first + 1 < store->state.count && !has_files(store, &stretches[first])) {
		first++;
	}
	if (first > 0 && stretches[first - 1].range == stretches[first].range) {
		first--;
	}
	return first == 0 || wal_state_forget(store->database, &store->state, first, err);
}

lsn_t wal_store_find_oldest(struct wal_store *store, lsn_t received)
{
	const struct wal_state *state = &store->state;
	size_t index = state->count - 1;
	int64_t range = state->stretches[index].range;
	uint64_t number = wal_segment_number(received, state->segment_bytes);

	while (number > 0) {
		const struct wal_stretch *stretch = &state->stretches[index];
		uint64_t first = wal_segment_number(stretch->start, state->segment_bytes);

		if (number > first) {
			if (!wal_catalogue_has(&store->catalogue, stretch->tli, number - 1)) {
				break;
			}
			number--;
		} else if (index > 0 && state->stretches[index - 1].range == range) {
			index--;
		} else {
			break;
		}
	}
	return number * state->segment_bytes;
}

static bool recover_live(struct wal_store *store, const struct wal_stretch *live, struct error *err)
{
	struct timeline_history history;
	struct wal_tip *tip;
	lsn_t received;

	if (!wal_line_read_history(store, live->tli, &history, err)) {
		return false;
	}
	tip = wal_tip_new(store);
	wal_line_publish(store, &history, tip);
	/* Without a good point nothing of the stretch was ever acknowledged. */
	if (live->good.record_lsn != LSN_INVALID && !prove_tip(store, tip, &live->good, err)) {
		return false;
	}
	received = atomic_load(&tip->received);
	if (!wal_cut_rest(store, tip, received, err) || !wal_cut_sync(store, tip, received, err)) {
		return false;
	}
	tip->pages.may_be_cold = false;
	wal_pages_release(&tip->pages);
	wal_flusher_set_good(store, tip);
	atomic_store(&store->oldest, wal_store_find_oldest(store, received));
	return true;
}

bool wal_store_recover(struct wal_store *store, struct error *err)
{
	const struct wal_state *state = &store->state;

	if (!list_directory(store, err) || !forget_what_is_gone(store, err)) {
		return false;
	}
	if (state->count == 0 || state->stretches[state->count - 1].end != LSN_INVALID) {
		return true;
	}
	return recover_live(store, &state->stretches[state->count - 1], err);
}
