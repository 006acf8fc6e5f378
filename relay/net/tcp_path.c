/*
 * tcp_path: the kernel's own tcp_info, as in tcp_usage.c.
 */
#include "net/tcp_path.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

void tcp_path_read(int fd, struct tcp_path *path_out)
{
	struct tcp_info info;
	socklen_t length = sizeof(info);
	*path_out = (struct tcp_path){.is_tcp = false};
	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) {
		return;
	}
	length = sizeof(path_out->congestion) - 1;
	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, path_out->congestion, &length) != 0) {
		return;
	}
	path_out->is_tcp = true;
	path_out->busy_us = (int64_t)info.tcpi_busy_time;
	path_out->window_limited_us = (int64_t)info.tcpi_rwnd_limited;
	path_out->space_limited_us = (int64_t)info.tcpi_sndbuf_limited;
	path_out->segments_resent = info.tcpi_total_retrans;
	path_out->round_trip_us = info.tcpi_rtt;
}
