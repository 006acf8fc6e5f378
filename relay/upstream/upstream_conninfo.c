/*
 * upstream_conninfo: what can be said of a conninfo without connecting.
 */
#include "upstream/upstream.h"

#include "base/memory.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MASK "********"

static void free_options(PQconninfoOption *options)
{
	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL;
		option++) {
		if (option->val != NULL) {
			memory_wipe(option->val, strlen(option->val));
		}
	}
	PQconninfoFree(options);
}

/* libpq quotes what it could not read, which may be a password, or a URI with one in it. */
static void set_reason(struct error *err, const char *reason)
{
	const char *quoted = strstr(reason, ": \"");
	const char *end = quoted != NULL ? quoted : reason + strcspn(reason, "\n");

	if (strncmp(reason, "missing \"=\" after", 17) == 0) {
		error_set(err, ERROR_INVALID,
			"missing \"=\" after a word; a value with blanks in it "
			"takes single quotes");
		return;
	}
	error_set(err, ERROR_INVALID, "%.*s", (int)(end - reason), reason);
}

bool upstream_conninfo_is_valid(const char *conninfo, struct error *err)
{
	char *reason = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &reason);
	bool is_valid = options != NULL;

	if (!is_valid) {
		set_reason(err, reason != NULL ? reason : "");
	}
	free_options(options);
	PQfreemem(reason);
	return is_valid;
}

/* libpq marks with "*" what a dialog should hide. */
static const char *shown_value(const PQconninfoOption *option)
{
	return option->dispchar[0] == '*' ? MASK : option->val;
}

/* keyword='value' with quotes and backslashes escaped. */
static void append_option(FILE *text, const PQconninfoOption *option, const char *separator)
{
	fprintf(text, "%s%s='", separator, option->keyword);
	for (const char *c = shown_value(option); *c != '\0'; c++) {
		if (*c == '\'' || *c == '\\') {
			fputc('\\', text);
		}
		fputc(*c, text);
	}
	fputc('\'', text);
}

char *upstream_conninfo_masked(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	const char *separator = "";
	char *masked = NULL;
	size_t length;
	FILE *text;

	if (options == NULL) {
		return NULL;
	}
	text = open_memstream(&masked, &length);
	for (const PQconninfoOption *option = options; text != NULL && option->keyword != NULL;
		option++) {
		if (option->val != NULL) {
			append_option(text, option, separator);
			separator = " ";
		}
	}
	if (text != NULL) {
		fclose(text);
	}
	free_options(options);
	return masked;
}
