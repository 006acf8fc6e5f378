/*
 * console_local: what a conversation knows by itself: transaction blocks, settings, and what SQL
 * there is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "observe/console_psql.h"
#include "observe/console_session_state.h"
#include "observe/console_settings.h"
#include "observe/console_tables.h"
#include "spool/cluster.h"

/* --- errors ------------------------------------------------------------------------------------
 */

static bool refuse_sql(struct error *err)
{
	error_set(err, ERROR_INVALID, "the console of a relay answers no SQL");
	error_hint(err, "SHOW HELP lists its commands.");
	return error_sqlstate(err, "0A000");
}

static bool refuse_setting(const char *name, struct error *err)
{
	error_set(err, ERROR_NOT_FOUND, "unrecognized configuration parameter \"%s\"", name);
	error_hint(err, "SHOW HELP lists the commands of the console.");
	return error_sqlstate(err, "42704");
}

/* --- columns -----------------------------------------------------------------------------------
 */

static const char *find_setting(const struct console_session *session, const char *name,
	char value_out[CONSOLE_SETTING_SIZE])
{
	struct cluster_parameters cluster;
	cluster_read_parameters(session->cluster, &cluster);
	return console_setting_find(name, &cluster, session->peer, value_out);
}

bool console_describe(struct console_session *session, const struct console_command *command,
	struct console_result *columns_out, struct error *err)
{
	const struct pg_typed_column *columns;
	size_t count;
	if (command->kind == CONSOLE_SQL) {
		return refuse_sql(err);
	}
	if (command->kind == CONSOLE_SHOW_SETTING) {
		char value[CONSOLE_SETTING_SIZE];
		const char *name = find_setting(session, command->name, value);
		const struct pg_typed_column column = {name, PG_TYPE_TEXT};
		if (name == NULL) {
			return refuse_setting(command->name, err);
		}
		console_result_init(columns_out, &column, 1);
		return true;
	}
	*columns_out = (struct console_result){0};
	if (console_table_columns(command->kind, &columns, &count)) {
		console_result_init(columns_out, columns, count);
	}
	return true;
}

/* --- commands ----------------------------------------------------------------------------------
 */

static bool show_setting(struct console_session *session, struct console_job *job)
{
	char value[CONSOLE_SETTING_SIZE];
	if (!console_describe(session, &job->command, &job->result, &job->err)) {
		return false;
	}
	(void)find_setting(session, job->command.name, value);
	console_put_text(&job->result, value);
	return true;
}

static bool select_number(struct console_session *session, struct console_job *job)
{
	bool ok = console_describe(session, &job->command, &job->result, &job->err);
	console_put_signed(&job->result, (int32_t)strtol(job->command.value, NULL, 10));
	return ok;
}

static bool select_version(struct console_session *session, struct console_job *job)
{
	char server_version[CONSOLE_SETTING_SIZE];
	char text[2 * CONSOLE_SETTING_SIZE];
	bool ok = console_describe(session, &job->command, &job->result, &job->err);
	(void)find_setting(session, "server_version", server_version);
	snprintf(text, sizeof(text), "PostgreSQL %s, through walrelay " WALRELAY_VERSION,
		server_version);
	console_put_text(&job->result, text);
	return ok;
}

static bool answer_psql(struct console_session *session, struct console_job *job)
{
	(void)session;
	if (!console_psql_answer(job->command.text, job->command.length, &job->result)) {
		return refuse_sql(&job->err);
	}
	snprintf(job->tag, sizeof(job->tag), "SELECT %zu", console_result_row_count(&job->result));
	return true;
}

static bool begin(struct console_session *session, struct console_job *job)
{
	(void)job;
	if (session->transaction == TRANSACTION_OPEN) {
		console_send_notice(session, "25001", "there is already a transaction in progress");
	}
	session->transaction = TRANSACTION_OPEN;
	return true;
}

/* COMMIT of a failed block is a ROLLBACK. */
static bool end(struct console_session *session, struct console_job *job)
{
	if (session->transaction == TRANSACTION_NONE) {
		console_send_notice(session, "25P01", "there is no transaction in progress");
	} else if (session->transaction == TRANSACTION_FAILED) {
		snprintf(job->tag, sizeof(job->tag), "%s", console_command_tag(CONSOLE_ROLLBACK));
	}
	session->transaction = TRANSACTION_NONE;
	return true;
}

static bool discard(struct console_session *session, struct console_job *job)
{
	if (strcasecmp(job->command.name, "ALL") == 0 ||
		strcasecmp(job->command.name, "PLANS") == 0) {
		console_prepared_close_all(&session->prepared);
	}
	return true;
}

static bool deallocate(struct console_session *session, struct console_job *job)
{
	struct console_statement *statement;
	if (job->command.name[0] == '\0') {
		console_prepared_close_all(&session->prepared);
		return true;
	}
	if (!console_prepared_find(&session->prepared, job->command.name, &statement, &job->err)) {
		return false;
	}
	console_prepared_close(&session->prepared, job->command.name);
	return true;
}

static bool do_nothing(struct console_session *session, struct console_job *job)
{
	(void)session;
	(void)job;
	return true;
}

typedef bool local_answer(struct console_session *session, struct console_job *job);

static local_answer *const answers[CONSOLE_KINDS] = {
	[CONSOLE_SHOW_SETTING] = show_setting,
	[CONSOLE_BEGIN] = begin,
	[CONSOLE_COMMIT] = end,
	[CONSOLE_ROLLBACK] = end,
	[CONSOLE_SET] = do_nothing,
	[CONSOLE_RESET] = do_nothing,
	[CONSOLE_DISCARD] = discard,
	[CONSOLE_DEALLOCATE] = deallocate,
	[CONSOLE_UNLISTEN] = do_nothing,
	[CONSOLE_CLOSE] = do_nothing,
	[CONSOLE_SELECT_NUMBER] = select_number,
	[CONSOLE_SELECT_VERSION] = select_version,
	[CONSOLE_SQL] = answer_psql,
};

/* Whether a transaction block lets it be. */
static bool is_allowed(
	const struct console_session *session, enum console_command_kind kind, struct error *err)
{
	if (session->transaction == TRANSACTION_FAILED && kind != CONSOLE_COMMIT &&
		kind != CONSOLE_ROLLBACK) {
		error_set(err, ERROR_INVALID,
			"current transaction is aborted, commands ignored until end of "
			"transaction block");
		return error_sqlstate(err, "25P02");
	}
	if (session->transaction == TRANSACTION_OPEN && console_command_is_change(kind)) {
		error_set(err, ERROR_INVALID, "%s cannot run inside a transaction block",
			console_command_tag(kind));
		error_hint(err, "It takes effect at once and cannot be rolled back; let the "
				"client commit each statement by itself.");
		return error_sqlstate(err, "25001");
	}
	return true;
}

bool console_answer_locally(struct console_session *session, struct console_job *job)
{
	enum console_command_kind kind = job->command.kind;
	if (!is_allowed(session, kind, &job->err)) {
		job->ok = false;
		return true;
	}
	if (answers[kind] == NULL) {
		return false;
	}
	job->ok = answers[kind](session, job);
	return true;
}
