/*
 * upstream_session: drives libpq from the loop's events.
 *
 * While connecting, the socket belongs to PQconnectPoll() and may be another after each call, so
 * one event is made for every wait. Afterwards one event reads as long as there is something; what
 * one call of PQconsumeInput() brings is bounded by libpq's buffer (twice the largest message), all
 * of it is handed over, and the loop gets its turn before more is read.
 */
#include "upstream/upstream_session.h"

#include "base/log.h"

#include <assert.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_TIMEOUT_DEFAULT_US INT64_C(10000000)
#define HOST_TIMEOUT_MIN_US     INT64_C(2000000)

enum deadline_reason { DEADLINE_HOST, DEADLINE_COUNT };

static const struct {
	const char *name;
	unsigned successors;
} states[] = {
	[UPSTREAM_SESSION_CLOSED] = {"closed", 1u << UPSTREAM_SESSION_CONNECTING},
	[UPSTREAM_SESSION_CONNECTING] = {"connecting",
		1u << UPSTREAM_SESSION_READY | 1u << UPSTREAM_SESSION_CLOSED},
	[UPSTREAM_SESSION_READY] = {"ready",
		1u << UPSTREAM_SESSION_QUERY | 1u << UPSTREAM_SESSION_CLOSED},
	[UPSTREAM_SESSION_QUERY] = {"query", 1u << UPSTREAM_SESSION_READY |
						     1u << UPSTREAM_SESSION_COPY |
						     1u << UPSTREAM_SESSION_CLOSED},
	[UPSTREAM_SESSION_COPY] = {"copy",
		1u << UPSTREAM_SESSION_QUERY | 1u << UPSTREAM_SESSION_CLOSED},
};

static void enter(struct upstream_session *session, enum upstream_session_state state)
{
	assert(states[session->state].successors & 1u << state);
	log_debug("upstream", "connection: %s -> %s", states[session->state].name,
		states[state].name);
	session->state = state;
}

/* libpq's messages have several lines, one a host tried; a log line has one. */
static void set_connection_error(struct error *err, const char *text)
{
	char line[sizeof(err->message)];
	size_t used = 0;

	for (const char *c = text; *c != '\0' && used < sizeof(line) - 1; c++) {
		bool is_blank = *c == '\n' || *c == '\t' || *c == ' ';

		if (is_blank && (used == 0 || line[used - 1] == ' ')) {
			continue;
		}
		line[used++] = is_blank ? ' ' : *c;
	}
	while (used > 0 && line[used - 1] == ' ') {
		used--;
	}
	line[used] = '\0';
	error_set(err, ERROR_SYSTEM, "%s", used > 0 ? line : "connection lost");
}

static void free_event(struct event **event)
{
	if (*event != NULL) {
		event_free(*event);
		*event = NULL;
	}
}

static void forget_socket(struct upstream_session *session)
{
	free_event(&session->read_event);
	free_event(&session->write_event);
}

/* A connection that breaks is closed by libpq itself, and the number may soon be another's. */
static void wait_on(const struct upstream_session *session, struct event *event)
{
	if (event != NULL && event_get_fd(event) == PQsocket(session->connection)) {
		event_add(event, NULL);
	}
}

void upstream_session_close(struct upstream_session *session)
{
	if (session->state == UPSTREAM_SESSION_CLOSED) {
		return;
	}
	forget_socket(session);
	deadlines_release(&session->deadlines);
	PQfinish(session->connection);
	session->connection = NULL;
	enter(session, UPSTREAM_SESSION_CLOSED);
}

static void lose(struct upstream_session *session, const struct error *err)
{
	upstream_session_close(session);
	session->options.on_lost(session->options.context, err);
}

static void lose_with_libpq_text(struct upstream_session *session)
{
	struct error err;

	set_connection_error(&err, PQerrorMessage(session->connection));
	lose(session, &err);
}

static void on_notice(void *context, const char *text)
{
	struct error line;

	(void)context;
	set_connection_error(&line, text);
	log_info("upstream", "%s", line.message);
}

