/*
 * encoder_engine: encoders, and which frame each of them makes.
 *
 * What an engine needs is opened by its first job, on the worker. One that goes on where it stands
 * knows the record under way; any other reads a little of what precedes its frame first.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/monotonic_clock.h"
#include "base/thread.h"
#include "downstream/shared_encoder_internal.h"

/* Where a record under way began, nearly always. */
#define WARM_UP_BYTES ((lsn_t)64 << 10)

static void open_of(const struct shared_encoder *shared, const struct encoder_engine **free_out,
	struct encoder_frame **idle_out)
{
	struct encoder_engine *engine;
	*free_out = NULL;
	*idle_out = NULL;
	TAILQ_FOREACH(engine, &shared->engines, link)
	{
		struct encoder_frame *frame = engine->frame;
		/* What stands nearest to the tip is likeliest to be gone on with. */
		if (frame == NULL && (*free_out == NULL || engine->at < (*free_out)->at)) {
			*free_out = engine;
		}
		if (frame != NULL && !frame->is_running && !frame->is_queued &&
			(*idle_out == NULL ||
				(LIST_EMPTY(&frame->seats) && !LIST_EMPTY(&(*idle_out)->seats)))) {
			*idle_out = frame;
		}
	}
}

bool encoder_engine_is_to_be_had(const struct encoder_frame *frame)
{
	const struct encoder_engine *engine;
	struct encoder_frame *idle;
	if (frame->engine != NULL || frame->shared->engine_count < ENCODER_ENGINES_MAX) {
		return true;
	}
	open_of(frame->shared, &engine, &idle);
	return engine != NULL || idle != NULL;
}

static struct encoder_engine *new_engine(struct shared_encoder *shared)
{
	struct encoder_engine *engine = memory_new(sizeof(*engine));
	TAILQ_INSERT_TAIL(&shared->engines, engine, link);
	shared->engine_count++;
	return engine;
}

static struct encoder_engine *find_at(const struct encoder_frame *frame)
{
	struct encoder_engine *engine;
	TAILQ_FOREACH(engine, &frame->shared->engines, link)
	{
		if (engine->frame == NULL && engine->at == frame->position &&
			engine->tli == frame->tli) {
			return engine;
		}
	}
	return NULL;
}

bool encoder_engine_stands_ready(const struct encoder_frame *frame)
{
	const struct encoder_engine *engine =
		frame->engine != NULL ? frame->engine : find_at(frame);
	return engine != NULL && engine->encoder != NULL && engine->tli == frame->tli &&
	       engine->at == frame->position;
}

static struct encoder_engine *find_any(struct shared_encoder *shared)
{
	const struct encoder_engine *engine;
	struct encoder_frame *idle;
	open_of(shared, &engine, &idle);
	if (engine == NULL && shared->engine_count < ENCODER_ENGINES_MAX) {
		return new_engine(shared);
	}
	if (engine == NULL) {
		assert(idle != NULL);
		engine = idle->engine;
		encoder_frame_close(idle);
	}
	return (struct encoder_engine *)(uintptr_t)engine;
}

void encoder_engine_attach(struct encoder_frame *frame)
{
	if (frame->engine != NULL) {
		return;
	}
	struct encoder_engine *engine = find_at(frame);
	if (engine == NULL) {
		engine = find_any(frame->shared);
	}
	engine->frame = frame;
	engine->idle_rounds = 0;
	frame->engine = engine;
}

void encoder_engine_free(struct shared_encoder *shared, struct encoder_engine *engine)
{
	assert(engine->frame == NULL);
	TAILQ_REMOVE(&shared->engines, engine, link);
	shared->engine_count--;
	link_encoder_free(&engine->encoder);
	wal_earlier_free(&engine->earlier);
	free(engine);
}

/* One that is not used for a while keeps no removed WAL on disk, and then no memory. */
static void retire(struct shared_encoder *shared)
{
	struct encoder_engine *engine = TAILQ_FIRST(&shared->engines);
	while (engine != NULL) {
		struct encoder_engine *next = TAILQ_NEXT(engine, link);
		if (engine->frame == NULL && ++engine->idle_rounds > ENGINE_IDLE_ROUNDS) {
			encoder_engine_free(shared, engine);
		}
		engine = next;
	}
}

void encoder_engine_detach(struct encoder_frame *frame)
{
	if (frame->engine != NULL) {
		frame->engine->frame = NULL;
		frame->engine = NULL;
		retire(frame->shared);
	}
}

