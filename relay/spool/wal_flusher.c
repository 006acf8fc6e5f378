/*
 * wal_flusher: makes what was received durable, proves it, and only then moves flushed.
 *
 * A round syncs every file written since the last one, and the directory when a name is new; what
 * is appended meanwhile goes into the next round. Then the scan walks the new bytes to the end of
 * the last whole record: that, and never more, is flushed. A restart runs the same scan over the
 * same bytes and arrives there again. What the scan refuses makes the tip bad: nothing of it is
 * read any more, and the writer cuts it. Before the first bytes of a stretch are acknowledged its
 * good point is stored, since until then a restart throws away what the stretch holds.
 */
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "spool/wal_store_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* After a round that could not store its good point. */
#define RETRY_MS 1000

static void sync_file(struct durable_file *file)
{
	struct error err = {0};

	if (!durable_file_sync(file, &err)) {
		wal_store_die(&err);
	}
}

static void sync_finished(struct wal_written_file *file)
{
	while (file != NULL) {
		struct wal_written_file *next = file->next;

		sync_file(file->file);
		durable_file_close(&file->file);
		free(file);
		file = next;
	}
}

static void sync_written(struct wal_store *store)
{
	struct wal_flusher *flusher = &store->flusher;
	struct wal_written_file *finished, *current;
	struct error err = {0};
	bool is_directory_dirty;

	pthread_mutex_lock(&flusher->lock);
	finished = flusher->finished;
	flusher->finished = NULL;
	current = flusher->current;
	is_directory_dirty = flusher->is_directory_dirty;
	flusher->is_directory_dirty = false;
	pthread_mutex_unlock(&flusher->lock);
	sync_finished(finished);
	/* The writer may leave it meanwhile, but only this thread closes it. */
	if (current != NULL) {
		sync_file(current->file);
	}
	if (is_directory_dirty && !durable_directory_sync(store->directory, &err)) {
		wal_store_die(&err);
	}
	atomic_fetch_add(&flusher->rounds, 1);
}

/* False: could not, to be tried again. */
static bool prove(struct wal_tip *tip, lsn_t limit)
{
	if (wal_scan_run(&tip->scan, limit) == WAL_SCAN_FAILED) {
		log_error(LOG_LEVEL_ERROR, WAL_LOG_SCOPE, &tip->pages.err);
		return false;
	}
	return true;
}

static bool store_first_good(
	struct wal_store *store, struct wal_tip *tip, const struct wal_good_point *good)
{
	struct error err = {0};

	if (tip->has_good_point) {
		return true;
	}
	if (!wal_state_store_good(store->database, tip->stretch_id, good, &err)) {
		log_error(LOG_LEVEL_ERROR, WAL_LOG_SCOPE, &err);
		return false;
	}
	tip->has_good_point = true;
	return true;
}

static bool acknowledge(struct wal_store *store, struct wal_tip *tip, unsigned *events)
{
	struct wal_flusher *flusher = &store->flusher;
	struct wal_good_point good = {.record_lsn = tip->scan.record,
		.end_lsn = tip->scan.end,
		.redo_lsn = tip->scan.redo};

	if (good.end_lsn <= atomic_load_explicit(&tip->flushed, memory_order_relaxed)) {
		return true;
	}
	if (!store_first_good(store, tip, &good)) {
		return false;
	}
	pthread_mutex_lock(&flusher->lock);
	flusher->good_stretch_id = tip->stretch_id;
	flusher->good = good;
	pthread_mutex_unlock(&flusher->lock);
	atomic_store_explicit(&tip->flushed, good.end_lsn, memory_order_release);
	*events |= WAL_STORE_FLUSHED;
	/* What a restart no longer needs may be what max_size is waiting for. */
	if (atomic_load_explicit(&store->keeper.is_full, memory_order_relaxed)) {
		wal_keeper_ring(store);
	}
	return true;
}

/* False: something is left to be tried again. */
static bool run_round(struct wal_store *store, struct wal_tip *tip, lsn_t received)
{
	unsigned events = 0;
	bool ok;

	sync_written(store);
	if (tip == NULL) {
		return true;
	}
	ok = prove(tip, received) && acknowledge(store, tip, &events);
	if (tip->scan.bad_reason == NULL &&
		received != atomic_load_explicit(&tip->synced, memory_order_relaxed)) {
		atomic_store_explicit(&tip->synced, received, memory_order_release);
		events |= WAL_STORE_SYNCED;
	}
	if (ok && tip->scan.bad_reason != NULL) {
		/* Not again and again: who cuts needs the scan as it is. */
		events |= atomic_exchange(&tip->is_bad, true) ? 0 : WAL_STORE_BAD;
	}
	wal_store_notify(store, events);
	return ok;
}

/* Under flusher->lock. A ring between the last look at received and the wait is not missed: the
 * writer publishes, then looks at is_waiting; here it is the other way round. */
