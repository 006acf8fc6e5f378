/*
 * console_session: simple queries, and what goes to the console's loop and comes back.
 */
#include "observe/console_session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "observe/console_session_state.h"

/* --- output ------------------------------------------------------------------------------------
 */

void console_send(struct console_session *session, struct wire_writer *writer)
{
	session->client->send(session->client->context, writer);
}

void console_write_error(struct console_session *session, struct wire_writer *writer,
	const struct error *err, size_t position)
{
	const struct pg_error_fields fields = {
		.severity = "ERROR",
		.sqlstate = err->sqlstate[0] != '\0' ? err->sqlstate : "XX000",
		.message = err->message,
		.detail = err->detail,
		.hint = err->hint,
		.position = (unsigned)position,
	};
	pg_write_error(writer, &fields);
	if (session->transaction == TRANSACTION_OPEN) {
		session->transaction = TRANSACTION_FAILED;
	}
}

void console_send_notice(struct console_session *session, const char *sqlstate, const char *message)
{
	const struct pg_error_fields fields = {
		.severity = "WARNING", .sqlstate = sqlstate, .message = message};
	struct wire_writer writer;
	wire_writer_init(&writer);
	pg_write_notice(&writer, &fields);
	console_send(session, &writer);
}

static void send_ready(struct console_session *session)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	pg_write_ready_in(&writer, session->transaction);
	console_send(session, &writer);
}

static void write_rows(struct wire_writer *writer, const struct console_result *result)
{
	if (result->column_count == 0) {
		return;
	}
	pg_write_typed_description(writer, result->columns, result->column_count, NULL);
	for (size_t i = 0; i < console_result_row_count(result); i++) {
		pg_write_typed_row(writer, result->columns, console_result_row(result, i),
			result->column_count, NULL);
	}
}

/* --- commands ----------------------------------------------------------------------------------
 */

static void end_script(struct console_session *session)
{
	free(session->script);
	session->script = NULL;
	if (session->transaction == TRANSACTION_NONE) {
		console_portal_close_all(&session->prepared);
	}
	send_ready(session);
}

/* An error ends the whole query, whatever else stands in it. */
static void finish_statement(struct console_session *session, const struct console_job *job)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	if (job->ok) {
		write_rows(&writer, &job->result);
		pg_write_command_complete(&writer, job->tag);
	} else {
		console_write_error(session, &writer, &job->err, 0);
	}
	console_send(session, &writer);
	if (!job->ok) {
		end_script(session);
	}
}

static void finish_command(struct console_session *session, struct console_job *job)
{
	if (session->portal != NULL) {
		console_finish_portal(session, job);
	} else {
		finish_statement(session, job);
	}
	console_result_release(&job->result);
	free(job);
}

static void run_script(struct console_session *session);

static void tell_if_idle(struct console_session *session)
{
	if (!console_session_is_busy(session)) {
		session->client->on_idle(session->client->context);
	}
}

static void release(struct console_session *session)
{
	console_prepared_release(&session->prepared);
	free(session->script);
	free(session);
}

static void on_job_done(void *context)
{
	struct console_session *session = context;
	struct console_job *job = session->job;
	session->job = NULL;
	if (session->is_closed) {
		const struct console_client *client = session->client;
		console_result_release(&job->result);
		free(job);
		release(session);
		client->on_idle(client->context);
		return;
	}
	finish_command(session, job);
	run_script(session);
	tell_if_idle(session);
}

void console_begin_command(struct console_session *session, const struct console_command *command)
{
	struct console_job *job = memory_new(sizeof(*job));
	assert(session->job == NULL);
	job->console = session->console;
	snprintf(job->tag, sizeof(job->tag), "%s", console_command_tag(command->kind));
	job->command = *command;
	job->peer = session->peer;
	job->loop = session->loop;
	job->done = on_job_done;
	job->context = session;
	if (console_answer_locally(session, job)) {
		finish_command(session, job);
	} else {
		session->job = job;
		console_job_start(job);
	}
}

/* --- simple queries ----------------------------------------------------------------------------
 */

