/*
 * wal_store: opening and closing, positions, watchers and figures.
 */
#include "spool/wal_store.h"

#include "base/log.h"
#include "base/memory.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void wal_store_die(const struct error *err)
{
	log_error(LOG_LEVEL_ERROR, WAL_LOG_SCOPE, err);
	log_write(LOG_LEVEL_ERROR, WAL_LOG_SCOPE,
		"what is on disk is unknown after a failed sync: ending the process");
	abort();
}

static struct wal_store *store_new(const struct wal_store_options *options,
	struct database *database, struct slots *slots, struct error *err)
{
	struct wal_store *store;
	struct durable_directory *directory =
		durable_directory_open(options->directory, options->operations, err);

	if (directory == NULL) {
		return NULL;
	}
	store = memory_new(sizeof(*store));
	store->directory = directory;
	store->database = database;
	store->slots = slots;
	store->pins = options->pins;
	store->cache = wal_segment_cache_new(durable_directory_fd(directory));
	wal_catalogue_init(&store->catalogue);
	pthread_mutex_init(&store->backfill.lock, NULL);
	pthread_mutex_init(&store->cursors_lock, NULL);
	pthread_rwlock_init(&store->watchers_lock, NULL);
	pthread_mutex_init(&store->flusher.lock, NULL);
	pthread_cond_init(&store->flusher.wake, NULL);
	pthread_cond_init(&store->flusher.done, NULL);
	wal_keeper_init(store, options);
	return store;
}

static void store_free(struct wal_store *store)
{
	assert(store->cursors == NULL);
	assert(store->watchers == NULL);
	wal_writer_release(store);
	wal_lines_release(store);
	wal_state_release(&store->state);
	pthread_cond_destroy(&store->keeper.wake);
	pthread_mutex_destroy(&store->keeper.lock);
	pthread_mutex_destroy(&store->keeper.work);
	pthread_cond_destroy(&store->flusher.done);
	pthread_cond_destroy(&store->flusher.wake);
	pthread_mutex_destroy(&store->flusher.lock);
	pthread_rwlock_destroy(&store->watchers_lock);
	pthread_mutex_destroy(&store->cursors_lock);
	pthread_mutex_destroy(&store->backfill.lock);
	wal_catalogue_release(&store->catalogue);
	wal_segment_cache_free(&store->cache);
	durable_directory_close(&store->directory);
	free(store);
}

struct wal_store *wal_store_open(const struct wal_store_options *options, struct database *database,
	struct slots *slots, struct error *err)
{
	struct wal_store *store = store_new(options, database, slots, err);

	if (store == NULL) {
		return NULL;
	}
	if (!wal_state_load(database, &store->state, err) || !wal_store_recover(store, err) ||
		!wal_flusher_start(store, err)) {
		store_free(store);
		return NULL;
	}
	if (!wal_keeper_start(store, err)) {
		wal_flusher_stop(store);
		store_free(store);
		return NULL;
	}
	return store;
}

void wal_store_close(struct wal_store **store)
{
	struct wal_store *closing = *store;

	if (closing == NULL) {
		return;
	}
	*store = NULL;
	wal_keeper_stop(closing);
	wal_flusher_stop(closing);
	pthread_mutex_lock(&closing->keeper.work);
	wal_keeper_save_good(closing);
	pthread_mutex_unlock(&closing->keeper.work);
	store_free(closing);
}

struct wal_position wal_store_received(struct wal_store *store)
{
	struct wal_line *line = wal_store_line(store);

	if (line == NULL) {
		return (struct wal_position){0};
	}
	return (struct wal_position){
		line->tli, atomic_load_explicit(&line->tip->received, memory_order_acquire)};
}

struct wal_position wal_store_flushed(struct wal_store *store)
{
	struct wal_line *line = wal_store_line(store);

	if (line == NULL) {
		return (struct wal_position){0};
	}
	return (struct wal_position){
		line->tli, atomic_load_explicit(&line->tip->flushed, memory_order_acquire)};
}

struct wal_position wal_store_synced(struct wal_store *store)
{
	struct wal_line *line = wal_store_line(store);

	if (line == NULL) {
		return (struct wal_position){0};
	}
	return (struct wal_position){
		line->tli, atomic_load_explicit(&line->tip->synced, memory_order_acquire)};
}

