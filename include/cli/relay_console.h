/*
 * relay_console: a relay's console, for commands that give it orders. Blocks.
 */
#ifndef CLI_RELAY_CONSOLE_H
#define CLI_RELAY_CONSOLE_H

#include "base/error.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* As relay_target_conninfo() finds it, as one who may change something. NULL on failure. */
PGconn *relay_console_open(
	const char *config_file, const char *conninfo, struct error *err) MUST_CHECK;
/* ERROR_DENIED, with its SQLSTATE: the relay says no; ERROR_SYSTEM: it cannot be asked. The caller
 * clears the result; result_out may be NULL. */
bool relay_console_run(PGconn *connection, const char *statement, PGresult **result_out,
	struct error *err) MUST_CHECK;
/* The text of a column by its name; NULL: null, or there is no such column. */
const char *relay_console_value(const PGresult *result, int row, const char *column);

#endif
