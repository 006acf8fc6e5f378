/*
 * transport_tls: TLS between an evbuffer and a non-blocking socket.
 *
 * OpenSSL sees a BIO of ours, so what it puts on the wire is counted where the kernel takes it.
 * Output is gathered into full records of 16 kB, and several of them go to the kernel in one call;
 * they pass through a buffer of the thread's, and only what the kernel does not take is kept with
 * the connection. A peer that makes us answer (key updates, refused renegotiations) without reading
 * the answers is not read any further.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/guarded_copy.h"
#include "base/memory.h"
#include "net/output_queue.h"
#include "net/tls_context.h"
#include "net/tls_facts.h"
#include "net/transport.h"

#define RECORD_BYTES SSL3_RT_MAX_PLAIN_LENGTH
/* With its header, its tag and padding, and a key update before it. */
#define RECORD_ROOM  (RECORD_BYTES + 512u)
#define WIRE_BYTES   (8u * RECORD_ROOM)
#define ANSWERS_MAX  4096u
#define PIECES_MAX   16
#define HELLO_HEADER 9u /* a record's header and a handshake message's */
#define HELLO_MAX    16384u
/* OpenSSL goes on reading while messages of its own come: not for as long as somebody likes. */
#define RECEIVES_MAX          2u
#define EMPTY_READS           16u
#define RECORD_TYPE_HANDSHAKE 0x16

struct transport_tls {
	struct transport base;
	struct tls_context *context;
	SSL *ssl;
	struct tls_facts facts;
	uint8_t *early; /* read before the transport was there */
	size_t early_length;
	size_t early_at;
	uint8_t *pending; /* base.pending_bytes of them */
	uint8_t hello[HELLO_HEADER];
	size_t hello_length;
	bool is_hello_bad;
	bool is_socket_empty;   /* as of the operation under way */
	bool is_at_end;         /* the peer has closed its side */
	bool is_broken;         /* nothing more may be written */
	unsigned receives_left; /* in the operation under way */
	int socket_errno;
	unsigned empty_reads; /* in a row: messages of TLS itself */
};

/* What one operation works with; empty between operations. */
static _Thread_local struct {
	uint8_t plain[RECORD_BYTES];
	uint8_t wire[WIRE_BYTES];
	size_t wire_length;
} scratch;

static struct transport_tls *tls_of(struct transport *transport)
{
	return (struct transport_tls *)transport;
}

/* --- failing --------------------------------------------------------------------------------- */

static enum transport_result fail(struct transport_tls *tls, const char *text)
{
	tls->is_broken = true;
	snprintf(tls->base.failure, sizeof(tls->base.failure), "%s", text);
	return TRANSPORT_FAILED;
}

static enum transport_result fail_errno(struct transport_tls *tls, int failure)
{
	char text[96];
	tls->base.failure_errno = failure;
	return fail(tls, strerror_r(failure, text, sizeof(text)));
}

/* OpenSSL's own reason, and what was wrong with a certificate. */
static enum transport_result fail_ssl(struct transport_tls *tls)
{
	char text[128];
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	long verified = SSL_get_verify_result(tls->ssl);
	if (tls->is_hello_bad) {
		return fail(tls, "TLS: not the beginning of a handshake");
	}
	if (tls->socket_errno != 0) {
		return fail_errno(tls, tls->socket_errno);
	}
	snprintf(text, sizeof(text), "TLS: %s%s%s", reason != NULL ? reason : "closed by the peer",
		verified != X509_V_OK ? ": " : "",
		verified != X509_V_OK ? X509_verify_cert_error_string(verified) : "");
	return fail(tls, text);
}

/* --- to the kernel --------------------------------------------------------------------------- */

