/*
 * downstream_session_startup: from the first byte to the first ReadyForQuery.
 *
 * Nothing here is trusted yet: one packet of bounded size, one deadline for all of it, and every
 * refusal is told at once, because a walreceiver waits for an answer without a timeout of its own.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/memory.h"
#include "downstream/downstream_session_state.h"
#include "net/proxy_protocol.h"
#include "net/tls_context.h"
#include "net/tls_facts.h"
#include "spool/cluster.h"

#define PROTOCOL_NEWEST      PG_PROTOCOL(3, 0)
#define PROTOCOL_OPTIONS_MAX 16
/* PG_MAX_SASL_MESSAGE_LENGTH of src/include/libpq/auth.h */
#define AUTHENTICATION_MESSAGE_MAX 1024u
#define CONSOLE_DATABASE           "walrelay"

/* --- before the StartupMessage -----------------------------------------------------------------
 */

static void set_peer(struct downstream_session *session, const struct sockaddr *peer)
{
	struct downstream_limits limits;
	live_limits_take(session->host->shared->limits, &limits);
	const struct connection_limits connection_limits = {
		.connections = limits.max_connections,
		.per_address = limits.max_connections_per_address,
	};
	enum admission admission = connection_registry_set_address(
		session->host->shared->registry, session->pid, &connection_limits, peer);
	live_limits_release(&limits);
	if (session->admission == ADMISSION_GRANTED) {
		session->admission = admission;
	}
	connection_set_peer_address(session->connection, peer);
	snprintf(session->peer, sizeof(session->peer), "%s",
		connection_peer_name(session->connection));
	snprintf(session->scope, sizeof(session->scope), "client %s", session->peer);
}

bool session_take_proxy_header(struct downstream_session *session)
{
	struct proxy_protocol_header header;
	const char *reason;
	size_t length = evbuffer_get_length(session->input);
	const uint8_t *bytes = evbuffer_pullup(session->input, -1);
	switch (proxy_protocol_decode(bytes, length, &header, &reason)) {
	case PROXY_PROTOCOL_MORE: return false;
	case PROXY_PROTOCOL_BAD: session_end(session, "%s", reason); return false;
	case PROXY_PROTOCOL_OK: break;
	}
	evbuffer_drain(session->input, header.consumed);
	if (header.has_peer) {
		set_peer(session, (const struct sockaddr *)&header.peer);
	}
	session_enter(session, SESSION_STARTUP);
	return true;
}

/* What came before the answer was written by somebody who did not wait for it: no client, but a man
 * in the middle who wants it taken for what the client says under TLS (CVE-2021-23214). */
static void refuse_early_data(struct downstream_session *session, const char *request)
{
	struct error err = {0};
	error_set(&err, ERROR_INVALID, "received unencrypted data after %s request", request);
	error_detail(&err, "This could be either a client-software bug or evidence of an attempted "
			   "man-in-the-middle attack.");
	error_sqlstate(&err, "08P01");
	session_fatal(session, &err);
}

/* NULL: none is offered to this client. The caller owns the reference. */
static struct tls_context *take_tls(const struct downstream_session *session)
{
	struct downstream_limits limits;
	struct tls_context *tls = NULL;
	if (connection_is_local(session->connection)) {
		return NULL;
	}
	live_limits_take(session->host->shared->limits, &limits);
	if (limits.tls != NULL) {
		tls = tls_context_ref(limits.tls);
	}
	live_limits_release(&limits);
	return tls;
}

static void start_tls(struct downstream_session *session, struct tls_context *tls)
{
	struct error err = {0};
	session->has_asked_tls = true;
	session->has_asked_gssenc = true;
	if (!connection_start_tls(session->connection, tls, &err)) {
		session_end(session, "%s", err.message);
	}
}

static void answer(struct downstream_session *session, const char *byte)
{
	connection_write(session->connection, byte, 1);
	connection_flush(session->connection);
}

static void take_encryption_request(
	struct downstream_session *session, bool *has_asked, const struct startup_packet *packet)
{
	bool is_tls = packet->kind == STARTUP_SSL_REQUEST;
	struct tls_context *tls = is_tls ? take_tls(session) : NULL;
	*has_asked = true;
	session_drain(session, packet->consumed);
	if (evbuffer_get_length(session->input) > 0) {
		refuse_early_data(session, is_tls ? "SSL" : "GSSENC");
	} else if (tls == NULL) {
		answer(session, "N");
	} else {
		answer(session, "S");
		start_tls(session, tls);
	}
	tls_context_unref(&tls);
}

