/*
 * listen_socket: sockets that listen, made from addresses as the configuration writes them.
 *
 * Bound here, or taken over from a list of inherited ones. Nothing is accepted: that is the
 * listener's, or the HTTP server's.
 */
#ifndef NET_LISTEN_SOCKET_H
#define NET_LISTEN_SOCKET_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct listen_socket {
	int fd;            /* non-blocking, close-on-exec */
	char address[128]; /* as bound: "127.0.0.1:6433", "[::1]:6433", "/run/.s.PGSQL.6433" */
	bool is_unix;      /* address is a path that goes with the socket */
};

struct listen_sockets {
	struct listen_socket *sockets; /* TCP first, then Unix, each in the order written */
	size_t count;
};

/* addresses, inherited: as listener_open(). All or nothing. */
bool listen_sockets_open(const char *addresses, int *inherited, size_t inherited_count,
	struct listen_sockets *sockets_out, struct error *err) MUST_CHECK;
/* Closes them and removes the paths of Unix sockets. */
void listen_sockets_close(struct listen_sockets *sockets);
/* Forgets them: descriptors and paths stay for whoever took them. */
void listen_sockets_release(struct listen_sockets *sockets);
/* For a check of the configuration: are these addresses well formed. Resolves and binds nothing. */
bool listen_addresses_are_valid(const char *addresses, struct error *err) MUST_CHECK;

#endif
