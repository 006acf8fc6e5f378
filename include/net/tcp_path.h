/*
 * tcp_path: what holds back one socket's sending, as the kernel tells it (TCP_INFO).
 */
#ifndef NET_TCP_PATH_H
#define NET_TCP_PATH_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_path {
	bool is_tcp; /* false: nothing below is told */
	char congestion[16];
	/* Since the connection began: something was in flight, and of that time the receiver's
	 * window, or the space for what is sent, was the limit. */
	int64_t busy_us;
	int64_t window_limited_us;
	int64_t space_limited_us;
	uint64_t segments_resent;
	int64_t round_trip_us;
};

void tcp_path_read(int fd, struct tcp_path *path_out);

#endif
