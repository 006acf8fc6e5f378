/*
 * proxy_protocol: the header by which a load balancer says whose connection it passes on.
 *
 * Source: haproxy's doc/proxy-protocol.txt, versions 1 (a line of text) and 2 (binary). Pure: bytes
 * in, an address out. Who may send such a header is the caller's to decide, and a connection that
 * must begin with one and does not is to be closed.
 */
#ifndef NET_PROXY_PROTOCOL_H
#define NET_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Nothing longer is waited for. Version 1 has 107; 2 may carry up to 64 kB of TLVs, which in
 * practice are some hundred. */
#define PROXY_PROTOCOL_BYTES_MAX 2048

enum proxy_protocol_result {
	PROXY_PROTOCOL_OK,
	PROXY_PROTOCOL_MORE, /* a header so far; the rest has not come */
	PROXY_PROTOCOL_BAD,  /* no header, or a broken one */
};

struct proxy_protocol_header {
	size_t consumed;
	/* false: the peer is who the socket says: a health check of the balancer itself (LOCAL), or
	 * an address it does not know (UNKNOWN) or that is no TCP address. */
	bool has_peer;
	struct sockaddr_storage peer; /* AF_INET or AF_INET6 */
};

/* reason_out: a static text, for BAD only. Outputs are untouched otherwise. */
enum proxy_protocol_result proxy_protocol_decode(const uint8_t *bytes, size_t length,
	struct proxy_protocol_header *header_out, const char **reason_out);

#endif
