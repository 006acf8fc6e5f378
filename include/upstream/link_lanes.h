/*
 * link_lanes: the further connections of a link, and its WAL in order whatever brings it.
 *
 * Where one TCP connection cannot fill the path, others, to the same server process, share what
 * comes: each message comes over whichever had room, and once. They come out here in the order of
 * the WAL, as if one connection had brought them; the rest of what lane 0, the stream's own
 * connection, brings comes out at once. The server is told over lane 0 what has come.
 *
 * A lane that is lost is told, so that what it did not bring comes over others, and opened again;
 * the stream goes on meanwhile. Lanes stay open as long as the stream.
 *
 * Memory: lane_order.h. Lives on the upstream's loop.
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
/* A request went out: what came so far, and does not follow it, is not waited for. */
void link_lanes_note_request(struct link_lanes *lanes);
/* Over how many connections the WAL comes. */
unsigned link_lanes_count(const struct link_lanes *lanes);

#endif