/* Goes on with what is left; whoever asks on and on without reading waits. */
static void run_script(struct console_session *session)
{
	session->waits_for_room = false;
	while (session->script != NULL && session->job == NULL) {
		struct console_command command;
		struct console_syntax_error syntax;
		if (!session->client->has_room(session->client->context)) {
			session->waits_for_room = true;
			return;
		}
		if (console_command_next(session->script, &session->script_at, &command, &syntax) !=
			CONSOLE_PARSE_OK) {
			end_script(session);
			return;
		}
		console_begin_command(session, &command);
	}
}

/* All of it is read before any of it is carried out. */
static bool is_readable(const char *text, size_t *count_out, struct console_syntax_error *syntax)
{
	struct console_command command;
	enum console_parse result;
	size_t at = 0;
	*count_out = 0;
	while ((result = console_command_next(text, &at, &command, syntax)) == CONSOLE_PARSE_OK) {
		(*count_out)++;
	}
	return result == CONSOLE_PARSE_END;
}

static void refuse_query(
	struct console_session *session, const char *sqlstate, const char *message, size_t position)
{
	struct wire_writer writer;
	struct error err = {0};
	error_set(&err, ERROR_INVALID, "%s", message);
	error_sqlstate(&err, sqlstate);
	wire_writer_init(&writer);
	console_write_error(session, &writer, &err, position);
	pg_write_ready_in(&writer, session->transaction);
	console_send(session, &writer);
}

static void take_query(struct console_session *session, const struct pg_message *message)
{
	const char *text = query_decode(message->body, message->body_length);
	struct console_syntax_error syntax;
	size_t count;
	if (text == NULL) {
		refuse_query(session, "08P01", "invalid string in message", 0);
		return;
	}
	if (!utf8_is_valid(text)) {
		refuse_query(session, "22021", CONSOLE_BAD_TEXT, 0);
		return;
	}
	if (!is_readable(text, &count, &syntax)) {
		refuse_query(session, "42601", syntax.message, syntax.position);
		return;
	}
	if (count == 0) {
		struct wire_writer writer;
		wire_writer_init(&writer);
		pg_write_empty_query(&writer);
		pg_write_ready_in(&writer, session->transaction);
		console_send(session, &writer);
		return;
	}
	/* As in PostgreSQL the unnamed statement and portal go with a simple query. */
	console_prepared_close(&session->prepared, "");
	console_portal_close(&session->prepared, "");
	session->portal = NULL;
	session->script = memory_copy_text(text);
	session->script_at = 0;
	run_script(session);
}

/* --- for the service ---------------------------------------------------------------------------
 */

struct console_session *console_session_new(struct console *console, struct cluster *cluster,
	struct loop *loop, const struct console_peer *peer, const struct console_client *client)
{
	struct console_session *session = memory_new(sizeof(*session));
	session->console = console;
	session->cluster = cluster;
	session->loop = loop;
	session->peer = peer;
	session->client = client;
	session->transaction = TRANSACTION_NONE;
	console_prepared_init(&session->prepared);
	return session;
}

bool console_session_message(struct console_session *session, const struct pg_message *message)
{
	assert(!console_session_is_busy(session));
	if (session->is_skipping && message->type != 'S') {
		return true;
	}
	switch (message->type) {
	case 'Q': take_query(session, message); return true;
	case 'P':
	case 'B':
	case 'D':
	case 'E':
	case 'C': console_take_extended(session, message); return true;
	case 'S': console_take_sync(session); return true;
	case 'F':
		refuse_query(session, "0A000", "fastpath function calls are not supported", 0);
		return true;
	case 'H':
	case 'd':
	case 'c':
	case 'f': return true;
	default: return false;
	}
}

bool console_session_is_busy(const struct console_session *session)
{
	return session->job != NULL || session->waits_for_room;
}

void console_session_resume(struct console_session *session)
{
	if (session->waits_for_room) {
		run_script(session);
		tell_if_idle(session);
	}
}

bool console_session_close(struct console_session **session)
{
	struct console_session *gone = *session;
	*session = NULL;
	gone->is_closed = true;
	if (gone->job != NULL) {
		return true;
	}
	release(gone);
	return false;
}
