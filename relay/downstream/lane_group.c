/*
 * lane_group: who waits, who is woken, and what comes next.
 *
 * Locks are taken in this order: all groups, a group, the encoder's, a group's wake_lock.
 */
#include "downstream/lane_group.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/memory.h"
#include "downstream/wal_sender.h"
#include "protocol/link_codec.h"

/* Some that are lost and not yet closed, too. */
#define MEMBERS_MAX (2 * LINK_LANES_MAX)

struct lane_groups {
	pthread_mutex_t lock;
	LIST_HEAD(lane_group_list, lane_group) groups;
};

struct lane_group {
	LIST_ENTRY(lane_group) link; /* as long as it can be joined */
	struct lane_groups *groups;
	unsigned members; /* under the lock of all groups */
	uint64_t token;
	pthread_mutex_t lock; /* what follows */
	struct lane_queue queue;
	TAILQ_HEAD(lane_members, lane_member) list;
	struct encoder_seat *seat; /* NULL: its stream has ended */
	lsn_t lsn;
	lsn_t plain_until;
	uint32_t epoch;
	struct link_promise promise; /* to be answered when all up to promised_lsn has come */
	lsn_t promised_lsn;          /* LSN_INVALID: none waits */
	struct lane_member *waiter;
	pthread_mutex_t wake_lock;
	struct wake *waiter_wake; /* also under wake_lock, for the encoder's threads */
};

struct lane_member {
	TAILQ_ENTRY(lane_member) link;
	struct lane_group *group;
	struct queue_lane lane;
	struct wake *wake;
	uint32_t epoch; /* as it was told */
	bool is_parked; /* it has room, and another one waits */
};

/* --- who waits ---------------------------------------------------------------------------------
 */

static void set_waiter(struct lane_group *group, struct lane_member *member)
{
	pthread_mutex_lock(&group->wake_lock);
	group->waiter = member;
	group->waiter_wake = member == NULL ? NULL : member->wake;
	pthread_mutex_unlock(&group->wake_lock);
}

/* Any thread, with the encoder's lock held. */
static void on_encoded(void *context)
{
	struct lane_group *group = context;
	pthread_mutex_lock(&group->wake_lock);
	if (group->waiter_wake != NULL) {
		wake_ring(group->waiter_wake);
	}
	pthread_mutex_unlock(&group->wake_lock);
}

static void choose(struct lane_group *group)
{
	struct lane_member *member = TAILQ_FIRST(&group->list);
	while (member != NULL && (!member->is_parked || !queue_lane_may_take(&member->lane))) {
		member = TAILQ_NEXT(member, link);
	}
	if (member != NULL) {
		member->is_parked = false;
		set_waiter(group, member);
		wake_ring(member->wake);
	}
}

static void poke(struct lane_group *group)
{
	if (group->waiter != NULL) {
		wake_ring(group->waiter->wake);
	} else {
		choose(group);
	}
}

static void give_way(struct lane_member *member)
{
	struct lane_group *group = member->group;
	if (group->waiter == member) {
		set_waiter(group, NULL);
	}
	if (group->waiter == NULL) {
		choose(group);
	}
}

/* --- coming and going --------------------------------------------------------------------------
 */

struct lane_groups *lane_groups_new(void)
{
	struct lane_groups *groups = memory_new(sizeof(*groups));
	pthread_mutex_init(&groups->lock, NULL);
	LIST_INIT(&groups->groups);
	return groups;
}

void lane_groups_free(struct lane_groups **groups)
{
	struct lane_groups *gone = *groups;
	if (gone != NULL) {
		assert(LIST_EMPTY(&gone->groups));
		pthread_mutex_destroy(&gone->lock);
		free(gone);
		*groups = NULL;
	}
}

