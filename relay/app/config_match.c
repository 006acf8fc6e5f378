/*
 * config_match: whom a [destination NAME] matches.
 */
#include "app/config_options.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static bool region_is_valid(const char *region)
{
	return *region != '\0' && strlen(region) < 64 &&
	       region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static bool match_parse(const char *text, struct config_match *match_out, struct error *err)
{
	struct config_match match = {.kind = CONFIG_MATCH_NETWORK};
	char kind[16];
	const char *value = config_next_word(text, kind, sizeof(kind));

	if (strcmp(kind, "address") == 0 && strncmp(value, "aws:", 4) == 0) {
		match.kind = CONFIG_MATCH_AWS_REGION;
		value += 4;
		if (!region_is_valid(value)) {
			return error_set(err, ERROR_INVALID,
				"expected a region such as aws:us-west-2, not \"%.80s\"", text);
		}
	} else if (strcmp(kind, "user") == 0) {
		match.kind = CONFIG_MATCH_USER;
	} else if (strcmp(kind, "application") == 0) {
		match.kind = CONFIG_MATCH_APPLICATION;
	} else if (strcmp(kind, "address") != 0) {
		value = "";
	}
	if (*value == '\0') {
		return error_set(err, ERROR_INVALID,
			"expected \"address CIDR\", \"address aws:REGION\", \"user NAME\" or "
			"\"application NAME\", not \"%.80s\"",
			text);
	}
	if (match.kind == CONFIG_MATCH_NETWORK) {
		if (!config_network_parse(value, &match.network, err)) {
			return false;
		}
	} else {
		match.text = memory_copy_text(value);
	}
	*match_out = match;
	return true;
}

static void matches_release(void *field)
{
	struct config_matches *matches = field;

	for (size_t i = 0; i < matches->count; i++) {
		free(matches->items[i].text);
	}
	free(matches->items);
	*matches = (struct config_matches){0};
}

static bool take_match(void *context, const char *piece, struct error *err)
{
	struct config_matches *matches = context;
	struct config_match match;

	if (!match_parse(piece, &match, err)) {
		return false;
	}
	matches->items = memory_grow(matches->items, matches->count, sizeof(match));
	matches->items[matches->count++] = match;
	return true;
}

static bool matches_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct config_matches matches = {0};

	(void)option;
	(void)scope;
	if (*text == '\0') {
		return error_set(err, ERROR_INVALID,
			"expected \"address CIDR\", \"address aws:REGION\", \"user NAME\" or "
			"\"application NAME\"");
	}
	if (!config_split(text, take_match, &matches, err)) {
		matches_release(&matches);
		return false;
	}
	*(struct config_matches *)field = matches;
	return true;
}

static void matches_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	static const char *const prefixes[] = {"address ", "address aws:", "user ", "application "};
	const struct config_matches *matches = field;

	(void)option;
	(void)scope;
	for (size_t i = 0; i < matches->count; i++) {
		const struct config_match *match = &matches->items[i];

		(void)fprintf(out, "%s%s", i == 0 ? "" : ", ", prefixes[match->kind]);
		if (match->kind == CONFIG_MATCH_NETWORK) {
			config_network_write(&match->network, out);
		} else {
			(void)fputs(match->text, out);
		}
	}
}

const struct config_type config_type_matches = {
	matches_parse, matches_format, matches_release, sizeof(struct config_matches)};
