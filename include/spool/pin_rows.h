/*
 * pin_rows: the table of pins in the state database: pins (name, lsn as text, created_us,
 * expires_us: Unix time, 0 for never; lost). For database jobs, on the database's thread.
 */
#ifndef SPOOL_PIN_ROWS_H
#define SPOOL_PIN_ROWS_H

#include "base/error.h"
#include "spool/pins.h"

#include <stdbool.h>

struct sqlite3;

typedef void pin_row_visit(void *context, const struct pin_stats *row);

/* Creates the table on first use, then visits every row in order of names. */
bool pin_rows_load(struct sqlite3 *connection, pin_row_visit *visit, void *context,
	struct error *err) MUST_CHECK;
bool pin_rows_insert(
	struct sqlite3 *connection, const struct pin_stats *row, struct error *err) MUST_CHECK;
/* No row of that name: nothing happens. */
bool pin_rows_mark_lost(struct sqlite3 *connection, const char *name, struct error *err) MUST_CHECK;
bool pin_rows_delete(struct sqlite3 *connection, const char *name, struct error *err) MUST_CHECK;

#endif
