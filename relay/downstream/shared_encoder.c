/*
 * shared_encoder: seats, and which frame each of them follows.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "downstream/shared_encoder_internal.h"
#include "protocol/link_held.h"

/* Memory for finding earlier images, each GB of the reference: some GB of WAL in which most bytes
 * are images (link_image_index.h), so that the tip and those behind it have room. */
#define INDEX_BYTES_PER_GB ((uint64_t)8 << 20)
#define INDEX_BYTES_MIN    ((uint64_t)64 << 10)
/* Frames that are made before their reader comes, for one seat and for all. */
#define AHEAD_MAX     4u
#define AHEAD_ALL_MAX 16u

static struct link_image_index *new_index(uint64_t reference_bytes)
{
	uint64_t bytes = (reference_bytes >> 20) * INDEX_BYTES_PER_GB >> 10;
	return link_image_index_new(bytes > INDEX_BYTES_MIN ? bytes : INDEX_BYTES_MIN);
}

struct shared_encoder *shared_encoder_new(
	const struct shared_encoder_options *options, struct error *err)
{
	struct shared_encoder *shared = memory_new(sizeof(*shared));
	shared->options = *options;
	if (shared->options.reference_bytes > LINK_REACH_MAX) {
		shared->options.reference_bytes = LINK_REACH_MAX;
	}
	pthread_mutex_init(&shared->lock, NULL);
	pthread_cond_init(&shared->work, NULL);
	pthread_cond_init(&shared->tip_work, NULL);
	TAILQ_INIT(&shared->frames);
	TAILQ_INIT(&shared->queue);
	TAILQ_INIT(&shared->engines);
	TAILQ_INIT(&shared->seats);
	batch_cache_init(&shared->cache, ENCODER_CACHE_BYTES);
	shared->index = new_index(shared->options.reference_bytes);
	if (shared->index == NULL) {
		error_set(err, ERROR_SYSTEM, "out of memory");
		shared_encoder_free(&shared);
		return NULL;
	}
	if (!encoder_workers_start(shared, err)) {
		shared_encoder_free(&shared);
		return NULL;
	}
	encoder_level_init(&shared->level, shared->worker_count - 1);
	return shared;
}

