/*
 * lane_order: what came over several connections, in the order of the WAL.
 *
 * Each lane brings its messages in order; which lane brings what comes next is told by the
 * division. What comes before its turn waits here. Pure memory: who reads the connections stops
 * reading one when its lane is full, so that it holds LANE_ORDER_BYTES a lane and a message.
 */
#ifndef UPSTREAM_LANE_ORDER_H
#define UPSTREAM_LANE_ORDER_H

#include "protocol/link_division.h"
#include "protocol/link_stream.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define LANE_ORDER_BYTES ((size_t)4 << 20)

struct lane_message {
	STAILQ_ENTRY(lane_message) link;
	size_t length;
	uint8_t payload[];
};

struct lane_order {
	struct link_division division; /* count 0: all is lane 0's */
	struct {
		STAILQ_HEAD(lane_messages, lane_message) waiting;
		size_t bytes;
	} lanes[LINK_LANES_MAX];
};

void lane_order_init(struct lane_order *order);
void lane_order_release(struct lane_order *order);
/* Copies the payload. */
void lane_order_put(struct lane_order *order, unsigned lane, const uint8_t *payload, size_t length);
/* The first message of the lane over which next_lsn comes, the caller's to free; NULL: it has not
 * come. */
struct lane_message *lane_order_take(struct lane_order *order, lsn_t next_lsn);
/* End of the WAL in a message; before: it has none, or cannot be read. */
lsn_t lane_order_end_of(const struct link_server_copy *copy, lsn_t before);
bool lane_order_is_empty(const struct lane_order *order, unsigned lane);
bool lane_order_is_full(const struct lane_order *order, unsigned lane);
/* Half of it: reading may go on. */
bool lane_order_has_room(const struct lane_order *order, unsigned lane);

#endif
