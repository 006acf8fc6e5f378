/*
 * socket_tuning: options of one TCP socket.
 */
#include "net/socket_tuning.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

static bool is_tcp(int fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	       (address.ss_family == AF_INET || address.ss_family == AF_INET6);
}

bool socket_set_congestion(int fd, const char *name, struct error *err)
{
	if (name[0] == '\0' || !is_tcp(fd)) {
		return true;
	}
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) != 0) {
		return error_set_errno(err, "could not use the congestion control \"%s\"", name);
	}
	return true;
}

void socket_set_common(int fd)
{
	int on = 1;
	if (is_tcp(fd)) {
		/* Neither failing stops bytes from flowing. */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
}

void socket_set_unsent_max(int fd, int bytes)
{
	if (is_tcp(fd)) {
		/* Only a matter of how soon what is sent was read: it may fail. */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
	}
}
