/*
 * tcp_pair: socketpair() of two TCP sockets, over the loopback device.
 */
#ifndef TESTS_TCP_PAIR_H
#define TESTS_TCP_PAIR_H

#include "support/cmocka_all.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* The caller closes both. */
static inline void tcp_pair(int fds[2])
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *any = (struct sockaddr *)&address;
	socklen_t length = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, any, length), 0);
	assert_int_equal(listen(listening, 1), 0);
	assert_int_equal(getsockname(listening, any, &length), 0);
	fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[1], any, length), 0);
	fds[0] = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fds[0] >= 0);
	close(listening);
}

#endif
