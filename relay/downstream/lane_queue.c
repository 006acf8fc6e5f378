/*
 * lane_queue: a list of what is under way. It holds some hundred batches at most, unless they are
 * tiny, so that it is walked.
 */
#include "downstream/lane_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

#define STALL_MIN_US INT64_C(1000000)
/* As long as nothing is known of it. */
#define TRANSIT_FIRST_US INT64_C(1000000)
#define STALL_TRANSITS   4

void lane_queue_init(struct lane_queue *queue)
{
	*queue = (struct lane_queue){.bytes = 0};
	TAILQ_INIT(&queue->items);
	TAILQ_INIT(&queue->lanes);
}

static void drop(struct lane_queue *queue, struct lane_item *item)
{
	TAILQ_REMOVE(&queue->items, item, link);
	queue->bytes -= item->batch->message_bytes;
	queue->count--;
	queue->returned -= item->state == LANE_ITEM_RETURNED;
	encoded_batch_unref(item->batch);
	free(item);
}

void lane_queue_clear(struct lane_queue *queue)
{
	/* clang-tidy takes the list for one that still holds what was removed. */
	while (!TAILQ_EMPTY(&queue->items)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		drop(queue, TAILQ_FIRST(&queue->items));
	}
}

void lane_queue_release(struct lane_queue *queue)
{
	assert(TAILQ_EMPTY(&queue->lanes));
	lane_queue_clear(queue);
}

static void hand_back(struct lane_queue *queue, struct lane_item *item)
{
	assert(item->state != LANE_ITEM_RETURNED);
	item->state = LANE_ITEM_RETURNED;
	queue->returned++;
}

/* --- lanes -------------------------------------------------------------------------------------
 */

void lane_queue_add_lane(
	struct lane_queue *queue, struct queue_lane *lane, uint32_t number, int64_t now_us)
{
	*lane = (struct queue_lane){.number = number, .moved_us = now_us};
	TAILQ_INSERT_TAIL(&queue->lanes, lane, link);
}

void lane_queue_remove_lane(struct lane_queue *queue, struct queue_lane *lane)
{
	struct lane_item *item;
	TAILQ_REMOVE(&queue->lanes, lane, link);
	TAILQ_FOREACH(item, &queue->items, link)
	{
		if (item->lane == lane->number && item->state == LANE_ITEM_TAKEN) {
			hand_back(queue, item);
		}
	}
}

static struct queue_lane *find_lane(const struct lane_queue *queue, uint32_t number)
{
	struct queue_lane *lane;
	TAILQ_FOREACH(lane, &queue->lanes, link)
	{
		if (lane->number == number) {
			return lane;
		}
	}
	return NULL;
}

bool queue_lane_may_take(const struct queue_lane *lane)
{
	return lane->number == 0 || (!lane->is_stalled && !lane->is_lost);
}

/* --- taking ------------------------------------------------------------------------------------
 */

bool lane_queue_has_room(const struct lane_queue *queue)
{
	return queue->bytes < LANE_QUEUE_BYTES && queue->count < LANE_QUEUE_BATCHES;
}

static void give(struct lane_item *item, const struct queue_lane *lane)
{
	item->lane = lane->number;
	item->message = UINT64_MAX;
	item->state = LANE_ITEM_TAKEN;
}

void lane_queue_add(struct lane_queue *queue, struct queue_lane *lane, struct encoded_batch *batch)
{
	const struct lane_item *last = TAILQ_LAST(&queue->items, lane_items);
	struct lane_item *item = memory_new(sizeof(*item));
	assert(last == NULL || last->batch->start + last->batch->raw_bytes == batch->start);
	item->batch = encoded_batch_ref(batch);
	give(item, lane);
	TAILQ_INSERT_TAIL(&queue->items, item, link);
	queue->bytes += batch->message_bytes;
	queue->count++;
}

struct encoded_batch *lane_queue_take(struct lane_queue *queue, struct queue_lane *lane)
{
	struct lane_item *item = queue->returned > 0 ? TAILQ_FIRST(&queue->items) : NULL;
	while (item != NULL && item->state != LANE_ITEM_RETURNED) {
		item = TAILQ_NEXT(item, link);
	}
	if (item == NULL) {
		return NULL;
	}
	queue->returned--;
	give(item, lane);
	return item->batch;
}

bool lane_queue_note_sent(struct lane_queue *queue, struct queue_lane *lane, int64_t now_us)
{
	struct lane_item *item;
	TAILQ_FOREACH_REVERSE(item, &queue->items, lane_items, link)
	{
		if (item->lane == lane->number && item->state == LANE_ITEM_TAKEN) {
			item->state = LANE_ITEM_SENT;
			item->message = lane->sent++;
			item->sent_us = now_us;
			return true;
		}
	}
	return false;
}

/* --- what the receiver says --------------------------------------------------------------------
 */

static void note_transit(struct queue_lane *lane, int64_t transit_us)
{
	lane->transit_us =
		lane->transit_us == 0 ? transit_us : (lane->transit_us * 7 + transit_us) / 8;
}

