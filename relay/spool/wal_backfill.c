/*
 * wal_backfill: WAL from before what is held, wanted by readers and fetched by a filler.
 *
 * A want is a timeline and where it begins; what is missing of it is looked up in the catalogue
 * each time, from what is held downward. So segments that came before a crash need not come again,
 * and what a reader finds at its place is followed by all the rest. A segment must go on as what is
 * held above it: records linked and checked across the border.
 */
#include "base/log.h"
#include "base/monotonic_clock.h"
#include "base/wall_clock.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define REFUSED_US INT64_C(30000000)  /* then it is worth another question */
#define KEPT_US    INT64_C(600000000) /* a standby that went away comes back within that */

void wal_store_set_filler(struct wal_store *store, bool has_filler)
{
	pthread_mutex_lock(&store->backfill.lock);
	store->backfill.has_filler = has_filler;
	pthread_mutex_unlock(&store->backfill.lock);
}

/* --- what is missing ----------------------------------------------------------------------------
 */

/* Where what has to be fetched of the timeline ends: at what is held of it, or at its own end. */
static lsn_t top_of(struct wal_store *store, const struct wal_line *line, tli_t tli)
{
	const struct timeline_entry *entry = timeline_history_find(&line->history, tli);
	const struct timeline_entry *next = timeline_history_next(&line->history, tli);
	lsn_t oldest = atomic_load(&store->oldest);
	uint64_t fork_number;

	if (next == NULL) {
		return oldest;
	}
	/* The fork's segment may be held under the next timeline's name, and is read there. */
	fork_number = wal_segment_number(entry->end, line->segment_bytes);
	if (wal_catalogue_has(&store->catalogue, next->tli, fork_number)) {
		return fork_number * line->segment_bytes;
	}
	return entry->end;
}

/* The highest segment not held from which to `wanted`; false: none is missing. */
static bool find_missing(struct wal_store *store, const struct wal_line *line,
	const struct wal_wanted *wanted, struct wal_want *want_out)
{
	uint32_t segment_bytes = line->segment_bytes;
	lsn_t top = top_of(store, line, wanted->tli);
	uint64_t first = wal_segment_number(wanted->lsn, segment_bytes);

	for (uint64_t end = (top + segment_bytes - 1) / segment_bytes; end > first; end--) {
		if (!wal_catalogue_has(&store->catalogue, wanted->tli, end - 1)) {
			lsn_t lsn = (end - 1) * segment_bytes;

			*want_out = (struct wal_want){.tli = wanted->tli,
				.number = end - 1,
				.lsn = lsn,
				.end_lsn = lsn_min(top, lsn + segment_bytes),
				.segment_bytes = segment_bytes};
			return true;
		}
	}
	return false;
}

/* --- wanting ------------------------------------------------------------------------------------
 */

/* All from there on has to fit, with what else is on disk, or retention would take it again. */
static bool has_room(struct wal_store *store, const struct wal_line *line, lsn_t lsn)
{
	struct wal_store_options limits;
	struct wal_store_stats stats;
	uint64_t held, wanted;

	wal_keeper_read_limits(store, &limits);
	wal_store_read_stats(store, &stats);
	held = stats.received_lsn - lsn_min(stats.oldest_lsn, stats.received_lsn);
	wanted = stats.received_lsn - lsn_min(lsn, stats.received_lsn);
	if (wanted <= held) {
		return true;
	}
	wanted -= held;
	return (limits.max_bytes == 0 ||
		       stats.spool_bytes + wanted + 2 * (uint64_t)line->segment_bytes <=
			       limits.max_bytes) &&
	       (limits.min_free_bytes == 0 || stats.disk_free_bytes == 0 ||
		       stats.disk_free_bytes >= limits.min_free_bytes + wanted);
}

/* What was found to fit may not any more. */
static bool has_room_for_one(struct wal_store *store)
{
	uint64_t segment_bytes = wal_store_segment_bytes(store);
	struct wal_store_options limits;
	struct wal_store_stats stats;

	wal_keeper_read_limits(store, &limits);
	wal_store_read_stats(store, &stats);
	return !stats.is_full &&
	       (limits.max_bytes == 0 ||
		       stats.spool_bytes + 2 * segment_bytes <= limits.max_bytes) &&
	       (stats.disk_free_bytes == 0 ||
		       stats.disk_free_bytes >= limits.min_free_bytes + segment_bytes);
}

