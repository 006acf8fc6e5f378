/*
 * console_scanner: one token after the other, never past the end of the text.
 */
#include "protocol/console_scanner.h"

#include <string.h>
#include <strings.h>

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_comment(const char *at)
{
	return (at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*');
}

static bool is_word(const char *at)
{
	return *at != '\0' && !is_blank(*at) && strchr(";,=()'\"", *at) == NULL && !is_comment(at);
}

/* Behind the comment; NULL: it does not end. */
static const char *skip_comment(const char *at)
{
	unsigned depth = 1;
	if (at[0] == '-') {
		return at + strcspn(at, "\n");
	}
	for (at += 2; depth > 0; at++) {
		if (*at == '\0') {
			return NULL;
		}
		if (at[0] == '/' && at[1] == '*') {
			depth++;
			at++;
		} else if (at[0] == '*' && at[1] == '/') {
			depth--;
			at++;
		}
	}
	return at;
}

/* Behind the closing quote; NULL: there is none. */
static const char *skip_quotes(const char *at, char quote, bool has_escapes)
{
	for (at++;; at++) {
		if (*at == '\0' || (has_escapes && at[0] == '\\' && at[1] == '\0')) {
			return NULL;
		}
		if (has_escapes && *at == '\\') {
			at++;
		} else if (at[0] == quote && at[1] == quote) {
			at++;
		} else if (*at == quote) {
			return at + 1;
		}
	}
}

/* Length of "$tag$" at at; 0: there is none. */
static size_t dollar_length(const char *at)
{
	static const char tag[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t length = at[0] == '$' ? 1 + strspn(at + 1, tag) : 0;
	bool is_parameter = length > 1 && at[1] >= '0' && at[1] <= '9';
	return length > 0 && at[length] == '$' && !is_parameter ? length + 1 : 0;
}

static const char *skip_dollars(const char *at, size_t length)
{
	for (const char *end = at + length; *end != '\0'; end++) {
		if (strncmp(end, at, length) == 0) {
			return end + length;
		}
	}
	return NULL;
}

static bool take(struct console_scanner *scanner, enum console_token_kind kind, const char *from,
	const char *end, const char *unended, const char **message_out)
{
	scanner->at = end != NULL ? end : from + strlen(from);
	scanner->token = (struct console_token){kind, from, (size_t)(scanner->at - from)};
	if (end == NULL) {
		*message_out = unended;
	}
	return end != NULL;
}

void console_scanner_init(struct console_scanner *scanner, const char *text)
{
	*scanner = (struct console_scanner){.at = text};
}

bool console_scanner_next(struct console_scanner *scanner, const char **message_out)
{
	const char *at = scanner->at;
	while (is_blank(*at) || is_comment(at)) {
		const char *end = is_blank(*at) ? at + 1 : skip_comment(at);
		if (end == NULL) {
			return take(scanner, CONSOLE_TOKEN_END, at, NULL, "unterminated /* comment",
				message_out);
		}
		at = end;
	}
	bool has_escapes = (at[0] == 'e' || at[0] == 'E') && at[1] == '\'';
	if (*at == '\'' || has_escapes) {
		return take(scanner, CONSOLE_TOKEN_STRING, at,
			skip_quotes(at + has_escapes, '\'', has_escapes),
			"unterminated quoted string", message_out);
	}
	if (*at == '"') {
		return take(scanner, CONSOLE_TOKEN_QUOTED, at, skip_quotes(at, '"', false),
			"unterminated quoted identifier", message_out);
	}
	size_t dollars = dollar_length(at);
	if (dollars > 0) {
		return take(scanner, CONSOLE_TOKEN_STRING, at, skip_dollars(at, dollars),
			"unterminated dollar-quoted string", message_out);
	}
	if (!is_word(at)) {
		return take(scanner, *at == '\0' ? CONSOLE_TOKEN_END : CONSOLE_TOKEN_CHAR, at,
			at + (*at != '\0'), NULL, message_out);
	}
	const char *end = at + 1;
	while (is_word(end)) {
		end++;
	}
	return take(scanner, CONSOLE_TOKEN_WORD, at, end, NULL, message_out);
}

bool console_token_is(const struct console_token *token, const char *word, size_t length)
{
	return token->kind == CONSOLE_TOKEN_WORD && token->length == length &&
	       strncasecmp(token->text, word, length) == 0;
}

bool console_token_is_char(const struct console_token *token, char c)
{
	return token->kind == CONSOLE_TOKEN_CHAR && token->text[0] == c;
}

bool console_token_copy(const struct console_token *token, char *out, size_t size)
{
	bool is_quoted = token->text[0] == '"' || token->text[0] == '\'';
	const char *at = token->text + is_quoted;
	const char *end = token->text + token->length - is_quoted;
	size_t length = 0;
	if (token->kind == CONSOLE_TOKEN_STRING && !is_quoted) {
		return false;
	}
	for (; at < end; at++) {
		if (length + 1 >= size) {
			return false;
		}
		out[length++] = *at;
		at += is_quoted && *at == token->text[0];
	}
	out[length] = '\0';
	return length > 0;
}
