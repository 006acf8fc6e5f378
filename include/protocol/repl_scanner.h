/*
 * repl_scanner: the words of a replication command, as src/backend/replication/repl_scanner.l of
 * PostgreSQL divides them. The longest match wins, so "ABC/DEF" is an LSN and "ABC" a name; there
 * are no comments. Tokens point into the scanned text; nothing is allocated.
 */
#ifndef PROTOCOL_REPL_SCANNER_H
#define PROTOCOL_REPL_SCANNER_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum repl_token_kind {
	REPL_TOKEN_END,
	REPL_TOKEN_WORD,   /* a keyword where the grammar has one, else a name */
	REPL_TOKEN_QUOTED, /* a name, never a keyword */
	REPL_TOKEN_STRING,
	REPL_TOKEN_NUMBER,
	REPL_TOKEN_LSN,
	REPL_TOKEN_CHAR, /* any other single character */
};

struct repl_token {
	enum repl_token_kind kind;
	const char *text; /* without the quotes of a quoted name or a string */
	size_t length;
	uint64_t number; /* more than UINT32_MAX: out of range */
	lsn_t lsn;
};

struct repl_scanner {
	const char *at; /* after the token */
	struct repl_token token;
};

/* Before the first token of text; the first repl_scanner_next takes it. */
void repl_scanner_init(struct repl_scanner *scanner, const char *text);
/* false: what stands here is no token; message_out is a static string in PostgreSQL's words. */
bool repl_scanner_next(struct repl_scanner *scanner, const char **message_out);

/* Case counts: keywords are upper case only. */
bool repl_token_is(const struct repl_token *token, const char *word);
bool repl_token_is_char(const struct repl_token *token, char c);
/* A word that the grammar reserves: no name unless quoted. */
bool repl_token_is_keyword(const struct repl_token *token);
/* Copies up to size - 1 bytes; a bare word is folded to lower case, a doubled quote inside quotes
 * becomes one. false: it was cut. */
bool repl_token_copy(const struct repl_token *token, char *out, size_t size);

#endif
