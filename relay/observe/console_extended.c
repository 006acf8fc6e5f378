/*
 * console_extended: prepared statements, portals, and an error that holds until Sync.
 */
#include <string.h>

#include "base/utf8.h"
#include "observe/console_session_state.h"
#include "protocol/pg_extended.h"

/* What a message is answered with; released by console_send(). */
static void send_bare(struct console_session *session, void (*write)(struct wire_writer *writer))
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	write(&writer);
	console_send(session, &writer);
}

static void fail(struct console_session *session, const struct error *err, size_t position)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	console_write_error(session, &writer, err, position);
	console_send(session, &writer);
	session->is_skipping = true;
}

static void fail_with(struct console_session *session, const char *sqlstate, const char *message)
{
	struct error err = {0};
	error_set(&err, ERROR_INVALID, "%s", message);
	error_sqlstate(&err, sqlstate);
	fail(session, &err, 0);
}

/* --- Parse -------------------------------------------------------------------------------------
 */

static bool is_parameter(const char *text)
{
	return text[0] == '$' && text[1] >= '0' && text[1] <= '9';
}

/* false: the error was sent. */
static bool check_statement(struct console_session *session, struct console_statement *statement)
{
	struct console_command more;
	struct console_syntax_error syntax;
	struct console_result columns;
	struct error err = {0};
	size_t at = 0;
	enum console_parse result =
		console_command_next(statement->query, &at, &statement->command, &syntax);
	statement->is_empty = result == CONSOLE_PARSE_END;
	if (result == CONSOLE_PARSE_OK) {
		result = console_command_next(statement->query, &at, &more, &syntax);
	}
	if (result == CONSOLE_PARSE_ERROR) {
		error_set(&err, ERROR_INVALID, "%s", syntax.message);
		error_sqlstate(&err, "42601");
		fail(session, &err, syntax.position);
		return false;
	}
	if (result == CONSOLE_PARSE_OK) {
		fail_with(session, "42601",
			"cannot insert multiple commands into a prepared statement");
		return false;
	}
	if (statement->is_empty) {
		return true;
	}
	if (is_parameter(statement->command.name) || is_parameter(statement->command.value)) {
		fail_with(session, "0A000", "statements of the console take no parameters");
		return false;
	}
	if (!console_describe(session, &statement->command, &columns, &err)) {
		fail(session, &err, 0);
		return false;
	}
	console_result_release(&columns);
	return true;
}

static void take_parse(struct console_session *session, const struct pg_message *message)
{
	struct pg_parse parse;
	struct console_statement *statement;
	struct error err = {0};
	if (!pg_parse_decode(message->body, message->body_length, &parse)) {
		fail_with(session, "08P01", "invalid message format");
		return;
	}
	if (!utf8_is_valid(parse.query) || !utf8_is_valid(parse.statement)) {
		fail_with(session, "22021", CONSOLE_BAD_TEXT);
		return;
	}
	if (!console_prepared_add(
		    &session->prepared, parse.statement, parse.query, &statement, &err)) {
		fail(session, &err, 0);
		return;
	}
	if (!check_statement(session, statement)) {
		console_prepared_close(&session->prepared, parse.statement);
		return;
	}
	send_bare(session, pg_write_parse_complete);
}

/* --- Bind, Describe, Close ---------------------------------------------------------------------
 */

static bool check_bind(struct console_session *session, const struct pg_bind *bind,
	const struct console_statement *statement, struct error *err)
{
	struct console_result columns = {0};
	if (bind->parameter_count > 0) {
		error_set(err, ERROR_INVALID,
			"bind message supplies %u parameters, but prepared statement \"%s\" "
			"requires 0",
			bind->parameter_count, bind->statement);
		return error_sqlstate(err, "08P01");
	}
	if (!statement->is_empty &&
		!console_describe(session, &statement->command, &columns, err)) {
		return false;
	}
	size_t column_count = columns.column_count;
	console_result_release(&columns);
	if (bind->format_count > 1 && bind->format_count != column_count) {
		error_set(err, ERROR_INVALID,
			"bind message has %zu result formats but query has %zu columns",
			bind->format_count, column_count);
		return error_sqlstate(err, "08P01");
	}
	return true;
}

static void take_bind(struct console_session *session, const struct pg_message *message)
{
	struct pg_bind bind;
	struct console_statement *statement;
	struct console_portal *portal;
	struct error err = {0};
	if (!pg_bind_decode(message->body, message->body_length, &bind)) {
		fail_with(session, "08P01", "invalid message format");
		return;
	}
	if (!console_prepared_find(&session->prepared, bind.statement, &statement, &err) ||
		!check_bind(session, &bind, statement, &err) ||
		!console_portal_add(&session->prepared, &bind, statement, &portal, &err)) {
		fail(session, &err, 0);
		return;
	}
	send_bare(session, pg_write_bind_complete);
}