/* As PostgreSQL 17: the first bytes of a connection are a ClientHello, and ALPN names us. */
static void take_hello(struct downstream_session *session)
{
	struct tls_context *tls = take_tls(session);
	if (session->has_asked_tls || session->has_asked_gssenc) {
		session_fatal_text(session, "08P01", "invalid length of startup packet");
	} else if (tls == NULL) {
		session_end(session, "direct TLS, which is not offered");
	} else {
		session->is_tls_direct = true;
		start_tls(session, tls);
	}
	tls_context_unref(&tls);
}

void session_on_secured(struct downstream_session *session)
{
	const struct tls_facts *tls = connection_tls(session->connection);
	session_note_wire(session);
	log_debug(session->scope, "%s, %s", tls->version, tls->cipher);
	if (session->is_tls_direct && !tls->has_protocol) {
		session_end(session, "received direct SSL connection request without ALPN protocol "
				     "negotiation extension");
	}
}

static void refuse_protocol(struct downstream_session *session, uint32_t version)
{
	session_fatal_text(session, "0A000",
		"unsupported frontend protocol %u.%u: server supports 3.0 to %u.%u", version >> 16,
		version & 0xffff, PROTOCOL_NEWEST >> 16, PROTOCOL_NEWEST & 0xffff);
}

/* An older minor version is offered, and the options this relay does not know are named. */
static void negotiate_protocol(
	struct downstream_session *session, const struct startup_packet *packet)
{
	const char *unknown[PROTOCOL_OPTIONS_MAX];
	size_t count = 0;
	size_t at = 0;
	const char *name;
	const char *value;
	while (count < PROTOCOL_OPTIONS_MAX && startup_parameter_next(packet, &at, &name, &value)) {
		if (strncmp(name, "_pq_.", 5) == 0) {
			unknown[count++] = name;
		}
	}
	if (packet->version > PROTOCOL_NEWEST || count > 0) {
		struct wire_writer writer;
		wire_writer_init(&writer);
		pg_write_negotiate_protocol(&writer, PROTOCOL_NEWEST, unknown, count);
		session_send(session, &writer);
	}
}

/* --- who comes in ------------------------------------------------------------------------------
 */

static bool is_console(const struct session_settings *settings)
{
	return settings->replication == REPLICATION_NONE &&
	       strcmp(settings->database, CONSOLE_DATABASE) == 0;
}

static bool refuse(struct error *err, const char *sqlstate, const char *message)
{
	error_set(err, ERROR_DENIED, "%s", message);
	return error_sqlstate(err, sqlstate);
}

static bool may_be_served(const struct downstream_session *session,
	const struct session_settings *settings, struct error *err)
{
	const struct downstream_shared *shared = session->host->shared;
	if (atomic_load(&shared->is_stopping)) {
		return refuse(err, "57P03", "the database system is shutting down");
	}
	if (settings->replication == REPLICATION_LOGICAL) {
		refuse(err, "0A000", "");
		error_set(err, ERROR_DENIED,
			"logical replication is not possible through walrelay \"%s\"",
			shared->relay_name);
		error_hint(err, "Connect to the primary or a standby for logical replication.");
		return error_sqlstate(err, "0A000");
	}
	if (settings->replication == REPLICATION_NONE && !is_console(settings)) {
		error_set(err, ERROR_DENIED,
			"walrelay \"%s\" is a relay for WAL and serves no SQL sessions",
			shared->relay_name);
		error_hint(err,
			"Connect to the primary for SQL, and let pg_rewind, slot "
			"synchronization and monitoring do so; the relay serves "
			"replication connections and its console, database \"%s\".",
			CONSOLE_DATABASE);
		return error_sqlstate(err, "0A000");
	}
	if (session->admission != ADMISSION_GRANTED) {
		refuse(err, "53300", "sorry, too many clients already");
		if (session->admission == ADMISSION_TOO_MANY_FROM_ADDRESS) {
			error_detail(err, "This address has as many connections as "
					  "\"max_connections_per_address\" allows.");
		}
		return false;
	}
	if (!is_console(settings) && (!cluster_is_known(shared->cluster) ||
					     wal_store_received(shared->store).tli == 0)) {
		error_set(err, ERROR_DENIED,
			"walrelay \"%s\" has not received anything from its upstream yet",
			shared->relay_name);
		return error_sqlstate(err, "57P03");
	}
	return true;
}