/* Could there be such WAL, and is it for us to have? */
static bool is_wantable(struct wal_store *store, tli_t tli, lsn_t lsn)
{
	const struct wal_line *line = wal_store_line(store);
	const struct timeline_entry *entry;

	if (line == NULL) {
		return false;
	}
	entry = timeline_history_find(&line->history, tli);
	if (entry == NULL || lsn < lsn_segment_start(entry->begin, line->segment_bytes) ||
		lsn >= top_of(store, line, tli)) {
		return false;
	}
	return has_room(store, line, lsn_segment_start(lsn, line->segment_bytes));
}

/* Under lock. */
static struct wal_wanted *find_wanted(struct wal_backfill *backfill, tli_t tli, lsn_t lsn)
{
	for (size_t i = 0; i < WAL_WANTS_MAX; i++) {
		struct wal_wanted *wanted = &backfill->wanted[i];
		bool is_of = wanted->state == WAL_WANT_REFUSED ? lsn < wanted->refused_lsn
							       : lsn >= wanted->lsn;

		if (wanted->state != WAL_WANT_FREE && wanted->tli == tli && is_of) {
			return wanted;
		}
	}
	return NULL;
}

/* Under lock. */
static void forget_old(struct wal_backfill *backfill, int64_t now_us)
{
	for (size_t i = 0; i < WAL_WANTS_MAX; i++) {
		struct wal_wanted *wanted = &backfill->wanted[i];
		int64_t age_us = now_us - wanted->touched_us;

		if ((wanted->state == WAL_WANT_REFUSED && age_us >= REFUSED_US) ||
			(wanted->state != WAL_WANT_FREE && age_us >= KEPT_US)) {
			wanted->state = WAL_WANT_FREE;
		}
	}
}

/* Under lock. */
static bool add_wanted(struct wal_backfill *backfill, tli_t tli, lsn_t lsn, int64_t now_us)
{
	for (size_t i = 0; i < WAL_WANTS_MAX; i++) {
		if (backfill->wanted[i].state == WAL_WANT_FREE) {
			backfill->wanted[i] = (struct wal_wanted){.state = WAL_WANT_PENDING,
				.tli = tli,
				.lsn = lsn,
				.touched_us = now_us};
			return true;
		}
	}
	return false;
}

bool wal_store_want(struct wal_store *store, tli_t tli, lsn_t lsn)
{
	struct wal_backfill *backfill = &store->backfill;
	int64_t now_us = monotonic_clock_us();
	struct wal_wanted *wanted;
	bool is_new = false, is_coming = false;

	if (!is_wantable(store, tli, lsn)) {
		return false;
	}
	pthread_mutex_lock(&backfill->lock);
	forget_old(backfill, now_us);
	wanted = find_wanted(backfill, tli, lsn);
	if (wanted != NULL && wanted->state != WAL_WANT_REFUSED) {
		/* Taken in, and gone again: it begins anew. */
		is_new = wanted->state == WAL_WANT_TAKEN_IN;
		wanted->state = WAL_WANT_PENDING;
		wanted->touched_us = now_us;
		is_coming = true;
	} else if (wanted == NULL && backfill->has_filler) {
		lsn = lsn_segment_start(lsn, wal_store_segment_bytes(store));
		is_new = is_coming = add_wanted(backfill, tli, lsn, now_us);
	}
	pthread_mutex_unlock(&backfill->lock);
	if (is_new) {
		log_info(WAL_LOG_SCOPE,
			"WAL of timeline %u from " LSN_FORMAT
			" is wanted and not held: asking the upstream for it",
			tli, LSN_ARGS(lsn));
		wal_store_notify(store, WAL_STORE_WANTED);
	}
	return is_coming;
}

lsn_t wal_backfill_keeps(struct wal_store *store)
{
	struct wal_backfill *backfill = &store->backfill;
	lsn_t lsn = UINT64_MAX;

	pthread_mutex_lock(&backfill->lock);
	forget_old(backfill, monotonic_clock_us());
	for (size_t i = 0; i < WAL_WANTS_MAX; i++) {
		const struct wal_wanted *wanted = &backfill->wanted[i];

		if (wanted->state == WAL_WANT_PENDING || wanted->state == WAL_WANT_TAKEN_IN) {
			lsn = lsn_min(lsn, wanted->lsn);
		}
	}
	pthread_mutex_unlock(&backfill->lock);
	return lsn;
}

/* --- filling ------------------------------------------------------------------------------------
 */

enum wal_want_step wal_store_next_want(struct wal_store *store, struct wal_want *want_out)
{
	const struct wal_line *line = wal_store_line(store);
	struct wal_backfill *backfill = &store->backfill;
	enum wal_want_step step = WAL_WANT_NOTHING;