/* false: it would take no more for now, or the socket has failed (socket_errno). */
static bool send_all(
	struct transport_tls *tls, const uint8_t *bytes, size_t length, size_t *sent_out)
{
	*sent_out = 0;
	while (*sent_out < length) {
		ssize_t taken =
			send(tls->base.fd, bytes + *sent_out, length - *sent_out, MSG_NOSIGNAL);
		if (taken < 0 && errno == EINTR) {
			continue;
		}
		if (taken < 0) {
			bool is_full = errno == EAGAIN || errno == EWOULDBLOCK;
			tls->socket_errno = is_full ? tls->socket_errno : errno;
			return false;
		}
		tls->base.wire_sent_bytes += (uint64_t)taken;
		*sent_out += (size_t)taken;
	}
	return true;
}

static bool send_pending(struct transport_tls *tls)
{
	size_t sent;
	if (tls->base.pending_bytes == 0) {
		return true;
	}
	bool is_sent = send_all(tls, tls->pending, tls->base.pending_bytes, &sent);
	tls->base.pending_bytes -= sent;
	if (tls->base.pending_bytes > 0) {
		memmove(tls->pending, tls->pending + sent, tls->base.pending_bytes);
	} else {
		free(tls->pending);
		tls->pending = NULL;
	}
	return is_sent;
}

/* What lies in the thread's buffer goes to the kernel, and the rest is kept. */
static bool flush_scratch(struct transport_tls *tls)
{
	size_t sent = 0;
	bool is_sent = send_pending(tls) && send_all(tls, scratch.wire, scratch.wire_length, &sent);
	size_t left = scratch.wire_length - sent;
	scratch.wire_length = 0;
	if (left > 0) {
		uint8_t *grown = realloc(tls->pending, tls->base.pending_bytes + left);
		if (grown == NULL) {
			tls->socket_errno = ENOMEM;
			return false;
		}
		memcpy(grown + tls->base.pending_bytes, scratch.wire + sent, left);
		tls->pending = grown;
		tls->base.pending_bytes += left;
	}
	return is_sent;
}

/* --- OpenSSL's view of the socket ------------------------------------------------------------ */

static int bio_write(BIO *bio, const char *bytes, size_t length, size_t *written_out)
{
	BIO_clear_retry_flags(bio);
	if (length > sizeof(scratch.wire) - scratch.wire_length) {
		BIO_set_retry_write(bio);
		return 0;
	}
	memcpy(scratch.wire + scratch.wire_length, bytes, length);
	scratch.wire_length += length;
	*written_out = length;
	return 1;
}

/* A message whose length a stranger claims would be allocated before it comes; real ones are some
 * hundred bytes, and their header is never cut into records. */
static bool is_hello_fine(struct transport_tls *tls, const uint8_t *bytes, size_t length)
{
	while (tls->hello_length < HELLO_HEADER && length > 0) {
		tls->hello[tls->hello_length++] = *bytes++;
		length--;
	}
	if (tls->hello[0] != RECORD_TYPE_HANDSHAKE) {
		tls->is_hello_bad = true;
	} else if (tls->hello_length == HELLO_HEADER) {
		size_t claimed =
			(size_t)tls->hello[6] << 16 | (size_t)tls->hello[7] << 8 | tls->hello[8];
		tls->is_hello_bad = claimed > HELLO_MAX;
	}
	return !tls->is_hello_bad;
}

static ssize_t take_early(struct transport_tls *tls, char *bytes, size_t length)
{
	size_t left = tls->early_length - tls->early_at;
	size_t taken = length < left ? length : left;
	memcpy(bytes, tls->early + tls->early_at, taken);
	tls->early_at += taken;
	return (ssize_t)taken;
}

static ssize_t receive(struct transport_tls *tls, char *bytes, size_t length)
{
	ssize_t got;
	if (tls->early_at < tls->early_length) {
		return take_early(tls, bytes, length);
	}
	do {
		got = recv(tls->base.fd, bytes, length, 0);
	} while (got < 0 && errno == EINTR);
	if (got > 0) {
		tls->base.wire_received_bytes += (uint64_t)got;
	}
	return got;
}

