/*
 * encoder_workers: threads that make batches, and compare WAL.
 *
 * A frame is on one worker at a time. One worker is kept for the tip: what waits behind the tip for
 * a disk, or for its turn, does not hold it up. The others are one more than needed, and stand back
 * for whoever else wants the processor.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"
#include "downstream/shared_encoder_internal.h"
#include "protocol/link_held.h"

#define WORKERS_MIN 2u
/* Of a check, between two looks at whether there is something better to do. */
#define CHECK_BYTES ((size_t)1 << 20)
/* How nice workers are that do what is not at the tip. */
#define NICENESS 5

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
		link_held_update(check->held, span.bytes, span.length);
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
	return link_held_value(check->held) == check->hash_wanted ? ENCODER_CHECK_SAME
								  : ENCODER_CHECK_OTHER;
}

static void run_check(struct encoder_seat *seat)
{
	struct shared_encoder *shared = seat->shared;
	struct seat_check *check = &seat->check;
	check->is_wanted = false;
	check->is_running = true;
	pthread_mutex_unlock(&shared->lock);
	enum encoder_check state = check_piece(seat);
	if (state != ENCODER_CHECK_RUNS) {
		wal_cursor_close(&check->cursor);
	}
	pthread_mutex_lock(&shared->lock);
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

void encoder_workers_wake(struct shared_encoder *shared, bool is_near)
{
	if (is_near && shared->is_tip_worker_idle) {
		shared->is_tip_worker_idle = false;
		pthread_cond_signal(&shared->tip_work);
	} else {
		pthread_cond_signal(&shared->work);
	}
}

static struct encoder_frame *find_frame(struct shared_encoder *shared, bool is_tip_worker)
{
	struct encoder_frame *best = NULL;
	struct encoder_task best_task = {0};
	struct encoder_frame *frame;
	TAILQ_FOREACH(frame, &shared->queue, in_queue)
	{
		struct encoder_task task = encoder_frame_task(frame);
		if ((is_tip_worker && !encoder_task_is_near(&task)) ||
			!encoder_engine_is_to_be_had(frame)) {
			continue;
		}
		if (best == NULL || encoder_task_overtakes(&task, &best_task)) {
			best = frame;
			best_task = task;
		}
	}
	return best;
}

static struct encoder_seat *find_check(struct shared_encoder *shared)
{
	struct encoder_seat *seat;
	TAILQ_FOREACH(seat, &shared->seats, in_encoder)
	{
		if (seat->check.is_wanted) {
			return seat;
		}
	}
	return NULL;
}

/* A check comes before what is made ahead. */
static bool do_something(struct shared_encoder *shared, bool is_tip_worker)
{
	struct encoder_frame *frame = find_frame(shared, is_tip_worker);
	struct encoder_seat *seat = is_tip_worker ? NULL : find_check(shared);
	if (frame != NULL && (frame->is_awaited || seat == NULL)) {
		encoder_frame_run(frame, false);
		return true;
	}
	if (seat != NULL) {
		run_check(seat);
		return true;
	}
	if (!is_tip_worker && encoder_notes_are_wanted(shared)) {
		encoder_notes_run(shared);
		return true;
	}
	return false;
}

static void *tip_worker_thread(void *context)
{
	struct shared_encoder *shared = context;
	thread_make_prompt();
	pthread_mutex_lock(&shared->lock);
	while (!shared->is_stopping) {
		if (!do_something(shared, true)) {
			shared->is_tip_worker_idle = true;
			pthread_cond_wait(&shared->tip_work, &shared->lock);
			shared->is_tip_worker_idle = false;
		}
	}
	pthread_mutex_unlock(&shared->lock);
	return NULL;
}

static void *worker_thread(void *context)
{
	struct shared_encoder *shared = context;
	/* Of this thread alone; without it everything works as well. */
	(void)setpriority(PRIO_PROCESS, 0, NICENESS);
	pthread_mutex_lock(&shared->lock);
	while (!shared->is_stopping) {
		if (!do_something(shared, false)) {
			pthread_cond_wait(&shared->work, &shared->lock);
		}
	}
	pthread_mutex_unlock(&shared->lock);
	return NULL;
}

static unsigned count_workers(unsigned wanted)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned count = wanted != 0 ? wanted : cores > 0 ? (unsigned)cores + 1 : 2;
	count = count < WORKERS_MIN ? WORKERS_MIN : count;
	return count < ENCODER_WORKERS_MAX ? count : ENCODER_WORKERS_MAX;
}

bool encoder_workers_start(struct shared_encoder *shared, struct error *err)
{
	unsigned count = count_workers(shared->options.workers);
	for (unsigned i = 0; i < count; i++) {
		pthread_t thread;
		if (!thread_start(&thread, "link encoder",
			    i == 0 ? tip_worker_thread : worker_thread, shared, err)) {
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
	pthread_cond_broadcast(&shared->tip_work);
	pthread_mutex_unlock(&shared->lock);
	for (unsigned i = 0; i < shared->worker_count; i++) {
		pthread_join(shared->workers[i], NULL);
	}
	shared->worker_count = 0;
}
