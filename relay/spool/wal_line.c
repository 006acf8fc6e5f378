/*
 * wal_line: where the held WAL belongs: ranges, timelines and their history files.
 *
 * begin and switch store the change in the state database first and publish it to readers after, so
 * a crash leaves either the old line or the new one, and in the latter case a stretch that holds
 * nothing yet. What the old stretch holds is synced before its end is stored.
 */
#include "base/log.h"
#include "base/memory.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct wal_tip *wal_tip_new(struct wal_store *store)
{
	uint32_t segment_bytes = store->state.segment_bytes;
	size_t live = store->state.count - 1;
	const struct wal_stretch *stretch = &store->state.stretches[live];
	struct wal_tip *tip = memory_new(sizeof(*tip));

	if (live > 0 && stretch[-1].range == stretch->range) {
		tip->parent_tli = stretch[-1].tli;
		tip->fork = stretch[-1].end;
	}
	tip->stretch_id = stretch->id;
	tip->tli = stretch->tli;
	tip->start = stretch->start;
	tip->files_end = stretch->start;
	atomic_init(&tip->received, stretch->start);
	atomic_init(&tip->flushed, stretch->start);
	atomic_init(&tip->synced, stretch->start);
	atomic_init(&tip->is_bad, false);
	tip->pages = (struct wal_pages){
		.cache = store->cache, .tli = stretch->tli, .segment_bytes = segment_bytes};
	wal_scan_init(
		&tip->scan, wal_pages_at, &tip->pages, stretch->tli, segment_bytes, stretch->start);
	return tip;
}

void wal_line_publish(
	struct wal_store *store, struct timeline_history *history, struct wal_tip *tip)
{
	const struct wal_state *state = &store->state;
	struct wal_line *line = memory_new(sizeof(*line));
	struct wal_line *older = atomic_load(&store->line);

	line->older = older;
	line->history = *history;
	line->tli = tip->tli;
	line->segment_bytes = state->segment_bytes;
	line->stretch_count = state->count;
	line->stretches = memory_new(state->count * sizeof(*line->stretches));
	memcpy(line->stretches, state->stretches, state->count * sizeof(*line->stretches));
	line->tip = tip;
	*history = (struct timeline_history){0};
	if (older == NULL || older->tip != tip) {
		tip->older = older == NULL ? NULL : older->tip;
		wal_flusher_set_good(store, tip);
	}
	atomic_store(&store->line, line);
}

void wal_tip_free(struct wal_tip *tip)
{
	wal_pages_release(&tip->pages);
	free(tip);
}

static void tips_release(struct wal_tip *tip)
{
	while (tip != NULL) {
		struct wal_tip *older = tip->older;

		wal_tip_free(tip);
		tip = older;
	}
}

void wal_lines_release(struct wal_store *store)
{
	struct wal_line *line = atomic_load(&store->line);

	tips_release(line == NULL ? NULL : line->tip);
	while (line != NULL) {
		struct wal_line *older = line->older;

		timeline_history_release(&line->history);
		free(line->stretches);
		free(line);
		line = older;
	}
	atomic_store(&store->line, NULL);
}

static bool read_whole(int fd, char **text_out, size_t *length_out)
{
	char *text = memory_new(TIMELINE_HISTORY_BYTES_MAX + 1);
	size_t length = 0;
	ssize_t got;

	do {
		got = read(fd, text + length, TIMELINE_HISTORY_BYTES_MAX - length);
		length += got > 0 ? (size_t)got : 0;
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0) {
		free(text);
		return false;
	}
	*text_out = text;
	*length_out = length;
	return true;
}

bool wal_store_read_history_file(
	struct wal_store *store, tli_t tli, char **text_out, size_t *length_out, struct error *err)
{
	char name[TIMELINE_FILE_NAME_SIZE];
	bool ok;
	int fd;

	timeline_history_file_name(tli, name);
	fd = openat(durable_directory_fd(store->directory), name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		bool is_missing = errno == ENOENT;

		(void)error_set_errno(err, "could not open file \"pg_wal/%s\"", name);
		if (is_missing && err != NULL) {
			err->kind = ERROR_NOT_FOUND;
			(void)error_sqlstate(err, "58P01");
		}
		return false;
	}
	ok = read_whole(fd, text_out, length_out);
	if (!ok) {
		(void)error_set_errno(err, "could not read file \"pg_wal/%s\"", name);
	}
	close(fd);
	return ok;
}

/* False: err says why; a file that is missing is no history of tli alone. */
static bool read_history_file(
	struct wal_store *store, tli_t tli, struct timeline_history *history_out, struct error *err)
{
	char *text;
	size_t length;
	bool ok;

	if (!wal_store_read_history_file(store, tli, &text, &length, err)) {
		return false;
	}
	ok = timeline_history_parse(history_out, tli, text, length, err);
	free(text);
	return ok;
}

/* Out of the newest history that has tli in it: a server need not have the file of a timeline that
 * it never was on. *history_out stays as it is when there is none. */
