/*
 * upstream_session: one replication connection to an upstream, over libpq without ever blocking
 * (name resolution apart, which is libpq's).
 *
 * Queries go one at a time; every result is handed over, then NULL when the query is over. A COPY
 * BOTH turns into payloads. It knows nothing of WAL. Lives on one loop; every callback runs there,
 * and each may close the session, which is then not touched again. Embedded in its owner.
 */
#ifndef UPSTREAM_UPSTREAM_SESSION_H
#define UPSTREAM_UPSTREAM_SESSION_H

#include "base/error.h"
#include "net/loop.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event;

enum upstream_session_state {
	UPSTREAM_SESSION_CLOSED,
	UPSTREAM_SESSION_CONNECTING,
	UPSTREAM_SESSION_READY, /* a query may be sent */
	UPSTREAM_SESSION_QUERY, /* results are awaited */
	UPSTREAM_SESSION_COPY,  /* COPY BOTH: payloads come and may be sent */
};

struct upstream_session_options {
	struct loop *loop;
	const char *conninfo;         /* of the user; replication=true is added */
	const char *application_name; /* unless conninfo has one */
	/* In place of those of conninfo, and like those perhaps several between commas; NULL: as
	 * there. Needed while it is opened. */
	const char *host;
	const char *host_address; /* "": none */
	const char *port;
	/* Once, when a query may be sent. */
	void (*on_connected)(void *context);
	/* Once at most, last: the connection failed or ended by itself. The session is closed. */
	void (*on_lost)(void *context, const struct error *err);
	void *context;
};

/* Who is told about one query. */
struct upstream_query {
	void (*on_result)(void *context, const PGresult *result); /* NULL: it is over */
	void (*on_copy)(void *context, const uint8_t *payload, size_t length);
	void (*on_copy_pause)(void *context); /* after a run of payloads: no more is there now */
	void *context;
};

struct upstream_session {
	enum upstream_session_state state;
	struct upstream_session_options options;
	struct upstream_query query;
	PGconn *connection;
	struct event *read_event;
	struct event *write_event;
	struct deadlines deadlines;
	struct error loss; /* why nothing more can be read; what came before is handed over first */
	int64_t host_timeout_us;
	char attempt[320]; /* host, address and port being tried */
};

/* The session must be closed (or zeroed). false: closed, and on_lost will not be called. */
bool upstream_session_open(struct upstream_session *session,
	const struct upstream_session_options *options, struct error *err) MUST_CHECK;
/* Ends the connection at once. Nothing is called afterwards. A closed one stays closed. */
void upstream_session_close(struct upstream_session *session);

/* The session must be READY. */
bool upstream_session_query(struct upstream_session *session, const char *sql,
	const struct upstream_query *query, struct error *err) MUST_CHECK;
/* In COPY: one CopyData message. */
bool upstream_session_put_copy(struct upstream_session *session, const void *payload, size_t length,
	struct error *err) MUST_CHECK;
/* In COPY: CopyDone; payloads still come until the server's own. (The server's CopyDone is answered
 * without being asked.) */
bool upstream_session_end_copy(struct upstream_session *session, struct error *err) MUST_CHECK;
/* Takes nothing more from the socket; what is to be sent still goes. */
void upstream_session_stop_reading(struct upstream_session *session);
void upstream_session_resume_reading(struct upstream_session *session);

/* "" when not known. */
const char *upstream_session_host(const struct upstream_session *session);
const char *upstream_session_host_address(const struct upstream_session *session);
const char *upstream_session_port(const struct upstream_session *session);
const char *upstream_session_parameter(const struct upstream_session *session, const char *name);
int upstream_session_server_version(const struct upstream_session *session); /* 150018 */

#endif