uint32_t wal_store_segment_bytes(struct wal_store *store)
{
	struct wal_line *line = wal_store_line(store);

	return line == NULL ? 0 : line->segment_bytes;
}

bool wal_store_history(struct wal_store *store, struct timeline_history *history_out)
{
	struct wal_line *line = wal_store_line(store);

	return line != NULL && timeline_history_copy(history_out, &line->history);
}

struct wal_position wal_store_redo(struct wal_store *store)
{
	struct wal_line *line = wal_store_line(store);
	lsn_t oldest = atomic_load(&store->oldest);
	struct wal_good_point good;
	int64_t stretch_id;

	if (line == NULL) {
		return (struct wal_position){0};
	}
	wal_flusher_read_good(store, &stretch_id, &good);
	return (struct wal_position){line->tli, lsn_max(good.redo_lsn, oldest)};
}

bool wal_store_is_full(struct wal_store *store)
{
	return atomic_load(&store->keeper.is_full);
}

uint64_t wal_store_disk_bytes(struct wal_store *store)
{
	uint64_t files =
		wal_catalogue_count(&store->catalogue) + atomic_load(&store->keeper.has_prepared);

	return files * wal_store_segment_bytes(store);
}

void wal_store_read_stats(struct wal_store *store, struct wal_store_stats *stats_out)
{
	struct wal_position received = wal_store_received(store);
	struct wal_keeper *keeper = &store->keeper;
	struct wal_store_stats stats = {.tli = received.tli,
		.oldest_lsn = atomic_load(&store->oldest),
		.received_lsn = received.lsn,
		.flushed_lsn = wal_store_flushed(store).lsn,
		.redo_lsn = wal_store_redo(store).lsn,
		.spool_bytes = wal_store_disk_bytes(store),
		.appended_bytes = atomic_load(&store->appended_bytes),
		.flushes = atomic_load(&store->flusher.rounds),
		.is_full = atomic_load(&keeper->is_full)};

	pthread_mutex_lock(&keeper->lock);
	stats.disk_free_bytes = keeper->free_bytes;
	stats.horizon_lsn = keeper->horizon_lsn;
	stats.retain_bytes = keeper->limits.retain_bytes;
	stats.room_bytes = keeper->room_bytes;
	stats.lost_tli = keeper->lost_tli;
	stats.lost_from_lsn = keeper->lost_from_lsn;
	stats.lost_to_lsn = keeper->lost_to_lsn;
	stats.lost_bytes = keeper->lost_bytes;
	memcpy(stats.horizon_reason, keeper->horizon_reason, sizeof(stats.horizon_reason));
	memcpy(stats.full_reason, keeper->full_reason, sizeof(stats.full_reason));
	pthread_mutex_unlock(&keeper->lock);
	*stats_out = stats;
}

struct wal_watcher *wal_store_add_watcher(
	struct wal_store *store, unsigned events, wal_store_watch *watch, void *context)
{
	struct wal_watcher *watcher = memory_new(sizeof(*watcher));

	watcher->events = events;
	watcher->watch = watch;
	watcher->context = context;
	pthread_rwlock_wrlock(&store->watchers_lock);
	watcher->next = store->watchers;
	store->watchers = watcher;
	pthread_rwlock_unlock(&store->watchers_lock);
	return watcher;
}

void wal_store_remove_watcher(struct wal_store *store, struct wal_watcher **watcher)
{
	struct wal_watcher *removing = *watcher;
	struct wal_watcher **at = &store->watchers;

	if (removing == NULL) {
		return;
	}
	*watcher = NULL;
	pthread_rwlock_wrlock(&store->watchers_lock);
	while (*at != removing) {
		at = &(*at)->next;
	}
	*at = removing->next;
	pthread_rwlock_unlock(&store->watchers_lock);
	free(removing);
}

void wal_store_notify(struct wal_store *store, unsigned events)
{
	pthread_rwlock_rdlock(&store->watchers_lock);
	for (struct wal_watcher *watcher = store->watchers; watcher != NULL;
		watcher = watcher->next) {
		if ((watcher->events & events) != 0) {
			watcher->watch(watcher->context, events & watcher->events);
		}
	}
	pthread_rwlock_unlock(&store->watchers_lock);
}