static void describe(struct downstream_session *session)
{
	const struct session_settings *settings = &session->settings;
	const char *name =
		settings->application_name[0] != '\0' ? settings->application_name : settings->user;
	snprintf(session->scope, sizeof(session->scope), "%s %s %s",
		is_console(settings) ? "console" : "standby", name, session->peer);
}

static void begin_authentication(struct downstream_session *session);

static void take_startup_message(
	struct downstream_session *session, const struct startup_packet *packet)
{
	struct error err = {0};
	if (packet->version >> 16 != PROTOCOL_NEWEST >> 16) {
		refuse_protocol(session, packet->version);
		return;
	}
	negotiate_protocol(session, packet);
	if (!session_settings_read_identity(packet, &session->settings, &err) ||
		!may_be_served(session, &session->settings, &err)) {
		session_fatal(session, &err);
		return;
	}
	if (!session_settings_read_rest(packet, &session->settings, &err)) {
		session->settings_error = memory_new(sizeof(err));
		*session->settings_error = err;
	}
	describe(session);
	session_match(session);
	begin_authentication(session);
}

bool session_take_startup(struct downstream_session *session)
{
	struct startup_packet packet;
	const char *reason;
	size_t length = evbuffer_get_length(session->input);
	const uint8_t *bytes = evbuffer_pullup(session->input, -1);
	switch (startup_packet_decode(bytes, length, &packet, &reason)) {
	case DECODE_MORE: return false;
	case DECODE_BAD: session_fatal_text(session, "08P01", "%s", reason); return false;
	case DECODE_OK: break;
	}
	bool *has_asked = packet.kind == STARTUP_SSL_REQUEST ? &session->has_asked_tls
							     : &session->has_asked_gssenc;
	switch (packet.kind) {
	case STARTUP_SSL_REQUEST:
	case STARTUP_GSSENC_REQUEST:
		if (*has_asked) {
			/* As PostgreSQL, which takes a second request for a StartupMessage. */
			refuse_protocol(session, wire_get_u32(bytes + 4));
		} else {
			take_encryption_request(session, has_asked, &packet);
		}
		return !session_is_ended(session);
	case STARTUP_CANCEL_REQUEST: session_end(session, "cancel request"); break;
	case STARTUP_TLS_HELLO: take_hello(session); return false;
	case STARTUP_MESSAGE: take_startup_message(session, &packet); break;
	}
	session_drain(session, packet.consumed);
	return true;
}

/* --- authentication ----------------------------------------------------------------------------
 */

static void refuse_console(struct downstream_session *session)
{
	struct error err = {0};
	error_set(&err, ERROR_DENIED, "walrelay \"%s\" has no console",
		session->host->shared->relay_name);
	error_hint(&err, "Its state is told by the command \"walrelay status\" and over HTTP.");
	error_sqlstate(&err, "0A000");
	session_fatal(session, &err);
}

static void write_greeting(struct downstream_session *session, struct wire_writer *writer)
{
	struct cluster_parameters cluster;
	uint8_t key[4];
	cluster_read_parameters(session->host->shared->cluster, &cluster);
	if (is_console(&session->settings)) {
		session_settings_for_console(&session->settings, &cluster);
	}
	session_settings_write_parameters(&session->settings, &cluster, writer);
	snprintf(session->told_in_hot_standby, sizeof(session->told_in_hot_standby), "%s",
		cluster.in_hot_standby);
	/* Nothing can be cancelled, so the key only has to be there. */
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key)) {
		memset(key, 0, sizeof(key));
	}
	pg_write_backend_key(writer, session->pid, key, sizeof(key));
	pg_write_ready(writer);
}

