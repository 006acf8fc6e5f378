/*
 * encoder_level: how hard WAL is compressed when nobody says: harder while the link is what waits
 * and the processor has time, and as little as ever otherwise.
 *
 * Pure: counts and times are arguments. Up a step after a while in which readers found ready all
 * they asked for, and in which the workers would have done it at the next step in half their time.
 * Down a step at once when a reader has to wait for what is being made, or when the workers have
 * hardly any time left; what failed so is tried again after a while, which doubles as long as it
 * goes on failing. Back to the first when nobody has found anything ready for some seconds.
 */
#ifndef DOWNSTREAM_ENCODER_LEVEL_H
#define DOWNSTREAM_ENCODER_LEVEL_H

#include <stddef.h>
#include <stdint.h>

#define ENCODER_LEVEL_FIRST 3 /* of zstd */
#define ENCODER_LEVEL_TOP   12
/* A reader has to wait for what nobody has begun. */
#define ENCODER_LEVEL_NONE 0

/* So long nothing has to go wrong before a step up, and so much has to have been ready. */
#define ENCODER_LEVEL_WATCH_US    INT64_C(1000000)
#define ENCODER_LEVEL_WATCH_BYTES (UINT64_C(1) << 20)
/* Without anything ready for so long the link waits no more. */
#define ENCODER_LEVEL_LINGER_US INT64_C(10000000)
/* How long a step that failed is not tried again, at first and at most; one that has lasted is
 * thought well of when it fails. */
#define ENCODER_LEVEL_BAR_US     INT64_C(10000000)
#define ENCODER_LEVEL_BAR_MAX_US INT64_C(640000000)
#define ENCODER_LEVEL_LASTED_US  INT64_C(300000000)

struct encoder_level {
	unsigned workers; /* that make what is ahead of readers */
	unsigned step;
	int64_t since_us;     /* it stands there */
	unsigned barred_step; /* this and all above, until then */
	int64_t barred_until_us;
	int64_t bar_us; /* the last; 0: there was none */
	/* What is watched; from 0: nothing is. */
	int64_t watched_from_us;
	int64_t ready_at_us; /* something was, last */
	uint64_t ready_bytes;
	int64_t busy_us; /* of all workers together */
};

void encoder_level_init(struct encoder_level *level, unsigned workers);
/* The level in force. Times never go back from call to call, and are more than 0. */
int encoder_level_at(struct encoder_level *level, int64_t now_us);
/* A worker was busy with a batch for so long. */
void encoder_level_note_job(struct encoder_level *level, int64_t took_us);
/* A link that waits: its reader has again found so much WAL ready when its socket had room. */
void encoder_level_note_ready(struct encoder_level *level, uint64_t bytes, int64_t now_us);
/* A reader has to wait. made_at: the level of what it waits for: if that is not in force, it says
 * nothing of the one that is. */
void encoder_level_note_wait(struct encoder_level *level, int made_at, int64_t now_us);

#endif
