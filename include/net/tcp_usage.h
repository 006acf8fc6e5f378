/*
 * tcp_usage: what the kernel has sent and got for one socket, counted as on the wire (TCP_INFO).
 */
#ifndef NET_TCP_USAGE_H
#define NET_TCP_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_usage {
	bool is_tcp;  /* false: nothing below is told */
	bool is_ipv6; /* as its packets are, whatever the socket's family */
	bool has_timestamps;
	bool is_quiet;       /* nothing waits for being sent or acknowledged */
	uint64_t bytes_sent; /* payload, retransmissions included */
	uint64_t segments_sent;
	uint64_t bytes_received;
	uint64_t segments_received;
	uint64_t unsent_bytes;
	unsigned segment_bytes; /* payload of a full segment */
	/* Segments that will yet pass when the socket is closed now. */
	unsigned closing_sent;
	unsigned closing_received;
};

void tcp_usage_read(int fd, struct tcp_usage *usage_out);

#endif
