/*
 * lane_order: a queue a lane.
 */
#include "upstream/lane_order.h"

#include "base/memory.h"
#include "protocol/link_batch.h"

#include <stdlib.h>
#include <string.h>

void lane_order_init(struct lane_order *order)
{
	memset(order, 0, sizeof(*order));
	for (unsigned i = 0; i < LINK_LANES_MAX; i++) {
		STAILQ_INIT(&order->lanes[i].waiting);
	}
}

static struct lane_message *take_first(struct lane_order *order, unsigned lane)
{
	struct lane_message *message = STAILQ_FIRST(&order->lanes[lane].waiting);

	if (message != NULL) {
		STAILQ_REMOVE_HEAD(&order->lanes[lane].waiting, link);
		order->lanes[lane].bytes -= sizeof(*message) + message->length;
	}
	return message;
}

void lane_order_release(struct lane_order *order)
{
	for (unsigned i = 0; i < LINK_LANES_MAX; i++) {
		struct lane_message *message;

		while ((message = take_first(order, i)) != NULL) {
			free(message);
		}
	}
}

void lane_order_put(struct lane_order *order, unsigned lane, const uint8_t *payload, size_t length)
{
	struct lane_message *message = memory_new(sizeof(*message) + length);

	message->length = length;
	memcpy(message->payload, payload, length);
	STAILQ_INSERT_TAIL(&order->lanes[lane].waiting, message, link);
	order->lanes[lane].bytes += sizeof(*message) + length;
}

struct lane_message *lane_order_take(struct lane_order *order, lsn_t next_lsn)
{
	return take_first(order, link_division_lane(&order->division, next_lsn));
}

lsn_t lane_order_end_of(const struct link_server_copy *copy, lsn_t before)
{
	struct link_batch_header header;

	if (copy->kind == LINK_SERVER_STREAM && copy->stream.kind == SERVER_COPY_WAL) {
		return copy->stream.wal.start_lsn + copy->stream.wal.wal_length;
	}
	if (copy->kind == LINK_SERVER_BATCH && copy->batch_length >= LINK_BATCH_HEADER_BYTES &&
		link_batch_header_get(&header, copy->batch) == NULL) {
		return header.start + header.length;
	}
	return before;
}

bool lane_order_is_empty(const struct lane_order *order, unsigned lane)
{
	return STAILQ_EMPTY(&order->lanes[lane].waiting);
}

bool lane_order_is_full(const struct lane_order *order, unsigned lane)
{
	return order->lanes[lane].bytes >= LANE_ORDER_BYTES;
}

bool lane_order_has_room(const struct lane_order *order, unsigned lane)
{
	return order->lanes[lane].bytes < LANE_ORDER_BYTES / 2;
}
