/*
 * shared_encoder_internal: the inside of the shared encoder, for the files that make it up
 * (shared_encoder.c, encoder_frame.c, encoder_engine.c, encoder_notes.c, encoder_workers.c) and
 * nobody else.
 *
 * Everything is under the encoder's lock, but for what a running job uses: the frame's engine and
 * cursor, and the cursor of a check.
 */
#ifndef DOWNSTREAM_SHARED_ENCODER_INTERNAL_H
#define DOWNSTREAM_SHARED_ENCODER_INTERNAL_H

#include "downstream/encoder_level.h"
#include "downstream/encoder_order.h"
#include "downstream/link_choice.h"
#include "downstream/shared_encoder.h"
#include "protocol/link_image_index.h"
#include "spool/wal_earlier.h"

#include <pthread.h>
#include <sys/queue.h>

#define ENCODER_WORKERS_MAX 8u
/* At most one new frame for so much WAL is begun for those who join. */
#define ENCODER_CUT_BYTES  ((lsn_t)64 * 1024)
#define ENCODER_BATCH_MAX  ((size_t)128 * 1024)
#define ENCODER_FRAMES_MAX 4096u
#define ENGINE_IDLE_ROUNDS 64u
/* A power of two. */
#define ENCODER_PLACES 1024u

/* What encodes one frame after another. */
struct encoder_engine {
	TAILQ_ENTRY(encoder_engine) link;
	struct encoder_frame *frame; /* NULL: free */
	unsigned idle_rounds;        /* so many frames were done while it was free */
	/* Of the running job. */
	struct link_encoder *encoder; /* NULL: not yet needed */
	struct wal_earlier *earlier;
	tli_t tli; /* it stands there, and knows the record that is under way */
	lsn_t at;
};

/* WAL from start to limit, once for all who can decode it. */
struct encoder_frame {
	LIST_ENTRY(encoder_frame) by_place;
	TAILQ_ENTRY(encoder_frame) by_age;
	TAILQ_ENTRY(encoder_frame) in_queue;
	struct shared_encoder *shared;
	LIST_HEAD(frame_seats, encoder_seat) seats;
	tli_t tli;
	lsn_t start;
	lsn_t limit;
	lsn_t position; /* where its next batch begins */
	lsn_t end;      /* there is WAL up to here, at least */
	uint64_t reach;
	unsigned recompress; /* LINK_RECOMPRESS_* */
	int level;           /* ENCODER_LEVEL_NONE: it was not begun */
	struct batch_queue batches;
	bool is_awaited; /* somebody waits for the batch at position */
	bool is_ahead;   /* made before somebody comes for it */
	bool is_queued;
	bool is_running;
	bool has_failed;
	struct encoder_engine *engine;
	struct wal_cursor *cursor; /* of the running job */
};

/* What a receiver is to be sent. */
struct frame_wish {
	tli_t tli;
	lsn_t lsn;
	uint64_t reach;
	unsigned recompress;
};

struct frame_job {
	bool begins_frame;
	bool is_at_once; /* on a loop: little, and nothing that waits */
};

struct frame_outcome {
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
	struct link_held *held; /* of what was read so far; NULL: nothing was asked */
	uint64_t hash_wanted;
	struct wal_cursor *cursor; /* of the running job */
};

struct encoder_seat {
	LIST_ENTRY(encoder_seat) in_frame;
	TAILQ_ENTRY(encoder_seat) in_encoder;
	struct shared_encoder *shared;
	struct encoder_frame *frame; /* NULL: none followed */
	tli_t tli;
	lsn_t next;        /* where it goes on with its frame */
	lsn_t plain_until; /* not to be tried before */
	bool is_waiting;
	bool has_waited;      /* for the batch it takes next */
	uint64_t ready_bytes; /* taken without waiting, since it last waited */
	bool is_gone;         /* to be freed by the job that runs */
	unsigned recompress;  /* LINK_RECOMPRESS_*: what it can do as we do */
	struct link_promise promise;
	lsn_t held_oldest; /* the spool held nothing before it when the promise came */
	void (*ring)(void *context);
	void *context;
	struct seat_check check;
};

/* WAL [at, until) is still to be made known to the index. */
struct encoder_notes {
	lsn_t at;
	lsn_t until;
	bool is_running;
	struct encoder_engine engine; /* of the running job */
};

