/*
 * transport: how a connection's bytes cross its socket: as they are, or through what comes between.
 *
 * A connection drives its transport and knows nothing of what it does: handshake first, then reads
 * and writes, each tried at once and ending with what the socket must become before the next try. A
 * transport counts what the kernel took and gave, its own framing included, and never blocks. It
 * does not own the socket. All on the connection's loop.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct output_queue;
struct tls_context;
struct tls_facts;
struct transport;

enum transport_result {
	TRANSPORT_DONE,       /* handshake: over; write: all is taken; read: there may be more */
	TRANSPORT_WANT_READ,  /* again when the socket is readable */
	TRANSPORT_WANT_WRITE, /* again when the socket is writable */
	TRANSPORT_CLOSED,     /* read: the peer has closed its side */
	TRANSPORT_FAILED,     /* failure is filled */
};

struct transport_ops {
	enum transport_result (*handshake)(struct transport *transport);
	/* At most length bytes into bytes; got_out is 0 unless DONE. */
	enum transport_result (*read)(
		struct transport *transport, void *bytes, size_t length, size_t *got_out);
	/* Drains what was taken from output, also when not all was. */
	enum transport_result (*write)(struct transport *transport, struct output_queue *output);
	/* Says, where there is a way to, that nothing more is written. The socket stays open. */
	void (*finish)(struct transport *transport);
	void (*free)(struct transport *transport);
};

/* First member of every transport. */
struct transport {
	const struct transport_ops *ops;
	int fd;
	uint64_t wire_sent_bytes;
	uint64_t wire_received_bytes;
	size_t pending_bytes; /* taken from output and not yet by the kernel; write goes on with it
			       */
	bool has_input;       /* read may be tried again though the socket shows nothing */
	const struct tls_facts *tls; /* once hands are shaken; NULL: bytes as they are */
	int failure_errno;           /* 0 when the failure is not the system's */
	char failure[128];           /* set by TRANSPORT_FAILED */
};

/* Bytes as they are. NULL: out of memory. */
struct transport *transport_plain_new(int fd);
/* The server's side of TLS, begun with what plain has read of the handshake already; it counts on from
 * there. References tls. */
struct transport *transport_tls_new(const struct transport *plain, struct tls_context *tls,
	const void *early, size_t early_length);

#endif
