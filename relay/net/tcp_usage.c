/*
 * tcp_usage: TCP_INFO of linux/tcp.h, whose struct grows at its end with newer kernels: what an
 * older one does not fill stays zero.
 */
#include "net/tcp_usage.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

/* include/net/tcp_states.h of the kernel; tcpi_state has these. */
enum {
	STATE_ESTABLISHED = 1,
	STATE_FIN_WAIT1 = 4,
	STATE_FIN_WAIT2,
	STATE_CLOSE_WAIT = 8,
	STATE_LAST_ACK
};

static bool has_ipv6_packets(int fd)
{
	struct sockaddr_in6 peer;
	socklen_t size = sizeof(peer);
	memset(&peer, 0, sizeof(peer));
	return getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
	       peer.sin6_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr);
}

/* FIN and its acknowledgement, in both directions, as far as they have not passed yet. */
static void tell_closing(unsigned state, struct tcp_usage *usage)
{
	bool is_ours_sent =
		state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2 || state == STATE_LAST_ACK;
	bool is_open = state == STATE_ESTABLISHED || state == STATE_CLOSE_WAIT;
	bool is_theirs_to_come =
		state == STATE_ESTABLISHED || state == STATE_FIN_WAIT1 || state == STATE_FIN_WAIT2;
	if (!is_ours_sent && !is_open) {
		return;
	}
	usage->closing_sent = (is_open ? 1 : 0) + (is_theirs_to_come ? 1 : 0);
	usage->closing_received = (state != STATE_FIN_WAIT2 ? 1 : 0) + (is_theirs_to_come ? 1 : 0);
}

void tcp_usage_read(int fd, struct tcp_usage *usage_out)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);
	struct tcp_usage usage = {0};
	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
		usage = (struct tcp_usage){
			.is_tcp = true,
			.is_ipv6 = has_ipv6_packets(fd),
			.has_timestamps = (info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0,
			.is_quiet = info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0,
			.bytes_sent = info.tcpi_bytes_sent,
			.segments_sent = info.tcpi_segs_out,
			.bytes_received = info.tcpi_bytes_received,
			.segments_received = info.tcpi_segs_in,
			.unsent_bytes = info.tcpi_notsent_bytes,
			.segment_bytes = info.tcpi_snd_mss,
		};
		tell_closing(info.tcpi_state, &usage);
	}
	*usage_out = usage;
}
