/*
 * config_helpers: see the header.
 */
#include "config_helpers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static bool fake_is_valid(const char *conninfo, struct error *err)
{
	if (strchr(conninfo, '=') == NULL) {
		return error_set(err, ERROR_INVALID, "no \"=\" in it");
	}
	return true;
}

/* All of it from "password=" on. */
static char *fake_masked(const char *conninfo)
{
	const char *password = strstr(conninfo, "password=");
	size_t length = password == NULL ? strlen(conninfo) : (size_t)(password - conninfo);
	char *masked = malloc(length + 20);

	(void)sprintf(masked, "%.*s%s", (int)length, conninfo,
		password == NULL ? "" : "password=********");
	return masked;
}

const struct config_conninfo fake_conninfo = {fake_is_valid, fake_masked};

struct config *parse_text(const char *text, char **problems_out)
{
	struct config_report report = {0};
	struct config *config =
		config_parse("w.ini", "/etc/walrelay", text, strlen(text), &fake_conninfo, &report);
	size_t length;
	FILE *out = open_memstream(problems_out, &length);

	config_report_write(&report, out);
	(void)fclose(out);
	assert_int_equal(config == NULL, report.error_count > 0);
	config_report_release(&report);
	return config;
}

struct config *parse_valid(const char *text)
{
	char *problems;
	struct config *config = parse_text(text, &problems);

	assert_string_equal(problems, "");
	free(problems);
	assert_non_null(config);
	return config;
}

void check_refused(const char *text, const char *problems)
{
	char *found;
	struct config *config = parse_text(text, &found);

	assert_string_equal(found, problems);
	free(found);
	assert_null(config);
}

void check_warned(const char *text, const char *problems)
{
	char *found;
	struct config *config = parse_text(text, &found);

	assert_string_equal(found, problems);
	free(found);
	assert_non_null(config);
	config_free(&config);
}

char *written(const struct config *config)
{
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	config_write(config, out);
	(void)fclose(out);
	return text;
}