static void finish_authentication(struct downstream_session *session)
{
	struct wire_writer writer;
	client_auth_free(&session->auth);
	deadlines_clear(&session->deadlines, SESSION_DEADLINE_AUTHENTICATION);
	session->host->on_logged_in(session->host->context, session->seat);
	if (session->settings_error != NULL) {
		session_fatal(session, session->settings_error);
		return;
	}
	if (is_console(&session->settings) && session->host->shared->console == NULL) {
		refuse_console(session);
		return;
	}
	if (session->settings.wal_sender_timeout_us != SETTING_TIMEOUT_UNSET) {
		session->wal_sender_timeout_us = session->settings.wal_sender_timeout_us;
	}
	wire_writer_init(&writer);
	write_greeting(session, &writer);
	session_send(session, &writer);
	if (is_console(&session->settings)) {
		session_open_console(session);
		return;
	}
	pthread_mutex_lock(&session->host->stats_lock);
	session->is_listed = true;
	pthread_mutex_unlock(&session->host->stats_lock);
	session_enter(session, SESSION_READY);
}

/* Sends what the exchange wrote, then does what it decided. */
static void go_on(struct downstream_session *session, enum client_auth_step step,
	struct wire_writer *writer, const struct error *err)
{
	session_send(session, writer);
	switch (step) {
	case CLIENT_AUTH_CONTINUE: return;
	case CLIENT_AUTH_OK: finish_authentication(session); return;
	case CLIENT_AUTH_REFUSED:
		session->is_refusal_logged = true;
		stranger_log_write(session->host->strangers, LOG_LEVEL_WARNING,
			connection_peer_address(session->connection), session->scope, "%s%s%s",
			err->message, client_auth_log_detail(session->auth)[0] != '\0' ? ": " : "",
			client_auth_log_detail(session->auth));
		session_fatal(session, err);
		return;
	}
}

static void begin_authentication(struct downstream_session *session)
{
	struct downstream_limits limits;
	struct error err = {0};
	struct wire_writer writer;
	const struct session_settings *settings = &session->settings;
	const struct tls_facts *tls = connection_tls(session->connection);
	const struct client_auth_request request = {
		.user = settings->user,
		.database = is_console(settings) ? settings->database : NULL,
		.is_replication = settings->replication == REPLICATION_PHYSICAL,
		.is_local = connection_is_local(session->connection),
		.peer = connection_peer_address(session->connection),
		.is_tls = tls != NULL,
		.certificate = tls != NULL && tls->has_client_certificate ? &tls->names : NULL,
		.channel_binding = tls != NULL ? tls->binding : NULL,
		.channel_binding_length = tls != NULL ? tls->binding_length : 0,
	};
	session_enter(session, SESSION_AUTHENTICATION);
	live_limits_take(session->host->shared->limits, &limits);
	session->auth = client_auth_new(limits.hba, limits.users, session->host->shared->mock_key);
	live_limits_release(&limits);
	wire_writer_init(&writer);
	enum client_auth_step step = client_auth_begin(session->auth, &request, &writer, &err);
	go_on(session, step, &writer, &err);
}

/* As to PostgreSQL, a length that cannot be a password's is a wrong password. */
static bool next_response(struct downstream_session *session, struct pg_message *message_out)
{
	const char *reason;
	size_t length = evbuffer_get_length(session->input);
	const uint8_t *bytes = evbuffer_pullup(session->input, -1);
	switch (pg_message_decode(
		bytes, length, AUTHENTICATION_MESSAGE_MAX, message_out, &reason)) {
	case DECODE_OK: return true;
	case DECODE_MORE: return false;
	case DECODE_BAD: break;
	}
	*message_out = (struct pg_message){
		.type = (char)bytes[0], .body_length = AUTHENTICATION_MESSAGE_MAX + 1};
	return true;
}

bool session_take_authentication(struct downstream_session *session)
{
	struct pg_message message;
	struct error err = {0};
	struct wire_writer writer;
	if (!next_response(session, &message)) {
		return false;
	}
	if (message.type == 'X') {
		session_end(session, "the client gave up the authentication");
		return false;
	}
	if (message.type != 'p') {
		session_fatal_text(session, "08P01", "expected SASL response, got message type %d",
			message.type);
		return false;
	}
	wire_writer_init(&writer);
	enum client_auth_step step = client_auth_message(
		session->auth, message.body, message.body_length, &writer, &err);
	go_on(session, step, &writer, &err);
	session_drain(session, message.consumed);
	return true;
}

void session_on_authentication_deadline(struct downstream_session *session)
{
	if (session->state == SESSION_AUTHENTICATION) {
		session_fatal_text(session, "57014", "canceling authentication due to timeout");
	} else {
		session_end(session, "no startup packet in time");
	}
}
