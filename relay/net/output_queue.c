/*
 * output_queue: an evbuffer, and beside it where in the stream the pieces lie that files hold.
 */
#include "net/output_queue.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"

struct output_piece {
	uint64_t position; /* of the first byte, as drained_bytes counts */
	size_t length;
	struct output_file file;
	STAILQ_ENTRY(output_piece) next;
};

struct reference {
	output_release *release;
	void *context;
};

static void check_added(int failed)
{
	if (failed != 0) {
		log_write(LOG_LEVEL_ERROR, "net", "out of memory");
		abort();
	}
}

bool output_queue_init(struct output_queue *queue)
{
	queue->bytes = evbuffer_new();
	queue->drained_bytes = 0;
	STAILQ_INIT(&queue->file_pieces);
	return queue->bytes != NULL;
}

void output_queue_release(struct output_queue *queue)
{
	if (queue->bytes != NULL) {
		output_queue_drain(queue, output_queue_length(queue));
		evbuffer_free(queue->bytes);
		queue->bytes = NULL;
	}
}

size_t output_queue_length(const struct output_queue *queue)
{
	return evbuffer_get_length(queue->bytes);
}

void output_queue_add(struct output_queue *queue, const void *bytes, size_t length)
{
	check_added(evbuffer_add(queue->bytes, bytes, length));
}

static void release_reference(const void *bytes, size_t length, void *context)
{
	(void)bytes;
	(void)length;
	struct reference *reference = context;
	reference->release(reference->context);
	free(reference);
}

void output_queue_add_reference(struct output_queue *queue, const void *bytes, size_t length,
	const struct output_file *file, output_release *release, void *context)
{
	struct reference *reference = memory_new(sizeof(*reference));
	assert(length > 0);
	if (file != NULL) {
		struct output_piece *piece = memory_new(sizeof(*piece));
		piece->position = queue->drained_bytes + output_queue_length(queue);
		piece->length = length;
		piece->file = *file;
		STAILQ_INSERT_TAIL(&queue->file_pieces, piece, next);
	}
	reference->release = release;
	reference->context = context;
	check_added(
		evbuffer_add_reference(queue->bytes, bytes, length, release_reference, reference));
}

void output_queue_move(struct output_queue *queue, struct evbuffer *from, size_t length)
{
	int moved = evbuffer_remove_buffer(from, queue->bytes, length);
	check_added(moved != (int)length);
}

size_t output_queue_next(
	const struct output_queue *queue, struct output_file *file_out, bool *is_file_out)
{
	const struct output_piece *piece = STAILQ_FIRST(&queue->file_pieces);
	*is_file_out = piece != NULL && piece->position <= queue->drained_bytes;
	if (piece == NULL) {
		return output_queue_length(queue);
	}
	if (!*is_file_out) {
		return piece->position - queue->drained_bytes;
	}
	size_t taken = queue->drained_bytes - piece->position;
	file_out->fd = piece->file.fd;
	file_out->offset = piece->file.offset + (off_t)taken;
	return piece->length - taken;
}

void output_queue_drain(struct output_queue *queue, size_t length)
{
	struct output_piece *piece;
	queue->drained_bytes += length;
	while ((piece = STAILQ_FIRST(&queue->file_pieces)) != NULL &&
		piece->position + piece->length <= queue->drained_bytes) {
		STAILQ_REMOVE_HEAD(&queue->file_pieces, next);
		free(piece);
	}
	evbuffer_drain(queue->bytes, length);
}
