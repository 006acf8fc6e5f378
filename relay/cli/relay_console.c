/*
 * relay_console: libpq, one statement at a time.
 */
#include "cli/relay_console.h"

#include "cli/relay_target.h"

#include <stdlib.h>
#include <string.h>

/* libpq ends its messages with a line feed. */
static bool libpq_error(PGconn *connection, struct error *err)
{
	const char *message = PQerrorMessage(connection);
	size_t length = strlen(message);
	while (length > 0 && message[length - 1] == '\n') {
		length--;
	}
	return error_set(err, ERROR_SYSTEM, "%.*s", (int)length, message);
}

PGconn *relay_console_open(const char *config_file, const char *conninfo, struct error *err)
{
	/* The last one wins, and dbname, when it holds a conninfo, is taken apart where it stands.
	 */
	static const char *const keys[] = {
		"fallback_application_name", "connect_timeout", "dbname", "dbname", NULL};
	char *target = relay_target_conninfo(config_file, conninfo, true, err);
	if (target == NULL) {
		return NULL;
	}
	const char *const values[] = {"walrelay pin", "10", target, "walrelay", NULL};
	PGconn *connection = PQconnectdbParams(keys, values, 1);
	free(target);
	if (PQstatus(connection) != CONNECTION_OK) {
		(void)libpq_error(connection, err);
		PQfinish(connection);
		return NULL;
	}
	return connection;
}

static bool refusal(const PGresult *result, struct error *err)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	error_set(err, ERROR_DENIED, "%s", message != NULL ? message : "no answer");
	if (hint != NULL) {
		error_hint(err, "%s", hint);
	}
	return error_sqlstate(err, sqlstate != NULL && strlen(sqlstate) == 5 ? sqlstate : "XX000");
}

bool relay_console_run(
	PGconn *connection, const char *statement, PGresult **result_out, struct error *err)
{
	PGresult *result = PQexec(connection, statement);
	ExecStatusType status = PQresultStatus(result);
	bool ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
	if (!ok && PQstatus(connection) == CONNECTION_OK) {
		(void)refusal(result, err);
	} else if (!ok) {
		(void)libpq_error(connection, err);
	}
	if (ok && result_out != NULL) {
		*result_out = result;
	} else {
		PQclear(result);
	}
	return ok;
}

const char *relay_console_value(const PGresult *result, int row, const char *column)
{
	int number = PQfnumber(result, column);
	return number < 0 || PQgetisnull(result, row, number) ? NULL
							      : PQgetvalue(result, row, number);
}
