/*
 * The statements of the console: any text is divided to its end, and what is answered is bounded.
 */
#include "fuzz.h"

#include "protocol/console_command.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text = strndup((const char *)bytes, length);
	size_t end = strlen(text), at = 0, before = 0;
	struct console_command command;
	struct console_syntax_error err;
	enum console_parse result;
	while ((result = console_command_next(text, &at, &command, &err)) == CONSOLE_PARSE_OK) {
		assert(at > before && at <= end);
		assert(command.text >= text + before && command.length > 0);
		assert(command.text + command.length <= text + at);
		assert((unsigned)command.kind < CONSOLE_KINDS);
		assert(strnlen(command.name, sizeof(command.name)) < sizeof(command.name));
		assert(strnlen(command.value, sizeof(command.value)) < sizeof(command.value));
		before = at;
	}
	if (result == CONSOLE_PARSE_ERROR) {
		assert(err.position >= 1 && err.position <= end + 1);
		assert(strnlen(err.message, sizeof(err.message)) < sizeof(err.message));
	} else {
		assert(at == end);
	}
	free(text);
	return 0;
}
