/*
 * console_tables: what SHOW answers, as pure functions of a snapshot.
 *
 * Columns have PostgreSQL's types; those of SHOW STANDBYS begin as pg_stat_replication's do. Money
 * is in the configured currency.
 */
#ifndef OBSERVE_CONSOLE_TABLES_H
#define OBSERVE_CONSOLE_TABLES_H

#include "observe/console_result.h"
#include "observe/snapshot.h"
#include "protocol/console_command.h"

#include <stdbool.h>

/* The columns of a command's rows, which are known without asking anybody. false: it has none. */
bool console_table_columns(enum console_command_kind kind,
	const struct pg_typed_column **columns_out, size_t *count_out);

/* The rows of SHOW UPSTREAM, STANDBYS, DESTINATIONS, SLOTS, PINS, SPOOL and PROMOTION. The result has
 * that command's columns. */
void console_table_fill(enum console_command_kind kind, const struct snapshot *snapshot,
	struct console_result *result);
/* Of SHOW USAGE; destinations as for usage_format(). */
void console_table_fill_usage(bool by_month, const struct snapshot *snapshot,
	const struct destinations *destinations, struct console_result *result);
/* Of SHOW HELP and SHOW VERSION. */
void console_table_fill_help(struct console_result *result);
void console_table_fill_version(struct console_result *result);

#endif
