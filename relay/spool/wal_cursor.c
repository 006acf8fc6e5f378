/*
 * wal_cursor: a reader's place in the held WAL.
 *
 * A peek at the tip is two atomic loads and some arithmetic. The cursor looks up where its timeline
 * ends only when the store's line was replaced, and takes a lock only when it enters a segment.
 */
#include "base/memory.h"
#include "spool/wal_prefetch.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What a cursor comes to at its end. */
enum end_kind {
	END_IS_LIVE, /* moves with the tip */
	END_IS_FORK, /* the timeline goes over into next_tli */
	END_IS_HOLE, /* what follows is not held */
	END_IS_CUT,  /* it has read what turned out not to be WAL */
};

struct wal_cursor {
	struct wal_store *store;
	struct wal_cursor *next;
	struct wal_cursor **link;
	tli_t tli;
	bool flushed_only;
	_Atomic lsn_t lsn; /* moved by the owner, read by the keeper */
	/* As of `line`. */
	const struct wal_line *line;
	enum end_kind end_kind;
	lsn_t end; /* unless live */
	tli_t next_tli;
	bool may_use_next_file; /* the fork's segment is under the next timeline's name only */
	/* Mappings. */
	struct wal_segment *segment;
	lsn_t segment_start;
	struct wal_segment *ahead; /* the one after it, being read from disk */
};

static lsn_t cursor_lsn(const struct wal_cursor *cursor)
{
	return atomic_load_explicit(&cursor->lsn, memory_order_relaxed);
}

/* The stretch of the cursor's timeline in which lsn lies, or ends; the newest where two would do.
 */
static const struct wal_stretch *find_stretch(
	const struct wal_line *line, tli_t tli, lsn_t lsn, size_t *index_out)
{
	for (size_t i = line->stretch_count; i-- > 0;) {
		const struct wal_stretch *stretch = &line->stretches[i];

		if (stretch->tli == tli && lsn >= stretch->start &&
			(stretch->end == LSN_INVALID || lsn <= stretch->end)) {
			*index_out = i;
			return stretch;
		}
	}
	return NULL;
}

static void end_at(struct wal_cursor *cursor, enum end_kind kind, lsn_t end, tli_t next_tli)
{
	cursor->end_kind = kind;
	cursor->end = end;
	cursor->next_tli = next_tli;
}

/* No stretch of its own: the segment of the fork may be there under the next timeline's name, as it
 * is in PostgreSQL (WalSndSegmentOpen). */
static void resolve_by_history(struct wal_cursor *cursor, const struct wal_line *line, lsn_t lsn)
{
	const struct timeline_entry *entry = timeline_history_find(&line->history, cursor->tli);
	const struct timeline_entry *next = timeline_history_next(&line->history, cursor->tli);

	if (entry == NULL || next == NULL || lsn > entry->end) {
		end_at(cursor, END_IS_HOLE, lsn, 0);
		return;
	}
	end_at(cursor, END_IS_FORK, entry->end, next->tli);
	cursor->may_use_next_file = true;
}

static void resolve(struct wal_cursor *cursor, const struct wal_line *line)
{
	lsn_t lsn = cursor_lsn(cursor);
	const struct wal_stretch *stretch;
	size_t index;

	cursor->line = line;
	cursor->may_use_next_file = false;
	stretch = find_stretch(line, cursor->tli, lsn, &index);
	if (stretch == NULL) {
		resolve_by_history(cursor, line, lsn);
	} else if (stretch->end == LSN_INVALID) {
		end_at(cursor, END_IS_LIVE, LSN_INVALID, 0);
	} else if (index + 1 < line->stretch_count &&
		   line->stretches[index + 1].range == stretch->range) {
		end_at(cursor, END_IS_FORK, stretch->end, line->stretches[index + 1].tli);
	} else {
		end_at(cursor, END_IS_HOLE, stretch->end, 0);
	}
}

/* It may not have looked while one tip after the other was cut. */
static bool was_cut(const struct wal_cursor *cursor, const struct wal_line *line)
{
	lsn_t lsn = cursor_lsn(cursor);

	for (const struct wal_tip *tip = line->tip; tip != cursor->line->tip; tip = tip->older) {
		if (tip->tli == cursor->tli && tip->cut_lsn != LSN_INVALID && lsn > tip->cut_lsn) {
			return true;
		}
	}
	return false;
}

