/*
 * encoded_batch: references, and rings of batches that are pushed out by age.
 */
#include "downstream/encoded_batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/guarded_copy.h"
#include "base/memory.h"
#include "protocol/link_batch.h"
#include "protocol/link_stream.h"

#define FIRST_CAPACITY 8u

struct encoded_batch *encoded_batch_new(
	lsn_t start, const struct link_batch_stats *stats, const uint8_t *bytes, size_t length)
{
	struct encoded_batch *batch = memory_new(sizeof(*batch) + LINK_FRAME_HEADER_BYTES + length);
	struct link_batch_header header;
	const char *reason = link_batch_header_get(&header, bytes);
	assert(reason == NULL);
	assert(header.start == start);
	atomic_init(&batch->references, 1);
	batch->start = start;
	batch->raw_bytes = stats->raw_bytes;
	batch->stats = *stats;
	batch->begins_frame = (header.flags & LINK_BATCH_BEGINS_FRAME) != 0;
	batch->message_bytes = LINK_FRAME_HEADER_BYTES + length;
	link_frame_header_encode(length, batch->message);
	memcpy(batch->message + LINK_FRAME_HEADER_BYTES, bytes, length);
	return batch;
}

struct encoded_batch *encoded_batch_new_plain(const struct wal_data *data)
{
	size_t length = WAL_FRAME_HEADER_BYTES + data->wal_length + LINK_CHECK_BYTES;
	struct wal_data copy = *data;
	struct encoded_batch *batch = memory_new(sizeof(*batch) + length);
	atomic_init(&batch->references, 1);
	batch->start = data->start_lsn;
	batch->raw_bytes = (uint32_t)data->wal_length;
	batch->stats.raw_bytes = batch->raw_bytes;
	batch->stats.batch_bytes = (uint32_t)(length - LINK_FRAME_HEADER_BYTES);
	batch->stats.raw[LINK_KIND_PLAIN] = batch->stats.raw_bytes;
	batch->stats.sent[LINK_KIND_PLAIN] = batch->stats.batch_bytes;
	batch->message_bytes = length;
	copy.wal = batch->message + link_wal_header_encode(data, batch->message);
	if (!guarded_copy(batch->message + WAL_FRAME_HEADER_BYTES, data->wal, data->wal_length)) {
		free(batch);
		return NULL;
	}
	link_check_encode(&copy, batch->message + length - LINK_CHECK_BYTES);
	return batch;
}

struct encoded_batch *encoded_batch_ref(struct encoded_batch *batch)
{
	atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
	return batch;
}

void encoded_batch_unref(struct encoded_batch *batch)
{
	unsigned before = atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel);
	assert(before > 0);
	if (before == 1) {
		free(batch);
	}
}

/* --- queues ------------------------------------------------------------------------------------
 */

void batch_cache_init(struct batch_cache *cache, size_t bytes_max)
{
	TAILQ_INIT(&cache->oldest);
	cache->bytes = 0;
	cache->bytes_max = bytes_max;
}

void batch_queue_init(struct batch_queue *queue, struct batch_cache *cache)
{
	*queue = (struct batch_queue){.cache = cache};
}

static struct encoded_batch *at(const struct batch_queue *queue, size_t index)
{
	return queue->batches[(queue->first + index) & (queue->capacity - 1)];
}

/* Small batches cost what they are wrapped in, too. */
static size_t cost(const struct encoded_batch *batch)
{
	return sizeof(*batch) + sizeof(batch) + batch->message_bytes;
}

static void drop_first(struct batch_queue *queue)
{
	struct encoded_batch *batch = at(queue, 0);
	TAILQ_REMOVE(&queue->cache->oldest, batch, by_age);
	queue->cache->bytes -= cost(batch);
	queue->first = (queue->first + 1) & (queue->capacity - 1);
	queue->count--;
	encoded_batch_unref(batch);
}

void batch_queue_clear(struct batch_queue *queue)
{
	while (queue->count > 0) {
		drop_first(queue);
	}
}

void batch_queue_release(struct batch_queue *queue)
{
	batch_queue_clear(queue);
	free(queue->batches);
	queue->batches = NULL;
	queue->capacity = 0;
}

static void grow(struct batch_queue *queue)
{
	size_t capacity = queue->capacity == 0 ? FIRST_CAPACITY : queue->capacity * 2;
	struct encoded_batch **batches = memory_new(capacity * sizeof(struct encoded_batch *));
	for (size_t i = 0; i < queue->count; i++) {
		batches[i] = at(queue, i);
	}
	free(queue->batches);
	queue->batches = batches;
	queue->capacity = capacity;
	queue->first = 0;
}

static void push_out(struct batch_cache *cache)
{
	while (cache->bytes > cache->bytes_max) {
		/* The oldest of all is the first of its frame. */
		drop_first(TAILQ_FIRST(&cache->oldest)->queue);
	}
}

void batch_queue_add(struct batch_queue *queue, struct encoded_batch *batch)
{
	if (queue->count > 0) {
		const struct encoded_batch *last = at(queue, queue->count - 1);
		assert(last->start + last->raw_bytes == batch->start);
	}
	if (queue->count == queue->capacity) {
		grow(queue);
	}
	batch->queue = queue;
	queue->batches[(queue->first + queue->count) & (queue->capacity - 1)] = batch;
	queue->count++;
	TAILQ_INSERT_TAIL(&queue->cache->oldest, batch, by_age);
	queue->cache->bytes += cost(batch);
	push_out(queue->cache);
}

struct encoded_batch *batch_queue_find(const struct batch_queue *queue, lsn_t start)
{
	size_t low = 0;
	size_t high = queue->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (at(queue, middle)->start < start) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < queue->count && at(queue, low)->start == start ? at(queue, low) : NULL;
}
