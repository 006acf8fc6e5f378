/*
 * server_error: copies the fields of an ErrorResponse.
 */
#include "upstream/server_error.h"

#include <stdarg.h>
#include <stdio.h>

bool server_error_set(struct error *err, const PGresult *result, const char *format, ...)
{
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	char context[192];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(context, sizeof(context), format, arguments);
	va_end(arguments);
	error_set(err, ERROR_INVALID, "%s: %s", context,
		message != NULL ? message : PQresStatus(PQresultStatus(result)));
	if (sqlstate != NULL) {
		error_sqlstate(err, sqlstate);
	}
	if (detail != NULL) {
		error_detail(err, "%s", detail);
	}
	if (hint != NULL) {
		error_hint(err, "%s", hint);
	}
	return false;
}