static int bio_read(BIO *bio, char *bytes, size_t length, size_t *got_out)
{
	struct transport_tls *tls = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (tls->receives_left == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	tls->receives_left--;
	ssize_t got = receive(tls, bytes, length);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		tls->is_socket_empty = true;
		BIO_set_retry_read(bio);
		return 0;
	}
	if (got < 0) {
		tls->socket_errno = errno;
		return 0;
	}
	tls->is_at_end = got == 0;
	if (got == 0 || !is_hello_fine(tls, (const uint8_t *)bytes, (size_t)got)) {
		return 0;
	}
	*got_out = (size_t)got;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct transport_tls *tls = BIO_get_data(bio);
	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: return 1;
	case BIO_CTRL_EOF: return tls->is_at_end;
	default: return 0;
	}
}

static BIO_METHOD *method;

__attribute__((constructor)) static void make_method(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "walrelay");
	if (method == NULL || BIO_meth_set_write_ex(method, bio_write) != 1 ||
		BIO_meth_set_read_ex(method, bio_read) != 1 ||
		BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
		abort();
	}
}

/* --- operations ------------------------------------------------------------------------------ */

static void begin(struct transport_tls *tls)
{
	ERR_clear_error();
	tls->socket_errno = 0;
	tls->is_socket_empty = false;
	tls->receives_left = RECEIVES_MAX;
	tls->base.has_input = false;
}

static enum transport_result after_failure(struct transport_tls *tls, int status)
{
	switch (SSL_get_error(tls->ssl, status)) {
	case SSL_ERROR_WANT_READ: return TRANSPORT_WANT_READ;
	case SSL_ERROR_WANT_WRITE: return TRANSPORT_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN: return TRANSPORT_CLOSED;
	default: return fail_ssl(tls);
	}
}

static void note_input(struct transport_tls *tls)
{
	/* What is buffered may be half a record: then only the socket has more of it. */
	tls->base.has_input = !tls->is_socket_empty && SSL_has_pending(tls->ssl) == 1;
}

static void free_early(struct transport_tls *tls)
{
	if (tls->early_at == tls->early_length) {
		free(tls->early);
		tls->early = NULL;
	}
}

static enum transport_result tls_handshake(struct transport *transport)
{
	struct transport_tls *tls = tls_of(transport);
	enum transport_result result = TRANSPORT_DONE;
	begin(tls);
	int status = SSL_accept(tls->ssl);
	if (status != 1) {
		result = after_failure(tls, status);
	}
	if (!flush_scratch(tls) && tls->socket_errno != 0 && result != TRANSPORT_FAILED) {
		return fail_errno(tls, tls->socket_errno);
	}
	if (result == TRANSPORT_DONE) {
		tls_facts_read(&tls->facts, tls->ssl);
		tls->base.tls = &tls->facts;
		free_early(tls);
		note_input(tls);
	} else if (result == TRANSPORT_CLOSED) {
		result = fail(tls, "TLS: closed by the peer");
	} else if (result != TRANSPORT_FAILED && tls->base.pending_bytes > 0) {
		result = TRANSPORT_WANT_WRITE;
	}
	return result;
}

static enum transport_result note_empty_read(struct transport_tls *tls)
{
	if (!tls->is_socket_empty && ++tls->empty_reads > EMPTY_READS) {
		return fail(tls, "TLS: too many messages without data");
	}
	note_input(tls);
	return TRANSPORT_WANT_READ;
}

static enum transport_result tls_read(
	struct transport *transport, void *bytes, size_t length, size_t *got_out)
{
	struct transport_tls *tls = tls_of(transport);
	enum transport_result result = TRANSPORT_DONE;
	*got_out = 0;
	begin(tls);
	if (!send_pending(tls) && tls->base.pending_bytes > WIRE_BYTES + ANSWERS_MAX) {
		return tls->socket_errno != 0 ? fail_errno(tls, tls->socket_errno)
					      : TRANSPORT_WANT_WRITE;
	}
	int status = SSL_read_ex(tls->ssl, bytes, length, got_out);
	if (status == 1) {
		tls->empty_reads = 0;
		note_input(tls);
	} else {
		result = after_failure(tls, status);
	}
	if (result == TRANSPORT_WANT_READ) {
		result = note_empty_read(tls);
	}
	/* A socket that cannot be written to may still hold what the peer sent before. */
	(void)flush_scratch(tls);
	return result;
}

