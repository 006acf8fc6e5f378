/*
 * downstream_session: the session's states, its input loop and its end.
 *
 * Input is handled message by message in the state it meets; a state that must wait for something
 * else leaves it where it is, and the connection stops reading when that is enough. A session that
 * has ended is freed from the loop, when no slot operation of its own is still under way.
 */
#include "downstream/downstream_session.h"

#include <assert.h>
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "downstream/downstream_session_state.h"

#define MAY(state) (1u << (state))

static const struct {
	const char *name;
	unsigned successors;
	bool (*take)(struct downstream_session *session); /* NULL: input waits */
} states[SESSION_STATES] = {
	[SESSION_PROXY_HEADER] = {"proxy header", MAY(SESSION_STARTUP), session_take_proxy_header},
	[SESSION_STARTUP] = {"startup", MAY(SESSION_AUTHENTICATION), session_take_startup},
	[SESSION_AUTHENTICATION] = {"authentication", MAY(SESSION_READY) | MAY(SESSION_CONSOLE),
		session_take_authentication},
	[SESSION_READY] = {"ready",
		MAY(SESSION_SKIPPING) | MAY(SESSION_SLOT_OPERATION) | MAY(SESSION_BACKUP) |
			MAY(SESSION_STREAMING),
		session_take_command},
	[SESSION_CONSOLE] = {"console", 0, session_take_console},
	[SESSION_SKIPPING] = {"skipping", MAY(SESSION_READY), session_take_until_sync},
	[SESSION_SLOT_OPERATION] = {"slot operation", MAY(SESSION_READY), NULL},
	[SESSION_BACKUP] = {"backup", MAY(SESSION_READY), session_take_copy_in},
	[SESSION_STREAMING] = {"streaming",
		MAY(SESSION_READY) | MAY(SESSION_STREAM_ENDED) | MAY(SESSION_STOPPING),
		session_take_stream},
	[SESSION_STREAM_ENDED] = {"stream ended", MAY(SESSION_READY), session_take_stream_end},
	[SESSION_STOPPING] = {"stopping", 0, session_take_stream},
	[SESSION_CLOSED] = {"closed", 0, NULL},
};

void session_enter(struct downstream_session *session, enum session_state state)
{
	assert(state == SESSION_CLOSED || (states[session->state].successors & MAY(state)));
	assert(session->state != SESSION_CLOSED);
	log_debug(session->scope, "%s -> %s", states[session->state].name, states[state].name);
	if (state == SESSION_BACKUP || session->state == SESSION_BACKUP) {
		session_count(session);
	}
	session->state = state;
	if (state == SESSION_READY) {
		progress_set(session->progress.state, STANDBY_STARTUP);
		session_resume_input(session);
	}
}

int64_t session_now_us(const struct downstream_session *session)
{
	return loop_now_us(session->host->loop);
}

void session_note_wire(struct downstream_session *session)
{
	struct connection_stats stats;
	connection_read_stats(session->connection, &stats);
	progress_set(session->progress.wire_sent_bytes, stats.wire_sent_bytes);
	progress_set(session->progress.wire_received_bytes, stats.wire_received_bytes);
	rate_share_settle(session->share, stats.wire_sent_bytes + stats.output_bytes,
		session_now_us(session));
}

/* --- input -------------------------------------------------------------------------------------
 */

/* A client that asks on and on without reading the answers waits for its turn. */
static bool may_take_input(const struct downstream_session *session)
{
	return !session_is_ended(session) && session->input != NULL &&
	       evbuffer_get_length(session->input) > 0 && states[session->state].take != NULL &&
	       !session->is_console_busy &&
	       ((session->state != SESSION_READY && session->state != SESSION_CONSOLE) ||
		       connection_output_bytes(session->connection) <= WAL_STREAM_LOW_WATER);
}

static void take_input(void *context)
{
	struct downstream_session *session = context;
	while (may_take_input(session) && states[session->state].take(session)) {
	}
}

void session_resume_input(struct downstream_session *session)
{
	if (may_take_input(session)) {
		loop_defer(session->host->loop, take_input, session);
	}
}

bool session_next_message(
	struct downstream_session *session, size_t body_max, struct pg_message *message_out)
{
	const char *reason;
	size_t length = evbuffer_get_length(session->input);
	const uint8_t *bytes = evbuffer_pullup(session->input, -1);
	if (length == 0) {
		return false;
	}
	switch (pg_message_decode(bytes, length, body_max, message_out, &reason)) {
	case DECODE_OK: return true;
	case DECODE_MORE: return false;
	case DECODE_BAD: session_fatal_text(session, "08P01", "%s", reason); return false;
	}
	return false;
}

void session_drain(struct downstream_session *session, size_t length)
{
	if (!session_is_ended(session)) {
		evbuffer_drain(session->input, length);
	}
}

