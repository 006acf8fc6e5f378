/*
 * wal_keeper: the housekeeping thread: has the next segment ready before the writer needs it, keeps
 * disk use within its limits, and stores from where a restart has to prove.
 *
 * A round runs each second and whenever the writer entered a segment. The next segment is a file of
 * full size under a name that nobody takes for WAL, synced; the writer only renames it. Should the
 * writer be faster, it waits for the round in progress or does the work itself.
 */
#include "base/log.h"
#include "base/monotonic_clock.h"
#include "base/thread.h"
#include "spool/wal_store_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define ROUND_US   1000000
#define PRUNE_US   10000000 /* slots move and time passes without a new segment */
#define SAVE_US    5000000
#define SAVE_BYTES (UINT64_C(64) << 20) /* what a restart reads at most, about */

void wal_keeper_init(struct wal_store *store, const struct wal_store_options *options)
{
	struct wal_keeper *keeper = &store->keeper;
	pthread_condattr_t attributes;

	pthread_mutex_init(&keeper->work, NULL);
	pthread_mutex_init(&keeper->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&keeper->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	keeper->limits = *options;
	atomic_init(&keeper->link_room_bytes, UINT64_MAX);
	keeper->limits.directory = NULL;
	keeper->limits.operations = NULL;
}

void wal_keeper_read_limits(struct wal_store *store, struct wal_store_options *limits_out)
{
	pthread_mutex_lock(&store->keeper.lock);
	*limits_out = store->keeper.limits;
	pthread_mutex_unlock(&store->keeper.lock);
}

void wal_store_set_limits(struct wal_store *store, const struct wal_store_options *options)
{
	struct wal_keeper *keeper = &store->keeper;

	pthread_mutex_lock(&keeper->lock);
	keeper->limits.retain_bytes = options->retain_bytes;
	keeper->limits.retain_us = options->retain_us;
	keeper->limits.link_bytes = options->link_bytes;
	keeper->limits.max_bytes = options->max_bytes;
	keeper->limits.min_free_bytes = options->min_free_bytes;
	pthread_mutex_unlock(&keeper->lock);
	atomic_store(&keeper->link_room_bytes, UINT64_MAX);
	wal_keeper_ring(store);
	wal_store_notify(store, WAL_STORE_LINK);
}

void wal_keeper_ring(struct wal_store *store)
{
	struct wal_keeper *keeper = &store->keeper;

	pthread_mutex_lock(&keeper->lock);
	keeper->is_rung = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
}

static void enter_full(struct wal_store *store, const char *reason)
{
	struct wal_keeper *keeper = &store->keeper;
	bool was_full = atomic_load(&keeper->is_full);

	pthread_mutex_lock(&keeper->lock);
	(void)snprintf(keeper->full_reason, sizeof(keeper->full_reason), "%s", reason);
	pthread_mutex_unlock(&keeper->lock);
	atomic_store(&keeper->is_full, true);
	if (!was_full) {
		log_warning(WAL_LOG_SCOPE, "not receiving WAL: %s", reason);
		wal_store_notify(store, WAL_STORE_FULL);
	}
}

static void leave_full(struct wal_store *store)
{
	struct wal_keeper *keeper = &store->keeper;

	if (!atomic_load(&keeper->is_full)) {
		return;
	}
	pthread_mutex_lock(&keeper->lock);
	keeper->full_reason[0] = '\0';
	pthread_mutex_unlock(&keeper->lock);
	atomic_store(&keeper->is_full, false);
	log_info(WAL_LOG_SCOPE, "there is room for WAL again");
	wal_store_notify(store, WAL_STORE_FULL);
}

/* False: less is free than min_free leaves to us. */
static bool has_disk_room(struct wal_store *store)
{
	struct wal_keeper *keeper = &store->keeper;
	struct wal_store_options limits;
	uint64_t wanted;
	struct statvfs status;
	char reason[160];

	wal_keeper_read_limits(store, &limits);
	if (fstatvfs(durable_directory_fd(store->directory), &status) != 0) {
		return true;
	}
	keeper->last_free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
	pthread_mutex_lock(&keeper->lock);
	keeper->free_bytes = keeper->last_free_bytes;
	pthread_mutex_unlock(&keeper->lock);
	wanted = limits.min_free_bytes;
	/* Once full, only room that lasts ends it. */
	if (atomic_load(&keeper->is_full) && keeper->prepared == NULL) {
		wanted += wal_store_segment_bytes(store);
	}
	if (limits.min_free_bytes == 0 || keeper->last_free_bytes >= wanted) {
		return true;
	}
	(void)snprintf(reason, sizeof(reason), "%llu MB free on disk, min_free is %llu MB",
		(unsigned long long)(keeper->last_free_bytes >> 20),
		(unsigned long long)(limits.min_free_bytes >> 20));
	enter_full(store, reason);
	return false;
}

/* Not yet full: the present segment may have room. */
static void report_prepare(struct wal_store *store, const struct error *err)
{
	struct wal_keeper *keeper = &store->keeper;

	if (!keeper->is_prepare_failing) {
		log_error(LOG_LEVEL_WARNING, WAL_LOG_SCOPE, err);
		keeper->is_prepare_failing = true;
	}
}

/* Under work. */
static bool prepare(struct wal_store *store, struct error *err)
{
	struct wal_keeper *keeper = &store->keeper;
	struct durable_file *file;

	if (keeper->prepared != NULL) {
		return true;
	}
	if (!wal_store_prune(store)) {
		return error_set(err, ERROR_FULL, "max_size leaves no room for another segment");
	}
	file = durable_file_create(
		store->directory, WAL_PREPARED_NAME, wal_store_segment_bytes(store), err);
	if (file == NULL) {
		return false;
	}
	/* A failed sync loses nothing here: the file holds nothing yet, and it goes. */
	if (!durable_file_sync(file, err)) {
		struct error ignored;

		durable_file_close(&file);
		(void)!durable_directory_unlink(store->directory, WAL_PREPARED_NAME, &ignored);
		return false;
	}
	keeper->prepared = file;
	keeper->is_prepare_failing = false;
	atomic_store(&keeper->has_prepared, true);
	return true;
}

struct durable_file *wal_keeper_take_segment(
	struct wal_store *store, tli_t tli, uint64_t number, struct error *err)
{
	struct wal_keeper *keeper = &store->keeper;
	struct durable_file *taken = NULL;
	char name[WAL_SEGMENT_NAME_SIZE];

	wal_segment_name(tli, number, wal_store_segment_bytes(store), name);
	pthread_mutex_lock(&keeper->work);
	if (!prepare(store, err)) {
		if (err->kind == ERROR_FULL) {
			enter_full(store, err->message);
		}
	} else if (durable_directory_rename(store->directory, WAL_PREPARED_NAME, name, err)) {
		taken = keeper->prepared;
		keeper->prepared = NULL;
		atomic_store(&keeper->has_prepared, false);
		durable_file_set_name(taken, name);
		wal_segment_cache_forget(store->cache, tli, number);
	}
	pthread_mutex_unlock(&keeper->work);
	return taken;
}

void wal_keeper_save_good(struct wal_store *store)
{
	struct wal_keeper *keeper = &store->keeper;
	struct wal_good_point good;
	struct error err = {0};
	int64_t stretch_id;

	wal_flusher_read_good(store, &stretch_id, &good);
	if (good.record_lsn == LSN_INVALID ||
		(stretch_id == keeper->saved_stretch_id && good.end_lsn == keeper->saved.end_lsn)) {
		return;
	}
	if (!wal_state_store_good(store->database, stretch_id, &good, &err)) {
		if (!keeper->is_save_failing) {
			log_error(LOG_LEVEL_WARNING, WAL_LOG_SCOPE, &err);
		}
		keeper->is_save_failing = true;
		return;
	}
	keeper->is_save_failing = false;
	keeper->saved_stretch_id = stretch_id;
	keeper->saved = good;
	keeper->saved_us = monotonic_clock_us();
}

static bool is_save_due(struct wal_store *store)
{
	const struct wal_keeper *keeper = &store->keeper;
	struct wal_good_point good;
	int64_t stretch_id;

	wal_flusher_read_good(store, &stretch_id, &good);
	return stretch_id != keeper->saved_stretch_id ||
	       good.end_lsn >= keeper->saved.end_lsn + SAVE_BYTES ||
	       monotonic_clock_us() >= keeper->saved_us + SAVE_US;
}

/* Of the store once WAL has begun. */
static void keep_line(struct wal_store *store, bool is_rung, bool has_room)
{
	struct wal_keeper *keeper = &store->keeper;
	int64_t now = monotonic_clock_us();
	struct error err = {0};

	if (is_save_due(store)) {
		wal_keeper_save_good(store);
	}
	/* Preparing prunes by itself, but where there is no room it is not come to. */
	if ((keeper->prepared != NULL || !has_room) &&
		(is_rung || atomic_load(&keeper->is_full) ||
			now >= keeper->last_prune_us + PRUNE_US)) {
		(void)wal_store_prune(store);
		keeper->last_prune_us = now;
	}
	if (!has_room) {
		return;
	}
	if (prepare(store, &err)) {
		leave_full(store);
	} else {
		report_prepare(store, &err);
	}
}

static void run_round(struct wal_store *store, bool is_rung)
{
	bool has_room = has_disk_room(store);

	if (wal_store_line(store) != NULL) {
		keep_line(store, is_rung, has_room);
	} else if (has_room) {
		leave_full(store);
	}
}

/* Under lock. */
static void wait_for_round(struct wal_keeper *keeper)
{
	int64_t until_us = monotonic_clock_us() + ROUND_US;
	struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};

	while (!keeper->is_rung && !keeper->is_stopping) {
		if (pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until) != 0) {
			return;
		}
	}
}

