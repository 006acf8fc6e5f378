/*
 * link_lanes: the further connections of a link, and its WAL in order whatever brings it.
 *
 * Where one TCP connection cannot fill the path, the stream's connection (lane 0) is told to carry
 * only each n-th frame, and others, to the same server process, carry the rest: streams of their
 * own that know nothing of each other. Their messages come out here in the order of the WAL, as if
 * one connection had brought them; keepalives of lane 0 come out at once.
 *
 * A lane that is lost is opened again and goes on where its messages end; when that does not help
 * for some seconds, the whole stream has failed, and begins anew where the spool ends. Lanes that
 * could not be opened at first are done without. Once open they stay as long as the stream.
 *
 * Memory: lane_order.h, for each lane. Lives on the upstream's loop.
 */
#ifndef UPSTREAM_LINK_LANES_H
#define UPSTREAM_LINK_LANES_H

#include "base/error.h"
#include "net/loop.h"
#include "protocol/link_terms.h"
#include "protocol/lsn.h"
#include "upstream/upstream_session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_lanes;

struct link_lanes_options {
	struct loop *loop;
	struct upstream_session *session; /* of the stream */
	const char *conninfo;             /* as the session's; must outlive the lanes */
	const char *application_name;
	struct link_terms terms;
	tli_t tli;
	unsigned count;                   /* 0: as many as the server says that would help */
	int64_t timeout_us;               /* without a message a lane is lost; 0: off */
	lsn_t (*next_lsn)(void *context); /* what comes next */
	struct link_promise (*promise)(void *context);
	/* In order; valid during the call. May end the lanes. */
	void (*on_payload)(void *context, const uint8_t *payload, size_t length);
	void (*on_run)(void *context); /* after a run of payloads */
	/* Last: the stream cannot go on. */
	void (*on_failed)(void *context, const struct error *err);
	void *context;
};

struct link_lanes *link_lanes_new(
	const struct link_lanes_options *options, struct error *err) MUST_CHECK;
/* Closes the lanes; nothing is called any more. Accepts NULL, sets NULL. */
void link_lanes_free(struct link_lanes **lanes);

/* The stream runs as it should: lanes may be opened. */
void link_lanes_settle(struct link_lanes *lanes);
/* One payload of the stream's own connection. */
void link_lanes_take(struct link_lanes *lanes, const uint8_t *payload, size_t length);
/* To the connection over which next_lsn comes: a request. */
bool link_lanes_put_request(
	struct link_lanes *lanes, const void *payload, size_t length, struct error *err) MUST_CHECK;
/* To all but the stream's own. */
void link_lanes_put_promise(struct link_lanes *lanes, const void *payload, size_t length);
/* Over how many connections the WAL comes. */
unsigned link_lanes_count(const struct link_lanes *lanes);

#endif
