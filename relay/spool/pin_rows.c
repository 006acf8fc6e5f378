/*
 * pin_rows: pins as rows, their LSNs as PostgreSQL writes them. What does not read back is refused.
 */
#include "spool/pin_rows.h"

#include "base/database.h"
#include "base/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_TEXT_SIZE 24

struct visitor {
	pin_row_visit *visit;
	void *context;
};

static bool visit_row(void *context, const char *const *columns, struct error *err)
{
	const struct visitor *visitor = context;
	struct pin_stats row = {0};
	if (strlen(columns[0]) >= sizeof(row.name) ||
		!lsn_parse(columns[1], strlen(columns[1]), &row.lsn)) {
		return error_set(err, ERROR_INVALID,
			"state database: pin \"%s\" at \"%s\" is invalid", columns[0], columns[1]);
	}
	memcpy(row.name, columns[0], strlen(columns[0]));
	row.created_us = strtoll(columns[2], NULL, 10);
	row.expires_us = strtoll(columns[3], NULL, 10);
	row.lost = strcmp(columns[4], "0") != 0;
	visitor->visit(visitor->context, &row);
	return true;
}

bool pin_rows_load(
	struct sqlite3 *connection, pin_row_visit *visit, void *context, struct error *err)
{
	struct visitor visitor = {visit, context};
	return database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS pins ("
		       "name TEXT NOT NULL PRIMARY KEY, lsn TEXT NOT NULL, "
		       "created_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, "
		       "lost INTEGER NOT NULL)",
		       err) &&
	       sql_run(connection,
		       "SELECT name, lsn, created_us, expires_us, lost FROM pins ORDER BY name",
		       NULL, 0, visit_row, &visitor, err);
}

bool pin_rows_insert(struct sqlite3 *connection, const struct pin_stats *row, struct error *err)
{
	char lsn[LSN_TEXT_SIZE];
	char created[TIME_TEXT_SIZE];
	char expires[TIME_TEXT_SIZE];
	snprintf(created, sizeof(created), "%" PRId64, row->created_us);
	snprintf(expires, sizeof(expires), "%" PRId64, row->expires_us);
	const char *parameters[] = {row->name, lsn_format(row->lsn, lsn), created, expires};
	return sql_run(connection,
		"INSERT INTO pins (name, lsn, created_us, expires_us, lost) "
		"VALUES (?1, ?2, ?3, ?4, 0)",
		parameters, 4, NULL, NULL, err);
}

bool pin_rows_mark_lost(struct sqlite3 *connection, const char *name, struct error *err)
{
	return sql_run(
		connection, "UPDATE pins SET lost = 1 WHERE name = ?1", &name, 1, NULL, NULL, err);
}

bool pin_rows_delete(struct sqlite3 *connection, const char *name, struct error *err)
{
	return sql_run(connection, "DELETE FROM pins WHERE name = ?1", &name, 1, NULL, NULL, err);
}