static bool read_descendant(
	struct wal_store *store, tli_t tli, struct timeline_history *history_out, struct error *err)
{
	const char *path = durable_directory_path(store->directory);
	DIR *directory = opendir(path);
	struct timeline_history history;
	struct error unreadable;
	struct dirent *entry;
	tli_t newest = tli, held;

	if (directory == NULL) {
		return error_set_errno(err, "could not open directory \"%s\"", path);
	}
	while ((entry = readdir(directory)) != NULL) {
		if (!timeline_history_file_name_parse(entry->d_name, &held) || held <= newest ||
			!read_history_file(store, held, &history, &unreadable)) {
			continue;
		}
		if (timeline_history_find(&history, tli) != NULL) {
			timeline_history_release(history_out);
			*history_out = history;
			newest = held;
		} else {
			timeline_history_release(&history);
		}
	}
	closedir(directory);
	return true;
}

bool wal_line_read_history(
	struct wal_store *store, tli_t tli, struct timeline_history *history_out, struct error *err)
{
	struct timeline_history history = {0};
	struct error why = {0};

	if (!read_history_file(store, tli, &history, &why)) {
		bool ok = why.kind == ERROR_NOT_FOUND &&
			  (tli == 1 || read_descendant(store, tli, &history, &why));

		if (!ok) {
			if (err != NULL) {
				*err = why;
			}
			return false;
		}
	}
	if (history.count == 0) {
		return timeline_history_parse(history_out, tli, NULL, 0, err);
	}
	timeline_history_cut(&history, tli);
	*history_out = history;
	return true;
}

static bool compare_history(struct wal_store *store, tli_t tli, const void *text, size_t length,
	bool *is_held_out, struct error *err)
{
	struct error missing = {0};
	char *held = NULL;
	size_t held_length = 0;
	bool is_same;

	*is_held_out = wal_store_read_history_file(store, tli, &held, &held_length, &missing);
	if (!*is_held_out) {
		if (missing.kind != ERROR_NOT_FOUND && err != NULL) {
			*err = missing;
		}
		return missing.kind == ERROR_NOT_FOUND;
	}
	is_same = held_length == length && memcmp(held, text, length) == 0;
	free(held);
	if (!is_same) {
		return error_set(err, ERROR_DIVERGED,
			"history file of timeline %u differs from the one held", tli);
	}
	return true;
}

bool wal_store_put_history(
	struct wal_store *store, tli_t tli, const void *text, size_t length, struct error *err)
{
	struct wal_line *line = wal_store_line(store);
	char name[TIMELINE_FILE_NAME_SIZE];
	struct timeline_history history;
	bool is_held;

	if (length > TIMELINE_HISTORY_BYTES_MAX) {
		return error_set(
			err, ERROR_INVALID, "history file of timeline %u is too large", tli);
	}
	if (!timeline_history_parse(&history, tli, text, length, err)) {
		return false;
	}
	if (!compare_history(store, tli, text, length, &is_held, err) ||
		(!is_held && !durable_file_store(store->directory,
				     timeline_history_file_name(tli, name), text, length, err))) {
		timeline_history_release(&history);
		return false;
	}
	if (line != NULL && line->tli == tli && !is_held) {
		wal_line_publish(store, &history, line->tip);
	}
	timeline_history_release(&history);
	return true;
}

static bool check_begin(const struct wal_store *store, const struct wal_line *line, tli_t tli,
	lsn_t start, uint32_t segment_bytes, struct error *err)
{
	const struct wal_state *state = &store->state;

	if (!wal_segment_bytes_is_valid(segment_bytes) || tli == 0) {
		return error_set(err, ERROR_INVALID,
			"WAL cannot begin on timeline %u with segments of %u bytes", tli,
			segment_bytes);
	}
	if (state->count > 0 && state->segment_bytes != segment_bytes) {
		return error_set(err, ERROR_CONFLICT,
			"the spool holds WAL with segments of %u bytes, not %u",
			state->segment_bytes, segment_bytes);
	}
	for (size_t i = 0; i < state->count; i++) {
		const struct wal_stretch *stretch = &state->stretches[i];
		lsn_t end = stretch->end != LSN_INVALID ? stretch->end
							: atomic_load(&line->tip->received);

		if (stretch->tli == tli && end > start && end > stretch->start) {
			return error_set(err, ERROR_CONFLICT,
				"the spool already holds WAL of timeline %u up to " LSN_FORMAT, tli,
				LSN_ARGS(end));
		}
	}
	return true;
}

bool wal_store_begin(
	struct wal_store *store, tli_t tli, lsn_t lsn, uint32_t segment_bytes, struct error *err)
{
	struct wal_line *line = wal_store_line(store);
	struct timeline_history history;
	lsn_t cut_lsn = LSN_INVALID;
	lsn_t start;
	bool ok;