	if (line == NULL) {
		return WAL_WANT_NOTHING;
	}
	pthread_mutex_lock(&backfill->lock);
	forget_old(backfill, monotonic_clock_us());
	for (size_t i = 0; i < WAL_WANTS_MAX && step != WAL_WANT_SEGMENT; i++) {
		const struct wal_wanted *wanted = &backfill->wanted[i];

		if (wanted->state == WAL_WANT_PENDING) {
			step = find_missing(store, line, wanted, want_out) ? WAL_WANT_SEGMENT
									   : WAL_WANT_COMPLETE;
		}
	}
	pthread_mutex_unlock(&backfill->lock);
	return step;
}

struct border {
	const struct wal_want *want;
	const uint8_t *bytes;
	struct wal_pages above;
};

static const uint8_t *border_page(void *context, lsn_t page_lsn)
{
	struct border *border = context;

	if (page_lsn - border->want->lsn < border->want->segment_bytes) {
		return border->bytes + (page_lsn - border->want->lsn);
	}
	return wal_pages_at(&border->above, page_lsn);
}

/* How far what is held above may be looked at. */
static lsn_t border_limit(struct wal_store *store, const struct wal_want *want)
{
	const struct wal_line *line = wal_store_line(store);
	lsn_t next = want->lsn + want->segment_bytes;

	if (want->end_lsn < next ||
		!wal_catalogue_has(&store->catalogue, want->tli, want->number + 1)) {
		return want->end_lsn;
	}
	if (want->tli == line->tli) {
		return lsn_min(next + want->segment_bytes,
			lsn_max(next, atomic_load(&line->tip->received)));
	}
	return lsn_min(
		next + want->segment_bytes, timeline_history_find(&line->history, want->tli)->end);
}

static bool check_border(
	struct wal_store *store, const struct wal_want *want, const void *bytes, struct error *err)
{
	struct border border = {.want = want,
		.bytes = bytes,
		.above = {.cache = store->cache,
			.tli = want->tli,
			.segment_bytes = want->segment_bytes,
			.may_be_cold = true}};
	struct wal_scan scan;
	bool ok;

	wal_scan_init(&scan, border_page, &border, want->tli, want->segment_bytes, want->lsn);
	ok = wal_scan_run(&scan, border_limit(store, want)) == WAL_SCAN_MORE;
	wal_pages_release(&border.above);
	if (!ok) {
		return error_set(err, ERROR_DIVERGED,
			"what the upstream has of timeline %u before " LSN_FORMAT
			" does not go on as what is held: %s at " LSN_FORMAT,
			want->tli, LSN_ARGS(want->end_lsn),
			scan.bad_reason != NULL ? scan.bad_reason : "unreadable",
			LSN_ARGS(scan.bad_lsn));
	}
	return true;
}

/* As old as what follows it: retain_time is about when WAL was written. */
static int64_t time_of_next(struct wal_store *store, const struct wal_want *want)
{
	struct wal_file_entry entry;

	for (size_t i = 0; wal_catalogue_at(&store->catalogue, i, &entry); i++) {
		if (entry.number > want->number) {
			return entry.complete_us == WAL_FILE_IS_GROWING ? wall_clock_unix_us()
									: entry.complete_us;
		}
	}
	return wall_clock_unix_us();
}

static void set_time(struct wal_store *store, int64_t time_us)
{
	struct timespec time = {.tv_sec = time_us / 1000000, .tv_nsec = time_us % 1000000 * 1000};
	const struct timespec times[] = {time, time};

	(void)utimensat(durable_directory_fd(store->directory), WAL_FILL_NAME, times, 0);
}

static bool store_bytes(struct wal_store *store, const struct wal_want *want, const void *bytes,
	int64_t time_us, struct error *err)
{
	struct durable_file *file =
		durable_file_create(store->directory, WAL_FILL_NAME, want->segment_bytes, err);
	struct error ignored;
	bool ok;

	if (file == NULL) {
		return false;
	}
	ok = durable_file_write(file, 0, bytes, want->segment_bytes, err) &&
	     durable_file_sync(file, err);
	durable_file_close(&file);
	if (!ok) {
		(void)!durable_directory_unlink(store->directory, WAL_FILL_NAME, &ignored);
		return false;
	}
	set_time(store, time_us);
	return true;
}

bool wal_store_fill(
	struct wal_store *store, const struct wal_want *want, const void *bytes, struct error *err)
{
	int64_t time_us = time_of_next(store, want);
	char name[WAL_SEGMENT_NAME_SIZE];
	bool ok;