/* The lock of all groups is held. */
static struct lane_member *add_member(
	struct lane_group *group, uint32_t number, struct wake *wake, int64_t now_us)
{
	struct lane_member *member = memory_new(sizeof(*member));
	*member = (struct lane_member){.group = group, .wake = wake};
	pthread_mutex_lock(&group->lock);
	lane_queue_add_lane(&group->queue, &member->lane, number, now_us);
	TAILQ_INSERT_TAIL(&group->list, member, link);
	pthread_mutex_unlock(&group->lock);
	group->members++;
	return member;
}

struct lane_member *lane_group_begin(
	struct lane_groups *groups, const struct lane_group_options *options, struct error *err)
{
	struct lane_group *group;
	struct lane_member *member;
	uint64_t token;
	if (getrandom(&token, sizeof(token), 0) != (ssize_t)sizeof(token)) {
		error_set_errno(err, "could not get random bytes");
		return NULL;
	}
	group = memory_new(sizeof(*group));
	group->groups = groups;
	group->token = token;
	group->lsn = options->lsn;
	group->plain_until = options->plain_until;
	group->epoch = options->epoch;
	pthread_mutex_init(&group->lock, NULL);
	pthread_mutex_init(&group->wake_lock, NULL);
	lane_queue_init(&group->queue);
	TAILQ_INIT(&group->list);
	group->seat = encoder_seat_new(
		options->encoder, options->tli, options->recompress, on_encoded, group);
	encoder_seat_promise(group->seat, &options->promise);
	pthread_mutex_lock(&groups->lock);
	LIST_INSERT_HEAD(&groups->groups, group, link);
	member = add_member(group, 0, options->wake, options->now_us);
	pthread_mutex_unlock(&groups->lock);
	return member;
}

static bool has_number(struct lane_group *group, uint32_t number)
{
	const struct lane_member *member;
	bool has = false;
	pthread_mutex_lock(&group->lock);
	TAILQ_FOREACH(member, &group->list, link)
	{
		has = has || member->lane.number == number;
	}
	pthread_mutex_unlock(&group->lock);
	return has;
}

struct lane_member *lane_group_join(struct lane_groups *groups, uint64_t token, uint32_t number,
	struct wake *wake, int64_t now_us)
{
	struct lane_member *member = NULL;
	struct lane_group *group;
	pthread_mutex_lock(&groups->lock);
	LIST_FOREACH(group, &groups->groups, link)
	{
		if (group->token == token) {
			break;
		}
	}
	if (group != NULL && group->members < MEMBERS_MAX && !has_number(group, number)) {
		member = add_member(group, number, wake, now_us);
	}
	pthread_mutex_unlock(&groups->lock);
	return member;
}

static void free_group(struct lane_group *group)
{
	lane_queue_release(&group->queue);
	pthread_mutex_destroy(&group->lock);
	pthread_mutex_destroy(&group->wake_lock);
	free(group);
}

void lane_member_free(struct lane_member **member)
{
	struct lane_member *gone = *member;
	struct encoder_seat *seat = NULL;
	if (gone == NULL) {
		return;
	}
	*member = NULL;
	struct lane_group *group = gone->group;
	struct lane_groups *groups = group->groups;
	pthread_mutex_lock(&groups->lock);
	pthread_mutex_lock(&group->lock);
	lane_queue_remove_lane(&group->queue, &gone->lane);
	TAILQ_REMOVE(&group->list, gone, link);
	if (gone->lane.number == 0) {
		LIST_REMOVE(group, link);
		lane_queue_clear(&group->queue);
		seat = group->seat;
		group->seat = NULL;
		set_waiter(group, NULL);
	} else {
		give_way(gone);
	}
	pthread_mutex_unlock(&group->lock);
	encoder_seat_free(&seat);
	bool is_last = --group->members == 0;
	pthread_mutex_unlock(&groups->lock);
	if (is_last) {
		free_group(group);
	}
	free(gone);
}

uint64_t lane_member_token(const struct lane_member *member)
{
	return member->group->token;
}

lsn_t lane_member_lsn(struct lane_member *member)
{
	pthread_mutex_lock(&member->group->lock);
	lsn_t lsn = member->group->lsn;
	pthread_mutex_unlock(&member->group->lock);
	return lsn;
}