static void refresh(struct wal_cursor *cursor)
{
	const struct wal_line *line = wal_store_line(cursor->store);

	if (__builtin_expect(line == cursor->line, 1)) {
		return;
	}
	if (cursor->end_kind == END_IS_CUT ||
		(cursor->end_kind == END_IS_LIVE && was_cut(cursor, line))) {
		cursor->line = line;
		end_at(cursor, END_IS_CUT, cursor_lsn(cursor), 0);
		return;
	}
	/* It may have read on past where its timeline now turns out to end. */
	if (cursor->end_kind == END_IS_LIVE && line->tip != cursor->line->tip) {
		const struct timeline_entry *entry =
			timeline_history_find(&line->history, cursor->tli);
		const struct timeline_entry *next =
			timeline_history_next(&line->history, cursor->tli);

		if (next != NULL && cursor_lsn(cursor) > entry->end) {
			cursor->line = line;
			end_at(cursor, END_IS_FORK, entry->end, next->tli);
			return;
		}
	}
	resolve(cursor, line);
}

static bool check_start(const struct wal_line *line, tli_t tli, lsn_t lsn, struct error *err)
{
	const struct timeline_entry *entry = timeline_history_find(&line->history, tli);
	size_t index;

	if (find_stretch(line, tli, lsn, &index) != NULL) {
		return true;
	}
	if (entry == NULL) {
		(void)error_set(err, ERROR_INVALID,
			"requested timeline %u is not in this server's history", tli);
		return error_sqlstate(err, "XX000");
	}
	if (entry->end != LSN_INVALID && lsn > entry->end) {
		(void)error_set(err, ERROR_INVALID,
			"requested starting point " LSN_FORMAT
			" on timeline %u is not in this server's history",
			LSN_ARGS(lsn), tli);
		(void)error_detail(err,
			"This server's history forked from timeline %u at " LSN_FORMAT ".", tli,
			LSN_ARGS(entry->end));
		return error_sqlstate(err, "XX000");
	}
	return true;
}

struct wal_cursor *wal_cursor_open(
	struct wal_store *store, tli_t tli, lsn_t lsn, bool flushed_only, struct error *err)
{
	const struct wal_line *line = wal_store_line(store);
	struct wal_cursor *cursor;

	if (line == NULL) {
		(void)error_set(err, ERROR_INVALID, "no WAL has been received yet");
		(void)error_sqlstate(err, "57P03");
		return NULL;
	}
	if (!check_start(line, tli, lsn, err)) {
		return NULL;
	}
	cursor = memory_new(sizeof(*cursor));
	cursor->store = store;
	cursor->tli = tli;
	cursor->flushed_only = flushed_only;
	atomic_init(&cursor->lsn, lsn);
	resolve(cursor, line);
	pthread_mutex_lock(&store->cursors_lock);
	cursor->next = store->cursors;
	cursor->link = &store->cursors;
	if (cursor->next != NULL) {
		cursor->next->link = &cursor->next;
	}
	store->cursors = cursor;
	pthread_mutex_unlock(&store->cursors_lock);
	return cursor;
}

static void drop(struct wal_segment **segment)
{
	if (*segment != NULL) {
		wal_segment_unref(*segment);
		*segment = NULL;
	}
}

void wal_cursor_close(struct wal_cursor **cursor)
{
	struct wal_cursor *closing = *cursor;
	struct wal_store *store;

	if (closing == NULL) {
		return;
	}
	*cursor = NULL;
	store = closing->store;
	pthread_mutex_lock(&store->cursors_lock);
	*closing->link = closing->next;
	if (closing->next != NULL) {
		closing->next->link = closing->link;
	}
	pthread_mutex_unlock(&store->cursors_lock);
	drop(&closing->segment);
	drop(&closing->ahead);
	free(closing);
}

void wal_cursors_visit(
	struct wal_store *store, void (*visit)(void *context, lsn_t lsn), void *context)
{
	pthread_mutex_lock(&store->cursors_lock);
	for (struct wal_cursor *cursor = store->cursors; cursor != NULL; cursor = cursor->next) {
		visit(context, cursor_lsn(cursor));
	}
	pthread_mutex_unlock(&store->cursors_lock);
}