/* --- results and payloads -------------------------------------------------------------------- */

static bool flush(struct upstream_session *session, struct error *err)
{
	int left = PQflush(session->connection);

	if (left < 0) {
		set_connection_error(err, PQerrorMessage(session->connection));
		return false;
	}
	if (left > 0) {
		wait_on(session, session->write_event);
	}
	return true;
}

static void on_writable(evutil_socket_t socket, short what, void *context)
{
	struct upstream_session *session = context;
	struct error err;

	(void)socket;
	(void)what;
	if (!flush(session, &err)) {
		lose(session, &err);
	}
}

static bool end_copy(struct upstream_session *session, struct error *err)
{
	if (PQputCopyEnd(session->connection, NULL) < 0) {
		set_connection_error(err, PQerrorMessage(session->connection));
		return false;
	}
	return flush(session, err);
}

/* false: nothing more is there now, or the session is no longer what it was. */
static bool take_payloads(struct upstream_session *session)
{
	PGconn *connection = session->connection;

	for (;;) {
		char *payload;
		int length = PQgetCopyData(connection, &payload, 1);

		if (length > 0) {
			session->query.on_copy(
				session->query.context, (const uint8_t *)payload, (size_t)length);
			PQfreemem(payload);
			if (session->connection != connection) {
				return false;
			}
		} else if (length == 0) {
			session->query.on_copy_pause(session->query.context);
			return false;
		} else if (length == -1) {
			enter(session, UPSTREAM_SESSION_QUERY);
			return true;
		} else {
			lose_with_libpq_text(session);
			return false;
		}
	}
}

/* libpq turns the end of the connection into a result of its own, without a SQLSTATE. */
static bool is_made_of_the_loss(const struct upstream_session *session, const PGresult *result)
{
	return session->loss.kind != ERROR_NONE &&
	       (result == NULL || PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL);
}

static bool take_result(struct upstream_session *session)
{
	PGconn *connection = session->connection;
	struct error err;
	PGresult *result;
	bool is_alive = true;

	if (PQisBusy(connection)) {
		return false;
	}
	result = PQgetResult(connection);
	if (is_made_of_the_loss(session, result)) {
		PQclear(result);
		lose(session, &session->loss);
		return false;
	}
	if (result == NULL) {
		enter(session, UPSTREAM_SESSION_READY);
	} else if (PQresultStatus(result) == PGRES_COPY_BOTH) {
		enter(session, UPSTREAM_SESSION_COPY);
	} else if (PQresultStatus(result) == PGRES_COPY_IN) {
		is_alive = end_copy(session, &err);
	}
	session->query.on_result(session->query.context, result);
	PQclear(result);
	if (session->connection != connection) {
		return false;
	}
	if (!is_alive) {
		lose(session, &err);
	}
	return is_alive;
}

static void take_all(struct upstream_session *session)
{
	bool is_more = true;

	while (is_more) {
		switch (session->state) {
		case UPSTREAM_SESSION_COPY: is_more = take_payloads(session); break;
		case UPSTREAM_SESSION_QUERY: is_more = take_result(session); break;
		default: is_more = false; break;
		}
	}
}

/* libpq reads what fits its buffer; the rest of a TLS record then waits inside the TLS library,
 * where no event of the socket tells of it. */
static bool consume(PGconn *connection)
{
	SSL *ssl = PQsslStruct(connection, "OpenSSL");

	do {
		if (!PQconsumeInput(connection)) {
			return false;
		}
	} while (ssl != NULL && SSL_pending(ssl) > 0);
	/* The same for GSSAPI, which does not tell: a packet is at most two reads. */
	return !PQgssEncInUse(connection) || PQconsumeInput(connection);
}

static void on_readable(evutil_socket_t socket, short what, void *context)
{
	struct upstream_session *session = context;
	PGconn *connection = session->connection;
	bool is_alive = consume(connection);

	(void)socket;
	(void)what;
	if (!is_alive) {
		set_connection_error(&session->loss, PQerrorMessage(connection));
		forget_socket(session);
	}
	/* What came before the end still counts. */
	take_all(session);
	if (!is_alive && session->connection == connection) {
		lose(session, &session->loss);
	}
}