	if (!has_room_for_one(store)) {
		return error_set(err, ERROR_FULL, "the spool has no room for older WAL");
	}
	if (!check_border(store, want, bytes, err) ||
		!store_bytes(store, want, bytes, time_us, err)) {
		return false;
	}
	wal_segment_name(want->tli, want->number, want->segment_bytes, name);
	pthread_mutex_lock(&store->keeper.work);
	ok = durable_directory_rename(store->directory, WAL_FILL_NAME, name, err);
	if (ok) {
		wal_segment_cache_forget(store->cache, want->tli, want->number);
		wal_catalogue_put(&store->catalogue, want->tli, want->number, time_us);
	}
	pthread_mutex_unlock(&store->keeper.work);
	return ok && durable_directory_sync(store->directory, err);
}

void wal_store_refuse(struct wal_store *store, const struct wal_want *want)
{
	struct wal_backfill *backfill = &store->backfill;

	pthread_mutex_lock(&backfill->lock);
	for (size_t i = 0; i < WAL_WANTS_MAX; i++) {
		struct wal_wanted *wanted = &backfill->wanted[i];

		if (wanted->state == WAL_WANT_PENDING && wanted->tli == want->tli &&
			wanted->lsn <= want->lsn) {
			wanted->state = WAL_WANT_REFUSED;
			wanted->refused_lsn = want->end_lsn;
			wanted->touched_us = monotonic_clock_us();
		}
	}
	pthread_mutex_unlock(&backfill->lock);
	wal_store_notify(store, WAL_STORE_FILLED);
}

/* --- taking in ----------------------------------------------------------------------------------
 */

/* Index of the stretch with which the live range begins. */
static size_t first_of_range(const struct wal_state *state)
{
	size_t first = state->count - 1;

	while (first > 0 && state->stretches[first - 1].range == state->stretches[first].range) {
		first--;
	}
	return first;
}

/* The range began after what was fetched: it begins there now. Under work. */
static bool extend(struct wal_store *store, const struct wal_wanted *wanted, struct error *err)
{
	const struct wal_line *line = wal_store_line(store);
	size_t first = first_of_range(&store->state);
	const struct wal_stretch *stretch = &store->state.stretches[first];
	struct timeline_history history;

	if (stretch->tli != wanted->tli || wanted->lsn >= stretch->start) {
		return true;
	}
	if (!wal_state_extend(store->database, &store->state, first, wanted->lsn, err)) {
		return false;
	}
	if (timeline_history_copy(&history, &line->history)) {
		wal_line_publish(store, &history, line->tip);
	}
	return true;
}

/* Under work. */
static bool take_in_one(struct wal_store *store, const struct wal_wanted *wanted, struct error *err)
{
	const struct wal_line *line = wal_store_line(store);
	lsn_t oldest;

	if (!extend(store, wanted, err)) {
		return false;
	}
	oldest = wal_store_find_oldest(store, atomic_load(&line->tip->received));
	if (oldest < atomic_load(&store->oldest)) {
		atomic_store(&store->oldest, oldest);
	}
	log_info(WAL_LOG_SCOPE, "WAL of timeline %u from " LSN_FORMAT " on came from the upstream",
		wanted->tli, LSN_ARGS(wanted->lsn));
	return true;
}

/* The first that is complete; false: none is. */
static bool find_complete(struct wal_store *store, size_t *index_out, struct wal_wanted *wanted_out)
{
	const struct wal_line *line = wal_store_line(store);
	struct wal_backfill *backfill = &store->backfill;
	struct wal_want missing;
	bool is_found = false;

	pthread_mutex_lock(&backfill->lock);
	for (size_t i = 0; i < WAL_WANTS_MAX && !is_found; i++) {
		const struct wal_wanted *wanted = &backfill->wanted[i];

		is_found = wanted->state == WAL_WANT_PENDING &&
			   !find_missing(store, line, wanted, &missing);
		if (is_found) {
			*index_out = i;
			*wanted_out = *wanted;
		}
	}
	pthread_mutex_unlock(&backfill->lock);
	return is_found;
}

bool wal_store_take_in(struct wal_store *store, struct error *err)
{
	struct wal_backfill *backfill = &store->backfill;
	struct wal_wanted wanted;
	bool ok = true;
	size_t index;

	pthread_mutex_lock(&store->keeper.work);
	while (ok && find_complete(store, &index, &wanted)) {
		ok = take_in_one(store, &wanted, err);
		pthread_mutex_lock(&backfill->lock);
		backfill->wanted[index].state = ok ? WAL_WANT_TAKEN_IN : WAL_WANT_REFUSED;
		backfill->wanted[index].refused_lsn = wanted.lsn + wal_store_segment_bytes(store);
		backfill->wanted[index].touched_us = monotonic_clock_us();
		pthread_mutex_unlock(&backfill->lock);
	}
	pthread_mutex_unlock(&store->keeper.work);
	wal_store_notify(store, WAL_STORE_FILLED);
	return ok;
}
