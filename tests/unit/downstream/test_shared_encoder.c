/* Seats: what is made once for all, what is made ahead, and who comes first. Jobs are held up where
 * a test wants to see their order. */
#include "downstream/shared_encoder.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "cmocka_all.h"
#include "downstream/shared_encoder_internal.h"
#include "relay_fixture.h"

#define MB           ((lsn_t)1 << 20)
#define DEADLINE_S   60
#define REFERENCE    (64 * MB)
#define FRAMES_NOTED 64

/* --- jobs that are held up ----------------------------------------------------------------------
 */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	lsn_t held_below; /* jobs of frames that begin before it wait */
	unsigned let_through;
	lsn_t begun[FRAMES_NOTED]; /* frames, in the order in which they were begun */
	unsigned begun_count;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void __real_encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome);
void __wrap_encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome);

void __wrap_encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome)
{
	pthread_mutex_lock(&gate.lock);
	if (job->begins_frame && gate.begun_count < FRAMES_NOTED) {
		gate.begun[gate.begun_count++] = frame->start;
	}
	pthread_cond_broadcast(&gate.changed);
	while (frame->start < gate.held_below && gate.let_through == 0) {
		pthread_cond_wait(&gate.changed, &gate.lock);
	}
	gate.let_through -= frame->start < gate.held_below;
	pthread_mutex_unlock(&gate.lock);
	__real_encoder_engine_encode(frame, job, outcome);
}

