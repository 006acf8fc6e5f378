/*
 * listener: accepts on its loop and hands the descriptors on.
 *
 * Out of descriptors or memory it rests for 100 ms: the sockets would stay readable and the loop
 * would spin. The queue in the kernel holds the clients meanwhile.
 */
#include "net/listener.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "net/listen_socket.h"

#define ACCEPTS_A_TURN  64
#define REST_US         100000
#define LOG_INTERVAL_US 60000000

struct listener {
	struct loop *loop;
	listener_accept *accept;
	void *context;
	struct listen_sockets sockets;
	struct event **events; /* one a socket */
	struct deadlines deadlines;
	bool is_paused;
	int64_t logged_at_us; /* 0: never */
};

enum deadline { DEADLINE_REST_OVER, DEADLINE_COUNT };

static void watch(struct listener *listener, bool wanted)
{
	for (size_t i = 0; i < listener->sockets.count; i++) {
		int failed = wanted ? event_add(listener->events[i], NULL)
				    : event_del(listener->events[i]);
		assert(failed == 0);
	}
}

static void on_deadline(void *context, int reason)
{
	(void)reason;
	struct listener *listener = context;
	if (!listener->is_paused) {
		watch(listener, true);
	}
}

static void rest(struct listener *listener, int failure)
{
	int64_t now_us = loop_now_us(listener->loop);
	if (listener->logged_at_us == 0 || now_us - listener->logged_at_us >= LOG_INTERVAL_US) {
		listener->logged_at_us = now_us;
		log_warning("listener", "could not accept a connection: %s", strerror(failure));
	}
	watch(listener, false);
	deadlines_set(&listener->deadlines, DEADLINE_REST_OVER, now_us + REST_US);
}

/* What concerns one connection that did not come to be, as accept(2) lists it. */
static bool is_passing(int failure)
{
	switch (failure) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH: return true;
	default: return false;
	}
}

static void on_readable(evutil_socket_t fd, short events, void *context)
{
	(void)events;
	struct listener *listener = context;
	for (int i = 0; i < ACCEPTS_A_TURN && !listener->is_paused; i++) {
		struct sockaddr_storage peer = {0};
		socklen_t size = sizeof(peer);
		int accepted =
			accept4(fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (accepted >= 0) {
			listener->accept(
				listener->context, accepted, (const struct sockaddr *)&peer, size);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (!is_passing(errno)) {
			rest(listener, errno);
			return;
		}
	}
}

static bool watch_sockets(struct listener *listener, struct error *err)
{
	struct event_base *base = loop_event_base(listener->loop);
	listener->events = calloc(listener->sockets.count, sizeof(struct event *));
	if (listener->events == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	for (size_t i = 0; i < listener->sockets.count; i++) {
		listener->events[i] = event_new(base, listener->sockets.sockets[i].fd,
			EV_READ | EV_PERSIST, on_readable, listener);
		if (listener->events[i] == NULL) {
			return error_set(err, ERROR_SYSTEM, "out of memory");
		}
	}
	if (!deadlines_init(&listener->deadlines, listener->loop, DEADLINE_COUNT, on_deadline,
		    listener, err)) {
		return false;
	}
	watch(listener, true);
	return true;
}

struct listener *listener_open(struct loop *loop, const char *addresses, int *inherited,
	size_t inherited_count, listener_accept *accept, void *context, struct error *err)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	if (listener == NULL) {
		error_set(err, ERROR_SYSTEM, "out of memory");
		return NULL;
	}
	listener->loop = loop;
	listener->accept = accept;
	listener->context = context;
	if (!listen_sockets_open(addresses, inherited, inherited_count, &listener->sockets, err) ||
		!watch_sockets(listener, err)) {
		listener_close(&listener);
		return NULL;
	}
	return listener;
}

static void free_listener(void *context)
{
	free(context);
}

static void unwatch_sockets(struct listener *listener)
{
	for (size_t i = 0; listener->events != NULL && i < listener->sockets.count; i++) {
		if (listener->events[i] != NULL) {
			event_free(listener->events[i]);
		}
	}
	free(listener->events);
	listener->events = NULL;
	deadlines_release(&listener->deadlines);
	/* accept may have called us: its loop still looks at is_paused. */
	listener->is_paused = true;
	loop_defer(listener->loop, free_listener, listener);
}

void listener_close(struct listener **listener)
{
	if (*listener == NULL) {
		return;
	}
	unwatch_sockets(*listener);
	listen_sockets_close(&(*listener)->sockets);
	*listener = NULL;
}

void listener_hand_over(struct listener **listener, int *fds_out)
{
	for (size_t i = 0; i < (*listener)->sockets.count; i++) {
		fds_out[i] = (*listener)->sockets.sockets[i].fd;
	}
	unwatch_sockets(*listener);
	listen_sockets_release(&(*listener)->sockets);
	*listener = NULL;
}

void listener_pause(struct listener *listener)
{
	if (!listener->is_paused) {
		listener->is_paused = true;
		watch(listener, false);
	}
}

void listener_resume(struct listener *listener)
{
	if (listener->is_paused) {
		listener->is_paused = false;
		watch(listener, true);
	}
}

size_t listener_count(const struct listener *listener)
{
	return listener->sockets.count;
}

int listener_fd(const struct listener *listener, size_t index)
{
	assert(index < listener->sockets.count);
	return listener->sockets.sockets[index].fd;
}

const char *listener_address(const struct listener *listener, size_t index)
{
	assert(index < listener->sockets.count);
	return listener->sockets.sockets[index].address;
}
