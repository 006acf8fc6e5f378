/*
 * connection_side: a connection whose other end the test holds, recording all it is told.
 */
#ifndef TESTS_UNIT_NET_CONNECTION_SIDE_H
#define TESTS_UNIT_NET_CONNECTION_SIDE_H

#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/connection.h"
#include "support/run_until.h"

#define LOW_WATER 1000
#define INPUT_MAX 4000

struct side {
	struct loop *loop;
	struct connection *connection;
	int peer; /* the test's end of the socket */
	struct connection_options options;
	enum { DRAIN_ALL, DRAIN_NOTHING, DRAIN_AND_FREE, FREE, PAUSE, DRAIN_AND_LEAVE } on_input;
	bool free_when_told;
	size_t refill_bytes; /* written anew at each on_writable */
	char input[1 << 17];
	size_t input_bytes;
	int inputs;
	int writables;
	int closes;
	int releases;
	bool is_in_flush;
	bool was_told_in_flush;
	size_t input_bytes_at_close;
	char reason[128];
};

static inline void on_input(void *context, struct evbuffer *input)
{
	struct side *side = context;
	side->inputs++;
	side->was_told_in_flush |= side->is_in_flush;
	if (side->on_input == DRAIN_ALL || side->on_input >= DRAIN_AND_LEAVE ||
		side->on_input == DRAIN_AND_FREE) {
		int got = evbuffer_remove(input, side->input + side->input_bytes,
			sizeof(side->input) - side->input_bytes);
		side->input_bytes += got > 0 ? (size_t)got : 0;
	}
	if (side->on_input == DRAIN_AND_FREE || side->on_input == FREE) {
		connection_free(&side->connection);
	} else if (side->on_input == PAUSE) {
		connection_pause_reading(side->connection);
	} else if (side->on_input == DRAIN_AND_LEAVE) {
		connection_write(side->connection, "bye", 3);
		connection_free_after_flush(&side->connection, 1000000);
	}
}

static inline void flush(struct side *side)
{
	side->is_in_flush = true;
	connection_flush(side->connection);
	side->is_in_flush = false;
}

static inline void write_filled(struct side *side, size_t length)
{
	char *bytes = malloc(length);
	assert_non_null(bytes);
	for (size_t i = 0; i < length; i++) {
		bytes[i] = (char)('a' + i % 26);
	}
	connection_write(side->connection, bytes, length);
	free(bytes);
}

static inline void on_writable(void *context)
{
	struct side *side = context;
	side->writables++;
	side->was_told_in_flush |= side->is_in_flush;
	if (side->free_when_told) {
		connection_free(&side->connection);
	} else if (side->refill_bytes > 0) {
		write_filled(side, side->refill_bytes);
		flush(side);
	}
}

static inline void on_closed(void *context, const char *reason)
{
	struct side *side = context;
	side->closes++;
	side->was_told_in_flush |= side->is_in_flush;
	side->input_bytes_at_close = side->input_bytes;
	snprintf(side->reason, sizeof(side->reason), "%s", reason);
	if (side->free_when_told) {
		connection_free(&side->connection);
	}
}

static const struct connection_callbacks callbacks = {
	.on_input = on_input,
	.on_writable = on_writable,
	.on_closed = on_closed,
};

static inline void open_side(struct side *side, int fd, const struct sockaddr *peer)
{
	struct error err = {0};
	side->options.input_bytes_max = INPUT_MAX;
	side->options.output_low_water = LOW_WATER;
	side->connection =
		connection_new(side->loop, fd, peer, &side->options, &callbacks, side, &err);
	assert_non_null(side->connection);
}

static inline struct side *new_side(void)
{
	struct error err = {0};
	struct side *side = calloc(1, sizeof(*side));
	assert_non_null(side);
	side->loop = loop_new("test", &err);
	assert_non_null(side->loop);
	return side;
}

static inline int setup_pair(void **state)
{
	int fds[2];
	struct side *side = new_side();
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
		return -1;
	}
	side->peer = fds[1];
	open_side(side, fds[0], NULL);
	*state = side;
	return 0;
}

static inline int setup_tcp(void **state)
{
	struct side *side = new_side();
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct sockaddr_in peer;
	socklen_t size = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	side->peer = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listening, (struct sockaddr *)&address, size) != 0 || listen(listening, 1) != 0 ||
		getsockname(listening, (struct sockaddr *)&address, &size) != 0 ||
		connect(side->peer, (struct sockaddr *)&address, size) != 0) {
		return -1;
	}
	int fd = accept(listening, (struct sockaddr *)&peer, &size);
	close(listening);
	open_side(side, fd, (struct sockaddr *)&peer);
	*state = side;
	return 0;
}

static inline int teardown(void **state)
{
	struct side *side = *state;
	connection_free(&side->connection);
	if (side->peer >= 0) {
		close(side->peer);
	}
	loop_free(&side->loop);
	bool was_told_in_flush = side->was_told_in_flush;
	free(side);
	return was_told_in_flush ? -1 : 0;
}

static inline void send_bytes(struct side *side, const char *text)
{
	assert_int_equal(send(side->peer, text, strlen(text), 0), strlen(text));
}

static inline void set_small_buffers(struct side *side)
{
	int small = 4096;
	setsockopt(connection_fd(side->connection), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(side->peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

/* Closes the test's end with a reset. */
static inline void reset_peer(struct side *side)
{
	struct linger hard = {.l_onoff = 1, .l_linger = 0};
	setsockopt(side->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(side->peer);
	side->peer = -1;
}

/* What lies ready at the test's end. */
static inline size_t take_at_peer(struct side *side)
{
	char bytes[65536];
	ssize_t got = recv(side->peer, bytes, sizeof(bytes), MSG_DONTWAIT);
	return got > 0 ? (size_t)got : 0;
}

static inline void release(void *context)
{
	struct side *side = context;
	side->releases++;
}

#define PAIR(test) cmocka_unit_test_setup_teardown(test, setup_pair, teardown)
#define TCP(test)  cmocka_unit_test_setup_teardown(test, setup_tcp, teardown)

#endif