static void wait_for_work(struct wal_store *store, struct wal_tip **tip_out, lsn_t *received_out,
	lsn_t synced_lsn, const struct wal_tip *synced_tip, bool is_retry)
{
	struct wal_flusher *flusher = &store->flusher;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RETRY_MS / 1000;
	for (;;) {
		struct wal_line *line;

		atomic_store(&flusher->is_waiting, true);
		line = atomic_load(&store->line);
		*tip_out = line == NULL ? NULL : line->tip;
		*received_out = line == NULL ? LSN_INVALID : atomic_load(&line->tip->received);
		if (flusher->is_stopping || flusher->requested != flusher->served ||
			*tip_out != synced_tip || *received_out != synced_lsn) {
			break;
		}
		if (!is_retry) {
			pthread_cond_wait(&flusher->wake, &flusher->lock);
		} else if (pthread_cond_timedwait(&flusher->wake, &flusher->lock, &until) ==
			   ETIMEDOUT) {
			break;
		}
	}
	atomic_store(&flusher->is_waiting, false);
}

static void *flusher_thread(void *argument)
{
	struct wal_store *store = argument;
	struct wal_flusher *flusher = &store->flusher;
	struct wal_tip *tip = NULL, *synced_tip = NULL;
	lsn_t received = LSN_INVALID, synced_lsn = LSN_INVALID;
	bool is_retry = false, is_stopping = false;

	while (!is_stopping) {
		uint64_t serving;

		pthread_mutex_lock(&flusher->lock);
		wait_for_work(store, &tip, &received, synced_lsn, synced_tip, is_retry);
		serving = flusher->requested;
		is_stopping = flusher->is_stopping;
		pthread_mutex_unlock(&flusher->lock);
		/* A removed segment stays allocated as long as it is mapped. */
		if (synced_tip != NULL && synced_tip != tip) {
			wal_pages_release(&synced_tip->pages);
		}
		is_retry = !run_round(store, tip, received);
		synced_tip = tip;
		synced_lsn = received;
		pthread_mutex_lock(&flusher->lock);
		flusher->served = serving;
		pthread_cond_broadcast(&flusher->done);
		pthread_mutex_unlock(&flusher->lock);
	}
	return NULL;
}

bool wal_flusher_start(struct wal_store *store, struct error *err)
{
	struct wal_flusher *flusher = &store->flusher;

	flusher->is_started =
		thread_start(&flusher->thread, "wal flusher", flusher_thread, store, err);
	return flusher->is_started;
}

void wal_flusher_stop(struct wal_store *store)
{
	struct wal_flusher *flusher = &store->flusher;

	pthread_mutex_lock(&flusher->lock);
	flusher->is_stopping = true;
	pthread_cond_signal(&flusher->wake);
	pthread_mutex_unlock(&flusher->lock);
	pthread_join(flusher->thread, NULL);
	assert(flusher->finished == NULL);
}

void wal_flusher_wake(struct wal_store *store)
{
	struct wal_flusher *flusher = &store->flusher;

	if (atomic_load(&flusher->is_waiting)) {
		pthread_mutex_lock(&flusher->lock);
		pthread_cond_signal(&flusher->wake);
		pthread_mutex_unlock(&flusher->lock);
	}
}

void wal_store_request_flush(struct wal_store *store)
{
	struct wal_flusher *flusher = &store->flusher;

	pthread_mutex_lock(&flusher->lock);
	flusher->requested++;
	pthread_cond_signal(&flusher->wake);
	pthread_mutex_unlock(&flusher->lock);
}

void wal_flusher_wait(struct wal_store *store)
{
	struct wal_flusher *flusher = &store->flusher;
	uint64_t ticket;

	pthread_mutex_lock(&flusher->lock);
	ticket = ++flusher->requested;
	pthread_cond_signal(&flusher->wake);
	while (flusher->served < ticket) {
		pthread_cond_wait(&flusher->done, &flusher->lock);
	}
	pthread_mutex_unlock(&flusher->lock);
}

void wal_flusher_read_good(
	struct wal_store *store, int64_t *stretch_id_out, struct wal_good_point *good_out)
{
	struct wal_flusher *flusher = &store->flusher;

	pthread_mutex_lock(&flusher->lock);
	*stretch_id_out = flusher->good_stretch_id;
	*good_out = flusher->good;
	pthread_mutex_unlock(&flusher->lock);
}

void wal_flusher_set_good(struct wal_store *store, const struct wal_tip *tip)
{
	struct wal_flusher *flusher = &store->flusher;

	pthread_mutex_lock(&flusher->lock);
	flusher->good_stretch_id = tip->stretch_id;
	flusher->good = (struct wal_good_point){.record_lsn = tip->scan.record,
		.end_lsn = tip->scan.end,
		.redo_lsn = tip->scan.redo};
	pthread_mutex_unlock(&flusher->lock);
}