bool upstream_session_query(struct upstream_session *session, const char *sql,
	const struct upstream_query *query, struct error *err)
{
	assert(session->state == UPSTREAM_SESSION_READY);
	session->query = *query;
	if (!PQsendQuery(session->connection, sql)) {
		set_connection_error(err, PQerrorMessage(session->connection));
		return false;
	}
	enter(session, UPSTREAM_SESSION_QUERY);
	return flush(session, err);
}

bool upstream_session_put_copy(
	struct upstream_session *session, const void *payload, size_t length, struct error *err)
{
	assert(session->state == UPSTREAM_SESSION_COPY);
	if (PQputCopyData(session->connection, payload, (int)length) != 1) {
		set_connection_error(err, PQerrorMessage(session->connection));
		return false;
	}
	return flush(session, err);
}

bool upstream_session_end_copy(struct upstream_session *session, struct error *err)
{
	assert(session->state == UPSTREAM_SESSION_COPY);
	return end_copy(session, err);
}

void upstream_session_stop_reading(struct upstream_session *session)
{
	if (session->read_event != NULL) {
		event_del(session->read_event);
	}
}

void upstream_session_resume_reading(struct upstream_session *session)
{
	wait_on(session, session->read_event);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void poll_connection(struct upstream_session *session);

static void on_connecting(evutil_socket_t socket, short what, void *context)
{
	(void)socket;
	(void)what;
	poll_connection(context);
}

static bool make_events(struct upstream_session *session)
{
	struct event_base *base = loop_event_base(session->options.loop);
	int socket = PQsocket(session->connection);

	session->read_event = event_new(base, socket, EV_READ | EV_PERSIST, on_readable, session);
	session->write_event = event_new(base, socket, EV_WRITE, on_writable, session);
	return session->read_event != NULL && session->write_event != NULL &&
	       event_add(session->read_event, NULL) == 0;
}

static void enter_ready(struct upstream_session *session)
{
	PGconn *connection = session->connection;

	deadlines_clear(&session->deadlines, DEADLINE_HOST);
	if (PQsetnonblocking(connection, 1) != 0 || !make_events(session)) {
		lose_with_libpq_text(session);
		return;
	}
	enter(session, UPSTREAM_SESSION_READY);
	session->options.on_connected(session->options.context);
}

/* Each address libpq tries gets the whole of connect_timeout, as with PQconnectdb(). */
static void watch_attempt(struct upstream_session *session)
{
	char attempt[sizeof(session->attempt)];
	const PGconn *connection = session->connection;

	snprintf(attempt, sizeof(attempt), "%s (%s) %s", PQhost(connection), PQhostaddr(connection),
		PQport(connection));
	if (strcmp(attempt, session->attempt) != 0) {
		memcpy(session->attempt, attempt, sizeof(attempt));
		deadlines_set(&session->deadlines, DEADLINE_HOST,
			loop_refresh_now_us(session->options.loop) + session->host_timeout_us);
	}
}

static void wait_for(struct upstream_session *session, short what)
{
	session->read_event = event_new(loop_event_base(session->options.loop),
		PQsocket(session->connection), what, on_connecting, session);
	if (session->read_event == NULL || event_add(session->read_event, NULL) != 0) {
		lose_with_libpq_text(session);
		return;
	}
	watch_attempt(session);
}

static void poll_connection(struct upstream_session *session)
{
	free_event(&session->read_event);
	switch (PQconnectPoll(session->connection)) {
	case PGRES_POLLING_READING: wait_for(session, EV_READ); break;
	case PGRES_POLLING_WRITING: wait_for(session, EV_WRITE); break;
	case PGRES_POLLING_OK: enter_ready(session); break;
	default: lose_with_libpq_text(session); break;
	}
}

static void on_deadline(void *context, int reason)
{
	struct upstream_session *session = context;
	struct error err;

	assert(reason == DEADLINE_HOST);
	if (PQstatus(session->connection) == CONNECTION_STARTED) {
		/* Ends the handshake of TCP with an error, on which libpq goes to the next address.
		 */
		log_info("upstream", "no answer from %s in %lld ms", session->attempt,
			(long long)(session->host_timeout_us / 1000));
		(void)shutdown(PQsocket(session->connection), SHUT_RDWR);
		return;
	}
	error_set(&err, ERROR_SYSTEM, "no answer from %s in %lld ms", session->attempt,
		(long long)(session->host_timeout_us / 1000));
	lose(session, &err);
}

/* connect_timeout, from conninfo, the environment or a service file: libpq heeds it only in its
 * blocking calls. */
static int64_t host_timeout_us(PGconn *connection)
{
	PQconninfoOption *options = PQconninfo(connection);
	int64_t timeout_us = HOST_TIMEOUT_DEFAULT_US;

	for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL;
		option++) {
		if (strcmp(option->keyword, "connect_timeout") == 0 && option->val != NULL &&
			atoi(option->val) > 0) {
			timeout_us = atoi(option->val) * INT64_C(1000000);
		}
	}
	PQconninfoFree(options);
	return timeout_us < HOST_TIMEOUT_MIN_US ? HOST_TIMEOUT_MIN_US : timeout_us;
}

