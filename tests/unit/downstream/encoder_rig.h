/*
 * encoder_rig: a shared encoder on a real spool, readers that decode what they take and compare it
 * with what was made, and jobs that can be held up or made to fail. For tests linked with
 * --wrap=encoder_engine_encode.
 */
#ifndef TESTS_ENCODER_RIG_H
#define TESTS_ENCODER_RIG_H

#include "downstream/shared_encoder.h"
#include "downstream/shared_encoder_internal.h"
#include "relay_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <time.h>

#define MB           ((lsn_t)1 << 20)
#define DEADLINE_S   60
#define REFERENCE    (64 * MB)
#define FRAMES_NOTED 64

/* --- jobs --------------------------------------------------------------------------------------
 */

extern struct encoder_gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	lsn_t held_below; /* jobs of frames that begin before it wait */
	unsigned let_through;
	lsn_t begun[FRAMES_NOTED]; /* frames, in the order in which they were begun */
	int levels[FRAMES_NOTED];  /* theirs */
	unsigned begun_count;
	bool fails;     /* the next job */
	pthread_t last; /* who did it */
} gate;

void hold_below(lsn_t lsn);
void let_through(unsigned jobs);
/* Until so many frames were begun since. */
void await_begun(unsigned count);
void fail_next(void);
/* The thread that asks. */
bool did_the_last_job(void);
struct timespec deadline(void);

/* --- readers -----------------------------------------------------------------------------------
 */

struct reader {
	struct relay_fixture *fixture;
	struct encoder_seat *seat;
	struct link_decoder *decoder;
	sem_t rung;
	lsn_t start;
	lsn_t at;
};

void reader_open(struct reader *reader, struct relay_fixture *fixture,
	struct shared_encoder *encoder, lsn_t from);
void reader_open_with(struct reader *reader, struct relay_fixture *fixture,
	struct shared_encoder *encoder, lsn_t from, unsigned recompress);
void reader_close(struct reader *reader);
/* Decodes and compares it; takes its reference over. */
void reader_take(struct reader *reader, struct encoded_batch *batch);
/* False: it has to wait. */
bool reader_try(struct reader *reader);
void reader_step(struct reader *reader);
void reader_read_to_end(struct reader *reader);

/* --- what they stand on ------------------------------------------------------------------------
 */

struct ground {
	struct relay_fixture *fixture;
	struct shared_encoder *encoder;
};

struct ground ground_new(lsn_t bytes, unsigned workers);
/* Its encoder chooses the level. */
struct ground ground_new_auto(lsn_t bytes, unsigned workers);
void ground_free(struct ground *ground);
struct shared_encoder_stats stats_of(struct ground *ground);

#endif
