/*
 * upstream_failure: the ways in which following an upstream ends, and what follows from each.
 *
 * One table says which state a failure leads to, how soon it is tried again and how loudly it is
 * told. A server's own errors are told apart by SQLSTATE and, where PostgreSQL gives one SQLSTATE
 * to different things (src/backend/replication/walsender.c, slot.c), by text. Pure.
 */
#ifndef UPSTREAM_UPSTREAM_FAILURE_H
#define UPSTREAM_UPSTREAM_FAILURE_H

#include "base/error.h"
#include "base/log.h"
#include "upstream/upstream.h"

#include <stdbool.h>
#include <stddef.h>

enum upstream_failure {
	UPSTREAM_FAILURE_LOST,     /* no connection, or it broke, or the server said no */
	UPSTREAM_FAILURE_SHUTDOWN, /* the server ended the stream in an orderly way */
	UPSTREAM_FAILURE_NO_SLOT,  /* the slot that was there is missing */
	UPSTREAM_FAILURE_BEHIND,   /* the server has not got to where we are */
	UPSTREAM_FAILURE_STALE,    /* the server is on a timeline that ours has left behind */
	UPSTREAM_FAILURE_GAP,      /* the WAL that comes next is gone */
	UPSTREAM_FAILURE_DIVERGED, /* same position, other bytes or another history */
	UPSTREAM_FAILURE_IDENTITY, /* another system identifier or segment size */
	UPSTREAM_FAILURE_UNUSABLE, /* a server or setting we cannot work with */
	UPSTREAM_FAILURE_FULL,     /* our spool has no room */
};

struct upstream_failure_rule {
	const char *name;
	enum upstream_state state; /* WAITING, FULL or STOPPED */
	enum log_level level;
	bool has_gap;
	bool has_diverged;
};

#define UPSTREAM_GAP_HINT                                                                          \
	"What is held is still served. If no other upstream has the WAL, begin a new range: SKIP " \
	"TO LSN at the console, or \"walrelay reset --from LSN\"."

const struct upstream_failure_rule *upstream_failure_rule(enum upstream_failure failure);
/* What follows where `candidates` servers may be followed: one that is refused for what it is is
 * passed over until all have been, and only then does its own rule hold. Counts refusals in a row
 * in *refusals; whoever gets a stream begins anew. */
const struct upstream_failure_rule *upstream_failure_judge(
	enum upstream_failure failure, size_t candidates, unsigned *refusals);

/* What a server's error means. Both texts may be NULL. */
enum upstream_failure upstream_failure_of_server(const char *sqlstate, const char *message);
/* What an error of the spool or the state database means. */
enum upstream_failure upstream_failure_of_error(const struct error *err);

#endif
