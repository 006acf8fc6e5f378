/*
 * slot_rows: the table of durable slots in the state database: slots (name, restart_lsn as text,
 * restart_tli, lost). For database jobs, on the database's thread.
 */
#ifndef SPOOL_SLOT_ROWS_H
#define SPOOL_SLOT_ROWS_H

#include "base/error.h"
#include "spool/slots.h"

#include <stdbool.h>

struct sqlite3;

/* Of the stats, the name, restart_lsn, restart_tli and lost are stored. */
typedef void slot_row_visit(void *context, const struct slot_stats *row);

/* Creates the table on first use, then visits every row in order of names. */
bool slot_rows_load(struct sqlite3 *connection, slot_row_visit *visit, void *context,
	struct error *err) MUST_CHECK;
bool slot_rows_insert(
	struct sqlite3 *connection, const struct slot_stats *row, struct error *err) MUST_CHECK;
/* No row of that name: nothing happens. */
bool slot_rows_update(
	struct sqlite3 *connection, const struct slot_stats *row, struct error *err) MUST_CHECK;
bool slot_rows_delete(struct sqlite3 *connection, const char *name, struct error *err) MUST_CHECK;

#endif
