/*
 * encoder_chain: one encoder's way along the WAL, a batch at a time.
 *
 * What a chain needs is opened by its first job, on the worker: a chain that nobody follows holds
 * no WAL.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "downstream/shared_encoder_internal.h"

/* Memory for finding earlier images, each GB of reach: link_image_index.h. */
#define INDEX_BYTES_PER_GB ((uint64_t)2 << 20)
#define INDEX_BYTES_MIN    ((uint64_t)64 << 10)

struct encoder_chain *encoder_chain_new(struct shared_encoder *shared, tli_t tli, lsn_t lsn)
{
	struct encoder_chain *chain = memory_new(sizeof(*chain));
	chain->shared = shared;
	LIST_INIT(&chain->seats);
	chain->tli = tli;
	chain->known_from = lsn;
	chain->position = lsn;
	chain->frame_start = lsn;
	batch_queue_init(&chain->batches, &shared->cache);
	return chain;
}

void encoder_chain_free(struct encoder_chain *chain)
{
	assert(!chain->is_running);
	assert(LIST_EMPTY(&chain->seats));
	batch_queue_release(&chain->batches);
	link_encoder_free(&chain->encoder);
	wal_earlier_free(&chain->earlier);
	wal_cursor_close(&chain->cursor);
	free(chain);
}

static struct link_encoder *new_encoder(struct encoder_chain *chain)
{
	const struct shared_encoder *shared = chain->shared;
	uint64_t index_bytes = (shared->options.reference_bytes >> 20) * INDEX_BYTES_PER_GB >> 10;
	const struct link_encoder_options options = {
		.segment_bytes = wal_store_segment_bytes(shared->options.store),
		.level = 1,
		.earlier = {.read = wal_earlier_read, .context = chain->earlier},
		.index_bytes = index_bytes > INDEX_BYTES_MIN ? index_bytes : INDEX_BYTES_MIN,
	};
	return link_encoder_new(&options);
}

static bool open_chain(struct encoder_chain *chain, struct error *err)
{
	const struct shared_encoder_options *options = &chain->shared->options;
	if (chain->encoder == NULL) {
		chain->earlier = wal_earlier_new(options->store);
		chain->encoder = new_encoder(chain);
	}
	if (chain->encoder == NULL) {
		wal_earlier_free(&chain->earlier);
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	if (chain->cursor == NULL) {
		chain->cursor = wal_cursor_open(
			options->store, chain->tli, chain->position, options->flushed_only, err);
	}
	return chain->cursor != NULL;
}

static void begin_frame(struct encoder_chain *chain, const struct chain_job *job)
{
	link_encoder_set_level(chain->encoder, job->level);
	link_encoder_set_reach(chain->encoder, job->reach);
	if (job->is_cut) {
		/* What was followed is known, and no frame is under way. */
		link_encoder_note(chain->encoder, chain->position, NULL, 0);
	}
}

static bool encode_span(
	struct encoder_chain *chain, const struct wal_span *span, struct chain_outcome *outcome)
{
	const uint8_t *bytes;
	size_t length;
	if (!link_encoder_encode(chain->encoder, span->lsn, span->bytes, span->length, &bytes,
		    &length, &outcome->stats)) {
		return false;
	}
	outcome->batch = encoded_batch_new(span->lsn, (uint32_t)span->length, bytes, length);
	wal_cursor_advance(chain->cursor, span->length);
	return true;
}

static bool encode_next(
	struct encoder_chain *chain, struct chain_outcome *outcome, struct error *err)
{
	lsn_t room = link_batch_limit(chain->position) - chain->position;
	struct wal_span span;
	switch (wal_cursor_peek(
		chain->cursor, room < ENCODER_BATCH_MAX ? room : ENCODER_BATCH_MAX, &span, err)) {
	case WAL_READ_DATA: break;
	case WAL_READ_WAIT:
	case WAL_READ_TIMELINE_END:
		return error_set(err, ERROR_INVALID, "there is no WAL at " LSN_FORMAT,
			LSN_ARGS(chain->position));
	default: return false;
	}
	if (!encode_span(chain, &span, outcome)) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	return true;
}

static uint64_t thread_cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void encoder_chain_encode(
	struct encoder_chain *chain, const struct chain_job *job, struct chain_outcome *outcome)
{
	struct error err = {0};
	uint64_t began_us = thread_cpu_us();
	bool ok = open_chain(chain, &err);
	if (ok) {
		if (job->begins_frame) {
			begin_frame(chain, job);
		}
		ok = encode_next(chain, outcome, &err);
	}
	if (!ok) {
		log_debug("link", "WAL goes plain from " LSN_FORMAT ": %s",
			LSN_ARGS(chain->position), err.message);
	}
	outcome->cpu_us = thread_cpu_us() - began_us;
}