static void note_moved(
	struct lane_queue *queue, const struct link_lane_count *count, int64_t now_us)
{
	struct queue_lane *lane = find_lane(queue, count->lane);
	if (lane != NULL && count->messages > lane->arrived) {
		lane->arrived = count->messages;
		lane->moved_us = now_us;
		lane->is_stalled = false;
	}
}

/* Also of those that were to go again, and need not. */
static void mark_arrived(
	struct lane_queue *queue, const struct link_lane_count *count, int64_t now_us)
{
	struct queue_lane *lane = find_lane(queue, count->lane);
	struct lane_item *item;
	TAILQ_FOREACH(item, &queue->items, link)
	{
		if (item->lane != count->lane || item->message >= count->messages ||
			item->state == LANE_ITEM_ARRIVED) {
			continue;
		}
		if (item->state == LANE_ITEM_SENT && lane != NULL) {
			note_transit(lane, now_us - item->sent_us);
		}
		queue->returned -= item->state == LANE_ITEM_RETURNED;
		item->state = LANE_ITEM_ARRIVED;
	}
}

static lsn_t end_of(const struct lane_item *item)
{
	return item->batch->start + item->batch->raw_bytes;
}

void lane_queue_arrived(
	struct lane_queue *queue, const struct link_arrived *arrived, int64_t now_us)
{
	struct lane_item *item;
	for (unsigned i = 0; i < arrived->count; i++) {
		note_moved(queue, &arrived->lanes[i], now_us);
		mark_arrived(queue, &arrived->lanes[i], now_us);
	}
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	while ((item = TAILQ_FIRST(&queue->items)) != NULL && end_of(item) <= arrived->lsn) {
		drop(queue, item);
	}
	/* It came and was not what it should have been: the receiver waits for it. */
	if (item != NULL && item->batch->start <= arrived->lsn &&
		item->state == LANE_ITEM_ARRIVED) {
		hand_back(queue, item);
	}
}

static void hand_back_all(struct lane_queue *queue, uint32_t lane)
{
	struct lane_item *item;
	TAILQ_FOREACH(item, &queue->items, link)
	{
		if (item->lane == lane &&
			(item->state == LANE_ITEM_SENT || item->state == LANE_ITEM_TAKEN)) {
			hand_back(queue, item);
		}
	}
}

void lane_queue_lost(struct lane_queue *queue, const struct link_lane_count *lost, int64_t now_us)
{
	struct queue_lane *lane = find_lane(queue, lost->lane);
	mark_arrived(queue, lost, now_us);
	hand_back_all(queue, lost->lane);
	if (lane != NULL) {
		lane->is_lost = true;
	}
}

/* --- who stalls --------------------------------------------------------------------------------
 */

/* Since when it has something under way without any of it coming; INT64_MAX: it has nothing. */
static int64_t waits_since_us(
	const struct lane_queue *queue, uint32_t number, const struct queue_lane *lane)
{
	const struct lane_item *item;
	int64_t since_us = INT64_MAX;
	TAILQ_FOREACH(item, &queue->items, link)
	{
		if (item->lane == number && item->state == LANE_ITEM_SENT &&
			item->sent_us < since_us) {
			since_us = item->sent_us;
		}
	}
	if (since_us != INT64_MAX && lane != NULL && lane->moved_us > since_us) {
		since_us = lane->moved_us;
	}
	return since_us;
}

static bool is_late(const struct queue_lane *lane, int64_t since_us, int64_t now_us)
{
	int64_t transit_us =
		lane == NULL || lane->transit_us == 0 ? TRANSIT_FIRST_US : lane->transit_us;
	int64_t patience_us = transit_us * STALL_TRANSITS;
	patience_us = patience_us > STALL_MIN_US ? patience_us : STALL_MIN_US;
	return since_us != INT64_MAX && now_us - since_us > patience_us;
}

/* Somebody else brings what it has, or could. */
static bool do_others_move(
	const struct lane_queue *queue, const struct queue_lane *lane, int64_t now_us)
{
	const struct queue_lane *other;
	TAILQ_FOREACH(other, &queue->lanes, link)
	{
		if (other != lane && !other->is_lost && !other->is_stalled &&
			!is_late(other, waits_since_us(queue, other->number, other), now_us)) {
			return true;
		}
	}
	return false;
}

/* What a lane that is closed had sent, and nobody says that it has come or is lost. */
static bool find_orphans(struct lane_queue *queue, int64_t now_us)
{
	struct lane_item *item;
	bool is_found = false;
	TAILQ_FOREACH(item, &queue->items, link)
	{
		if (item->state == LANE_ITEM_SENT && find_lane(queue, item->lane) == NULL &&
			is_late(NULL, item->sent_us, now_us)) {
			hand_back(queue, item);
			is_found = true;
		}
	}
	return is_found;
}

bool lane_queue_find_stalled(struct lane_queue *queue, int64_t now_us)
{
	struct queue_lane *lane;
	bool is_found = find_orphans(queue, now_us);
	TAILQ_FOREACH(lane, &queue->lanes, link)
	{
		if (is_late(lane, waits_since_us(queue, lane->number, lane), now_us) &&
			do_others_move(queue, lane, now_us)) {
			lane->is_stalled = true;
			hand_back_all(queue, lane->number);
			is_found = true;
		}
	}
	return is_found;
}