static void on_input(void *context, struct evbuffer *input)
{
	struct downstream_session *session = context;
	if (session->input == NULL && session->state <= SESSION_STARTUP) {
		/* The time to log in runs from the first byte; until then, from the beginning. */
		struct downstream_limits limits;
		live_limits_take(session->host->shared->limits, &limits);
		deadlines_set(&session->deadlines, SESSION_DEADLINE_AUTHENTICATION,
			session_now_us(session) + limits.authentication_timeout_us);
		live_limits_release(&limits);
	}
	session->input = input;
	take_input(session);
	if (!session_is_ended(session)) {
		session_note_wire(session);
	}
}

static void on_writable(void *context)
{
	struct downstream_session *session = context;
	session_note_wire(session);
	if (session->stream != NULL) {
		wal_stream_on_writable(session->stream);
	}
	session_resume_backup(session);
	session_resume_console(session);
	take_input(session);
}

static void on_secured(void *context)
{
	session_on_secured(context);
}

static void on_closed(void *context, const char *reason)
{
	struct downstream_session *session = context;
	session_end(session, "%s", reason);
}

static void on_deadline(void *context, int reason)
{
	struct downstream_session *session = context;
	switch ((enum session_deadline)reason) {
	case SESSION_DEADLINE_AUTHENTICATION: session_on_authentication_deadline(session); return;
	case SESSION_DEADLINE_STREAM: session_on_stream_deadline(session); return;
	case SESSION_DEADLINE_STOP:
		session_end(session, "the relay stops and did not wait any longer");
		return;
	case SESSION_DEADLINES: break;
	}
	assert(reason < SESSION_DEADLINES);
}

/* --- output ------------------------------------------------------------------------------------
 */

void session_send(struct downstream_session *session, struct wire_writer *writer)
{
	assert(!writer->bad);
	connection_write(session->connection, writer->bytes, writer->length);
	connection_flush(session->connection);
	wire_writer_release(writer);
}

void session_fatal(struct downstream_session *session, const struct error *err)
{
	struct wire_writer writer;
	const struct pg_error_fields fields = {
		.severity = "FATAL",
		.sqlstate = err->sqlstate[0] != '\0' ? err->sqlstate : "XX000",
		.message = err->message,
		.detail = err->detail,
		.hint = err->hint,
	};
	wire_writer_init(&writer);
	pg_write_error(&writer, &fields);
	session_send(session, &writer);
	session_end(session, "FATAL: %s", err->message);
}