static bool find_target(struct console_session *session, const struct pg_target *target,
	struct console_statement **statement_out, struct pg_formats *formats_out, struct error *err)
{
	struct console_portal *portal;
	*formats_out = (struct pg_formats){NULL, 0};
	if (target->kind == 'S') {
		return console_prepared_find(&session->prepared, target->name, statement_out, err);
	}
	if (!console_portal_find(&session->prepared, target->name, &portal, err)) {
		return false;
	}
	*statement_out = portal->statement;
	*formats_out = (struct pg_formats){portal->formats, portal->format_count};
	return true;
}

static void take_describe(struct console_session *session, const struct pg_message *message)
{
	struct pg_target target;
	struct pg_formats formats;
	struct console_statement *statement;
	struct console_result columns = {0};
	struct wire_writer writer;
	struct error err = {0};
	if (!pg_target_decode(message->body, message->body_length, &target)) {
		fail_with(session, "08P01", "invalid message format");
		return;
	}
	if (!find_target(session, &target, &statement, &formats, &err) ||
		(!statement->is_empty &&
			!console_describe(session, &statement->command, &columns, &err))) {
		fail(session, &err, 0);
		return;
	}
	wire_writer_init(&writer);
	if (target.kind == 'S') {
		pg_write_no_parameters(&writer);
	}
	if (columns.column_count == 0) {
		pg_write_no_data(&writer);
	} else {
		pg_write_typed_description(
			&writer, columns.columns, columns.column_count, &formats);
	}
	console_result_release(&columns);
	console_send(session, &writer);
}

static void take_close(struct console_session *session, const struct pg_message *message)
{
	struct pg_target target;
	if (!pg_target_decode(message->body, message->body_length, &target)) {
		fail_with(session, "08P01", "invalid message format");
		return;
	}
	if (target.kind == 'S') {
		console_prepared_close(&session->prepared, target.name);
	} else {
		console_portal_close(&session->prepared, target.name);
	}
	send_bare(session, pg_write_close_complete);
}

/* --- Execute -----------------------------------------------------------------------------------
 */

/* The rows that are wanted of those that are left. */
static void send_rows(struct console_session *session, struct console_portal *portal)
{
	const struct console_result *result = &portal->result;
	const struct pg_formats formats = {portal->formats, portal->format_count};
	size_t count = console_result_row_count(result);
	struct wire_writer writer;
	wire_writer_init(&writer);
	for (uint32_t sent = 0;
		portal->row_next < count && (session->row_max == 0 || sent < session->row_max);
		sent++) {
		pg_write_typed_row(&writer, result->columns,
			console_result_row(result, portal->row_next++), result->column_count,
			&formats);
	}
	if (portal->row_next < count) {
		pg_write_portal_suspended(&writer);
	} else {
		pg_write_command_complete(&writer, portal->tag);
	}
	console_send(session, &writer);
}

void console_finish_portal(struct console_session *session, struct console_job *job)
{
	struct console_portal *portal = session->portal;
	session->portal = NULL;
	if (!job->ok) {
		fail(session, &job->err, 0);
		return;
	}
	portal->has_run = true;
	memcpy(portal->tag, job->tag, sizeof(portal->tag));
	portal->result = job->result;
	job->result = (struct console_result){0};
	send_rows(session, portal);
}

static void take_execute(struct console_session *session, const struct pg_message *message)
{
	struct pg_execute execute;
	struct console_portal *portal;
	struct error err = {0};
	if (!pg_execute_decode(message->body, message->body_length, &execute)) {
		fail_with(session, "08P01", "invalid message format");
		return;
	}
	if (!console_portal_find(&session->prepared, execute.portal, &portal, &err)) {
		fail(session, &err, 0);
		return;
	}
	session->row_max = execute.row_max;
	if (portal->statement->is_empty) {
		send_bare(session, pg_write_empty_query);
	} else if (portal->has_run) {
		send_rows(session, portal);
	} else {
		session->portal = portal;
		console_begin_command(session, &portal->statement->command);
	}
}

void console_take_extended(struct console_session *session, const struct pg_message *message)
{
	switch (message->type) {
	case 'P': take_parse(session, message); return;
	case 'B': take_bind(session, message); return;
	case 'D': take_describe(session, message); return;
	case 'E': take_execute(session, message); return;
	default: take_close(session, message); return;
	}
}

void console_take_sync(struct console_session *session)
{
	struct wire_writer writer;
	session->is_skipping = false;
	if (session->transaction == TRANSACTION_NONE) {
		console_portal_close_all(&session->prepared);
	}
	wire_writer_init(&writer);
	pg_write_ready_in(&writer, session->transaction);
	console_send(session, &writer);
}