/* --- what comes next ---------------------------------------------------------------------------
 */

/* The stream's cursor goes to where the group is, which may have gone back. */
static bool place(struct wal_stream *stream, lsn_t lsn, struct error *err)
{
	const struct wal_stream_options *options = &stream->options;
	struct wal_cursor *cursor;
	lsn_t at = wal_cursor_lsn(stream->cursor);
	if (at <= lsn) {
		wal_cursor_advance(stream->cursor, lsn - at);
		return true;
	}
	cursor = wal_cursor_open(options->store, options->tli, lsn, options->flushed_only, err);
	if (cursor == NULL) {
		return false;
	}
	wal_cursor_close(&stream->cursor);
	stream->cursor = cursor;
	stream->awaited_lsn = LSN_INVALID;
	return true;
}

static void take(struct lane_member *member, struct wal_stream *stream, struct encoded_batch *batch)
{
	struct lane_group *group = member->group;
	assert(batch->start == group->lsn);
	lane_queue_add(&group->queue, &member->lane, batch);
	group->lsn += batch->raw_bytes;
	wal_cursor_advance(stream->cursor, batch->raw_bytes);
}

static enum wal_fill take_plain(struct lane_member *member, struct wal_stream *stream,
	struct encoded_batch **batch_out, struct error *err)
{
	struct lane_group *group = member->group;
	lsn_t length = lsn_min(group->plain_until - group->lsn, WAL_DATA_BYTES_MAX);
	enum wal_fill fill = wal_sender_take_plain(stream, length, batch_out, err);
	if (fill == WAL_FILL_ENOUGH) {
		take(member, stream, *batch_out);
	}
	return fill;
}

/* All has come when the timeline is said to be over: else some of it might have to go again. */
static enum wal_fill fill_at_end(
	struct lane_member *member, struct wal_stream *stream, struct error *err)
{
	struct wal_span span;
	switch (wal_cursor_peek(stream->cursor, WAL_DATA_BYTES_MAX, &span, err)) {
	case WAL_READ_DATA:
	case WAL_READ_WAIT: return WAL_FILL_AT_TIP;
	case WAL_READ_TIMELINE_END:
		return member->lane.number == 0 && member->group->queue.count == 0
			       ? WAL_FILL_TIMELINE_END
			       : WAL_FILL_WAITS;
	default: return WAL_FILL_FAILED;
	}
}

static enum wal_fill take_fresh(struct lane_member *member, struct wal_stream *stream,
	struct encoded_batch **batch_out, struct error *err)
{
	struct lane_group *group = member->group;
	if (!place(stream, group->lsn, err)) {
		return WAL_FILL_FAILED;
	}
	lsn_t end = wal_cursor_end(stream->cursor);
	if (group->lsn >= end) {
		return fill_at_end(member, stream, err);
	}
	if (group->lsn >= group->plain_until) {
		switch (encoder_seat_take(group->seat, group->lsn, end, batch_out)) {
		case ENCODER_BATCH: take(member, stream, *batch_out); return WAL_FILL_ENOUGH;
		case ENCODER_WAITS: return WAL_FILL_WAITS;
		case ENCODER_PLAIN: break;
		}
		group->plain_until = link_batch_limit(group->lsn);
	}
	return take_plain(member, stream, batch_out, err);
}

static enum wal_fill park(struct lane_member *member, const struct wal_stream *stream)
{
	member->is_parked = true;
	give_way(member);
	/* When the relay stops its own connection sees to the rest. */
	return stream->is_stopping ? WAL_FILL_AT_TIP : WAL_FILL_WAITS;
}