void session_fatal_text(
	struct downstream_session *session, const char *sqlstate, const char *format, ...)
{
	char text[256];
	struct error err = {0};
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	error_set(&err, ERROR_INVALID, "%s", text);
	error_sqlstate(&err, sqlstate);
	session_fatal(session, &err);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

void session_release(void *context)
{
	struct downstream_session *session = context;
	assert(session->operation == NULL && !session->is_console_busy);
	session_forget_slots(session);
	connection_registry_remove(session->host->shared->registry, session->pid);
	session->host->on_released(session->host->context, session->seat);
	deadlines_release(&session->deadlines);
	client_auth_free(&session->auth);
	free(session->settings_error);
	free(session);
}

/* A relay that stops does not wait for a client that does not read its last words. */
static void close_connection(struct downstream_session *session)
{
	connection_flush(session->connection);
	if (atomic_load(&session->host->shared->is_stopping) &&
		connection_output_bytes(session->connection) > 0) {
		connection_free(&session->connection);
	} else {
		connection_free_after_flush(&session->connection, SESSION_LINGER_US);
	}
}

/* A stranger who comes and goes in peace, such as a check whether the port is open, is no news. */
static bool is_suspicious(const struct downstream_session *session, const char *reason)
{
	return session->state <= SESSION_AUTHENTICATION && !session->is_refusal_logged &&
	       !atomic_load(&session->host->shared->is_stopping) &&
	       strcmp(reason, "closed by the peer") != 0;
}

static void log_end(const struct downstream_session *session, const char *reason)
{
	bool was_streaming =
		session->state == SESSION_STREAMING || session->state == SESSION_STOPPING;
	if (is_suspicious(session, reason)) {
		stranger_log_write(session->host->strangers, LOG_LEVEL_INFO,
			connection_peer_address(session->connection), session->scope, "%s", reason);
		return;
	}
	log_write(was_streaming ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, session->scope, "%s%s",
		was_streaming ? "stops streaming: " : "ends: ", reason);
}

void session_end(struct downstream_session *session, const char *format, ...)
{
	char reason[256];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	assert(!session_is_ended(session));
	session_note_wire(session);
	log_end(session, reason);
	session_close_stream(session);
	session_close_backup(session);
	session_close_console(session);
	rate_share_free(&session->share);
	for (int i = 0; i < SESSION_DEADLINES; i++) {
		deadlines_clear(&session->deadlines, i);
	}
	session_count(session);
	session_enter(session, SESSION_CLOSED);
	session->input = NULL;
	session->meter = NULL;
	close_connection(session);
	if (session->operation == NULL && !session->is_console_busy) {
		loop_defer(session->host->loop, session_release, session);
	}
}

static void set_limits(struct downstream_session *session)
{
	struct downstream_limits limits;
	live_limits_take(session->host->shared->limits, &limits);
	session->wal_sender_timeout_us = limits.wal_sender_timeout_us;
	deadlines_set(&session->deadlines, SESSION_DEADLINE_AUTHENTICATION,
		session_now_us(session) + limits.authentication_timeout_us);
	live_limits_release(&limits);
}

static bool open_connection(struct downstream_session *session,
	const struct session_arrival *arrival, struct error *err)
{
	static const struct connection_options options = {
		.input_bytes_max = SESSION_INPUT_MAX, .output_low_water = WAL_STREAM_LOW_WATER};
	static const struct connection_callbacks callbacks = {.on_input = on_input,
		.on_writable = on_writable,
		.on_closed = on_closed,
		.on_secured = on_secured};
	const struct sockaddr *peer =
		arrival->has_peer ? (const struct sockaddr *)&arrival->peer : NULL;
	session->connection = connection_new(
		session->host->loop, arrival->fd, peer, &options, &callbacks, session, err);
	if (session->connection == NULL) {
		return false;
	}
	return deadlines_init(&session->deadlines, session->host->loop, SESSION_DEADLINES,
		on_deadline, session, err);
}

struct downstream_session *downstream_session_new(
	struct session_host *host, const struct session_arrival *arrival, void *seat)
{
	struct error err = {0};
	struct downstream_session *session = memory_new(sizeof(*session));
	session->host = host;
	session->seat = seat;
	session->pid = arrival->pid;
	session->admission = arrival->admission;
	session->connected_at_us = wall_clock_unix_us();
	session->state = arrival->expects_proxy_header ? SESSION_PROXY_HEADER : SESSION_STARTUP;
	standby_progress_init(&session->progress);
	if (!open_connection(session, arrival, &err)) {
		log_error(LOG_LEVEL_WARNING, "client", &err);
		connection_free(&session->connection);
		connection_registry_remove(host->shared->registry, session->pid);
		free(session);
		return NULL;
	}
	snprintf(session->peer, sizeof(session->peer), "%s",
		connection_peer_name(session->connection));
	snprintf(session->scope, sizeof(session->scope), "client %s", session->peer);
	if (host->shared->limiter != NULL) {
		session->share = rate_share_new(host->shared->limiter, NULL);
	}
	session_begin_count(session);
	set_limits(session);
	return session;
}

void downstream_session_stop(struct downstream_session *session, int64_t at_us)
{
	switch (session->state) {
	case SESSION_CLOSED: return;
	case SESSION_PROXY_HEADER:
	case SESSION_STARTUP:
	case SESSION_AUTHENTICATION:
	case SESSION_STREAM_ENDED: session_end(session, "the relay stops"); return;
	case SESSION_STREAMING:
		deadlines_set(&session->deadlines, SESSION_DEADLINE_STOP, at_us);
		session_stop_stream(session);
		return;
	default:
		session_fatal_text(
			session, "57P01", "terminating connection due to administrator command");
		return;
	}
}

bool downstream_session_give_way(struct downstream_session *session)
{
	assert(session->state <= SESSION_AUTHENTICATION || session_is_ended(session));
	if (session->state == SESSION_AUTHENTICATION) {
		session_fatal_text(session, "53300", "sorry, too many clients already");
	} else if (!session_is_ended(session)) {
		session_end(session, "gives way to another client, there are too many");
	}
	return session->admission == ADMISSION_GRANTED;
}

bool downstream_session_kill(struct downstream_session *session, uint32_t pid)
{
	if (session_is_ended(session) || !session->is_listed || session->pid != pid) {
		return false;
	}
	session_fatal_text(session, "57P01", "terminating connection due to administrator command");
	return true;
}

/* --- statistics --------------------------------------------------------------------------------
 */

bool downstream_session_read_stats(
	struct downstream_session *session, struct standby_stats *stats_out)
{
	if (!session->is_listed) {
		return false;
	}
	*stats_out = (struct standby_stats){
		.pid = session->pid, .connected_at_us = session->connected_at_us};
	snprintf(stats_out->user, sizeof(stats_out->user), "%s", session->settings.user);
	snprintf(stats_out->application_name, sizeof(stats_out->application_name), "%s",
		session->settings.application_name);
	snprintf(stats_out->peer, sizeof(stats_out->peer), "%s", session->peer);
	snprintf(stats_out->slot, sizeof(stats_out->slot), "%s", session->slot);
	stats_out->destination = session->destination != NULL
					 ? destination_name(session->destination)
					 : DESTINATION_OTHER;
	standby_progress_read(&session->progress, stats_out);
	return true;
}

const struct standby_progress *downstream_session_progress(const struct downstream_session *session)
{
	return &session->progress;
}