	start = segment_bytes == 0 ? lsn : lsn_segment_start(lsn, segment_bytes);
	if (!check_begin(store, line, tli, start, segment_bytes, err) ||
		!wal_line_read_history(store, tli, &history, err)) {
		return false;
	}
	if (line != NULL) {
		wal_flusher_wait(store);
		cut_lsn = atomic_load(&line->tip->flushed);
	}
	wal_writer_leave_file(store);
	pthread_mutex_lock(&store->keeper.work);
	ok = wal_state_begin(
		store->database, &store->state, segment_bytes, tli, start, cut_lsn, err);
	if (ok) {
		atomic_store(&store->oldest, start);
		wal_line_publish(store, &history, wal_tip_new(store));
	}
	pthread_mutex_unlock(&store->keeper.work);
	timeline_history_release(&history);
	if (!ok) {
		return false;
	}
	wal_keeper_ring(store);
	wal_store_notify(store, WAL_STORE_RECEIVED | WAL_STORE_FLUSHED);
	return true;
}

/* Index of the stretch that the new history leaves, and where; both lines are the same up to there.
 */
static bool find_fork(const struct wal_store *store, const struct wal_line *line,
	const struct timeline_history *history, size_t *from_out, lsn_t *fork_out,
	struct error *err)
{
	const struct wal_state *state = &store->state;
	const struct timeline_entry *parent;
	lsn_t held;

	if (history->count < 2) {
		return error_set(err, ERROR_INVALID, "timeline %u has no history here",
			timeline_history_current(history));
	}
	parent = &history->entries[history->count - 2];
	for (size_t i = state->count; i-- > 0;) {
		const struct wal_stretch *stretch = &state->stretches[i];

		if (stretch->range != state->stretches[state->count - 1].range) {
			break;
		}
		if (stretch->tli != parent->tli) {
			continue;
		}
		held = stretch->end != LSN_INVALID ? stretch->end
						   : atomic_load(&line->tip->received);
		if (parent->end > held || parent->end < stretch->start) {
			return error_set(err, ERROR_INVALID,
				"timeline %u forks at " LSN_FORMAT
				" from timeline %u, of which " LSN_FORMAT " to " LSN_FORMAT
				" is held",
				timeline_history_current(history), LSN_ARGS(parent->end),
				parent->tli, LSN_ARGS(stretch->start), LSN_ARGS(held));
		}
		*from_out = i;
		*fork_out = parent->end;
		return true;
	}
	return error_set(err, ERROR_INVALID,
		"timeline %u forks from timeline %u, of which nothing is held",
		timeline_history_current(history), parent->tli);
}

/* What is known of the last checkpoint stays true up to the fork. */
static struct wal_tip *forked_tip(struct wal_store *store, lsn_t fork)
{
	struct wal_tip *tip = wal_tip_new(store);
	struct wal_good_point good;
	int64_t stretch_id;

	wal_flusher_read_good(store, &stretch_id, &good);
	if (good.redo_lsn < fork) {
		tip->scan.redo = good.redo_lsn;
	}
	return tip;
}

/* Retention must not look between the change of oldest and that of the line. */
static bool switch_line(struct wal_store *store, struct timeline_history *history, size_t from,
	lsn_t fork, struct error *err)
{
	tli_t tli = timeline_history_current(history);
	lsn_t start = lsn_segment_start(fork, store->state.segment_bytes);
	bool ok;

	pthread_mutex_lock(&store->keeper.work);
	ok = wal_state_switch(store->database, &store->state, from, fork, tli, err);
	if (ok) {
		atomic_store(&store->oldest, lsn_min(atomic_load(&store->oldest), start));
		wal_line_publish(store, history, forked_tip(store, fork));
	}
	pthread_mutex_unlock(&store->keeper.work);
	return ok;
}

bool wal_store_switch_timeline(struct wal_store *store, tli_t tli, struct error *err)
{
	struct wal_line *line = wal_store_line(store);
	struct timeline_history history;
	size_t from = 0;
	lsn_t fork = LSN_INVALID;
	bool ok;

	if (line == NULL) {
		return error_set(err, ERROR_INVALID, "there is no timeline to switch from");
	}
	wal_writer_leave_file(store);
	wal_flusher_wait(store);
	/* What lies before the fork is served for good: it must have proved itself. */
	if (!wal_store_cut_bad(store, err) || !wal_line_read_history(store, tli, &history, err)) {
		return false;
	}
	ok = find_fork(store, line, &history, &from, &fork, err);
	if (ok) {
		ok = switch_line(store, &history, from, fork, err);
	}
	timeline_history_release(&history);
	if (!ok) {
		return false;
	}
	log_info(WAL_LOG_SCOPE, "switched from timeline %u to timeline %u at " LSN_FORMAT,
		line->tli, tli, LSN_ARGS(fork));
	wal_keeper_ring(store);
	wal_store_notify(store, WAL_STORE_RECEIVED | WAL_STORE_FLUSHED);
	return true;
}
