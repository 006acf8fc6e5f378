/*
 * backup_command: the words are added by what the scanner sees, and taken off by their bytes.
 */
#include "protocol/backup_command.h"

#include "protocol/repl_scanner.h"

#include <string.h>
#include <strings.h>

static const char in_list[] = ", link '" BACKUP_ABILITY_METHOD "')";
static const char after_words[] = " LINK '" BACKUP_ABILITY_METHOD "'";

/* COMPRESSION 'none' is as good as nothing. */
static bool is_compression(const struct repl_token *token)
{
	return (token->kind == REPL_TOKEN_WORD || token->kind == REPL_TOKEN_QUOTED) &&
	       token->length == 11 && strncasecmp(token->text, "compression", 11) == 0;
}

static bool is_none(const struct repl_token *token)
{
	return token->length == 4 && strncasecmp(token->text, "none", 4) == 0;
}

/* Where its last token begins (a closing parenthesis) or ends, and which it is. */
static bool find_end(const char *command, size_t *end_out, bool *is_list_out)
{
	struct repl_scanner scanner;
	const char *message;
	size_t end = 0;
	bool is_first = true, is_list = false, was_compression = false;
	repl_scanner_init(&scanner, command);
	for (;;) {
		if (!repl_scanner_next(&scanner, &message)) {
			return false;
		}
		const struct repl_token *token = &scanner.token;
		if (was_compression && !is_none(token)) {
			return false;
		}
		if (token->kind == REPL_TOKEN_END || repl_token_is_char(token, ';')) {
			break;
		}
		if (is_first && !repl_token_is(token, "BASE_BACKUP")) {
			return false;
		}
		is_first = false;
		was_compression = is_compression(token);
		is_list = repl_token_is_char(token, ')');
		end = (size_t)(scanner.at - command) - (is_list ? 1 : 0);
	}
	*end_out = end;
	*is_list_out = is_list;
	return !is_first;
}

bool backup_command_ask(const char *command, char *text_out)
{
	size_t end;
	bool is_list;
	if (!find_end(command, &end, &is_list)) {
		return false;
	}
	memcpy(text_out, command, end);
	strcpy(text_out + end, is_list ? in_list : after_words);
	return true;
}

bool backup_command_take(char *command)
{
	size_t length = strlen(command);
	size_t list_length = sizeof(in_list) - 1, words_length = sizeof(after_words) - 1;
	if (length > list_length && strcmp(command + length - list_length, in_list) == 0) {
		strcpy(command + length - list_length, ")");
		return true;
	}
	if (length > words_length && strcmp(command + length - words_length, after_words) == 0) {
		command[length - words_length] = '\0';
		return true;
	}
	return false;
}

/* In any case and quoted too: the server compares names when they are folded. */
static bool is_target(const struct repl_token *token)
{
	return (token->kind == REPL_TOKEN_WORD || token->kind == REPL_TOKEN_QUOTED) &&
	       token->length == 6 && strncasecmp(token->text, "target", 6) == 0;
}

static bool is_client(const struct repl_token *token)
{
	return token->kind == REPL_TOKEN_STRING && token->length == 6 &&
	       memcmp(token->text, "client", 6) == 0;
}

bool backup_command_is_for_client(const char *command)
{
	struct repl_scanner scanner;
	const char *message;
	bool was_target = false;
	repl_scanner_init(&scanner, command);
	for (;;) {
		if (!repl_scanner_next(&scanner, &message)) {
			return false;
		}
		const struct repl_token *token = &scanner.token;
		if (was_target && !is_client(token)) {
			return false;
		}
		if (token->kind == REPL_TOKEN_END) {
			return true;
		}
		was_target = is_target(token);
	}
}