/* The next record's plain bytes, in one piece. 0: a page of them cannot be read. */
static size_t gather(const struct output_queue *output)
{
	struct evbuffer_iovec pieces[PIECES_MAX];
	int count = evbuffer_peek(output->bytes, RECORD_BYTES, NULL, pieces, PIECES_MAX);
	size_t length = 0;
	for (int i = 0; i < count && i < PIECES_MAX && length < RECORD_BYTES; i++) {
		size_t room = RECORD_BYTES - length;
		size_t taken = pieces[i].iov_len < room ? pieces[i].iov_len : room;
		if (!guarded_copy(scratch.plain + length, pieces[i].iov_base, taken)) {
			return 0;
		}
		length += taken;
	}
	return length;
}

static enum transport_result write_record(struct transport_tls *tls, struct output_queue *output)
{
	size_t written;
	size_t length = gather(output);
	if (length == 0) {
		return fail_errno(tls, EFAULT);
	}
	int status = SSL_write_ex(tls->ssl, scratch.plain, length, &written);
	if (status != 1) {
		return after_failure(tls, status);
	}
	output_queue_drain(output, written);
	return TRANSPORT_DONE;
}

static enum transport_result tls_write(struct transport *transport, struct output_queue *output)
{
	struct transport_tls *tls = tls_of(transport);
	enum transport_result result = TRANSPORT_DONE;
	bool has_input = tls->base.has_input;
	begin(tls);
	bool has_room = send_pending(tls);
	while (has_room && result == TRANSPORT_DONE && output_queue_length(output) > 0) {
		result = write_record(tls, output);
		if (scratch.wire_length + RECORD_ROOM > sizeof(scratch.wire)) {
			has_room = flush_scratch(tls);
		}
	}
	has_room = flush_scratch(tls) && has_room;
	tls->base.has_input = has_input;
	if (tls->socket_errno != 0 && result != TRANSPORT_FAILED) {
		return fail_errno(tls, tls->socket_errno);
	}
	return result == TRANSPORT_DONE && !has_room ? TRANSPORT_WANT_WRITE : result;
}

static void tls_finish(struct transport *transport)
{
	struct transport_tls *tls = tls_of(transport);
	if (tls->is_broken || tls->base.tls == NULL) {
		return;
	}
	begin(tls);
	(void)SSL_shutdown(tls->ssl);
	(void)flush_scratch(tls);
}

static void tls_free(struct transport *transport)
{
	struct transport_tls *tls = tls_of(transport);
	SSL_free(tls->ssl);
	tls_facts_release(&tls->facts);
	tls_context_unref(&tls->context);
	free(tls->early);
	free(tls->pending);
	free(tls);
}

static const struct transport_ops tls_ops = {
	.handshake = tls_handshake,
	.read = tls_read,
	.write = tls_write,
	.finish = tls_finish,
	.free = tls_free,
};

static void open_ssl(struct transport_tls *tls)
{
	BIO *bio = BIO_new(method);
	tls->ssl = SSL_new(tls_context_native(tls->context));
	if (bio == NULL || tls->ssl == NULL) {
		abort();
	}
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_accept_state(tls->ssl);
}

struct transport *transport_tls_new(const struct transport *plain, struct tls_context *context,
	const void *early, size_t early_length)
{
	struct transport_tls *tls = memory_new(sizeof(*tls));
	tls->base.ops = &tls_ops;
	tls->base.fd = plain->fd;
	tls->base.wire_sent_bytes = plain->wire_sent_bytes;
	tls->base.wire_received_bytes = plain->wire_received_bytes;
	tls->context = tls_context_ref(context);
	tls->early = memory_new(early_length + 1);
	open_ssl(tls);
	if (early_length > 0) {
		memcpy(tls->early, early, early_length);
		tls->early_length = early_length;
	}
	return &tls->base;
}
