/*
 * console_scanner: the words of what is typed at the console, as SQL divides text.
 *
 * Comments ("--" to the end of the line, nested slash-star) are blanks, also within a statement, as
 * psql sends them. A word is anything else up to a blank, a quote or one of ; , = ( ) so that
 * us-west-2, 0/3000000 and 50Mbit/s need no quotes. Tokens point into the scanned text; nothing is
 * allocated. Pure functions.
 */
#ifndef PROTOCOL_CONSOLE_SCANNER_H
#define PROTOCOL_CONSOLE_SCANNER_H

#include <stdbool.h>
#include <stddef.h>

enum console_token_kind {
	CONSOLE_TOKEN_END,    /* of the text */
	CONSOLE_TOKEN_WORD,   /* a keyword where the grammar has one, else a name */
	CONSOLE_TOKEN_QUOTED, /* "a name", never a keyword */
	CONSOLE_TOKEN_STRING, /* 'text', e'text', $$text$$ */
	CONSOLE_TOKEN_CHAR,   /* ; , = ( ) */
};

struct console_token {
	enum console_token_kind kind;
	const char *text; /* with its quotes */
	size_t length;
};

struct console_scanner {
	const char *at; /* after the token */
	struct console_token token;
};

/* Before the first token of text; the first console_scanner_next takes it. */
void console_scanner_init(struct console_scanner *scanner, const char *text);
/* false: what begins here does not end; message_out is a static string in PostgreSQL's words, and
 * the token is all the rest. */
bool console_scanner_next(struct console_scanner *scanner, const char **message_out);

/* Case does not count. */
bool console_token_is(const struct console_token *token, const char *word, size_t length);
bool console_token_is_char(const struct console_token *token, char c);
/* Without the quotes, doubled ones single, cased as it is written. false: it does not fit, or is
 * empty, or is text with a prefix. */
bool console_token_copy(const struct console_token *token, char *out, size_t size);

#endif
