/*
 * encoder_frame: who is served by which encoding, and how long it is kept.
 *
 * A frame whose WAL is all there is made to its end once it was begun; one at the tip grows batch
 * by batch as they are asked for. What nobody follows any more stays for those who come later,
 * until its batches are pushed out of the cache.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "downstream/shared_encoder_internal.h"
#include "protocol/link_codec.h"

/* Frames that begin at one place, for receivers of different reach. */
#define FRAMES_AT_PLACE_MAX 3u
/* Looked at when one is made: whether there is still something in them. */
#define SWEPT_AT_ONCE 8u

static struct frame_place *place_of(struct shared_encoder *shared, lsn_t lsn)
{
	return &shared->places[(lsn >> 20 ^ lsn >> 3) & (ENCODER_PLACES - 1)];
}

bool encoder_frame_is_done(const struct encoder_frame *frame)
{
	return frame->position == frame->limit;
}

bool encoder_frame_is_complete(const struct encoder_frame *frame)
{
	return frame->end >= frame->limit;
}

struct encoder_task encoder_frame_task(const struct encoder_frame *frame)
{
	return (struct encoder_task){.position = frame->position,
		.end = frame->end,
		.is_awaited = frame->is_awaited,
		.has_begun = frame->engine != NULL};
}

/* --- found, made, freed -------------------------------------------------------------------------
 */

static bool is_whole_so_far(const struct encoder_frame *frame)
{
	return !frame->has_failed &&
	       (frame->position == frame->start ||
		       batch_queue_find(&frame->batches, frame->start) != NULL);
}

/* What is not recompressed could be read by everybody, but is not what a receiver that can is to be
 * sent. */
static bool is_alike(const struct encoder_frame *frame, const struct frame_wish *wish)
{
	return frame->tli == wish->tli && frame->recompress == wish->recompress;
}

struct encoder_frame *encoder_frame_find(
	struct shared_encoder *shared, const struct frame_wish *wish)
{
	struct encoder_frame *best = NULL;
	struct encoder_frame *frame;
	unsigned count = 0;
	LIST_FOREACH(frame, place_of(shared, wish->lsn), by_place)
	{
		if (frame->start != wish->lsn || !is_alike(frame, wish) ||
			!is_whole_so_far(frame)) {
			continue;
		}
		count++;
		if (link_reach_fits(frame->reach, wish->reach) &&
			(best == NULL || frame->reach > best->reach)) {
			best = frame;
		}
	}
	return best != NULL && (link_reach_serves(best->reach, wish->reach) ||
				       count >= FRAMES_AT_PLACE_MAX)
		       ? best
		       : NULL;
}

struct encoder_frame *encoder_frame_find_to_cut(
	struct shared_encoder *shared, const struct frame_wish *wish)
{
	const struct encoder_engine *engine;
	TAILQ_FOREACH(engine, &shared->engines, link)
	{
		struct encoder_frame *frame = engine->frame;
		if (frame != NULL && !frame->is_running && is_alike(frame, wish) &&
			frame->position == wish->lsn &&
			wish->lsn - frame->start >= ENCODER_CUT_BYTES &&
			link_reach_serves(frame->reach, wish->reach)) {
			return frame;
		}
	}
	return NULL;
}

static bool is_of_use(const struct encoder_frame *frame)
{
	return !LIST_EMPTY(&frame->seats) || frame->is_running || frame->is_queued ||
	       frame->batches.count > 0;
}

void encoder_frame_free(struct encoder_frame *frame)
{
	struct shared_encoder *shared = frame->shared;
	assert(!frame->is_running);
	assert(LIST_EMPTY(&frame->seats));
	if (frame->is_queued) {
		TAILQ_REMOVE(&shared->queue, frame, in_queue);
	}
	encoder_engine_detach(frame);
	batch_queue_release(&frame->batches);
	wal_cursor_close(&frame->cursor);
	LIST_REMOVE(frame, by_place);
	TAILQ_REMOVE(&shared->frames, frame, by_age);
	shared->frame_count--;
	free(frame);
}

/* Those whose batches were pushed out, and the oldest when there are too many. */
static void sweep(struct shared_encoder *shared)
{
	struct encoder_frame *frame = TAILQ_FIRST(&shared->frames);
	for (unsigned i = 0; i < SWEPT_AT_ONCE && frame != NULL; i++) {
		struct encoder_frame *next = TAILQ_NEXT(frame, by_age);
		bool is_followed =
			!LIST_EMPTY(&frame->seats) || frame->is_running || frame->is_queued;
		if (!is_of_use(frame) ||
			(shared->frame_count > ENCODER_FRAMES_MAX && !is_followed)) {
			encoder_frame_free(frame);
		} else if (is_followed) {
			/* Not to be in the way of those behind it. */
			TAILQ_REMOVE(&shared->frames, frame, by_age);
			TAILQ_INSERT_TAIL(&shared->frames, frame, by_age);
		}
		frame = next;
	}
}

struct encoder_frame *encoder_frame_new(
	struct shared_encoder *shared, const struct frame_wish *wish)
{
	struct encoder_frame *frame = memory_new(sizeof(*frame));
	sweep(shared);
	frame->shared = shared;
	LIST_INIT(&frame->seats);
	frame->tli = wish->tli;
	frame->start = wish->lsn;
	frame->position = wish->lsn;
	frame->limit = link_batch_limit(wish->lsn);
	frame->reach = wish->reach;
	frame->recompress = wish->recompress;
	batch_queue_init(&frame->batches, &shared->cache);
	LIST_INSERT_HEAD(place_of(shared, wish->lsn), frame, by_place);
	TAILQ_INSERT_TAIL(&shared->frames, frame, by_age);
	shared->frame_count++;
	return frame;
}

