/*
 * repl_command: the replication commands a walsender accepts, as src/backend/replication/repl_gram.y
 * and repl_scanner.l define them (PostgreSQL 13 to 18, old and new option syntax).
 *
 * Keywords are upper case only; one optional trailing semicolon; identifiers bare (folded to lower
 * case, cut at 63 bytes) or in double quotes; strings in single quotes. Pure functions.
 */
#ifndef PROTOCOL_REPL_COMMAND_H
#define PROTOCOL_REPL_COMMAND_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>

#define REPL_NAME_SIZE        64
#define REPL_SHOW_NAME_SIZE   128
#define REPL_OPTIONS_MAX      8
#define REPL_OPTION_VALUE_SIZE 256

enum repl_command_kind {
	REPL_IDENTIFY_SYSTEM,
	REPL_SHOW,
	REPL_TIMELINE_HISTORY,
	REPL_CREATE_SLOT,
	REPL_CREATE_LOGICAL_SLOT, /* recognised, to be refused */
	REPL_READ_SLOT,
	REPL_DROP_SLOT,
	REPL_ALTER_SLOT, /* logical slots only: to be refused */
	REPL_START_PHYSICAL,
	REPL_START_LOGICAL, /* recognised, to be refused */
	REPL_BASE_BACKUP,   /* text is passed on as it is */
	REPL_UPLOAD_MANIFEST,
	REPL_SQL, /* the first word is no replication command: plain SQL, or nothing at all */
};

struct repl_option {
	char name[REPL_NAME_SIZE];
	char value[REPL_OPTION_VALUE_SIZE];
	bool has_value;
};

struct repl_command {
	enum repl_command_kind kind;
	char slot[REPL_NAME_SIZE];           /* "" : none */
	char show_name[REPL_SHOW_NAME_SIZE]; /* SHOW name[.name] */
	lsn_t start_lsn;
	tli_t tli; /* TIMELINE; 0: not given */
	bool temporary;
	bool reserve_wal;
	bool wait;
	/* START_REPLICATION ... ( name 'value', ... ): no PostgreSQL client sends it for physical
	 * streams; a relay that follows a relay does. */
	struct repl_option options[REPL_OPTIONS_MAX];
	size_t option_count;
};

enum repl_parse {
	REPL_PARSE_OK,
	REPL_PARSE_SYNTAX_ERROR, /* 42601; message_out: "syntax error" or what PostgreSQL says */
};

/* message_out is a static string. */
enum repl_parse repl_command_parse(
	const char *text, struct repl_command *command_out, const char **message_out);

/* Quotes for a command: "name" with "" doubled, 'text' with '' doubled. false: does not fit. */
bool repl_quote_identifier(const char *name, char *out, size_t out_size);
bool repl_quote_literal(const char *text, char *out, size_t out_size);
/* [a-z0-9_]{1,63}; reason_out: PostgreSQL's words with the name left out ("is too short", ...). */
bool repl_slot_name_is_valid(const char *name, const char **reason_out);

#endif
