/*
 * transport_plain: bytes go between an evbuffer and a non-blocking socket as they are.
 *
 * Output leaves by sendmsg(2) straight from where its pieces lie, so a mapped WAL page is never
 * copied here. A page whose disk is gone makes the kernel answer EFAULT: an ordinary failure of
 * this connection, where reading the page in user space would be a SIGBUS for the whole process.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "net/output_queue.h"
#include "net/transport.h"

#define PIECES_MAX 64

static enum transport_result fail(struct transport *transport, int failure)
{
	char text[96];
	transport->failure_errno = failure;
	snprintf(transport->failure, sizeof(transport->failure), "%s",
		strerror_r(failure, text, sizeof(text)));
	return TRANSPORT_FAILED;
}

static bool is_again(int failure)
{
	return failure == EAGAIN || failure == EWOULDBLOCK;
}

static enum transport_result plain_handshake(struct transport *transport)
{
	(void)transport;
	return TRANSPORT_DONE;
}

static enum transport_result plain_read(
	struct transport *transport, void *bytes, size_t length, size_t *got_out)
{
	ssize_t got;
	do {
		got = recv(transport->fd, bytes, length, 0);
	} while (got < 0 && errno == EINTR);
	*got_out = 0;
	if (got < 0) {
		return is_again(errno) ? TRANSPORT_WANT_READ : fail(transport, errno);
	}
	if (got == 0) {
		return TRANSPORT_CLOSED;
	}
	*got_out = (size_t)got;
	transport->wire_received_bytes += (uint64_t)got;
	return TRANSPORT_DONE;
}

/* Straight from where they lie, the first length bytes, or as many as go in one call. */
static ssize_t send_pieces(struct transport *transport, struct output_queue *output, size_t *length)
{
	struct iovec pieces[PIECES_MAX];
	struct msghdr message = {.msg_iov = pieces};
	int count = evbuffer_peek(output->bytes, (ev_ssize_t)*length, NULL, pieces, PIECES_MAX);
	message.msg_iovlen = count < PIECES_MAX ? (size_t)count : PIECES_MAX;
	size_t offered = 0;
	for (size_t i = 0; i < message.msg_iovlen; i++) {
		if (pieces[i].iov_len > *length - offered) {
			pieces[i].iov_len = *length - offered;
		}
		offered += pieces[i].iov_len;
	}
	*length = offered;
	int more = offered < output_queue_length(output) ? MSG_MORE : 0;
	return sendmsg(transport->fd, &message, MSG_NOSIGNAL | more);
}

/* Pages that the disk cannot give, or that are there no more, are the end of this connection. */
static ssize_t send_file(struct transport *transport, const struct output_file *file, size_t length)
{
	off_t offset = file->offset;
	ssize_t sent = sendfile(transport->fd, file->fd, &offset, length);
	if (sent == 0) {
		errno = EIO;
		return -1;
	}
	return sent;
}

static enum transport_result plain_write(struct transport *transport, struct output_queue *output)
{
	struct output_file file;
	bool is_file;
	size_t length;
	while ((length = output_queue_next(output, &file, &is_file)) > 0) {
		ssize_t taken = is_file ? send_file(transport, &file, length)
					: send_pieces(transport, output, &length);
		if (taken < 0 && errno == EINTR) {
			continue;
		}
		if (taken < 0) {
			return is_again(errno) ? TRANSPORT_WANT_WRITE : fail(transport, errno);
		}
		transport->wire_sent_bytes += (uint64_t)taken;
		output_queue_drain(output, (size_t)taken);
		if ((size_t)taken < length) {
			return TRANSPORT_WANT_WRITE;
		}
	}
	return TRANSPORT_DONE;
}

static void plain_finish(struct transport *transport)
{
	(void)transport;
}

static void plain_free(struct transport *transport)
{
	free(transport);
}

static const struct transport_ops plain_ops = {
	.handshake = plain_handshake,
	.read = plain_read,
	.write = plain_write,
	.finish = plain_finish,
	.free = plain_free,
};

struct transport *transport_plain_new(int fd)
{
	struct transport *transport = calloc(1, sizeof(*transport));
	if (transport != NULL) {
		transport->ops = &plain_ops;
		transport->fd = fd;
	}
	return transport;
}