/* --- on its way --------------------------------------------------------------------------------
 */

static void leave_queue(struct encoder_frame *frame)
{
	if (frame->is_queued) {
		TAILQ_REMOVE(&frame->shared->queue, frame, in_queue);
		frame->is_queued = false;
	}
}

void encoder_frame_ask(struct encoder_frame *frame)
{
	struct encoder_task task = encoder_frame_task(frame);
	if (frame->is_running || encoder_frame_is_done(frame)) {
		return;
	}
	if (!frame->is_queued) {
		TAILQ_INSERT_TAIL(&frame->shared->queue, frame, in_queue);
		frame->is_queued = true;
	}
	encoder_workers_wake(frame->shared, encoder_task_is_near(&task));
}

static void ring(struct encoder_frame *frame)
{
	struct encoder_seat *seat;
	frame->is_awaited = false;
	LIST_FOREACH(seat, &frame->seats, in_frame)
	{
		if (seat->is_waiting) {
			encoder_seat_ring(seat);
		}
	}
}

void encoder_frame_close(struct encoder_frame *frame)
{
	assert(!frame->is_running);
	assert(frame->position > frame->start);
	leave_queue(frame);
	frame->limit = frame->position;
	wal_cursor_close(&frame->cursor);
	encoder_engine_detach(frame);
	ring(frame);
}

void encoder_frame_settle(struct encoder_frame *frame)
{
	assert(LIST_EMPTY(&frame->seats));
	frame->is_awaited = false;
	if (frame->is_running || frame->is_ahead) {
		return;
	}
	leave_queue(frame);
	wal_cursor_close(&frame->cursor);
	if (frame->engine != NULL && frame->engine->earlier != NULL) {
		wal_earlier_rest(frame->engine->earlier);
	}
	if (!is_of_use(frame)) {
		encoder_frame_free(frame);
	}
}

bool encoder_frame_is_quick(const struct encoder_frame *frame)
{
	struct encoder_task task = encoder_frame_task(frame);
	return !frame->is_running && encoder_task_is_small(&task) &&
	       encoder_engine_stands_ready(frame);
}

/* All who follow it go plain up to where it would have ended. */
static void abandon(struct encoder_frame *frame)
{
	frame->has_failed = true;
	while (!LIST_EMPTY(&frame->seats)) {
		struct encoder_seat *seat = LIST_FIRST(&frame->seats);
		LIST_REMOVE(seat, in_frame);
		seat->frame = NULL;
		seat->plain_until = lsn_max(seat->plain_until, frame->limit);
		encoder_seat_ring(seat);
	}
	encoder_frame_free(frame);
}

static void count_batch(struct shared_encoder *shared, const struct frame_outcome *outcome)
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

static void end_job(struct encoder_frame *frame, const struct frame_outcome *outcome)
{
	struct shared_encoder *shared = frame->shared;
	frame->is_running = false;
	shared->stats.encode_cpu_us += outcome->cpu_us;
	if (outcome->batch == NULL) {
		abandon(frame);
		return;
	}
	count_batch(shared, outcome);
	outcome->batch->reach = frame->reach;
	frame->position += outcome->batch->raw_bytes;
	encoder_notes_extend(shared, outcome->batch->start, frame->position);
	batch_queue_add(&frame->batches, outcome->batch);
	ring(frame);
	if (encoder_frame_is_done(frame)) {
		frame->is_ahead = false;
		wal_cursor_close(&frame->cursor);
		encoder_engine_detach(frame);
	} else if (frame->is_ahead ||
		   (!LIST_EMPTY(&frame->seats) && encoder_frame_is_complete(frame))) {
		encoder_frame_ask(frame);
	}
	if (LIST_EMPTY(&frame->seats)) {
		encoder_frame_settle(frame);
	}
}

/* One at the tip is made in haste; those behind it while the link has time. */
static void choose_level(struct encoder_frame *frame, int64_t now_us)
{
	struct shared_encoder *shared = frame->shared;
	if (!shared->options.is_level_auto) {
		frame->level = shared->options.level;
	} else if (encoder_frame_is_complete(frame)) {
		frame->level = encoder_level_at(&shared->level, now_us);
	} else {
		frame->level = ENCODER_LEVEL_FIRST;
	}
}

void encoder_frame_run(struct encoder_frame *frame, bool is_at_once)
{
	struct shared_encoder *shared = frame->shared;
	const struct frame_job job = {
		.begins_frame = frame->position == frame->start, .is_at_once = is_at_once};
	struct frame_outcome outcome = {0};
	int64_t began_us = encoder_now_us();
	leave_queue(frame);
	encoder_engine_attach(frame);
	if (job.begins_frame) {
		choose_level(frame, began_us);
	}
	frame->is_running = true;
	shared->running += !is_at_once;
	pthread_mutex_unlock(&shared->lock);
	encoder_engine_encode(frame, &job, &outcome);
	int64_t took_us = encoder_now_us() - began_us;
	pthread_mutex_lock(&shared->lock);
	shared->stats.at_once += is_at_once;
	if (!is_at_once) {
		shared->running--;
		encoder_level_note_job(&shared->level, took_us);
	}
	end_job(frame, &outcome);
}
