/*
 * encoder_workers: threads that make batches, and compare WAL, nearest to the tip first.
 *
 * A chain is on one worker at a time. All workers but one may be busy behind the tip: what waits
 * there for a disk, or for its turn, does not hold up the tip.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <unistd.h>

#include "base/thread.h"
#include "downstream/shared_encoder_internal.h"
#include "protocol/crc32c.h"

#define WORKERS_MIN 2u
/* Nearer than this is at the tip. */
#define TIP_BYTES ((lsn_t)16 << 20)
/* Of a check, between two looks at whether there is something better to do. */
#define CHECK_BYTES ((size_t)1 << 20)

static bool is_far(const struct shared_encoder *shared, lsn_t position)
{
	struct wal_position received = wal_store_received(shared->options.store);
	return received.lsn > position && received.lsn - position > TIP_BYTES;
}

static void enter_far(struct shared_encoder *shared, bool is_far_job)
{
	shared->far_jobs += is_far_job;
	pthread_mutex_unlock(&shared->lock);
}

static void leave_far(struct shared_encoder *shared, bool is_far_job)
{
	pthread_mutex_lock(&shared->lock);
	shared->far_jobs -= is_far_job;
	if (is_far_job) {
		/* What was not open to another worker may be now. */
		pthread_cond_signal(&shared->work);
	}
}

/* --- a batch -----------------------------------------------------------------------------------
 */

static void count_batch(struct shared_encoder *shared, const struct chain_outcome *outcome)
{
	struct shared_encoder_stats *stats = &shared->stats;
	stats->batches++;
	stats->frames += outcome->batch->begins_frame;
	stats->raw_bytes += outcome->stats.raw_bytes;
	stats->batch_bytes += outcome->stats.batch_bytes;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		stats->raw[kind] += outcome->stats.raw[kind];
		stats->sent[kind] += outcome->stats.sent[kind];
	}
}

static struct chain_job begin_job(struct encoder_chain *chain)
{
	lsn_t position = chain->position;
	struct chain_job job = {.is_cut = chain->is_cut_wanted, .level = chain->shared->level};
	bool is_multiple = link_batch_limit(position) - position == LINK_FRAME_BYTES;
	job.begins_frame = job.is_cut || is_multiple || position == chain->frame_start;
	if (job.begins_frame) {
		chain->reach = encoder_chain_next_reach(chain);
		chain->frame_start = position;
		job.reach = chain->reach;
	}
	chain->is_wanted = false;
	chain->is_cut_wanted = false;
	chain->is_running = true;
	chain->is_beginning = job.begins_frame;
	return job;
}

static void end_job(struct encoder_chain *chain, const struct chain_outcome *outcome)
{
	struct shared_encoder *shared = chain->shared;
	chain->is_running = false;
	shared->stats.encode_cpu_us += outcome->cpu_us;
	if (outcome->batch == NULL) {
		encoder_chain_abandon(chain);
		return;
	}
	count_batch(shared, outcome);
	outcome->batch->reach = chain->reach;
	chain->position += outcome->batch->raw_bytes;
	batch_queue_add(&chain->batches, outcome->batch);
	if (LIST_EMPTY(&chain->seats)) {
		encoder_chain_settle(chain);
	} else {
		encoder_chain_ring(chain);
	}
}

static void run_chain(struct encoder_chain *chain)
{
	struct shared_encoder *shared = chain->shared;
	struct chain_outcome outcome = {0};
	struct chain_job job = begin_job(chain);
	bool is_far_job = is_far(shared, chain->position);
	enter_far(shared, is_far_job);
	encoder_chain_encode(chain, &job, &outcome);
	leave_far(shared, is_far_job);
	end_job(chain, &outcome);
}

/* --- a check -----------------------------------------------------------------------------------
 */

