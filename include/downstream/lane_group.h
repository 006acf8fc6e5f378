/*
 * lane_group: the connections of one link, wherever they live, and the queue they share.
 *
 * The first member is the stream's own connection, which begins the group; others join by its
 * token. Where the group stands, its seat at the encoder and its queue (lane_queue.h) are under
 * one lock. Of the members that have room one at a time waits for what comes next, at the tip, at
 * the encoder or for room in the queue: the stream's own if it can. When it has taken something,
 * and there is more, or when it is busy, the next is woken. So at the tip one connection carries
 * all, and no other wakes up.
 *
 * A member belongs to its loop's thread; what is asked of it there looks at its own stream only.
 */
#ifndef DOWNSTREAM_LANE_GROUP_H
#define DOWNSTREAM_LANE_GROUP_H

#include "base/error.h"
#include "downstream/lane_queue.h"
#include "downstream/shared_encoder.h"
#include "downstream/wal_stream.h"
#include "net/loop.h"

/* All groups of a relay. */
struct lane_groups;
struct lane_member;

struct lane_group_options {
	struct shared_encoder *encoder;
	tli_t tli;
	unsigned recompress; /* as of encoder_seat_new() */
	struct link_promise promise;
	lsn_t lsn;         /* where the stream goes on */
	lsn_t plain_until; /* as far it is to be plain */
	uint32_t epoch;    /* requests that came before */
	struct wake *wake; /* makes the member's turn ready */
	int64_t now_us;
};

struct lane_groups *lane_groups_new(void);
/* No member is left. Accepts NULL, sets NULL. */
void lane_groups_free(struct lane_groups **groups);

struct lane_member *lane_group_begin(struct lane_groups *groups,
	const struct lane_group_options *options, struct error *err) MUST_CHECK;
/* NULL: there is no such group, or it has a lane of that number, or too many. */
struct lane_member *lane_group_join(struct lane_groups *groups, uint64_t token, uint32_t number,
	struct wake *wake, int64_t now_us);
/* With the first member the group ends: the others get nothing any more. Accepts NULL, sets NULL.
 */
void lane_member_free(struct lane_member **member);
uint64_t lane_member_token(const struct lane_member *member);
/* Where the group stands. */
lsn_t lane_member_lsn(struct lane_member *member);

/* What this member is to send next: ENOUGH, and *batch_out with a reference. Its stream's cursor
 * follows the group. To be called again when it was sent. */
enum wal_fill lane_member_next(struct lane_member *member, struct wal_stream *stream,
	struct encoded_batch **batch_out, struct error *err) MUST_CHECK;
/* It leaves now. False: it is not wanted any more. *epoch_out: to be said before it; 0: nothing. */
bool lane_member_note_sent(struct lane_member *member, int64_t now_us, uint32_t *epoch_out);
/* It has no room: others may wait in its place. */
void lane_member_pass(struct lane_member *member);

/* --- for the stream's own member: what the receiver says --------------------------------------
 */

/* True: this promise is to be answered now: all that was made before it has come. */
bool lane_member_promise(struct lane_member *member, const struct link_promise *promise,
	struct link_promise *answer_out);
bool lane_member_arrived(struct lane_member *member, const struct link_arrived *arrived,
	int64_t now_us, struct link_promise *answer_out);
void lane_member_lost(
	struct lane_member *member, const struct link_lane_count *lost, int64_t now_us);
/* It asks for what comes there, plain up to until. */
void lane_member_go_back(struct lane_member *member, lsn_t lsn, lsn_t until);
/* From time to time. */
void lane_member_look(struct lane_member *member, int64_t now_us);

#endif
