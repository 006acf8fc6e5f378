/*
 * connection_registry: who is connected: process ids for BackendKeyData, and the limits on how
 * many.
 *
 * A pid is unique among live connections, never zero, positive as int32 and not given again soon:
 * clients name temporary slots after it. A connection over a limit is still let in, if there is
 * room for a few more, so that it can be told why in the protocol's words. Any thread.
 */
#ifndef DOWNSTREAM_CONNECTION_REGISTRY_H
#define DOWNSTREAM_CONNECTION_REGISTRY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define REGISTRY_CONNECTIONS_MAX 65536u
/* So many connections over the limit are told, any more are just closed. */
#define REGISTRY_REFUSALS_MAX 64u

struct connection_registry;

struct connection_limits {
	unsigned connections;
	unsigned per_address; /* 0: no limit */
};

enum admission {
	ADMISSION_GRANTED,
	ADMISSION_TOO_MANY,
	ADMISSION_TOO_MANY_FROM_ADDRESS,
};

struct connection_registry *connection_registry_new(void);
void connection_registry_free(struct connection_registry **registry);

/* Counts a connection and gives it a pid; 0: not even room to refuse it politely. address NULL or
 * neither IPv4 nor IPv6: not counted by address. */
uint32_t connection_registry_add(struct connection_registry *registry,
	const struct connection_limits *limits, const struct sockaddr *address,
	enum admission *admission_out) MUST_CHECK;
/* A PROXY header told the real address. */
enum admission connection_registry_set_address(struct connection_registry *registry, uint32_t pid,
	const struct connection_limits *limits, const struct sockaddr *address);
void connection_registry_remove(struct connection_registry *registry, uint32_t pid);
size_t connection_registry_count(struct connection_registry *registry);

#endif
