/*
 * http_connections: how many clients the status server has at a time. The newest is always served:
 * when there are too many, the half of them that has been here longest goes. On one loop.
 */
#ifndef OBSERVE_HTTP_CONNECTIONS_H
#define OBSERVE_HTTP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_CONNECTIONS_MAX 64u

struct bufferevent;
struct event_base;
struct http_connections;

struct http_connections *http_connections_new(void);
/* After the evhttp that was given them. Accepts NULL, sets NULL. */
void http_connections_free(struct http_connections **connections);

/* For evhttp_set_bevcb(): what a client that is being accepted is served with, of whose input 16 kB
 * wait here and the rest with the kernel; NULL: out of memory. is_full_out: others were cut for it
 * and go when the loop has turned; nobody more should be accepted before. */
struct bufferevent *http_connections_add(
	struct http_connections *connections, struct event_base *base, bool *is_full_out);
/* Closes the sockets of those that evhttp is done with. Now and then: the next client does it, too.
 */
void http_connections_forget_gone(struct http_connections *connections);

#endif