static void hold_below(lsn_t lsn)
{
	pthread_mutex_lock(&gate.lock);
	gate.held_below = lsn;
	gate.let_through = 0;
	gate.begun_count = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

static struct timespec deadline(void)
{
	struct timespec at;
	clock_gettime(CLOCK_REALTIME, &at);
	at.tv_sec += DEADLINE_S;
	return at;
}

/* Until so many frames were begun since. */
static void await_begun(unsigned count)
{
	struct timespec at = deadline();
	pthread_mutex_lock(&gate.lock);
	while (gate.begun_count < count) {
		assert_int_equal(pthread_cond_timedwait(&gate.changed, &gate.lock, &at), 0);
	}
	pthread_mutex_unlock(&gate.lock);
}

static void let_through(unsigned jobs)
{
	pthread_mutex_lock(&gate.lock);
	gate.let_through += jobs;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* --- readers ------------------------------------------------------------------------------------
 */

struct reader {
	struct relay_fixture *fixture;
	struct encoder_seat *seat;
	struct link_decoder *decoder;
	sem_t rung;
	lsn_t start;
	lsn_t at;
};

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

static void reader_open_with(struct reader *reader, struct relay_fixture *fixture,
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

static void reader_open(struct reader *reader, struct relay_fixture *fixture,
	struct shared_encoder *encoder, lsn_t from)
{
	reader_open_with(reader, fixture, encoder, from, 0);
}

static void reader_close(struct reader *reader)
{
	encoder_seat_free(&reader->seat);
	link_decoder_free(&reader->decoder);
	sem_destroy(&reader->rung);
}

static void take_batch(struct reader *reader, struct encoded_batch *batch)
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

/* False: it has to wait. */
static bool reader_try(struct reader *reader)
{
	struct encoded_batch *batch;
	switch (encoder_seat_take(reader->seat, reader->at, reader->fixture->appended, &batch)) {
	case ENCODER_BATCH: take_batch(reader, batch); return true;
	case ENCODER_WAITS: return false;
	default: fail_msg("plain at " LSN_FORMAT, LSN_ARGS(reader->at));
	}
	return false;
}

static void reader_step(struct reader *reader)
{
	struct timespec at = deadline();
	while (!reader_try(reader)) {
		assert_int_equal(sem_timedwait(&reader->rung, &at), 0);
	}
}

static void reader_read_to_end(struct reader *reader)
{
	while (reader->at < reader->fixture->appended) {
		reader_step(reader);
	}
}

struct ground {
	struct relay_fixture *fixture;
	struct shared_encoder *encoder;
};

static struct ground ground_new(lsn_t bytes, unsigned workers)
{
	struct ground ground = {.fixture = relay_fixture_new(NULL)};
	struct error err;
	relay_fixture_append(ground.fixture, bytes);
	const struct shared_encoder_options options = {.store = ground.fixture->store,
		.level = 1,
		.reference_bytes = REFERENCE,
		.workers = workers};
	hold_below(0);
	ground.encoder = shared_encoder_new(&options, &err);
	assert_non_null(ground.encoder);
	return ground;
}

static void ground_free(struct ground *ground)
{
	hold_below(0);
	shared_encoder_free(&ground->encoder);
	relay_fixture_free(ground->fixture);
}

static struct shared_encoder_stats stats_of(struct ground *ground)
{
	struct shared_encoder_stats stats;
	shared_encoder_read_stats(ground->encoder, &stats);
	return stats;
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void test_shared_encoder__sixteen_at_random_points_cost_hardly_more_than_one(void **state)
{
	(void)state;
	struct ground ground = ground_new(16 * MB, 3);
	struct reader readers[16];
	lsn_t oldest = UINT64_MAX;
	bool is_more = true;
	srand(1);
	for (int i = 0; i < 16; i++) {
		lsn_t from = FIXTURE_START + (lsn_t)(rand() % (12 << 20));
		oldest = lsn_min(oldest, from);
		reader_open(&readers[i], ground.fixture, ground.encoder, from);
	}
	while (is_more) {
		is_more = false;
		for (int i = 0; i < 16; i++) {
			if (readers[i].at < ground.fixture->appended) {
				reader_step(&readers[i]);
				is_more = true;
			}
		}
	}
	/* Each has to begin within a megabyte of its own. */
	uint64_t distinct = ground.fixture->appended - oldest;
	assert_in_range(stats_of(&ground).raw_bytes, distinct, distinct + 16 * MB);
	for (int i = 0; i < 16; i++) {
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder__what_two_want_at_once_is_made_once(void **state)
{
	(void)state;
	struct ground ground = ground_new(2 * MB, 4);
	struct reader readers[2];
	hold_below(UINT64_MAX);
	for (int i = 0; i < 2; i++) {
		reader_open(&readers[i], ground.fixture, ground.encoder, FIXTURE_START);
		assert_false(reader_try(&readers[i]));
	}
	await_begun(1);
	hold_below(0);
	for (int i = 0; i < 2; i++) {
		reader_read_to_end(&readers[i]);
	}
	assert_int_equal(stats_of(&ground).raw_bytes, ground.fixture->appended - FIXTURE_START);
	for (int i = 0; i < 2; i++) {
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder__shares_with_those_who_recompress_alike(void **state)
{
	(void)state;
	struct ground ground = ground_new(2 * MB, 3);
	const unsigned recompress[] = {0, LINK_RECOMPRESS_LZ4, LINK_RECOMPRESS_LZ4};
	for (int i = 0; i < 3; i++) {
		struct reader reader;
		reader_open_with(
			&reader, ground.fixture, ground.encoder, FIXTURE_START, recompress[i]);
		reader_read_to_end(&reader);
		reader_close(&reader);
	}
	assert_int_equal(
		stats_of(&ground).raw_bytes, 2 * (ground.fixture->appended - FIXTURE_START));
	ground_free(&ground);
}

static void test_shared_encoder__the_tip_is_served_while_all_others_stand_still(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 3);
	struct reader far[6];
	struct reader tip;
	hold_below(FIXTURE_START + 13 * MB);
	for (unsigned i = 0; i < 6; i++) {
		reader_open(&far[i], ground.fixture, ground.encoder, FIXTURE_START + 2 * i * MB);
		assert_false(reader_try(&far[i]));
	}
	await_begun(2);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 100000);
	for (int round = 0; round < 50; round++) {
		reader_read_to_end(&tip);
		relay_fixture_append(ground.fixture, 30000);
	}
	reader_read_to_end(&tip);
	/* Of those far behind no more than two workers have taken, though all of them ask. */
	for (unsigned i = 2; i < gate.begun_count; i++) {
		assert_true(gate.begun[i] >= FIXTURE_START + 13 * MB);
	}
	hold_below(0);
	for (int i = 0; i < 6; i++) {
		reader_read_to_end(&far[i]);
		reader_close(&far[i]);
	}
	reader_close(&tip);
	ground_free(&ground);
}

static void test_shared_encoder__one_far_behind_is_served_by_all_workers_but_one(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 4);
	struct reader reader;
	hold_below(UINT64_MAX);
	reader_open(&reader, ground.fixture, ground.encoder, FIXTURE_START + 1000);
	assert_false(reader_try(&reader));
	await_begun(3);
	/* Its own, and those behind it: who of three notes it first is chance. */
	unsigned seen = 0;
	for (unsigned i = 0; i < 3; i++) {
		seen |= 1u << (gate.begun[i] - FIXTURE_START) / MB;
	}
	assert_int_equal(seen, 7);
	hold_below(0);
	reader_read_to_end(&reader);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder__no_more_is_made_ahead_than_four_frames(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 2);
	struct reader reader;
	reader_open(&reader, ground.fixture, ground.encoder, FIXTURE_START);
	assert_false(reader_try(&reader));
	await_begun(5);
	/* One who comes later is served later, and so all that was asked for is done. */
	struct reader other;
	lsn_t from = ground.fixture->appended - 18 * MB - 8;
	reader_open(&other, ground.fixture, ground.encoder, from);
	reader_read_to_end(&other);
	for (unsigned i = 0; i < gate.begun_count; i++) {
		assert_true(gate.begun[i] < FIXTURE_START + 5 * MB || gate.begun[i] >= from);
	}
	reader_close(&other);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder__those_far_behind_take_turns(void **state)
{
	(void)state;
	struct ground ground = ground_new(38 * MB, 2);
	struct reader readers[3];
	lsn_t places[3] = {FIXTURE_START + 10 * MB, FIXTURE_START, FIXTURE_START + 5 * MB};
	hold_below(UINT64_MAX);
	for (unsigned i = 0; i < 3; i++) {
		reader_open(&readers[i], ground.fixture, ground.encoder, places[i]);
		assert_false(reader_try(&readers[i]));
	}
	await_begun(1);
	/* Frames are made to their end, 8 batches each; what is awaited goes before what is ahead.
	 */
	let_through(8);
	await_begun(2);
	let_through(8);
	await_begun(3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(gate.begun[i], places[i]);
	}
	hold_below(0);
	for (unsigned i = 0; i < 3; i++) {
		reader_read_to_end(&readers[i]);
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder__knows_what_was_there_before_it(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 2);
	struct shared_encoder_stats stats;
	struct reader tip;
	assert_int_equal(stats_of(&ground).noted_bytes, 0);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 100000);
	do {
		reader_read_to_end(&tip);
		relay_fixture_append(ground.fixture, 1000);
		stats = stats_of(&ground);
	} while (stats.noted_bytes < 30 * MB);
	/* Once, and then it learns from what is encoded. */
	reader_close(&tip);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 1000);
	reader_read_to_end(&tip);
	assert_in_range(stats_of(&ground).noted_bytes, 30 * MB, 31 * MB);
	reader_close(&tip);
	ground_free(&ground);
}

/* More places than encoders: each stands within a frame of its own. */
static void test_shared_encoder__has_no_more_encoders_than_it_may(void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 3);
	struct reader readers[20];
	for (int i = 0; i < 20; i++) {
		relay_fixture_append(ground.fixture, 10000);
		reader_open(&readers[i], ground.fixture, ground.encoder,
			ground.fixture->appended - 5000 - (lsn_t)i * 8);
		reader_read_to_end(&readers[i]);
		assert_true(stats_of(&ground).encoders <= ENCODER_ENGINES_MAX);
	}
	relay_fixture_append(ground.fixture, 2 * MB);
	for (int i = 0; i < 20; i++) {
		reader_read_to_end(&readers[i]);
		assert_true(stats_of(&ground).encoders <= ENCODER_ENGINES_MAX);
		reader_close(&readers[i]);
	}
	assert_int_equal(stats_of(&ground).plain_requests, 0);
	ground_free(&ground);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_shared_encoder__sixteen_at_random_points_cost_hardly_more_than_one),
		cmocka_unit_test(test_shared_encoder__what_two_want_at_once_is_made_once),
		cmocka_unit_test(test_shared_encoder__shares_with_those_who_recompress_alike),
		cmocka_unit_test(
			test_shared_encoder__the_tip_is_served_while_all_others_stand_still),
		cmocka_unit_test(
			test_shared_encoder__one_far_behind_is_served_by_all_workers_but_one),
		cmocka_unit_test(test_shared_encoder__no_more_is_made_ahead_than_four_frames),
		cmocka_unit_test(test_shared_encoder__those_far_behind_take_turns),
		cmocka_unit_test(test_shared_encoder__knows_what_was_there_before_it),
		cmocka_unit_test(test_shared_encoder__has_no_more_encoders_than_it_may),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