bool upstream_session_open(struct upstream_session *session,
	const struct upstream_session_options *options, struct error *err)
{
	/* The first dbname is expanded as a conninfo; what follows replaces what is found in it. */
	const char *keywords[8] = {"dbname", "replication", "dbname", "fallback_application_name"};
	const char *values[8] = {
		options->conninfo, "true", "replication", options->application_name};

	assert(session->state == UPSTREAM_SESSION_CLOSED);
	memset(session, 0, sizeof(*session));
	session->options = *options;
	if (options->host != NULL) {
		bool has_address = options->host_address[0] != '\0';
		keywords[4] = "host";
		values[4] = options->host;
		keywords[5] = "port";
		values[5] = options->port;
		keywords[6] = has_address ? "hostaddr" : NULL;
		values[6] = has_address ? options->host_address : NULL;
	}
	if (!deadlines_init(&session->deadlines, options->loop, DEADLINE_COUNT, on_deadline,
		    session, err)) {
		return false;
	}
	session->connection = PQconnectStartParams(keywords, values, 1);
	if (session->connection == NULL || PQstatus(session->connection) == CONNECTION_BAD) {
		set_connection_error(err, session->connection == NULL
						  ? "out of memory"
						  : PQerrorMessage(session->connection));
		PQfinish(session->connection);
		session->connection = NULL;
		deadlines_release(&session->deadlines);
		return false;
	}
	PQsetNoticeProcessor(session->connection, on_notice, session);
	session->host_timeout_us = host_timeout_us(session->connection);
	enter(session, UPSTREAM_SESSION_CONNECTING);
	wait_for(session, EV_WRITE);
	return true;
}

/* --- what the connection knows --------------------------------------------------------------- */

static const char *text_or_empty(const char *text)
{
	return text != NULL ? text : "";
}

const char *upstream_session_host(const struct upstream_session *session)
{
	return session->connection == NULL ? "" : text_or_empty(PQhost(session->connection));
}

const char *upstream_session_host_address(const struct upstream_session *session)
{
	return session->connection == NULL ? "" : text_or_empty(PQhostaddr(session->connection));
}

const char *upstream_session_port(const struct upstream_session *session)
{
	return session->connection == NULL ? "" : text_or_empty(PQport(session->connection));
}

const char *upstream_session_parameter(const struct upstream_session *session, const char *name)
{
	return session->connection == NULL
		       ? ""
		       : text_or_empty(PQparameterStatus(session->connection, name));
}

int upstream_session_server_version(const struct upstream_session *session)
{
	return session->connection == NULL ? 0 : PQserverVersion(session->connection);
}