static lsn_t readable_end(const struct wal_cursor *cursor)
{
	const struct wal_tip *tip = cursor->line->tip;

	if (cursor->end_kind != END_IS_LIVE) {
		return cursor->end;
	}
	return atomic_load_explicit(
		cursor->flushed_only || atomic_load_explicit(&tip->is_bad, memory_order_acquire)
			? &tip->flushed
			: &tip->received,
		memory_order_acquire);
}

lsn_t wal_cursor_end(struct wal_cursor *cursor)
{
	refresh(cursor);
	return readable_end(cursor);
}

/* PostgreSQL's words for what a standby cannot get any more. */
static enum wal_read set_gone(const struct wal_cursor *cursor, lsn_t lsn, struct error *err)
{
	char name[WAL_SEGMENT_NAME_SIZE];
	uint32_t segment_bytes = cursor->line->segment_bytes;

	wal_segment_name(cursor->tli, wal_segment_number(lsn, segment_bytes), segment_bytes, name);
	(void)error_set(
		err, ERROR_NOT_FOUND, "requested WAL segment %s has already been removed", name);
	(void)error_sqlstate(err, "58P01");
	return WAL_READ_GONE;
}

static struct wal_segment *get_segment(
	const struct wal_cursor *cursor, lsn_t lsn, struct error *err)
{
	uint32_t segment_bytes = cursor->line->segment_bytes;
	uint64_t number = wal_segment_number(lsn, segment_bytes);
	struct wal_segment *segment = wal_segment_cache_get(
		cursor->store->cache, cursor->tli, number, segment_bytes, err);

	/* While the next timeline's first segment is still coming, its file ends early. */
	if (segment == NULL && err->kind == ERROR_NOT_FOUND && cursor->may_use_next_file &&
		number == wal_segment_number(cursor->end, segment_bytes) &&
		(cursor->next_tli != cursor->line->tli ||
			atomic_load(&cursor->line->tip->received) >= cursor->end)) {
		segment = wal_segment_cache_get(
			cursor->store->cache, cursor->next_tli, number, segment_bytes, err);
	}
	return segment;
}

static void look_ahead(struct wal_cursor *cursor, lsn_t end)
{
	uint32_t segment_bytes = cursor->line->segment_bytes;
	lsn_t next_start = cursor->segment_start + segment_bytes;
	struct error ignored;

	drop(&cursor->ahead);
	if (next_start + segment_bytes <= end) {
		cursor->ahead = get_segment(cursor, next_start, &ignored);
	}
	if (cursor->ahead != NULL) {
		wal_segment_read_ahead(cursor->ahead);
	}
}

static enum wal_read enter_segment(
	struct wal_cursor *cursor, lsn_t lsn, lsn_t end, struct error *err)
{
	uint32_t segment_bytes = cursor->line->segment_bytes;
	lsn_t start = lsn_segment_start(lsn, segment_bytes);
	bool is_ahead = cursor->ahead != NULL && start == cursor->segment_start + segment_bytes;
	struct error why = {0};

	drop(&cursor->segment);
	if (is_ahead) {
		cursor->segment = cursor->ahead;
		cursor->ahead = NULL;
	} else {
		cursor->segment = get_segment(cursor, lsn, &why);
	}
	if (cursor->segment == NULL) {
		if (why.kind == ERROR_NOT_FOUND) {
			return set_gone(cursor, lsn, err);
		}
		if (err != NULL) {
			*err = why;
		}
		return WAL_READ_FAILED;
	}
	cursor->segment_start = start;
	look_ahead(cursor, end);
	return WAL_READ_DATA;
}

/* The client asks again from its segment's start, and so gets what takes the place of it. */
static enum wal_read set_cut(lsn_t lsn, struct error *err)
{
	(void)error_set(err, ERROR_INVALID,
		"WAL before " LSN_FORMAT " turned out not to be valid and has to be sent again",
		LSN_ARGS(lsn));
	(void)error_sqlstate(err, "XX001");
	return WAL_READ_FAILED;
}

static enum wal_read at_end(const struct wal_cursor *cursor, lsn_t lsn, struct error *err)
{
	switch (cursor->end_kind) {
	case END_IS_LIVE: return WAL_READ_WAIT;
	case END_IS_FORK: return WAL_READ_TIMELINE_END;
	case END_IS_HOLE: break;
	case END_IS_CUT: return set_cut(lsn, err);
	}
	return set_gone(cursor, lsn, err);
}