static void *keeper_thread(void *argument)
{
	struct wal_store *store = argument;
	struct wal_keeper *keeper = &store->keeper;
	bool is_stopping = false;

	while (!is_stopping) {
		bool is_rung;

		pthread_mutex_lock(&keeper->lock);
		wait_for_round(keeper);
		is_rung = keeper->is_rung;
		keeper->is_rung = false;
		is_stopping = keeper->is_stopping;
		pthread_mutex_unlock(&keeper->lock);
		if (!is_stopping) {
			pthread_mutex_lock(&keeper->work);
			run_round(store, is_rung);
			pthread_mutex_unlock(&keeper->work);
		}
	}
	return NULL;
}

bool wal_keeper_start(struct wal_store *store, struct error *err)
{
	struct wal_keeper *keeper = &store->keeper;

	keeper->is_rung = true;
	keeper->is_started = thread_start(&keeper->thread, "wal keeper", keeper_thread, store, err);
	return keeper->is_started;
}

void wal_keeper_stop(struct wal_store *store)
{
	struct wal_keeper *keeper = &store->keeper;
	struct error ignored;

	pthread_mutex_lock(&keeper->lock);
	keeper->is_stopping = true;
	pthread_cond_signal(&keeper->wake);
	pthread_mutex_unlock(&keeper->lock);
	pthread_join(keeper->thread, NULL);
	if (keeper->prepared != NULL) {
		durable_file_close(&keeper->prepared);
		(void)!durable_directory_unlink(store->directory, WAL_PREPARED_NAME, &ignored);
	}
}