/* --- a batch, without the lock ------------------------------------------------------------------
 */

struct link_encoder *encoder_engine_new_encoder(
	const struct shared_encoder *shared, const struct encoder_engine *engine)
{
	const struct link_encoder_options options = {
		.segment_bytes = wal_store_segment_bytes(shared->options.store),
		.level = 1,
		.ends_at_records = true,
		.earlier = {.read = wal_earlier_read, .context = engine->earlier},
		.index = shared->index,
	};
	return link_encoder_new(&options);
}

static bool open_all(struct encoder_frame *frame, struct error *err)
{
	const struct shared_encoder_options *options = &frame->shared->options;
	struct encoder_engine *engine = frame->engine;
	if (engine->earlier == NULL) {
		engine->earlier = wal_earlier_new(options->store);
	}
	if (engine->encoder == NULL) {
		engine->encoder = encoder_engine_new_encoder(frame->shared, engine);
	}
	if (engine->encoder == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	if (frame->cursor == NULL) {
		frame->cursor = wal_cursor_open(
			options->store, frame->tli, frame->position, options->flushed_only, err);
	}
	return frame->cursor != NULL;
}

/* From the start of a page, whose header tells where a record begins. */
static void warm_up(struct encoder_engine *engine, lsn_t to)
{
	lsn_t from = to > WARM_UP_BYTES ? to - WARM_UP_BYTES : 0;
	const uint8_t *bytes;
	size_t length;
	from -= from % WAL_PAGE_BYTES;
	while (from < to && (length = wal_earlier_read(engine->earlier, from, to - from, &bytes))) {
		link_encoder_note(engine->encoder, from, bytes, length);
		from += length;
	}
}

static void begin_frame(struct encoder_frame *frame)
{
	struct encoder_engine *engine = frame->engine;
	link_encoder_set_level(engine->encoder, frame->level);
	link_encoder_set_reach(engine->encoder, frame->reach);
	link_encoder_set_recompress(engine->encoder, frame->recompress);
	if (engine->tli != frame->tli || engine->at != frame->position) {
		warm_up(engine, frame->position);
	}
	/* No frame is under way. */
	link_encoder_note(engine->encoder, frame->position, NULL, 0);
}

static bool encode_span(
	struct encoder_frame *frame, const struct wal_span *span, struct frame_outcome *outcome)
{
	struct encoder_engine *engine = frame->engine;
	const uint8_t *bytes;
	size_t length;
	if (!link_encoder_encode(engine->encoder, span->lsn, span->bytes, span->length, &bytes,
		    &length, &outcome->stats)) {
		return false;
	}
	outcome->batch = encoded_batch_new(span->lsn, &outcome->stats, bytes, length);
	wal_cursor_advance(frame->cursor, outcome->stats.raw_bytes);
	engine->tli = frame->tli;
	engine->at = span->lsn + outcome->stats.raw_bytes;
	return true;
}

static bool encode_next(struct encoder_frame *frame, const struct frame_job *job,
	struct frame_outcome *outcome, struct error *err)
{
	size_t most = job->is_at_once ? ENCODER_SMALL_BYTES : ENCODER_BATCH_MAX;
	lsn_t room = frame->limit - frame->position;
	struct wal_span span;
	switch (wal_cursor_peek(frame->cursor, room < most ? room : most, &span, err)) {
	case WAL_READ_DATA: break;
	case WAL_READ_WAIT:
	case WAL_READ_TIMELINE_END:
		return error_set(err, ERROR_INVALID, "there is no WAL at " LSN_FORMAT,
			LSN_ARGS(frame->position));
	default: return false;
	}
	if (!encode_span(frame, &span, outcome)) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	return true;
}

int64_t encoder_now_us(void)
{
	return monotonic_clock_us();
}

void encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome)
{
	struct error err = {0};
	uint64_t began_us = thread_cpu_us();
	bool ok = open_all(frame, &err);
	if (ok) {
		if (job->begins_frame) {
			begin_frame(frame);
		}
		wal_earlier_set_waits(frame->engine->earlier, !job->is_at_once);
		ok = encode_next(frame, job, outcome, &err);
	}
	if (!ok) {
		frame->engine->at = LSN_INVALID;
		log_debug("link", "WAL goes plain from " LSN_FORMAT ": %s",
			LSN_ARGS(frame->position), err.message);
	}
	outcome->cpu_us = thread_cpu_us() - began_us;
}
