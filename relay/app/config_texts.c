/*
 * config_texts: the types whose field is a text: names, paths, URLs and the like.
 *
 * Paths become absolute here, and lists lose the blanks around their commas, so that whoever uses
 * them need not think of either.
 */
#include "app/config_options.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As PostgreSQL's NAMEDATALEN allows. */
#define NAME_BYTES_MAX 63

#define LOWER   "abcdefghijklmnopqrstuvwxyz"
#define UPPER   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"
#define ZONEDIR "/usr/share/zoneinfo/"

static bool store(void *field, const char *text)
{
	*(char **)field = memory_copy_text(text);
	return true;
}

static bool is_only(const char *text, const char *characters)
{
	return text[strspn(text, characters)] == '\0';
}

void config_text_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	(void)option;
	(void)scope;
	(void)fputs(*(char *const *)field, out);
}

void config_text_release(void *field)
{
	memory_wipe_text(field);
}

static bool is_none(const struct config_option *option, const char *text)
{
	return *text == '\0' && (option->flags & CONFIG_EMPTY_OK) != 0;
}

static bool name_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)scope;
	if (is_none(option, text)) {
		return store(field, text);
	}
	/* The grammar lets no other control character through. */
	if (*text == '\0' || strlen(text) > NAME_BYTES_MAX || strchr(text, '\t') != NULL ||
		!utf8_is_valid(text)) {
		return error_set(err, ERROR_INVALID,
			"expected a name of 1 to %d bytes of UTF-8 without control characters",
			NAME_BYTES_MAX);
	}
	return store(field, text);
}

bool config_split(const char *text, config_take_piece *take, void *context, struct error *err)
{
	char *copy, *next;
	bool ok = true;

	if (*text == '\0') {
		return true;
	}
	copy = next = memory_copy_text(text);
	while (ok && next != NULL) {
		char *piece = strsep(&next, ",");
		char *end = piece + strlen(piece);

		piece += strspn(piece, " \t");
		while (end > piece && (end[-1] == ' ' || end[-1] == '\t')) {
			*--end = '\0';
		}
		ok = *piece == '\0' ? error_set(err, ERROR_INVALID, "nothing stands beside a comma")
				    : take(context, piece, err);
	}
	free(copy);
	return ok;
}

const char *config_next_word(const char *text, char *word_out, size_t size)
{
	size_t length = strcspn(text, " \t");

	(void)snprintf(word_out, size, "%.*s", length < size ? (int)length : 0, text);
	return text + length + strspn(text + length, " \t");
}

struct text_list {
	bool (*is_valid)(const char *piece);
	const char *expected;
	FILE *out;
	bool has_any;
};

static bool take_text(void *context, const char *piece, struct error *err)
{
	struct text_list *list = context;

	if (!list->is_valid(piece)) {
		return error_set(err, ERROR_INVALID, "expected %s", list->expected);
	}
	(void)fprintf(list->out, "%s%s", list->has_any ? "," : "", piece);
	list->has_any = true;
	return true;
}

static bool list_parse(struct text_list *list, const struct config_option *option, const char *text,
	void *field, struct error *err)
{
	char *joined = NULL;
	size_t length;
	bool ok;

	if (*text == '\0' && !is_none(option, text)) {
		return error_set(err, ERROR_INVALID, "expected %s", list->expected);
	}
	list->out = open_memstream(&joined, &length);
	ok = config_split(text, take_text, list, err);
	(void)fclose(list->out);
	if (!ok) {
		free(joined);
		return false;
	}
	*(char **)field = joined;
	return true;
}

static bool is_user_name(const char *piece)
{
	return strlen(piece) <= NAME_BYTES_MAX && strchr(piece, '\t') == NULL;
}

static bool name_list_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct text_list list = {
		.is_valid = is_user_name, .expected = "names of at most 63 bytes between commas"};

	(void)scope;
	return list_parse(&list, option, text, field, err);
}

static bool is_mail_address(const char *piece)
{
	const char *at = strrchr(piece, '@');

	return at != NULL && at > piece && at[1] != '\0' && strpbrk(piece, " \t<>\"") == NULL;
}

static bool mail_list_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	struct text_list list = {
		.is_valid = is_mail_address, .expected = "mail addresses between commas"};

	(void)scope;
	return list_parse(&list, option, text, field, err);
}

static bool path_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	size_t length = strlen(scope->directory) + strlen(text) + 2;
	char *path;

	if (is_none(option, text) || *text == '/') {
		return store(field, text);
	}
	if (*text == '\0') {
		return error_set(err, ERROR_INVALID, "expected a path");
	}
	path = memory_new(length);
	(void)snprintf(path, length, "%s/%s", scope->directory, text);
	*(char **)field = path;
	return true;
}

static bool has_scheme(const struct config_option *option, const char *text)
{
	for (const char *const *scheme = option->names; *scheme != NULL; scheme++) {
		size_t length = strlen(*scheme);

		if (strncasecmp(text, *scheme, length) == 0 &&
			strncmp(text + length, "://", 3) == 0) {
			return true;
		}
	}
	return false;
}

