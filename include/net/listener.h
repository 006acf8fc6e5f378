/*
 * listener: the sockets connections come in by.
 *
 * Sockets are bound in this process, taken from systemd (LISTEN_FDS), or handed over by the process
 * this one replaces (the same convention), so that an upgrade refuses nobody: a client that tries
 * in between waits in the kernel's queue.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/error.h"
#include "net/loop.h"

#include <stddef.h>
#include <sys/socket.h>

struct listener;

/* fd is non-blocking and close-on-exec and belongs to the callee. Runs on the listener's loop. */
typedef void listener_accept(
	void *context, int fd, const struct sockaddr *peer, size_t peer_length);

/* addresses: comma-separated host:port, [v6]:port, *:port, or an absolute directory for a Unix
 * socket ".s.PGSQL.PORT" with PORT taken from the first TCP address (5432 without one). Port 0
 * picks a free one. inherited: sockets to use where their bound address equals a wanted one; those
 * used are set to -1. */
struct listener *listener_open(struct loop *loop, const char *addresses, int *inherited,
	size_t inherited_count, listener_accept *accept, void *context,
	struct error *err) MUST_CHECK;
/* Closes the sockets and removes the paths of Unix sockets. Accepts NULL, sets NULL. */
void listener_close(struct listener **listener);
/* Ends the listener and leaves its sockets, with what waits in their queues, to the process that
 * comes next: fds_out takes listener_count() descriptors (net/inherited_sockets.h passes them on).
 */
void listener_hand_over(struct listener **listener, int *fds_out);
/* Stop or go on accepting; the sockets stay bound and their queues fill. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);

size_t listener_count(const struct listener *listener);
int listener_fd(const struct listener *listener, size_t index);
/* Bound address as text, with the port the kernel chose. */
const char *listener_address(const struct listener *listener, size_t index);

#endif