void shared_encoder_free(struct shared_encoder **shared)
{
	struct shared_encoder *gone = *shared;
	if (gone == NULL) {
		return;
	}
	*shared = NULL;
	encoder_workers_stop(gone);
	assert(TAILQ_EMPTY(&gone->seats));
	while (!TAILQ_EMPTY(&gone->frames)) {
		encoder_frame_free(TAILQ_FIRST(&gone->frames));
	}
	while (!TAILQ_EMPTY(&gone->engines)) {
		encoder_engine_free(gone, TAILQ_FIRST(&gone->engines));
	}
	encoder_notes_release(gone);
	link_image_index_free(&gone->index);
	pthread_cond_destroy(&gone->tip_work);
	pthread_cond_destroy(&gone->work);
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

void shared_encoder_read_stats(struct shared_encoder *shared, struct shared_encoder_stats *out)
{
	pthread_mutex_lock(&shared->lock);
	*out = shared->stats;
	out->cache_bytes = shared->cache.bytes;
	out->encoders = shared->engine_count;
	out->level = shared->options.is_level_auto
			     ? encoder_level_at(&shared->level, encoder_now_us())
			     : shared->options.level;
	pthread_mutex_unlock(&shared->lock);
}

static uint64_t seat_reach(const struct encoder_seat *seat, lsn_t lsn)
{
	return link_reach_of(
		&seat->promise, seat->held_oldest, lsn, seat->shared->options.reference_bytes);
}

static struct frame_wish wish_of(const struct encoder_seat *seat, lsn_t lsn)
{
	return (struct frame_wish){.tli = seat->tli,
		.lsn = lsn,
		.reach = seat_reach(seat, lsn),
		.recompress = seat->recompress};
}

static void leave(struct encoder_seat *seat)
{
	struct encoder_frame *frame = seat->frame;
	if (frame == NULL) {
		return;
	}
	LIST_REMOVE(seat, in_frame);
	seat->frame = NULL;
	if (LIST_EMPTY(&frame->seats)) {
		encoder_frame_settle(frame);
	}
}

static void follow(struct encoder_seat *seat, struct encoder_frame *frame)
{
	struct encoder_frame *before = seat->frame;
	if (before == frame) {
		return;
	}
	if (before != NULL) {
		LIST_REMOVE(seat, in_frame);
	}
	LIST_INSERT_HEAD(&frame->seats, seat, in_frame);
	seat->frame = frame;
	if (before != NULL && LIST_EMPTY(&before->seats)) {
		encoder_frame_settle(before);
	}
}

/* --- seats -------------------------------------------------------------------------------------
 */

void encoder_seat_ring(struct encoder_seat *seat)
{
	seat->is_waiting = false;
	if (!seat->is_gone) {
		seat->ring(seat->context);
	}
}

struct encoder_seat *encoder_seat_new(struct shared_encoder *shared, tli_t tli, unsigned recompress,
	void (*ring)(void *context), void *context)
{
	struct encoder_seat *seat = memory_new(sizeof(*seat));
	seat->shared = shared;
	seat->tli = tli;
	seat->recompress = recompress;
	seat->ring = ring;
	seat->context = context;
	pthread_mutex_lock(&shared->lock);
	TAILQ_INSERT_TAIL(&shared->seats, seat, in_encoder);
	if (shared->seat_count++ == 0 && !shared->notes.is_running) {
		encoder_notes_begin(shared);
		encoder_workers_wake(shared, false);
	}
	pthread_mutex_unlock(&shared->lock);
	return seat;
}

static void free_idle_engines(struct shared_encoder *shared)
{
	struct encoder_engine *engine = TAILQ_FIRST(&shared->engines);
	while (engine != NULL) {
		struct encoder_engine *next = TAILQ_NEXT(engine, link);
		if (engine->frame == NULL) {
			encoder_engine_free(shared, engine);
		}
		engine = next;
	}
}

void encoder_seat_release(struct encoder_seat *seat)
{
	struct shared_encoder *shared = seat->shared;
	TAILQ_REMOVE(&shared->seats, seat, in_encoder);
	shared->seat_count--;
	if (shared->seat_count == 0) {
		free_idle_engines(shared);
	}
	wal_cursor_close(&seat->check.cursor);
	link_held_free(&seat->check.held);
	free(seat);
}

void encoder_seat_free(struct encoder_seat **seat)
{
	struct encoder_seat *gone = *seat;
	if (gone == NULL) {
		return;
	}
	*seat = NULL;
	struct shared_encoder *shared = gone->shared;
	pthread_mutex_lock(&shared->lock);
	leave(gone);
	gone->is_gone = true;
	gone->check.is_wanted = false;
	if (!gone->check.is_running) {
		encoder_seat_release(gone);
	}
	pthread_mutex_unlock(&shared->lock);
}

void encoder_seat_promise(struct encoder_seat *seat, const struct link_promise *promise)
{
	struct shared_encoder *shared = seat->shared;
	struct wal_store_stats store;
	wal_store_read_stats(shared->options.store, &store);
	pthread_mutex_lock(&shared->lock);
	seat->promise = *promise;
	seat->held_oldest = store.oldest_lsn;
	/* A frame that refers further back than is promised now is followed no further. */
	if (seat->frame != NULL && seat_reach(seat, seat->next) < seat->frame->reach) {
		leave(seat);
	}
	pthread_mutex_unlock(&shared->lock);
}

void encoder_seat_note_plain_request(struct encoder_seat *seat)
{
	pthread_mutex_lock(&seat->shared->lock);
	leave(seat);
	seat->shared->stats.plain_requests++;
	pthread_mutex_unlock(&seat->shared->lock);
}

/* --- taking a batch ----------------------------------------------------------------------------
 */

static bool goes_on(const struct encoder_seat *seat, lsn_t lsn)
{
	const struct encoder_frame *frame = seat->frame;
	return frame != NULL && seat->next == lsn && lsn < frame->limit &&
	       (frame->position == lsn || batch_queue_find(&frame->batches, lsn) != NULL);
}

/* The one followed, one that others have begun there, one that is cut there for both, or its own.
 */
static struct encoder_frame *choose(struct encoder_seat *seat, lsn_t lsn)
{
	struct shared_encoder *shared = seat->shared;
	if (goes_on(seat, lsn)) {
		return seat->frame;
	}
	struct frame_wish wish = wish_of(seat, lsn);
	struct encoder_frame *frame = encoder_frame_find(shared, &wish);
	if (frame != NULL) {
		return frame;
	}
	frame = encoder_frame_find_to_cut(shared, &wish);
	if (frame != NULL) {
		wish.reach = frame->reach;
		encoder_frame_close(frame);
	}
	return encoder_frame_new(shared, &wish);
}

/* While what a seat takes is sent, what it comes to next is made, on all workers. */
static void order_ahead(struct encoder_seat *seat, lsn_t from, lsn_t end)
{
	struct shared_encoder *shared = seat->shared;
	unsigned ahead = AHEAD_ALL_MAX / shared->seat_count;
	ahead = ahead < 1 ? 1 : ahead < AHEAD_MAX ? ahead : AHEAD_MAX;
	for (unsigned i = 0; i < ahead && from + LINK_FRAME_BYTES <= end; i++) {
		struct frame_wish wish = wish_of(seat, from);
		if (encoder_frame_find(shared, &wish) == NULL) {
			struct encoder_frame *frame = encoder_frame_new(shared, &wish);
			frame->end = end;
			frame->is_ahead = true;
			encoder_frame_ask(frame);
		}
		from += LINK_FRAME_BYTES;
	}
}

/* For what is being made, or for somebody who could make it; what is at the tip is little, and
 * nobody made it before. */
static void note_wait(struct encoder_frame *frame)
{
	struct shared_encoder *shared = frame->shared;
	struct encoder_task task = encoder_frame_task(frame);
	bool is_under_way = frame->is_queued || frame->is_running;
	bool is_near = encoder_task_is_near(&task);
	bool is_late = is_under_way && encoder_frame_is_complete(frame) &&
		       !(is_near && frame->level == ENCODER_LEVEL_FIRST);
	bool is_crowded = !is_under_way && !is_near && shared->running >= shared->worker_count - 1;
	if (is_late || is_crowded) {
		encoder_level_note_wait(&shared->level, frame->level, encoder_now_us());
	}
}

/* There was nothing at lsn. False: it has failed, and the seat follows nothing any more. */
static bool order_next(struct encoder_seat *seat, lsn_t lsn)
{
	struct encoder_frame *frame = seat->frame;
	assert(frame->position == lsn);
	seat->next = lsn;
	bool has_waited = seat->has_waited;
	seat->has_waited = true;
	if (encoder_frame_is_quick(frame)) {
		encoder_frame_run(frame, true);
		return seat->frame != NULL;
	}
	seat->is_waiting = true;
	frame->is_awaited = true;
	if (!has_waited) {
		note_wait(frame);
	}
	encoder_frame_ask(frame);
	return true;
}

/* The link waits when a whole frame was there before it was wanted. */
static void note_taken(struct encoder_seat *seat, const struct encoded_batch *batch)
{
	struct shared_encoder *shared = seat->shared;
	seat->ready_bytes = seat->has_waited ? 0 : seat->ready_bytes + batch->raw_bytes;
	if (seat->ready_bytes > LINK_FRAME_BYTES) {
		encoder_level_note_ready(&shared->level, batch->raw_bytes, encoder_now_us());
	}
	shared->stats.cache_hits += !seat->has_waited;
	shared->stats.cache_misses += seat->has_waited;
	seat->has_waited = false;
}

static enum encoder_take take(
	struct encoder_seat *seat, lsn_t lsn, lsn_t end, struct encoded_batch **batch_out)
{
	if (lsn < seat->plain_until) {
		return ENCODER_PLAIN;
	}
	struct encoder_frame *frame = choose(seat, lsn);
	bool is_new = frame != seat->frame;
	follow(seat, frame);
	frame->end = lsn_max(frame->end, end);
	struct encoded_batch *batch = batch_queue_find(&frame->batches, lsn);
	if (batch == NULL) {
		if (!order_next(seat, lsn)) {
			return ENCODER_PLAIN;
		}
		batch = batch_queue_find(&frame->batches, lsn);
	}
	if (is_new) {
		order_ahead(seat, link_batch_limit(lsn), end);
	}
	if (batch == NULL) {
		return ENCODER_WAITS;
	}
	seat->next = lsn + batch->raw_bytes;
	note_taken(seat, batch);
	*batch_out = encoded_batch_ref(batch);
	return ENCODER_BATCH;
}

enum encoder_take encoder_seat_take(
	struct encoder_seat *seat, lsn_t lsn, lsn_t end, struct encoded_batch **batch_out)
{
	assert(lsn < end);
	pthread_mutex_lock(&seat->shared->lock);
	seat->is_waiting = false;
	enum encoder_take taken = take(seat, lsn, end, batch_out);
	pthread_mutex_unlock(&seat->shared->lock);
	return taken;
}

enum encoder_check encoder_seat_check(
	struct encoder_seat *seat, lsn_t from, lsn_t to, uint64_t hash)
{
	struct shared_encoder *shared = seat->shared;
	struct seat_check *check = &seat->check;
	pthread_mutex_lock(&shared->lock);
	if (check->to == LSN_INVALID) {
		*check = (struct seat_check){.state = ENCODER_CHECK_RUNS,
			.is_wanted = true,
			.at = from,
			.to = to,
			.held = link_held_new(),
			.hash_wanted = hash};
		encoder_workers_wake(shared, false);
	}
	enum encoder_check state = check->state;
	pthread_mutex_unlock(&shared->lock);
	return state;
}
