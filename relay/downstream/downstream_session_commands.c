/*
 * downstream_session_commands: what a client may say while nothing streams.
 *
 * Only simple queries that are replication commands; what else the protocol has is answered as a
 * walsender answers it. Late messages of a COPY that is over are swallowed.
 */
#include <string.h>

#include "base/log.h"
#include "downstream/downstream_session_state.h"
#include "protocol/backup_command.h"
#include "protocol/repl_command.h"
#include "spool/cluster.h"

void session_fill_context(
	const struct downstream_session *session, struct replication_context *context_out)
{
	const struct downstream_shared *shared = session->host->shared;
	*context_out = (struct replication_context){
		.cluster = shared->cluster,
		.store = shared->store,
		.slots = shared->slots,
		.forward_flushed = shared->forward_flushed,
		.settings = &session->settings,
		.relay_name = shared->relay_name,
		.page_url = shared->page_url,
		.link_offer = shared->encoder != NULL ? &shared->link_offer : NULL,
	};
}

int session_server_version(const struct downstream_session *session)
{
	struct cluster_parameters cluster;
	cluster_read_parameters(session->host->shared->cluster, &cluster);
	return cluster.server_version_num;
}

/* --- endings of a command ----------------------------------------------------------------------
 */

/* A promoted upstream is announced before the next ReadyForQuery, as PostgreSQL reports settings.
 */
static void write_changed_parameters(struct downstream_session *session, struct wire_writer *writer)
{
	struct cluster_parameters cluster;
	cluster_read_parameters(session->host->shared->cluster, &cluster);
	if (cluster.in_hot_standby[0] != '\0' &&
		strcmp(cluster.in_hot_standby, session->told_in_hot_standby) != 0) {
		pg_write_parameter_status(writer, "in_hot_standby", cluster.in_hot_standby);
		memcpy(session->told_in_hot_standby, cluster.in_hot_standby,
			sizeof(session->told_in_hot_standby));
	}
}

void session_finish_command(struct downstream_session *session, struct wire_writer *writer)
{
	write_changed_parameters(session, writer);
	pg_write_ready(writer);
	session_send(session, writer);
	if (session->state != SESSION_READY) {
		session_enter(session, SESSION_READY);
	}
}

static void write_error(
	struct downstream_session *session, struct wire_writer *writer, const struct error *err)
{
	const struct pg_error_fields fields = {
		.severity = "ERROR",
		.sqlstate = err->sqlstate[0] != '\0' ? err->sqlstate : "XX000",
		.message = err->message,
		.detail = err->detail,
		.hint = err->hint,
	};
	log_debug(session->scope, "ERROR: %s", err->message);
	pg_write_error(writer, &fields);
}

void session_fail_command(struct downstream_session *session, const struct error *err)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	write_error(session, &writer, err);
	session_finish_command(session, &writer);
}

static void fail_with(struct downstream_session *session, const char *sqlstate, const char *message)
{
	struct error err = {0};
	error_set(&err, ERROR_INVALID, "%s", message);
	error_sqlstate(&err, sqlstate);
	session_fail_command(session, &err);
}

/* --- commands ----------------------------------------------------------------------------------
 */

static void answer_command(struct downstream_session *session, const struct repl_command *command)
{
	struct replication_context context;
	struct wire_writer writer;
	struct error err = {0};
	session_fill_context(session, &context);
	wire_writer_init(&writer);
	if (!replication_command_answer(&context, command, &writer, &err)) {
		write_error(session, &writer, &err);
	}
	session_finish_command(session, &writer);
}

/* Whoever may replicate from here may not thereby have the upstream write files, which it would
 * with the rights of the relay's own user. */
static void run_backup(
	struct downstream_session *session, const struct repl_command *command, const char *text)
{
	if (backup_command_is_for_client(text)) {
		session_start_backup(session, command, text);
	} else {
		fail_with(session, "0A000",
			"a base backup through a relay has no target but \"client\"");
	}
}

static void run_command(
	struct downstream_session *session, const struct repl_command *command, const char *text)
{
	switch (command->kind) {
	case REPL_START_PHYSICAL: session_start_stream(session, command); return;
	case REPL_CREATE_SLOT: session_create_slot(session, command); return;
	case REPL_DROP_SLOT: session_drop_slot(session, command); return;
	case REPL_BASE_BACKUP: run_backup(session, command, text); return;
	case REPL_UPLOAD_MANIFEST: session_start_backup(session, command, text); return;
	default: answer_command(session, command); return;
	}
}

static void take_query(struct downstream_session *session, const struct pg_message *message)
{
	struct repl_command command;
	const char *reason;
	const char *text = query_decode(message->body, message->body_length);
	if (text == NULL) {
		session_fatal_text(session, "08P01", "invalid string in message");
		return;
	}
	log_debug(session->scope, "received replication command: %s", text);
	if (atomic_load(&session->host->shared->is_stopping)) {
		fail_with(session, "55000",
			"cannot execute new commands while WAL sender is in stopping mode");
		return;
	}
	if (repl_command_parse(text, &command, &reason) != REPL_PARSE_OK) {
		fail_with(session, "42601", reason);
		return;
	}
	run_command(session, &command, text);
}

/* --- messages ----------------------------------------------------------------------------------
 */

static void finish_with_ready(struct downstream_session *session)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	session_finish_command(session, &writer);
}

static void refuse_extended_query(struct downstream_session *session)
{
	struct wire_writer writer;
	struct error err = {0};
	error_set(&err, ERROR_INVALID,
		"extended query protocol not supported in a replication connection");
	error_sqlstate(&err, "08P01");
	wire_writer_init(&writer);
	write_error(session, &writer, &err);
	session_send(session, &writer);
	session_enter(session, SESSION_SKIPPING);
}

bool session_take_command(struct downstream_session *session)
{
	struct pg_message message;
	if (session_is_in_copy_data(session)) {
		return session_take_copy_data(session, false);
	}
	if (!session_next_message(session, SESSION_QUERY_MAX, &message)) {
		return false;
	}
	switch (message.type) {
	case 'Q': take_query(session, &message); break;
	case 'X': session_end(session, "the client said goodbye"); break;
	case 'P':
	case 'B':
	case 'D':
	case 'E':
	case 'C': refuse_extended_query(session); break;
	case 'F':
		fail_with(session, "08P01",
			"fastpath function calls not supported in a replication connection");
		break;
	case 'S': finish_with_ready(session); break;
	case 'H':
	case 'c':
	case 'f': break;
	default:
		session_fatal_text(
			session, "08P01", "invalid frontend message type %d", message.type);
		break;
	}
	session_drain(session, message.consumed);
	return true;
}

bool session_take_until_sync(struct downstream_session *session)
{
	struct pg_message message;
	if (!session_next_message(session, SESSION_QUERY_MAX, &message)) {
		return false;
	}
	if (message.type == 'X') {
		session_end(session, "the client said goodbye");
		return false;
	}
	session_drain(session, message.consumed);
	if (message.type == 'S') {
		finish_with_ready(session);
	}
	return true;
}
