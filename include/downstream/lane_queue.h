/*
 * lane_queue: what a link's connections carry between them, and have not yet brought.
 *
 * One queue of batches in the order of the WAL. Whichever lane has room takes what comes next, and
 * a batch stays here, with the lane that took it, until the receiver says that all up to its end
 * has come: so what a lane loses goes again, the same bytes, over whichever has room then. The
 * receiver says how many messages of each lane have come, and those are not sent again.
 *
 * What the receiver has to keep until what precedes it has come is bounded: no more is to be taken
 * while LANE_QUEUE_BYTES are on their way or wait there (lane_queue_has_room).
 *
 * A lane stalls when something it sent has not come for a second (or four times as long as it
 * takes otherwise), while others move: what it has is sent again over others, and it takes no more
 * until something of it comes. Pure: time is an argument. One thread at a time.
 */
#ifndef DOWNSTREAM_LANE_QUEUE_H
#define DOWNSTREAM_LANE_QUEUE_H

#include "downstream/encoded_batch.h"
#include "protocol/link_stream.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define LANE_QUEUE_BYTES   ((size_t)32 << 20)
#define LANE_QUEUE_BATCHES 4096u

/* One lane that is open. Embedded in what knows its connection. */
struct queue_lane {
	TAILQ_ENTRY(queue_lane) link;
	uint32_t number;
	uint64_t sent;      /* messages */
	uint64_t arrived;   /* of them, as the receiver says */
	int64_t moved_us;   /* when that was more than before */
	int64_t transit_us; /* how long a message takes to be known to have come; 0: none has */
	bool is_stalled;
	bool is_lost; /* the receiver says so */
};

enum lane_item_state { LANE_ITEM_TAKEN, LANE_ITEM_SENT, LANE_ITEM_ARRIVED, LANE_ITEM_RETURNED };

struct lane_item {
	TAILQ_ENTRY(lane_item) link;
	struct encoded_batch *batch;
	enum lane_item_state state;
	uint32_t lane;
	uint64_t message; /* how many the lane had sent before; UINT64_MAX: it has not left */
	int64_t sent_us;
};

struct lane_queue {
	TAILQ_HEAD(lane_items, lane_item) items;
	TAILQ_HEAD(queue_lanes, queue_lane) lanes;
	size_t bytes;
	unsigned count;
	unsigned returned; /* items that wait for a lane */
};

void lane_queue_init(struct lane_queue *queue);
/* Lanes have been removed. */
void lane_queue_release(struct lane_queue *queue);

void lane_queue_add_lane(
	struct lane_queue *queue, struct queue_lane *lane, uint32_t number, int64_t now_us);
/* What it took and did not send is for others; what it sent may still come. */
void lane_queue_remove_lane(struct lane_queue *queue, struct queue_lane *lane);
/* One that stalls may not, unless it is the stream's own (0), without which nothing goes on. */
bool queue_lane_may_take(const struct queue_lane *lane);

bool lane_queue_has_room(const struct lane_queue *queue);
/* The lane takes this one: what comes next. With a reference of the queue's own. A lane takes one,
 * and another when that was sent. */
void lane_queue_add(struct lane_queue *queue, struct queue_lane *lane, struct encoded_batch *batch);
/* The lane takes the first of what has to go again. NULL: nothing has; no reference. */
struct encoded_batch *lane_queue_take(struct lane_queue *queue, struct queue_lane *lane);
/* What it took leaves now. False: it need not, any more. */
bool lane_queue_note_sent(struct lane_queue *queue, struct queue_lane *lane, int64_t now_us);

/* What the receiver says. */
void lane_queue_arrived(
	struct lane_queue *queue, const struct link_arrived *arrived, int64_t now_us);
void lane_queue_lost(struct lane_queue *queue, const struct link_lane_count *lost, int64_t now_us);
/* Nothing of it is wanted any more: the stream goes back. */
void lane_queue_clear(struct lane_queue *queue);
/* To be called from time to time. True: something has to go again. */
bool lane_queue_find_stalled(struct lane_queue *queue, int64_t now_us);

#endif
