/*
 * live_limits: the limits in force, replaced as a whole by a reload while sessions go on. Any
 * thread.
 */
#ifndef DOWNSTREAM_LIVE_LIMITS_H
#define DOWNSTREAM_LIVE_LIMITS_H

#include "base/error.h"
#include "downstream/downstream.h"

#include <stdbool.h>
#include <sys/socket.h>

struct live_limits;

/* Fails when proxy_from has something that is no address range. */
struct live_limits *live_limits_new(
	const struct downstream_limits *limits, struct error *err) MUST_CHECK;
void live_limits_free(struct live_limits **live);

bool live_limits_set(struct live_limits *live, const struct downstream_limits *limits,
	struct error *err) MUST_CHECK;
/* A copy with references of its own on hba, users and tls, and without proxy_from. */
void live_limits_take(struct live_limits *live, struct downstream_limits *copy_out);
void live_limits_release(struct downstream_limits *copy);
/* The PROXY protocol is on and the peer is one of the load balancers that speak it. */
bool live_limits_expects_proxy_header(struct live_limits *live, const struct sockaddr *peer);

#endif
