/*
 * config_upstream: the types of [upstream] and [link] that are more than a text or a number.
 */
#include "app/config_options.h"
#include "protocol/link_stream.h"
#include "protocol/lsn.h"

#include <stdlib.h>
#include <string.h>

#define STANDBYS_MAX 1000
#define LEVEL_MIN    (-7)
#define LEVEL_MAX    19

static bool start_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct config_start start = {.kind = UPSTREAM_START_LSN};

	(void)option;
	(void)scope;
	if (strcmp(text, "redo") == 0) {
		start.kind = UPSTREAM_START_REDO;
	} else if (strcmp(text, "oldest") == 0) {
		start.kind = UPSTREAM_START_OLDEST;
	} else if (!lsn_parse(text, strlen(text), &start.lsn) || start.lsn == LSN_INVALID) {
		return error_set(err, ERROR_INVALID,
			"expected \"redo\", \"oldest\" or an LSN such as 16/B374D848");
	}
	*(struct config_start *)field = start;
	return true;
}

static void start_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	const struct config_start *start = field;

	(void)option;
	(void)scope;
	switch (start->kind) {
	case UPSTREAM_START_REDO: (void)fputs("redo", out); break;
	case UPSTREAM_START_OLDEST: (void)fputs("oldest", out); break;
	case UPSTREAM_START_LSN: (void)fprintf(out, LSN_FORMAT, LSN_ARGS(start->lsn)); break;
	}
}

/* Exactly one decimal number, perhaps negative. */
static bool number_parse(const char *text, int min, int max, int *number_out)
{
	const char *digits = *text == '-' ? text + 1 : text;
	size_t length = strspn(digits, "0123456789");
	int number;

	if (length == 0 || length > 6 || digits[length] != '\0') {
		return false;
	}
	number = atoi(text);
	if (number < min || number > max) {
		return false;
	}
	*number_out = number;
	return true;
}

static bool acknowledge_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	size_t length = strcspn(text, " \t");
	int standbys = 0;

	(void)option;
	(void)scope;
	if (strcmp(text, "relay") != 0 &&
		(length != strlen("standbys") || strncmp(text, "standbys", length) != 0 ||
			!number_parse(text + length + strspn(text + length, " \t"), 1, STANDBYS_MAX,
				&standbys))) {
		return error_set(err, ERROR_INVALID,
			"expected \"relay\" or \"standbys N\" with N from 1 to %d", STANDBYS_MAX);
	}
	((struct config_acknowledge *)field)->standbys = (unsigned)standbys;
	return true;
}

static void acknowledge_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	const struct config_acknowledge *acknowledge = field;

	(void)option;
	(void)scope;
	if (acknowledge->standbys == 0) {
		(void)fputs("relay", out);
	} else {
		(void)fprintf(out, "standbys %u", acknowledge->standbys);
	}
}

static bool auto_parse(const char *text, int min, int max, void *field, struct error *err)
{
	struct config_level level = {.is_auto = strcmp(text, "auto") == 0};

	if (!level.is_auto && !number_parse(text, min, max, &level.level)) {
		return error_set(err, ERROR_INVALID,
			"expected \"auto\" or an integer from %d to %d", min, max);
	}
	*(struct config_level *)field = level;
	return true;
}

static bool level_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	return auto_parse(text, LEVEL_MIN, LEVEL_MAX, field, err);
}

static bool lanes_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	return auto_parse(text, 1, (int)LINK_LANES_MAX, field, err);
}

static void level_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	const struct config_level *level = field;

	(void)option;
	(void)scope;
	if (level->is_auto) {
		(void)fputs("auto", out);
	} else {
		(void)fprintf(out, "%d", level->level);
	}
}

const struct config_type config_type_start = {
	start_parse, start_format, NULL, sizeof(struct config_start)};
const struct config_type config_type_acknowledge = {
	acknowledge_parse, acknowledge_format, NULL, sizeof(struct config_acknowledge)};
const struct config_type config_type_level = {
	level_parse, level_format, NULL, sizeof(struct config_level)};
const struct config_type config_type_lanes = {
	lanes_parse, level_format, NULL, sizeof(struct config_level)};
