/*
 * http_connections: bufferevents in the order of their arrival. evhttp does not tell when it is
 * done with one, so each is kept by a reference of ours, and one without callbacks is done with.
 * Each closes its own socket, with our reference at the latest: were it closed before, the
 * bufferevent would go on to wait, and to read, at a number that may be somebody else's by then.
 */
#include "observe/http_connections.h"

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/memory.h"

/* Of input that waits: more than a request may have. While an answer goes out evhttp goes on
 * reading, without end, what it will look at only then. */
#define INPUT_BYTES_MAX 16384u

struct http_connections {
	struct bufferevent *all[HTTP_CONNECTIONS_MAX];
	size_t count;
};

struct http_connections *http_connections_new(void)
{
	return memory_new(sizeof(struct http_connections));
}

void http_connections_free(struct http_connections **connections)
{
	if (*connections != NULL) {
		for (size_t i = 0; i < (*connections)->count; i++) {
			bufferevent_decref((*connections)->all[i]);
		}
		free(*connections);
		*connections = NULL;
	}
}

static bool is_in_use(struct bufferevent *each)
{
	bufferevent_data_cb readable, writable;
	bufferevent_event_cb happened;
	void *context;

	bufferevent_getcb(each, &readable, &writable, &happened, &context);
	return happened != NULL;
}

void http_connections_forget_gone(struct http_connections *connections)
{
	size_t kept = 0;

	for (size_t i = 0; i < connections->count; i++) {
		struct bufferevent *each = connections->all[i];
		if (is_in_use(each)) {
			connections->all[kept++] = each;
		} else {
			bufferevent_decref(each);
		}
	}
	connections->count = kept;
}

/* evhttp finds its end of file and frees what is its own. */
static void cut_older_half(struct http_connections *connections)
{
	size_t cut = connections->count / 2;

	for (size_t i = 0; i < cut; i++) {
		(void)shutdown(bufferevent_getfd(connections->all[i]), SHUT_RDWR);
		bufferevent_decref(connections->all[i]);
	}
	connections->count -= cut;
	memmove(&connections->all[0], &connections->all[cut],
		connections->count * sizeof(struct bufferevent *));
}

struct bufferevent *http_connections_add(
	struct http_connections *connections, struct event_base *base, bool *is_full_out)
{
	struct bufferevent *added = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	*is_full_out = false;
	if (added == NULL) {
		return NULL;
	}
	http_connections_forget_gone(connections);
	if (connections->count == HTTP_CONNECTIONS_MAX) {
		cut_older_half(connections);
		*is_full_out = true;
	}
	bufferevent_setwatermark(added, EV_READ, 0, INPUT_BYTES_MAX);
	bufferevent_incref(added);
	connections->all[connections->count++] = added;
	return added;
}
