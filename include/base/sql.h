/*
 * sql: one statement of the state database, with text parameters and text rows.
 *
 * The tables here are small and their values few, so everything goes in and out as text and
 * SQLite's column affinity keeps integers integers. For database jobs, on the database's thread.
 */
#ifndef BASE_SQL_H
#define BASE_SQL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct sqlite3;

#define SQL_COLUMNS_MAX 16

/* A row: NULL stands for SQL's NULL; valid during the call. false ends the statement; err is set.
 */
typedef bool sql_row(void *context, const char *const *columns, struct error *err);

/* parameters: values for ?1, ?2, ...; row may be NULL when no rows are expected. */
bool sql_run(struct sqlite3 *connection, const char *statement, const char *const *parameters,
	size_t parameter_count, sql_row *row, void *context, struct error *err) MUST_CHECK;

#endif
