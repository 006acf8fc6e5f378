/*
 * sql: prepare, bind, step, finalize, in one place. A statement that fails names itself.
 */
#include "base/sql.h"

#include <assert.h>
#include <sqlite3.h>

static bool statement_failed(sqlite3 *connection, const char *statement, struct error *err)
{
	int code = sqlite3_errcode(connection) & 0xff;
	return error_set(err, code == SQLITE_FULL ? ERROR_FULL : ERROR_SYSTEM,
		"state database: %s: %s", statement, sqlite3_errmsg(connection));
}

static bool bind_all(sqlite3_stmt *prepared, const char *const *parameters, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* A NULL pointer binds NULL. */
		if (sqlite3_bind_text(prepared, (int)i + 1, parameters[i], -1, SQLITE_STATIC) !=
			SQLITE_OK) {
			return false;
		}
	}
	return true;
}

static bool hand_row(sqlite3_stmt *prepared, sql_row *row, void *context, struct error *err)
{
	const char *columns[SQL_COLUMNS_MAX] = {NULL};
	int count = sqlite3_column_count(prepared);
	assert(row);
	assert(count <= SQL_COLUMNS_MAX);
	for (int i = 0; i < count; i++) {
		columns[i] = (const char *)sqlite3_column_text(prepared, i);
	}
	return row(context, columns, err);
}

bool sql_run(struct sqlite3 *connection, const char *statement, const char *const *parameters,
	size_t parameter_count, sql_row *row, void *context, struct error *err)
{
	sqlite3_stmt *prepared = NULL;
	bool is_run = false;
	if (sqlite3_prepare_v2(connection, statement, -1, &prepared, NULL) != SQLITE_OK ||
		!bind_all(prepared, parameters, parameter_count)) {
		statement_failed(connection, statement, err);
		goto done;
	}
	int step;
	while ((step = sqlite3_step(prepared)) == SQLITE_ROW) {
		if (!hand_row(prepared, row, context, err)) {
			goto done;
		}
	}
	is_run = step == SQLITE_DONE || statement_failed(connection, statement, err);
done:
	sqlite3_finalize(prepared);
	return is_run;
}
