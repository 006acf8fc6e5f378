/*
 * encoder_rig: every job goes through a gate, and every batch through a decoder.
 */
#include "encoder_rig.h"

#include <stdlib.h>

#include "cmocka_all.h"

/* --- jobs that are held up ----------------------------------------------------------------------
 */

struct encoder_gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void __real_encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome);
void __wrap_encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome);

void __wrap_encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome)
{
	pthread_mutex_lock(&gate.lock);
	if (job->begins_frame && gate.begun_count < FRAMES_NOTED) {
		gate.levels[gate.begun_count] = frame->level;
		gate.begun[gate.begun_count++] = frame->start;
	}
	pthread_cond_broadcast(&gate.changed);
	while (frame->start < gate.held_below && gate.let_through == 0) {
		pthread_cond_wait(&gate.changed, &gate.lock);
	}
	gate.let_through -= frame->start < gate.held_below;
	gate.last = pthread_self();
	bool fails = gate.fails;
	gate.fails = false;
	pthread_mutex_unlock(&gate.lock);
	if (!fails) {
		__real_encoder_engine_encode(frame, job, outcome);
	}
}

void hold_below(lsn_t lsn)
{
	pthread_mutex_lock(&gate.lock);
	gate.held_below = lsn;
	gate.let_through = 0;
	gate.begun_count = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

bool did_the_last_job(void)
{
	pthread_mutex_lock(&gate.lock);
	bool did = pthread_equal(gate.last, pthread_self());
	pthread_mutex_unlock(&gate.lock);
	return did;
}

void fail_next(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.fails = true;
	pthread_mutex_unlock(&gate.lock);
}

struct timespec deadline(void)
{
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += DEADLINE_S;
	return at;
}

void await_begun(unsigned count)
{
	struct timespec at = deadline();
	pthread_mutex_lock(&gate.lock);
	while (gate.begun_count < count) {
		assert_int_equal(pthread_cond_timedwait(&gate.changed, &gate.lock, &at), 0);
	}
	pthread_mutex_unlock(&gate.lock);
}

void let_through(unsigned jobs)
{
	pthread_mutex_lock(&gate.lock);
	gate.let_through += jobs;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* --- readers ------------------------------------------------------------------------------------
 */

static void ring(void *context)
{
	struct reader *reader = context;
	sem_post(&reader->rung);
}

static size_t read_earlier(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	const struct reader *reader = context;
	if (lsn < reader->start || lsn >= reader->at) {
		return 0;
	}
	*bytes_out = wal_maker_bytes(reader->fixture->maker, lsn);
	return length < reader->at - lsn ? length : reader->at - lsn;
}

void reader_open_with(struct reader *reader, struct relay_fixture *fixture,
	struct shared_encoder *encoder, lsn_t from, unsigned recompress)
{
	const struct link_source source = {.read = read_earlier, .context = reader};
	const struct link_promise promise = {.oldest_lsn = from, .keep_bytes = REFERENCE};
	*reader = (struct reader){.fixture = fixture, .start = from, .at = from};
	sem_init(&reader->rung, 0, 0);
	reader->decoder = link_decoder_new(FIXTURE_SEGMENT, &source);
	reader->seat = encoder_seat_new(encoder, 1, recompress, ring, reader);
	encoder_seat_promise(reader->seat, &promise);
}

void reader_open(struct reader *reader, struct relay_fixture *fixture,
	struct shared_encoder *encoder, lsn_t from)
{
	reader_open_with(reader, fixture, encoder, from, 0);
}

void reader_close(struct reader *reader)
{
	encoder_seat_free(&reader->seat);
	link_decoder_free(&reader->decoder);
	sem_destroy(&reader->rung);
}

void reader_take(struct reader *reader, struct encoded_batch *batch)
{
	struct link_decoded decoded;
	const uint8_t *bytes = batch->message + LINK_FRAME_HEADER_BYTES;
	size_t length = batch->message_bytes - LINK_FRAME_HEADER_BYTES;
	if (link_decoder_decode(reader->decoder, bytes, length, &decoded) != LINK_OK) {
		fail_msg("at " LSN_FORMAT ": %s", LSN_ARGS(reader->at), decoded.reason);
	}
	assert_int_equal(decoded.start, reader->at);
	assert_memory_equal(
		decoded.raw, wal_maker_bytes(reader->fixture->maker, reader->at), decoded.length);
	reader->at += decoded.length;
	encoded_batch_unref(batch);
}

bool reader_try(struct reader *reader)
{
	struct encoded_batch *batch;
	switch (encoder_seat_take(reader->seat, reader->at, reader->fixture->appended, &batch)) {
	case ENCODER_BATCH: reader_take(reader, batch); return true;
	case ENCODER_WAITS: return false;
	default: fail_msg("plain at " LSN_FORMAT, LSN_ARGS(reader->at));
	}
	return false;
}

void reader_step(struct reader *reader)
{
	struct timespec at = deadline();
	while (!reader_try(reader)) {
		assert_int_equal(sem_timedwait(&reader->rung, &at), 0);
	}
}

void reader_read_to_end(struct reader *reader)
{
	while (reader->at < reader->fixture->appended) {
		reader_step(reader);
	}
}

static struct ground begin(lsn_t bytes, const struct shared_encoder_options *wanted)
{
	struct ground ground = {.fixture = relay_fixture_new(NULL)};
	struct error err;
	relay_fixture_append(ground.fixture, bytes);
	struct shared_encoder_options options = *wanted;
	options.store = ground.fixture->store;
	options.reference_bytes = REFERENCE;
	hold_below(0);
	ground.encoder = shared_encoder_new(&options, &err);
	assert_non_null(ground.encoder);
	return ground;
}

struct ground ground_new(lsn_t bytes, unsigned workers)
{
	const struct shared_encoder_options options = {.level = 1, .workers = workers};
	return begin(bytes, &options);
}

struct ground ground_new_auto(lsn_t bytes, unsigned workers)
{
	const struct shared_encoder_options options = {
		.level = 1, .is_level_auto = true, .workers = workers};
	return begin(bytes, &options);
}

void ground_free(struct ground *ground)
{
	hold_below(0);
	shared_encoder_free(&ground->encoder);
	relay_fixture_free(ground->fixture);
}

struct shared_encoder_stats stats_of(struct ground *ground)
{
	struct shared_encoder_stats stats;
	shared_encoder_read_stats(ground->encoder, &stats);
	return stats;
}
