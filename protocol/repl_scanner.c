/*
 * repl_scanner: one token at a time, each decided by its first characters; the only look-ahead is
 * for "hex/hex", which may begin like a number or a name.
 */
#include "protocol/repl_scanner.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex_digit(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static bool is_name_part(char c)
{
	return is_name_start(c) || is_digit(c) || c == '$';
}

static size_t run_length(const char *text, bool (*is_member)(char))
{
	size_t length = 0;
	while (is_member(text[length])) {
		length++;
	}
	return length;
}

/* The length of "hex/hex" at text, 0 when something else stands there. */
static size_t lsn_length(const char *text)
{
	size_t high = run_length(text, is_hex_digit);
	if (high == 0 || text[high] != '/') {
		return 0;
	}
	size_t low = run_length(text + high + 1, is_hex_digit);
	return low > 0 ? high + 1 + low : 0;
}

static bool scan_quoted(struct repl_scanner *scanner, const char *start, enum repl_token_kind kind,
	const char **message_out)
{
	char quote = *start;
	const char *end = start + 1;
	for (; *end && (*end != quote || end[1] == quote); end++) {
		if (*end == quote) {
			end++;
		}
	}
	if (!*end) {
		*message_out = "unterminated quoted string";
		return false;
	}
	scanner->token = (struct repl_token){
		.kind = kind, .text = start + 1, .length = (size_t)(end - start - 1)};
	scanner->at = end + 1;
	return true;
}

static bool scan_lsn(
	struct repl_scanner *scanner, const char *start, size_t length, const char **message_out)
{
	lsn_t lsn;
	if (!lsn_parse(start, length, &lsn)) {
		*message_out = "invalid streaming start location";
		return false;
	}
	scanner->token = (struct repl_token){.kind = REPL_TOKEN_LSN, .lsn = lsn};
	scanner->at = start + length;
	return true;
}

/* Saturates: whoever wants a number bounds it. */
static uint64_t number_value(const char *digits, size_t length)
{
	uint64_t value = 0;
	for (size_t i = 0; i < length; i++) {
		value = value * 10 + (uint64_t)(digits[i] - '0');
		if (value > UINT32_MAX) {
			return UINT64_MAX;
		}
	}
	return value;
}

void repl_scanner_init(struct repl_scanner *scanner, const char *text)
{
	*scanner = (struct repl_scanner){.at = text};
}

bool repl_scanner_next(struct repl_scanner *scanner, const char **message_out)
{
	const char *start = scanner->at + run_length(scanner->at, is_blank);
	size_t length = lsn_length(start);
	if (length > 0) {
		return scan_lsn(scanner, start, length, message_out);
	}
	struct repl_token token = {.kind = REPL_TOKEN_CHAR, .text = start, .length = 1};
	if (*start == '\'') {
		return scan_quoted(scanner, start, REPL_TOKEN_STRING, message_out);
	}
	if (*start == '"') {
		return scan_quoted(scanner, start, REPL_TOKEN_QUOTED, message_out);
	}
	if (*start == '\0') {
		token.kind = REPL_TOKEN_END;
		token.length = 0;
	} else if (is_name_start(*start)) {
		token.kind = REPL_TOKEN_WORD;
		token.length = run_length(start, is_name_part);
	} else if (is_digit(*start)) {
		token.kind = REPL_TOKEN_NUMBER;
		token.length = run_length(start, is_digit);
		token.number = number_value(start, token.length);
	}
	scanner->token = token;
	scanner->at = start + token.length;
	return true;
}

bool repl_token_is(const struct repl_token *token, const char *word)
{
	return token->kind == REPL_TOKEN_WORD && token->length == strlen(word) &&
	       memcmp(token->text, word, token->length) == 0;
}

bool repl_token_is_char(const struct repl_token *token, char c)
{
	return token->kind == REPL_TOKEN_CHAR && *token->text == c;
}

bool repl_token_is_keyword(const struct repl_token *token)
{
	static const char *const keywords[] = {"BASE_BACKUP", "IDENTIFY_SYSTEM",
		"READ_REPLICATION_SLOT", "SHOW", "TIMELINE", "START_REPLICATION",
		"CREATE_REPLICATION_SLOT", "DROP_REPLICATION_SLOT", "ALTER_REPLICATION_SLOT",
		"TIMELINE_HISTORY", "PHYSICAL", "RESERVE_WAL", "LOGICAL", "SLOT", "TEMPORARY",
		"TWO_PHASE", "EXPORT_SNAPSHOT", "NOEXPORT_SNAPSHOT", "USE_SNAPSHOT", "WAIT",
		"UPLOAD_MANIFEST"};
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (repl_token_is(token, keywords[i])) {
			return true;
		}
	}
	return false;
}

bool repl_token_copy(const struct repl_token *token, char *out, size_t size)
{
	char quote = token->kind == REPL_TOKEN_STRING ? '\'' : '"';
	size_t length = 0;
	for (size_t i = 0; i < token->length; i++) {
		char c = token->text[i];
		if (token->kind == REPL_TOKEN_WORD && c >= 'A' && c <= 'Z') {
			c = (char)(c - 'A' + 'a');
		} else if (token->kind != REPL_TOKEN_WORD && c == quote) {
			i++;
		}
		if (length + 1 >= size) {
			out[length] = '\0';
			return false;
		}
		out[length++] = c;
	}
	out[length] = '\0';
	return true;
}
