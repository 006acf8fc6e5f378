/*
 * console_psql: the queries are known by what only they contain, and read no further than that.
 */
#include "observe/console_psql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "protocol/console_command.h"
#include "protocol/console_scanner.h"

#define TITLE_SIZE 64

/* --- \gdesc: SELECT name AS "Column", pg_catalog.format_type(tp, tpm) AS "Type"
 *     FROM (VALUES ('a','25'::pg_catalog.oid,-1), ...) s(name, tp, tpm) --------------------------
 */

static bool next_of_kind(struct console_scanner *scanner, enum console_token_kind kind)
{
	const char *message;
	do {
		if (!console_scanner_next(scanner, &message) ||
			scanner->token.kind == CONSOLE_TOKEN_END) {
			return false;
		}
	} while (scanner->token.kind != kind);
	return true;
}

static const char *type_name(const char *oid_text)
{
	unsigned long oid = strtoul(oid_text, NULL, 10);
	for (enum pg_type type = 0; type < PG_TYPES; type++) {
		if (pg_type_oid(type) == oid) {
			return pg_type_name(type);
		}
	}
	return "unknown";
}

/* Two titles in double quotes, then a name and an oid as strings for each row. */
static bool describe(const char *text, struct console_result *result_out)
{
	char titles[2][TITLE_SIZE];
	char name[CONSOLE_NAME_SIZE], oid[16];
	struct console_scanner scanner;
	console_scanner_init(&scanner, text);
	for (size_t i = 0; i < 2; i++) {
		if (!next_of_kind(&scanner, CONSOLE_TOKEN_QUOTED) ||
			!console_token_copy(&scanner.token, titles[i], sizeof(titles[i]))) {
			return false;
		}
	}
	const struct pg_typed_column columns[] = {
		{titles[0], PG_TYPE_TEXT}, {titles[1], PG_TYPE_TEXT}};
	console_result_init(result_out, columns, 2);
	while (next_of_kind(&scanner, CONSOLE_TOKEN_STRING) &&
		console_token_copy(&scanner.token, name, sizeof(name)) &&
		next_of_kind(&scanner, CONSOLE_TOKEN_STRING) &&
		console_token_copy(&scanner.token, oid, sizeof(oid))) {
		console_put_text(result_out, name);
		console_put_text(result_out, type_name(oid));
	}
	return true;
}

/* --- SHOW <tab>: the names in pg_settings that begin with the last string, a % at its end or not
 */

static void put_words(struct console_result *result, const char *prefix)
{
	const char *purpose, *form;
	for (size_t i = 0; (form = console_command_form(i, &purpose)) != NULL; i++) {
		char word[CONSOLE_NAME_SIZE];
		size_t length = 0;
		if (strncmp(form, "SHOW ", 5) != 0 || strchr(form + 5, ' ') != NULL) {
			continue;
		}
		for (form += 5; *form != '\0'; form++) {
			word[length++] = (char)tolower((unsigned char)*form);
		}
		word[length] = '\0';
		if (strncasecmp(word, prefix, strlen(prefix)) == 0) {
			console_put_text(result, word);
		}
	}
}

static bool complete(const char *text, struct console_result *result_out)
{
	static const struct pg_typed_column column = {"name", PG_TYPE_TEXT};
	char prefix[CONSOLE_NAME_SIZE] = "";
	struct console_scanner scanner;
	console_scanner_init(&scanner, text);
	while (next_of_kind(&scanner, CONSOLE_TOKEN_STRING)) {
		if (!console_token_copy(&scanner.token, prefix, sizeof(prefix))) {
			prefix[0] = '\0';
		}
	}
	prefix[strcspn(prefix, "%\\")] = '\0';
	console_result_init(result_out, &column, 1);
	put_words(result_out, prefix);
	return true;
}

bool console_psql_answer(const char *text, size_t length, struct console_result *result_out)
{
	char *copy = memory_copy_bytes(text, length);
	bool is_answered = false;
	if (strstr(copy, "pg_catalog.format_type(tp, tpm)") != NULL) {
		is_answered = describe(copy, result_out);
	} else if (strstr(copy, "pg_catalog.pg_settings") != NULL &&
		   strstr(copy, "pg_catalog.lower(name)") != NULL) {
		is_answered = complete(copy, result_out);
	}
	free(copy);
	return is_answered;
}
