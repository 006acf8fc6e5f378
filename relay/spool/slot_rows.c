/*
 * slot_rows: durable slots as rows. An LSN is stored as PostgreSQL writes it, so that whoever looks
 * into the file with sqlite3(1) can read it; what does not read back is refused.
 */
#include "spool/slot_rows.h"

#include "base/database.h"
#include "base/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLI_TEXT_SIZE 11

/* ?1 name, ?2 restart_lsn, ?3 restart_tli, ?4 lost */
struct row_texts {
	char lsn[LSN_TEXT_SIZE];
	char tli[TLI_TEXT_SIZE];
	const char *parameters[4];
};

static void format_row(const struct slot_stats *row, struct row_texts *texts)
{
	snprintf(texts->tli, sizeof(texts->tli), "%u", row->restart_tli);
	texts->parameters[0] = row->name;
	texts->parameters[1] = lsn_format(row->restart_lsn, texts->lsn);
	texts->parameters[2] = texts->tli;
	texts->parameters[3] = row->lost ? "1" : "0";
}

struct visitor {
	slot_row_visit *visit;
	void *context;
};

static bool visit_row(void *context, const char *const *columns, struct error *err)
{
	const struct visitor *visitor = context;
	struct slot_stats row = {0};
	if (strlen(columns[0]) >= sizeof(row.name) ||
		!lsn_parse(columns[1], strlen(columns[1]), &row.restart_lsn)) {
		return error_set(err, ERROR_INVALID,
			"state database: slot \"%s\" with restart_lsn \"%s\" is invalid",
			columns[0], columns[1]);
	}
	memcpy(row.name, columns[0], strlen(columns[0]));
	row.restart_tli = (tli_t)strtoul(columns[2], NULL, 10);
	row.lost = strcmp(columns[3], "0") != 0;
	visitor->visit(visitor->context, &row);
	return true;
}

bool slot_rows_load(
	struct sqlite3 *connection, slot_row_visit *visit, void *context, struct error *err)
{
	struct visitor visitor = {visit, context};
	return database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS slots ("
		       "name TEXT NOT NULL PRIMARY KEY, restart_lsn TEXT NOT NULL, "
		       "restart_tli INTEGER NOT NULL, lost INTEGER NOT NULL)",
		       err) &&
	       sql_run(connection,
		       "SELECT name, restart_lsn, restart_tli, lost FROM slots ORDER BY name", NULL,
		       0, visit_row, &visitor, err);
}

bool slot_rows_insert(struct sqlite3 *connection, const struct slot_stats *row, struct error *err)
{
	struct row_texts texts = {0};
	format_row(row, &texts);
	return sql_run(connection,
		"INSERT INTO slots (name, restart_lsn, restart_tli, lost) VALUES (?1, ?2, ?3, ?4)",
		texts.parameters, 4, NULL, NULL, err);
}

bool slot_rows_update(struct sqlite3 *connection, const struct slot_stats *row, struct error *err)
{
	struct row_texts texts = {0};
	format_row(row, &texts);
	return sql_run(connection,
		"UPDATE slots SET restart_lsn = ?2, restart_tli = ?3, lost = ?4 WHERE name = ?1",
		texts.parameters, 4, NULL, NULL, err);
}

bool slot_rows_delete(struct sqlite3 *connection, const char *name, struct error *err)
{
	return sql_run(connection, "DELETE FROM slots WHERE name = ?1", &name, 1, NULL, NULL, err);
}
