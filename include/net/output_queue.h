/*
 * output_queue: bytes on their way to a socket: copied, referenced, or lying in a file as well.
 *
 * All of them are pieces of one evbuffer, so a transport that has to see bytes (TLS) sees nothing
 * else. One that does not may have the kernel take from the file what lies in one: then the pages of
 * the file go to the socket without a copy. Embedded in its connection; on its loop.
 */
#ifndef NET_OUTPUT_QUEUE_H
#define NET_OUTPUT_QUEUE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct evbuffer;
struct output_piece;

struct output_queue {
	struct evbuffer *bytes;
	uint64_t drained_bytes;                  /* since the beginning */
	STAILQ_HEAD(, output_piece) file_pieces; /* in the order in which they leave */
};

/* Bytes of a file, from its offset on. */
struct output_file {
	int fd;
	off_t offset;
};

typedef void output_release(void *context);

/* False: out of memory. Whatever is added later, without memory for it the process ends. */
bool output_queue_init(struct output_queue *queue) MUST_CHECK;
/* Releases what is left. Also of one zeroed, or released. */
void output_queue_release(struct output_queue *queue);
size_t output_queue_length(const struct output_queue *queue);

void output_queue_add(struct output_queue *queue, const void *bytes, size_t length);
/* Without a copy: bytes, and file, which holds the same unless it is NULL, stay valid until
 * release(context). length > 0. */
void output_queue_add_reference(struct output_queue *queue, const void *bytes, size_t length,
	const struct output_file *file, output_release *release, void *context);
/* The first length bytes of from. */
void output_queue_move(struct output_queue *queue, struct evbuffer *from, size_t length);

/* How many bytes come first of which no file is known, or else lie in file_out; 0: the queue is
 * empty. */
size_t output_queue_next(
	const struct output_queue *queue, struct output_file *file_out, bool *is_file_out);
void output_queue_drain(struct output_queue *queue, size_t length);

#endif
