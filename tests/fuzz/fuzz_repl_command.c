/*
 * The replication grammar; and any text survives being quoted, put into a command and parsed.
 */
#include "fuzz.h"

#include "protocol/repl_command.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_command(const struct repl_command *command)
{
	assert(strnlen(command->slot, sizeof(command->slot)) < sizeof(command->slot));
	assert(strnlen(command->show_name, sizeof(command->show_name)) <
		sizeof(command->show_name));
	assert(command->option_count <= REPL_OPTIONS_MAX);
	for (size_t i = 0; i < command->option_count; i++) {
		const struct repl_option *option = &command->options[i];
		assert(strnlen(option->name, sizeof(option->name)) < sizeof(option->name));
		assert(strnlen(option->value, sizeof(option->value)) < sizeof(option->value));
		assert(option->has_value || !*option->value);
	}
}

static void check_quoting(const char *text)
{
	char quoted[REPL_OPTION_VALUE_SIZE];
	char query[REPL_OPTION_VALUE_SIZE + 64];
	struct repl_command command;
	const char *message;
	if (repl_quote_literal(text, quoted, sizeof(quoted))) {
		snprintf(query, sizeof(query), "START_REPLICATION 0/0 (x %s)", quoted);
		assert(repl_command_parse(query, &command, &message) == REPL_PARSE_OK);
		assert(command.option_count == 1);
		assert(strcmp(command.options[0].value, text) == 0);
	}
	if (strlen(text) < REPL_NAME_SIZE && repl_quote_identifier(text, quoted, sizeof(quoted))) {
		snprintf(query, sizeof(query), "DROP_REPLICATION_SLOT %s;", quoted);
		assert(repl_command_parse(query, &command, &message) == REPL_PARSE_OK);
		assert(strcmp(command.slot, text) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text = strndup((const char *)bytes, length);
	struct repl_command command;
	const char *message = NULL;
	if (repl_command_parse(text, &command, &message) == REPL_PARSE_OK) {
		assert(!message);
		check_command(&command);
	} else {
		assert(message);
	}
	check_quoting(text);
	free(text);
	return 0;
}
