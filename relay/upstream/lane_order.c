/*
 * lane_order: a list by LSN. Most of what comes belongs near its end.
 */
#include "upstream/lane_order.h"

#include "base/memory.h"
#include "protocol/link_batch.h"

#include <stdlib.h>
#include <string.h>

void lane_order_init(struct lane_order *order)
{
	TAILQ_INIT(&order->waiting);
	order->bytes = 0;
}

static struct lane_message *take_first(struct lane_order *order)
{
	struct lane_message *message = TAILQ_FIRST(&order->waiting);

	TAILQ_REMOVE(&order->waiting, message, link);
	order->bytes -= sizeof(*message) + message->length;
	return message;
}

void lane_order_clear(struct lane_order *order)
{
	while (!TAILQ_EMPTY(&order->waiting)) {
		free(take_first(order));
	}
}

bool lane_order_has_room(const struct lane_order *order, size_t length)
{
	return order->bytes + sizeof(struct lane_message) + length <= LANE_ORDER_BYTES;
}

bool lane_order_put(struct lane_order *order, lsn_t start, const uint8_t *payload, size_t length)
{
	struct lane_message *before = TAILQ_LAST(&order->waiting, lane_messages);
	struct lane_message *message;

	while (before != NULL && before->start > start) {
		before = TAILQ_PREV(before, lane_messages, link);
	}
	if ((before != NULL && before->start == start) || !lane_order_has_room(order, length)) {
		return false;
	}
	message = memory_new(sizeof(*message) + length);
	message->start = start;
	message->length = length;
	memcpy(message->payload, payload, length);
	if (before != NULL) {
		TAILQ_INSERT_AFTER(&order->waiting, before, message, link);
	} else {
		TAILQ_INSERT_HEAD(&order->waiting, message, link);
	}
	order->bytes += sizeof(*message) + length;
	return true;
}

struct lane_message *lane_order_take(struct lane_order *order, lsn_t next_lsn)
{
	const struct lane_message *first;

	/* clang-tidy takes the list for one that still holds what was removed. */
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	while ((first = TAILQ_FIRST(&order->waiting)) != NULL && first->start < next_lsn) {
		free(take_first(order));
	}
	return first != NULL && first->start == next_lsn ? take_first(order) : NULL;
}

bool lane_order_place_of(const struct link_server_copy *copy, lsn_t *start_out)
{
	struct link_batch_header header;

	if (copy->kind == LINK_SERVER_STREAM && copy->stream.kind == SERVER_COPY_WAL) {
		*start_out = copy->stream.wal.start_lsn;
		return true;
	}
	if (copy->kind == LINK_SERVER_BATCH && copy->batch_length >= LINK_BATCH_HEADER_BYTES &&
		link_batch_header_get(&header, copy->batch) == NULL) {
		*start_out = header.start;
		return true;
	}
	return false;
}