/* Past the user and the password, which may hold an @ of their own. */
static const char *skip_login(const char *host)
{
	const char *end = host + strcspn(host, "/");
	const char *at = memrchr(host, '@', (size_t)(end - host));

	return at == NULL ? host : at + 1;
}

static bool url_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	const char *host;

	(void)scope;
	if (is_none(option, text)) {
		return store(field, text);
	}
	host = has_scheme(option, text) ? skip_login(strstr(text, "://") + 3) : "";
	if (strcspn(host, "/:") == 0 || strpbrk(text, " \t") != NULL) {
		return error_set(err, ERROR_INVALID,
			"expected a URL with %s:// or %s:// and a host", option->names[0],
			option->names[1]);
	}
	return store(field, text);
}

/* User, password and path may be secrets: hooks often carry a token there. */
static void url_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	const char *url = *(char *const *)field;
	const char *host, *path;

	(void)scope;
	if (*url == '\0' || (option->flags & CONFIG_SECRET) == 0) {
		(void)fputs(url, out);
		return;
	}
	host = strstr(url, "://") + 3;
	(void)fprintf(out, "%.*s", (int)(host - url), url);
	if (skip_login(host) != host) {
		host = skip_login(host);
		(void)fputs("********@", out);
	}
	path = host + strcspn(host, "/?#");
	(void)fprintf(out, "%.*s%s", (int)(path - host), host,
		*path == '\0' || strcmp(path, "/") == 0 ? path : "/********");
}

static bool path_or_url_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	return strstr(text, "://") != NULL ? url_parse(option, scope, text, field, err)
					   : path_parse(option, scope, text, field, err);
}

static bool slot_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	if (strlen(text) > NAME_BYTES_MAX || !is_only(text, LOWER DIGITS "_")) {
		return error_set(err, ERROR_INVALID,
			"expected at most %d lower case letters, digits and underscores",
			NAME_BYTES_MAX);
	}
	return store(field, text);
}

static bool conninfo_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	if (*text == '\0') {
		return error_set(err, ERROR_INVALID,
			"expected a connection string such as \"host=db1 user=replicator\"");
	}
	if (!scope->conninfo->is_valid(text, err)) {
		return error_wrap(err, "expected a connection string");
	}
	return store(field, text);
}

static void conninfo_format(const struct config_option *option, const struct config_scope *scope,
	const void *field, FILE *out)
{
	char *masked = scope->conninfo->masked(*(char *const *)field);

	(void)option;
	(void)fputs(masked == NULL ? "" : masked, out);
	free(masked);
}

static bool word_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	/* TCP_CA_NAME_MAX is 16 with the end. */
	if (strlen(text) > 15 || !is_only(text, LOWER UPPER DIGITS "_-")) {
		return error_set(err, ERROR_INVALID,
			"expected at most 15 letters, digits, underscores and hyphens");
	}
	return store(field, text);
}

static bool time_zone_exists(const char *name)
{
	char *path;
	bool exists;

	if (strcmp(name, "UTC") == 0) {
		return true;
	}
	if (*name == '\0' || *name == '/' || strstr(name, "..") != NULL ||
		!is_only(name, LOWER UPPER DIGITS "_+-/")) {
		return false;
	}
	if (asprintf(&path, ZONEDIR "%s", name) < 0) {
		abort();
	}
	exists = access(path, R_OK) == 0;
	free(path);
	return exists;
}

static bool time_zone_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	if (!time_zone_exists(text)) {
		return error_set(err, ERROR_INVALID,
			"expected \"UTC\" or a time zone that " ZONEDIR
			" has, such as \"Europe/Berlin\"");
	}
	return store(field, text);
}

static bool currency_parse(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *field, struct error *err)
{
	(void)option;
	(void)scope;
	if (strlen(text) != 3 || !is_only(text, UPPER)) {
		return error_set(
			err, ERROR_INVALID, "expected three capital letters such as \"USD\"");
	}
	return store(field, text);
}

#define TEXT_TYPE(parse, format)                                                                   \
	{                                                                                          \
		parse, format, config_text_release, sizeof(char *)                                 \
	}

const struct config_type config_type_name = TEXT_TYPE(name_parse, config_text_format);
const struct config_type config_type_name_list = TEXT_TYPE(name_list_parse, config_text_format);
const struct config_type config_type_mail_list = TEXT_TYPE(mail_list_parse, config_text_format);
const struct config_type config_type_path = TEXT_TYPE(path_parse, config_text_format);
const struct config_type config_type_path_or_url = TEXT_TYPE(path_or_url_parse, config_text_format);
const struct config_type config_type_url = TEXT_TYPE(url_parse, url_format);
const struct config_type config_type_slot = TEXT_TYPE(slot_parse, config_text_format);
const struct config_type config_type_conninfo = TEXT_TYPE(conninfo_parse, conninfo_format);
const struct config_type config_type_word = TEXT_TYPE(word_parse, config_text_format);
const struct config_type config_type_time_zone = TEXT_TYPE(time_zone_parse, config_text_format);
const struct config_type config_type_currency = TEXT_TYPE(currency_parse, config_text_format);