static enum wal_fill next(struct lane_member *member, struct wal_stream *stream,
	struct encoded_batch **batch_out, struct error *err)
{
	struct lane_group *group = member->group;
	bool is_first = member->lane.number == 0;
	member->is_parked = false;
	if (group->seat == NULL) {
		return WAL_FILL_WAITS;
	}
	if (!queue_lane_may_take(&member->lane)) {
		return park(member, stream);
	}
	*batch_out = lane_queue_take(&group->queue, &member->lane);
	if (*batch_out != NULL) {
		encoded_batch_ref(*batch_out);
		return WAL_FILL_ENOUGH;
	}
	if (group->waiter != NULL && group->waiter != member && !is_first) {
		return park(member, stream);
	}
	if (group->waiter != NULL && group->waiter != member) {
		group->waiter->is_parked = true;
	}
	set_waiter(group, member);
	return lane_queue_has_room(&group->queue) ? take_fresh(member, stream, batch_out, err)
						  : WAL_FILL_WAITS;
}

enum wal_fill lane_member_next(struct lane_member *member, struct wal_stream *stream,
	struct encoded_batch **batch_out, struct error *err)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	enum wal_fill fill = next(member, stream, batch_out, err);
	if (fill == WAL_FILL_ENOUGH) {
		if (group->waiter == member) {
			set_waiter(group, NULL);
		}
		if (group->waiter == NULL && (group->queue.returned > 0 ||
						     group->lsn < wal_cursor_end(stream->cursor))) {
			choose(group);
		}
	}
	pthread_mutex_unlock(&group->lock);
	return fill;
}

bool lane_member_note_sent(struct lane_member *member, int64_t now_us, uint32_t *epoch_out)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	bool is_wanted = lane_queue_note_sent(&group->queue, &member->lane, now_us);
	*epoch_out = is_wanted && member->epoch != group->epoch ? group->epoch : 0;
	if (is_wanted) {
		member->epoch = group->epoch;
	}
	pthread_mutex_unlock(&group->lock);
	return is_wanted;
}

void lane_member_pass(struct lane_member *member)
{
	pthread_mutex_lock(&member->group->lock);
	give_way(member);
	pthread_mutex_unlock(&member->group->lock);
}

/* --- what the receiver says --------------------------------------------------------------------
 */

static bool answer_promise(
	struct lane_group *group, lsn_t arrived_lsn, struct link_promise *answer_out)
{
	if (group->promised_lsn == LSN_INVALID ||
		(arrived_lsn < group->promised_lsn && group->queue.count > 0)) {
		return false;
	}
	group->promised_lsn = LSN_INVALID;
	*answer_out = group->promise;
	return true;
}

bool lane_member_promise(struct lane_member *member, const struct link_promise *promise,
	struct link_promise *answer_out)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	encoder_seat_promise(group->seat, promise);
	group->promise = *promise;
	group->promised_lsn = group->lsn;
	bool is_due = answer_promise(group, LSN_INVALID, answer_out);
	pthread_mutex_unlock(&group->lock);
	return is_due;
}

bool lane_member_arrived(struct lane_member *member, const struct link_arrived *arrived,
	int64_t now_us, struct link_promise *answer_out)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	lane_queue_arrived(&group->queue, arrived, now_us);
	bool is_due = answer_promise(group, arrived->lsn, answer_out);
	poke(group);
	pthread_mutex_unlock(&group->lock);
	return is_due;
}

void lane_member_lost(
	struct lane_member *member, const struct link_lane_count *lost, int64_t now_us)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	lane_queue_lost(&group->queue, lost, now_us);
	poke(group);
	pthread_mutex_unlock(&group->lock);
}

void lane_member_go_back(struct lane_member *member, lsn_t lsn, lsn_t until)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	lane_queue_clear(&group->queue);
	encoder_seat_note_plain_request(group->seat);
	group->lsn = lsn;
	group->plain_until = until;
	group->epoch++;
	poke(group);
	pthread_mutex_unlock(&group->lock);
}

void lane_member_look(struct lane_member *member, int64_t now_us)
{
	struct lane_group *group = member->group;
	pthread_mutex_lock(&group->lock);
	if (lane_queue_find_stalled(&group->queue, now_us)) {
		poke(group);
	}
	pthread_mutex_unlock(&group->lock);
}