/* Bytes from lsn on that make a good message. */
static size_t stretch_length(lsn_t lsn, lsn_t end, size_t length_max)
{
	lsn_t stop;

	if (end - lsn <= length_max) {
		return end - lsn;
	}
	stop = lsn_page_start(lsn + length_max);
	return stop > lsn ? stop - lsn : length_max;
}

static bool is_in_segment(const struct wal_cursor *cursor, lsn_t lsn)
{
	return cursor->segment != NULL && lsn - cursor->segment_start < cursor->line->segment_bytes;
}

/* What was just received is in memory; what was written long ago may not be. */
static bool is_recent(const struct wal_cursor *cursor, lsn_t lsn, lsn_t end)
{
	uint32_t segment_bytes = cursor->line->segment_bytes;

	return cursor->end_kind == END_IS_LIVE &&
	       end - lsn_segment_start(lsn, segment_bytes) <= 2 * (uint64_t)segment_bytes;
}

enum wal_read wal_cursor_peek(
	struct wal_cursor *cursor, size_t length_max, struct wal_span *span_out, struct error *err)
{
	lsn_t lsn = cursor_lsn(cursor);
	uint32_t segment_bytes;
	size_t length;
	lsn_t end;

	assert(length_max > 0);
	refresh(cursor);
	segment_bytes = cursor->line->segment_bytes;
	end = readable_end(cursor);
	if (lsn >= end) {
		return at_end(cursor, lsn, err);
	}
	if (!is_in_segment(cursor, lsn)) {
		enum wal_read entered = enter_segment(cursor, lsn, end, err);

		if (entered != WAL_READ_DATA) {
			return entered;
		}
	}
	length = stretch_length(
		lsn, lsn_min(end, cursor->segment_start + segment_bytes), length_max);
	if (!is_recent(cursor, lsn, end) &&
		!wal_segment_populate(cursor->segment, (uint32_t)(lsn - cursor->segment_start),
			(uint32_t)length, err)) {
		return WAL_READ_FAILED;
	}
	*span_out = (struct wal_span){
		.bytes = wal_segment_bytes(cursor->segment) + (lsn - cursor->segment_start),
		.length = length,
		.lsn = lsn,
		.segment = cursor->segment};
	return WAL_READ_DATA;
}

bool wal_cursor_is_on_disk(
	struct wal_cursor *cursor, size_t length_max, struct wal_on_disk *stretch_out)
{
	lsn_t lsn = cursor_lsn(cursor);
	uint32_t segment_bytes;
	struct error told_by_peek = {0};
	lsn_t end;

	refresh(cursor);
	segment_bytes = cursor->line->segment_bytes;
	end = readable_end(cursor);
	if (lsn >= end || is_recent(cursor, lsn, end) ||
		(!is_in_segment(cursor, lsn) &&
			enter_segment(cursor, lsn, end, &told_by_peek) != WAL_READ_DATA)) {
		return false;
	}
	*stretch_out = (struct wal_on_disk){.segment = cursor->segment,
		.offset = (uint32_t)(lsn - cursor->segment_start),
		.length = (uint32_t)stretch_length(
			lsn, lsn_min(end, cursor->segment_start + segment_bytes), length_max)};
	return !wal_segment_is_resident(
		stretch_out->segment, stretch_out->offset, stretch_out->length);
}

void wal_cursor_advance(struct wal_cursor *cursor, size_t length)
{
	atomic_store_explicit(&cursor->lsn, cursor_lsn(cursor) + length, memory_order_relaxed);
}

lsn_t wal_cursor_lsn(const struct wal_cursor *cursor)
{
	return cursor_lsn(cursor);
}

tli_t wal_cursor_tli(const struct wal_cursor *cursor)
{
	return cursor->tli;
}

bool wal_cursor_timeline_end(struct wal_cursor *cursor, lsn_t *switch_lsn_out, tli_t *next_tli_out)
{
	refresh(cursor);
	if (cursor->end_kind != END_IS_FORK) {
		return false;
	}
	*switch_lsn_out = cursor->end;
	*next_tli_out = cursor->next_tli;
	return true;
}
