/*
 * console_command: the statements of the console, and which SQL it knows enough of to be spoken to
 * by psql and drivers.
 *
 * A text holds any number of statements between semicolons. Keywords are in any case; names bare or
 * in double or single quotes, and taken as they are written. The grammar is a table, which is also
 * what SHOW HELP prints. Pure functions.
 */
#ifndef PROTOCOL_CONSOLE_COMMAND_H
#define PROTOCOL_CONSOLE_COMMAND_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>

#define CONSOLE_NAME_SIZE    128
#define CONSOLE_VALUE_SIZE   64
#define CONSOLE_MESSAGE_SIZE 160

enum console_command_kind {
	CONSOLE_SHOW_UPSTREAM,
	CONSOLE_SHOW_STANDBYS,
	CONSOLE_SHOW_DESTINATIONS,
	CONSOLE_SHOW_USAGE,
	CONSOLE_SHOW_USAGE_BY_MONTH,
	CONSOLE_SHOW_SLOTS,
	CONSOLE_SHOW_PINS,
	CONSOLE_SHOW_SPOOL,
	CONSOLE_SHOW_PROMOTION,
	CONSOLE_SHOW_CONFIG,
	CONSOLE_SHOW_VERSION,
	CONSOLE_SHOW_HELP,
	CONSOLE_SHOW_SETTING, /* name: in lower case */
	CONSOLE_RELOAD,
	CONSOLE_PAUSE,     /* name: a destination */
	CONSOLE_RESUME,    /* likewise */
	CONSOLE_SET_CAP,   /* likewise; value: a rate, or "default" in any case */
	CONSOLE_PIN,       /* name; lsn; value: how long */
	CONSOLE_UNPIN,     /* name */
	CONSOLE_DROP_SLOT, /* name */
	CONSOLE_KILL,      /* name: of a standby, or its pid */
	CONSOLE_SKIP,      /* lsn */
	CONSOLE_BEGIN,
	CONSOLE_COMMIT,
	CONSOLE_ROLLBACK,
	CONSOLE_SET,           /* of SQL: any setting, to no effect */
	CONSOLE_RESET,         /* likewise */
	CONSOLE_DISCARD,       /* forgets prepared statements with ALL or PLANS */
	CONSOLE_DEALLOCATE,    /* name: of a prepared statement; "": all */
	CONSOLE_UNLISTEN,      /* nobody listens */
	CONSOLE_CLOSE,         /* there are no cursors */
	CONSOLE_SELECT_NUMBER, /* value: an int4 as it is written */
	CONSOLE_SELECT_VERSION,
	CONSOLE_SQL, /* what the console does not do */
	CONSOLE_KINDS,
};

struct console_command {
	enum console_command_kind kind;
	const char *text; /* the statement, in the parsed text */
	size_t length;    /* of it, without the semicolon */
	char name[CONSOLE_NAME_SIZE];
	char value[CONSOLE_VALUE_SIZE]; /* "": not given */
	lsn_t lsn;                      /* LSN_INVALID: not given */
};

struct console_syntax_error {
	char message[CONSOLE_MESSAGE_SIZE]; /* in PostgreSQL's words; SQLSTATE 42601 */
	size_t position;                    /* in characters of the text, from 1 on */
};

enum console_parse { CONSOLE_PARSE_OK, CONSOLE_PARSE_END, CONSOLE_PARSE_ERROR };

/* The first statement at or after *at, which begins at 0 and is moved behind it; empty ones are
 * passed over. */
enum console_parse console_command_next(const char *text, size_t *at,
	struct console_command *command_out, struct console_syntax_error *err_out);

/* It changes something beyond its own session. */
bool console_command_is_change(enum console_command_kind kind);
/* What CommandComplete says of it, but for SELECT: "SHOW", "SET CAP", ... */
const char *console_command_tag(enum console_command_kind kind);

/* The index-th form of the commands of a relay as SHOW HELP prints it: "PAUSE destination"; NULL:
 * there are not that many. */
const char *console_command_form(size_t index, const char **purpose_out);

#endif
