/*
 * encoded_batch: a stretch of WAL as it goes over links, for any number of connections; and what a
 * frame of them keeps for those who come a little later.
 *
 * A batch is never changed. The queues of all frames share one bound: who adds pushes out the
 * oldest, of whatever frame. A batch that waits in a socket's queue lives on. References on any
 * thread; queues under their owner's lock.
 */
#ifndef DOWNSTREAM_ENCODED_BATCH_H
#define DOWNSTREAM_ENCODED_BATCH_H

#include "protocol/link_codec.h"
#include "protocol/lsn.h"
#include "protocol/repl_message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct batch_queue;

struct encoded_batch {
	atomic_uint references;
	lsn_t start;
	uint32_t raw_bytes;
	uint64_t reach; /* how far back its frame may refer */
	bool begins_frame;
	struct link_batch_stats stats; /* what it was made of */
	TAILQ_ENTRY(encoded_batch) by_age;
	struct batch_queue *queue;
	size_t message_bytes;
	uint8_t message[]; /* with all that precedes it on the socket */
};

/* With one reference. batch, stats: as link_encoder_encode() gives them. */
struct encoded_batch *encoded_batch_new(lsn_t start, const struct link_batch_stats *stats,
	const uint8_t *batch, size_t length);
/* WAL as it is, with its check, for where one takes what batches are taken for: LINK_KIND_PLAIN.
 * NULL: it cannot be read. */
struct encoded_batch *encoded_batch_new_plain(const struct wal_data *data);
struct encoded_batch *encoded_batch_ref(struct encoded_batch *batch);
void encoded_batch_unref(struct encoded_batch *batch);

/* All queues together. */
struct batch_cache {
	TAILQ_HEAD(batches_by_age, encoded_batch) oldest;
	size_t bytes;
	size_t bytes_max;
};

void batch_cache_init(struct batch_cache *cache, size_t bytes_max);

/* The batches of one frame: each begins where the one before it ends. */
struct batch_queue {
	struct batch_cache *cache;
	struct encoded_batch **batches; /* a ring of capacity, a power of two */
	size_t capacity;
	size_t first;
	size_t count;
};

void batch_queue_init(struct batch_queue *queue, struct batch_cache *cache);
void batch_queue_release(struct batch_queue *queue);
/* Takes the caller's reference over. */
void batch_queue_add(struct batch_queue *queue, struct encoded_batch *batch);
/* The batch that begins at start; NULL: there is none, any more or yet. No reference. */
struct encoded_batch *batch_queue_find(const struct batch_queue *queue, lsn_t start);
/* Nothing that is there precedes what comes next. */
void batch_queue_clear(struct batch_queue *queue);

#endif
