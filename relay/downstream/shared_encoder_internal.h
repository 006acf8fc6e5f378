/*
 * shared_encoder_internal: the inside of the shared encoder, for the files that make it up
 * (shared_encoder.c, encoder_chain.c, encoder_workers.c) and nobody else.
 *
 * Everything is under the encoder's lock, but for what a running job uses: the chain's encoder and
 * cursor, and the cursor of a check.
 */
#ifndef DOWNSTREAM_SHARED_ENCODER_INTERNAL_H
#define DOWNSTREAM_SHARED_ENCODER_INTERNAL_H

#include "downstream/link_choice.h"
#include "downstream/shared_encoder.h"
#include "spool/wal_earlier.h"

#include <pthread.h>
#include <sys/queue.h>

#define ENCODER_WORKERS_MAX 4u
/* At most one new frame for so much WAL is begun for those who join. */
#define ENCODER_CUT_BYTES ((lsn_t)64 * 1024)
#define ENCODER_BATCH_MAX ((size_t)128 * 1024)

struct encoder_chain {
	TAILQ_ENTRY(encoder_chain) link;
	struct shared_encoder *shared;
	LIST_HEAD(chain_seats, encoder_seat) seats;
	unsigned seat_count;
	tli_t tli;
	lsn_t known_from; /* its index knows the pages logged from here on */
	lsn_t position;   /* where its next batch begins */
	lsn_t frame_start;
	uint64_t reach; /* of the present frame */
	struct batch_queue batches;
	bool is_wanted;     /* somebody waits for the batch at position */
	bool is_cut_wanted; /* it has to begin a frame */
	bool is_running;
	bool is_beginning; /* the batch that is being made begins a frame */
	bool has_failed;
	/* Of the running job. */
	struct link_encoder *encoder; /* NULL: not yet needed */
	struct wal_cursor *cursor;
	struct wal_earlier *earlier;
};

struct chain_job {
	bool is_cut;
	bool begins_frame;
	uint64_t reach;
	int level;
};

struct chain_outcome {
	struct encoded_batch *batch; /* NULL: it failed */
	struct link_batch_stats stats;
	uint64_t cpu_us;
};

struct seat_check {
	enum encoder_check state;
	bool is_wanted;
	bool is_running;
	lsn_t at;
	lsn_t to;
	uint32_t crc;
	uint32_t crc_wanted;
	struct wal_cursor *cursor; /* of the running job */
};

struct encoder_seat {
	LIST_ENTRY(encoder_seat) in_chain;
	TAILQ_ENTRY(encoder_seat) in_encoder;
	struct shared_encoder *shared;
	struct encoder_chain *chain; /* NULL: none followed */
	tli_t tli;
	lsn_t next;        /* where it goes on with its chain */
	lsn_t plain_until; /* not to be tried before */
	bool is_waiting;
	bool has_waited; /* for the batch it takes next */
	bool is_gone;    /* to be freed by the job that runs */
	struct link_promise promise;
	lsn_t held_oldest; /* the spool held nothing before it when the promise came */
	void (*ring)(void *context);
	void *context;
	struct seat_check check;
};

struct shared_encoder {
	struct shared_encoder_options options;
	pthread_mutex_t lock;
	pthread_cond_t work;
	TAILQ_HEAD(encoder_chains, encoder_chain) chains;
	TAILQ_HEAD(encoder_seats, encoder_seat) seats;
	unsigned chain_count;
	struct batch_cache cache;
	struct shared_encoder_stats stats;
	pthread_t workers[ENCODER_WORKERS_MAX];
	unsigned worker_count;
	unsigned far_jobs; /* that run and are not at the tip */
	int level;
	bool is_stopping;
};

/* --- encoder_chain.c: one chain ----------------------------------------------------------------
 */

struct encoder_chain *encoder_chain_new(struct shared_encoder *shared, tli_t tli, lsn_t lsn);
void encoder_chain_free(struct encoder_chain *chain);
/* Without the lock: makes one batch at the chain's position. */
void encoder_chain_encode(
	struct encoder_chain *chain, const struct chain_job *job, struct chain_outcome *outcome);

/* --- shared_encoder.c: seats and their chains --------------------------------------------------
 */

/* The reach with which the chain's next frame can begin: what all its seats cover. */
uint64_t encoder_chain_next_reach(const struct encoder_chain *chain);
/* All who follow it look for another, or go plain. */
void encoder_chain_abandon(struct encoder_chain *chain);
/* Those that wait look again. */
void encoder_chain_ring(struct encoder_chain *chain);
/* Nobody follows it: it goes, or waits a while without holding WAL. */
void encoder_chain_settle(struct encoder_chain *chain);
void encoder_seat_ring(struct encoder_seat *seat);
/* Frees it. */
void encoder_seat_release(struct encoder_seat *seat);

/* --- encoder_workers.c: who does the work ------------------------------------------------------
 */

bool encoder_workers_start(struct shared_encoder *shared, struct error *err) MUST_CHECK;
void encoder_workers_stop(struct shared_encoder *shared);

#endif