/* A piece of it, without the lock. */
static enum encoder_check check_piece(struct encoder_seat *seat)
{
	const struct shared_encoder_options *options = &seat->shared->options;
	struct seat_check *check = &seat->check;
	struct error ignored = {0};
	struct wal_span span;
	size_t done = 0;
	if (check->cursor == NULL) {
		check->cursor = wal_cursor_open(
			options->store, seat->tli, check->at, options->flushed_only, &ignored);
	}
	while (check->cursor != NULL && done < CHECK_BYTES && check->at < check->to) {
		lsn_t left = check->to - check->at;
		if (wal_cursor_peek(check->cursor, left < CHECK_BYTES ? left : CHECK_BYTES, &span,
			    &ignored) != WAL_READ_DATA) {
			return ENCODER_CHECK_UNKNOWN;
		}
		check->crc = crc32c_update(check->crc, span.bytes, span.length);
		check->at += span.length;
		done += span.length;
		wal_cursor_advance(check->cursor, span.length);
	}
	if (check->cursor == NULL) {
		return ENCODER_CHECK_UNKNOWN;
	}
	if (check->at < check->to) {
		return ENCODER_CHECK_RUNS;
	}
	return crc32c_finish(check->crc) == check->crc_wanted ? ENCODER_CHECK_SAME
							      : ENCODER_CHECK_OTHER;
}

static void run_check(struct encoder_seat *seat)
{
	struct shared_encoder *shared = seat->shared;
	struct seat_check *check = &seat->check;
	check->is_wanted = false;
	check->is_running = true;
	enter_far(shared, true);
	enum encoder_check state = check_piece(seat);
	if (state != ENCODER_CHECK_RUNS) {
		wal_cursor_close(&check->cursor);
	}
	leave_far(shared, true);
	check->is_running = false;
	check->state = state;
	check->is_wanted = state == ENCODER_CHECK_RUNS;
	if (seat->is_gone) {
		encoder_seat_release(seat);
	} else if (!check->is_wanted) {
		encoder_seat_ring(seat);
	}
}

/* --- the threads -------------------------------------------------------------------------------
 */

static bool may_go_far(const struct shared_encoder *shared)
{
	return shared->far_jobs + 1 < shared->worker_count;
}

static struct encoder_chain *find_chain(struct shared_encoder *shared)
{
	struct encoder_chain *best = NULL;
	struct encoder_chain *chain;
	TAILQ_FOREACH(chain, &shared->chains, link)
	{
		if (chain->is_wanted && !chain->is_running &&
			(best == NULL || chain->position > best->position)) {
			best = chain;
		}
	}
	return best != NULL && (may_go_far(shared) || !is_far(shared, best->position)) ? best
										       : NULL;
}

static struct encoder_seat *find_check(struct shared_encoder *shared)
{
	struct encoder_seat *seat;
	if (!may_go_far(shared)) {
		return NULL;
	}
	TAILQ_FOREACH(seat, &shared->seats, in_encoder)
	{
		if (seat->check.is_wanted) {
			return seat;
		}
	}
	return NULL;
}

static bool do_something(struct shared_encoder *shared)
{
	struct encoder_chain *chain = find_chain(shared);
	if (chain != NULL) {
		run_chain(chain);
		return true;
	}
	struct encoder_seat *seat = find_check(shared);
	if (seat != NULL) {
		run_check(seat);
		return true;
	}
	return false;
}

static void *worker_thread(void *context)
{
	struct shared_encoder *shared = context;
	pthread_mutex_lock(&shared->lock);
	while (!shared->is_stopping) {
		if (!do_something(shared)) {
			pthread_cond_wait(&shared->work, &shared->lock);
		}
	}
	pthread_mutex_unlock(&shared->lock);
	return NULL;
}

static unsigned count_workers(unsigned wanted)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = wanted != 0 ? wanted : cores > 0 ? (unsigned)cores : 1;
	count = count < WORKERS_MIN ? WORKERS_MIN : count;
	return count < ENCODER_WORKERS_MAX ? count : ENCODER_WORKERS_MAX;
}

bool encoder_workers_start(struct shared_encoder *shared, struct error *err)
{
	unsigned count = count_workers(shared->options.workers);
	for (unsigned i = 0; i < count; i++) {
		pthread_t thread;
		if (!thread_start(&thread, "link encoder", worker_thread, shared, err)) {
			return false;
		}
		pthread_mutex_lock(&shared->lock);
		shared->workers[shared->worker_count++] = thread;
		pthread_mutex_unlock(&shared->lock);
	}
	return true;
}

void encoder_workers_stop(struct shared_encoder *shared)
{
	pthread_mutex_lock(&shared->lock);
	shared->is_stopping = true;
	pthread_cond_broadcast(&shared->work);
	pthread_mutex_unlock(&shared->lock);
	for (unsigned i = 0; i < shared->worker_count; i++) {
		pthread_join(shared->workers[i], NULL);
	}
	shared->worker_count = 0;
}
