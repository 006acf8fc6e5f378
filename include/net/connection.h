/*
 * connection: an accepted socket on one loop: bytes in, bytes out, counted exactly.
 *
 * It knows no protocol. Output is a chain of copied and referenced pieces (libevent's evbuffer): a
 * referenced piece, such as a stretch of a mapped WAL segment, goes from there to the socket
 * without a copy and is released when the kernel has taken it. Writing is tried at once, so a
 * message at the tip costs one system call and no trip through the poller; what does not fit waits
 * for the socket to be writable. (libevent's bufferevent would write only from the poller and hides
 * what a TLS layer puts on the wire; both matter here, hence this layer on plain events.)
 *
 * Lifetime: connection_free() may be called at any time on the loop, also from a callback; the
 * memory goes after the callback has returned, and no callback comes after the call.
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include "base/error.h"
#include "net/loop.h"
#include "net/output_queue.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct evbuffer;
struct connection;
struct tls_context;
struct tls_facts;

struct connection_callbacks {
	/* Bytes have come; drain what is whole from input, leave the rest. */
	void (*on_input)(void *context, struct evbuffer *input);
	/* Output has fallen from above the low-water mark to it or below: room for more. From the
	 * loop, never from inside connection_flush(), also when that very flush brought it down: so
	 * whoever writes past the mark, flushes and returns is called again. */
	void (*on_writable)(void *context);
	/* The peer closed its side, or the socket failed. Comes once; nothing is written any more.
	 * reason: "closed by the peer", or the system's error. */
	void (*on_closed)(void *context, const char *reason);
	/* connection_start_tls() has led to connection_tls(). Before any input of that; may be NULL. */
	void (*on_secured)(void *context);
};

struct connection_options {
	size_t input_bytes_max;  /* stop reading while this much lies undrained in input */
	size_t output_low_water; /* on_writable at or below this many bytes waiting */
};

struct connection_stats {
	uint64_t wire_sent_bytes;     /* taken by the kernel, TLS included */
	uint64_t wire_received_bytes; /* got from the kernel, TLS included */
	size_t output_bytes;          /* waiting in this process */
};

/* Takes fd over, also on failure. peer may be NULL (a socket pair). */
struct connection *connection_new(struct loop *loop, int fd, const struct sockaddr *peer,
	const struct connection_options *options, const struct connection_callbacks *callbacks,
	void *context, struct error *err) MUST_CHECK;
/* Closes the socket at once. Accepts NULL, sets NULL. */
void connection_free(struct connection **connection);
/* Frees the connection once its output has gone, timeout_us has passed or the loop is freed. The
 * caller is out of it: no callback comes any more. Accepts NULL, sets NULL. */
void connection_free_after_flush(struct connection **connection, int64_t timeout_us);

/* look(context, connection) is called once, right before the socket is closed, however long after
 * the owner has left: for the last reading of what it counted. It may only read. */
typedef void connection_last_look(void *context, const struct connection *connection);
void connection_set_last_look(
	struct connection *connection, connection_last_look *look, void *context);

/* Queue bytes; they go out with the next connection_flush(). */
void connection_write(struct connection *connection, const void *bytes, size_t length);
/* Like it without a copy: bytes stay valid until release(context), which runs on the loop. */
void connection_write_reference(struct connection *connection, const void *bytes, size_t length,
	output_release *release, void *context);
/* Like it, of bytes that file holds too: without TLS they go from its pages (sendfile(2), so SIGPIPE is to be
 * ignored), which the socket may refer to until the peer has acknowledged them, long after release(). What
 * was handed over must not be overwritten in the file. */
void connection_write_file(struct connection *connection, const void *bytes, size_t length,
	const struct output_file *file, output_release *release, void *context);
/* Like it: moves the first length bytes of from. */
void connection_write_from(struct connection *connection, struct evbuffer *from, size_t length);
/* Hand queued bytes to the kernel now, as much as it takes; the rest follows by itself. A failure
 * is told by on_closed, from the loop, never from inside this call. */
void connection_flush(struct connection *connection);
/* Another output_low_water from now on. */
void connection_set_low_water(struct connection *connection, size_t bytes);
/* Bytes queued and not yet taken by the kernel. */
size_t connection_output_bytes(const struct connection *connection);

/* From here on bytes go through TLS, of which this is the server's side. What lies in input is taken
 * as the beginning of the handshake. Fails when output still waits. A handshake that fails is told by
 * on_closed. */
bool connection_start_tls(struct connection *connection, struct tls_context *tls, struct error *err)
	MUST_CHECK;
/* What the handshake told, valid as long as the connection; NULL: no TLS, or not yet. */
const struct tls_facts *connection_tls(const struct connection *connection);

/* While paused nothing is read, so a peer's close is noticed only by a write that fails. Resuming
 * tells what lies in input already by on_input, from the loop. */
void connection_pause_reading(struct connection *connection);
void connection_resume_reading(struct connection *connection);

/* "10.0.0.7:43210", "[2001:db8::1]:43210" or "[local]"; valid as long as the connection. */
const char *connection_peer_name(const struct connection *connection);
/* The peer as accepted or as a PROXY header said; family AF_UNSPEC for a socket pair. */
const struct sockaddr_storage *connection_peer_address(const struct connection *connection);
/* A PROXY header said who the peer really is. */
void connection_set_peer_address(struct connection *connection, const struct sockaddr *peer);
bool connection_is_local(const struct connection *connection); /* Unix socket */
/* The other end of the socket, whatever a PROXY header said, is on this machine. */
bool connection_shares_machine(const struct connection *connection);
int connection_fd(const struct connection *connection);
void connection_read_stats(const struct connection *connection, struct connection_stats *stats_out);

#endif