struct shared_encoder {
	struct shared_encoder_options options;
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t tip_work; /* of the worker that is kept for the tip */
	LIST_HEAD(frame_place, encoder_frame) places[ENCODER_PLACES];
	TAILQ_HEAD(encoder_frames, encoder_frame) frames; /* the oldest first */
	TAILQ_HEAD(encoder_queue, encoder_frame) queue;   /* in the order of asking */
	unsigned frame_count;
	TAILQ_HEAD(encoder_engines, encoder_engine) engines;
	unsigned engine_count;
	struct link_image_index *index;
	struct encoder_notes notes;
	TAILQ_HEAD(encoder_seats, encoder_seat) seats;
	unsigned seat_count;
	struct batch_cache cache;
	struct shared_encoder_stats stats;
	pthread_t workers[ENCODER_WORKERS_MAX];
	unsigned worker_count;
	bool is_tip_worker_idle;
	unsigned running; /* frames, on workers */
	struct encoder_level level;
	bool is_stopping;
};

/* --- encoder_engine.c --------------------------------------------------------------------------
 */

/* Whether the frame has an engine, or could get one. */
bool encoder_engine_is_to_be_had(const struct encoder_frame *frame);
/* The frame's, or one that is free, or made, or taken from a frame that nobody waits for. */
void encoder_engine_attach(struct encoder_frame *frame);
/* The frame needs it no more. */
void encoder_engine_detach(struct encoder_frame *frame);
/* A free one. */
void encoder_engine_free(struct shared_encoder *shared, struct encoder_engine *engine);
struct link_encoder *encoder_engine_new_encoder(
	const struct shared_encoder *shared, const struct encoder_engine *engine);
/* It needs nothing any more before it makes the frame's next batch. */
bool encoder_engine_stands_ready(const struct encoder_frame *frame);
/* On a monotonic clock. */
int64_t encoder_now_us(void);
/* Without the lock: makes one batch at the frame's position. */
void encoder_engine_encode(
	struct encoder_frame *frame, const struct frame_job *job, struct frame_outcome *outcome);

/* --- encoder_notes.c ---------------------------------------------------------------------------
 */

/* Links begin: what was received until now is to be known. */
void encoder_notes_begin(struct shared_encoder *shared);
/* That has been encoded. */
void encoder_notes_extend(struct shared_encoder *shared, lsn_t start, lsn_t end);
bool encoder_notes_are_wanted(const struct shared_encoder *shared);
/* A piece. */
void encoder_notes_run(struct shared_encoder *shared);
void encoder_notes_release(struct shared_encoder *shared);

/* --- encoder_frame.c ---------------------------------------------------------------------------
 */

struct encoder_frame *encoder_frame_new(
	struct shared_encoder *shared, const struct frame_wish *wish);
/* Of the frames that begin at lsn, recompressed alike, the one that refers furthest, within reach;
 * NULL: there is none, or it is much less and others may still be made there. */
struct encoder_frame *encoder_frame_find(
	struct shared_encoder *shared, const struct frame_wish *wish);
/* One under way that can be ended at lsn, for those who come there. NULL: there is none. */
struct encoder_frame *encoder_frame_find_to_cut(
	struct shared_encoder *shared, const struct frame_wish *wish);
/* It ends where it stands: what comes next begins another. */
void encoder_frame_close(struct encoder_frame *frame);
bool encoder_frame_is_done(const struct encoder_frame *frame);
/* All its WAL is there. */
bool encoder_frame_is_complete(const struct encoder_frame *frame);
struct encoder_task encoder_frame_task(const struct encoder_frame *frame);
/* Its next batch is to be made; when all its WAL is there, the rest too. */
void encoder_frame_ask(struct encoder_frame *frame);
/* Nobody follows it: it goes, or waits a while without holding WAL. */
void encoder_frame_settle(struct encoder_frame *frame);
/* Its next batch can be made at once: it is small, and nobody makes it. */
bool encoder_frame_is_quick(const struct encoder_frame *frame);
/* Makes its next batch, without the lock meanwhile. Afterwards it may be gone, unless somebody
 * follows it; and if it failed, nobody does. */
void encoder_frame_run(struct encoder_frame *frame, bool is_at_once);
void encoder_frame_free(struct encoder_frame *frame);

/* --- shared_encoder.c: seats --------------------------------------------------------------------
 */

void encoder_seat_ring(struct encoder_seat *seat);
/* Frees it. */
void encoder_seat_release(struct encoder_seat *seat);

/* --- encoder_workers.c: who does the work ------------------------------------------------------
 */

bool encoder_workers_start(struct shared_encoder *shared, struct error *err) MUST_CHECK;
void encoder_workers_stop(struct shared_encoder *shared);
/* There is something in the queue, or to be checked. */
void encoder_workers_wake(struct shared_encoder *shared, bool is_near);

#endif
