/*
 * lane_order: what came over several connections, in the order of the WAL.
 *
 * Each message with WAL tells where its WAL begins. What comes before its turn waits here; what
 * comes twice is passed over. Pure memory: who sends bounds it; more than LANE_ORDER_BYTES is more
 * than was agreed on.
 */
#ifndef UPSTREAM_LANE_ORDER_H
#define UPSTREAM_LANE_ORDER_H

#include "base/error.h"
#include "protocol/link_stream.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/* What the other end lets be under way, and what it is wrapped in here. */
#define LANE_ORDER_BYTES ((size_t)48 << 20)

struct lane_message {
	TAILQ_ENTRY(lane_message) link;
	lsn_t start;
	size_t length;
	uint8_t payload[];
};

struct lane_order {
	TAILQ_HEAD(lane_messages, lane_message) waiting;
	size_t bytes;
};

void lane_order_init(struct lane_order *order);
/* Forgets all of it; may be used again. */
void lane_order_clear(struct lane_order *order);
/* Copies the payload. False: there is one that begins there, or no room. */
bool lane_order_put(
	struct lane_order *order, lsn_t start, const uint8_t *payload, size_t length) MUST_CHECK;
bool lane_order_has_room(const struct lane_order *order, size_t length);
/* The message that begins at next_lsn, the caller's to free; NULL: it has not come. Those before
 * it are dropped. */
struct lane_message *lane_order_take(struct lane_order *order, lsn_t next_lsn);
/* Where the WAL of a message begins. False: it has none, or that cannot be read. */
bool lane_order_place_of(const struct link_server_copy *copy, lsn_t *start_out);

#endif
