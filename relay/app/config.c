/*
 * config: from the file's bytes to a valid struct config, or to a report of everything wrong in it.
 *
 * Every option starts with its default, so that a value that is refused leaves a sound struct
 * behind and what comes after it is still checked.
 */
#include "app/config.h"

#include "app/config_options.h"
#include "app/config_places.h"
#include "app/config_rules.h"
#include "base/ini.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* A configuration of thousands of destinations is a few hundred kB. */
#define FILE_BYTES_MAX (16u << 20)

/* Names are labels of metrics and columns of the console. */
#define DESTINATION_NAME_MAX 63

struct parser {
	struct config *config;
	struct config_scope scope;
	struct config_report *report;
	bool has_begun; /* met a section, or a fault that may have been meant as one */
	bool is_lost; /* in a section that is unknown or refused: what stands there means nothing */
	enum config_section section;
};

bool config_is_set(const struct config *config, const char *section, const char *key)
{
	return config_places_find(config->places, section, key) != 0;
}

unsigned config_line(const struct config *config, const char *section, const char *key)
{
	unsigned line = config_places_find(config->places, section, key);

	if (line == 0) {
		line = config_places_find(config->places, section, NULL);
	}
	return line == 0 ? 1 : line;
}

void config_destination_section(
	const struct config_destination *destination, char section_out[CONFIG_SECTION_SIZE])
{
	(void)snprintf(section_out, CONFIG_SECTION_SIZE, "%s %s",
		config_section_name(CONFIG_DESTINATION), destination->name);
}

static void set_field(const struct config_option *option, void *owner, const void *value)
{
	void *field = (char *)owner + option->offset;

	if (option->type->release != NULL) {
		option->type->release(field);
	}
	memcpy(field, value, option->type->size);
}

static bool parse_into(const struct config_option *option, const struct config_scope *scope,
	const char *text, void *owner, struct error *err)
{
	_Alignas(max_align_t) char value[64] = {0};

	assert(option->type->size <= sizeof(value));
	if (!option->type->parse(option, scope, text, value, err)) {
		return false;
	}
	set_field(option, owner, value);
	return true;
}

static void set_defaults(enum config_section section, const struct config_scope *scope, void *owner)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		struct error err;

		if (option->section == section && option->default_text != NULL) {
			bool ok = parse_into(option, scope, option->default_text, owner, &err);

			assert(ok);
		}
	}
}

static void release_fields(enum config_section section, void *owner)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (option->section == section && option->type->release != NULL) {
			option->type->release((char *)owner + option->offset);
		}
	}
}

static void fail(struct parser *parser, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);

static void fail(struct parser *parser, unsigned line, const char *format, ...)
{
	va_list arguments;
	char *message;

	va_start(arguments, format);
	if (vasprintf(&message, format, arguments) < 0) {
		abort();
	}
	va_end(arguments);
	config_report_error(parser->report, parser->config->file, line, "%s", message);
	free(message);
}

static bool destination_name_is_valid(
	struct parser *parser, unsigned line, const char *section, const char *name)
{
	if (*name == '\0') {
		fail(parser, line, "section [%s] has no name: expected [destination NAME]",
			section);
	} else if (strlen(name) > DESTINATION_NAME_MAX || strpbrk(name, " \t") != NULL) {
		fail(parser, line,
			"invalid name of section [%s]: expected at most %d bytes without blanks",
			section, DESTINATION_NAME_MAX);
	} else if (strcmp(name, "other") == 0) {
		fail(parser, line,
			"invalid name of section [%s]: \"other\" is the destination of what "
			"matches no other",
			section);
	} else {
		return true;
	}
	return false;
}

static bool begin_destination(
	struct parser *parser, unsigned line, const char *section, const char *name)
{
	struct config *config = parser->config;
	struct config_destination *destination;

	if (!destination_name_is_valid(parser, line, section, name)) {
		return false;
	}
	config->destinations =
		memory_grow(config->destinations, config->destination_count, sizeof(*destination));
	destination = &config->destinations[config->destination_count++];
	destination->name = memory_copy_text(name);
	set_defaults(CONFIG_DESTINATION, &parser->scope, destination);
	return true;
}

/* "destination  x" is the section [destination x]. */
static void normalise(
	const char *section, char *kind_out, size_t size, char **name_out, char **whole_out)
{
	const char *name = config_next_word(section, kind_out, size);

	*name_out = memory_copy_text(name);
	if (asprintf(whole_out, "%s%s%s", kind_out, *name == '\0' ? "" : " ", name) < 0) {
		abort();
	}
}

static bool find_section(struct parser *parser, unsigned line, const char *section,
	const char *kind, const char *name, enum config_section *found_out)
{
	enum config_section found;

	if (!config_section_find(kind, &found) || (found != CONFIG_DESTINATION && *name != '\0')) {
		found = config_section_nearest(kind);
		fail(parser, line, "unknown section [%s]; the nearest known section is [%s%s]",
			section, config_section_name(found),
			found == CONFIG_DESTINATION ? " NAME" : "");
		return false;
	}
	*found_out = found;
	return true;
}

static void begin_section(struct parser *parser, unsigned line, const char *section)
{
	char kind[16], *name, *whole;
	unsigned before;
	bool ok;

	normalise(section, kind, sizeof(kind), &name, &whole);
	ok = find_section(parser, line, section, kind, name, &parser->section);
	before = ok ? config_places_find(parser->config->places, whole, NULL) : 0;
	if (before != 0) {
		fail(parser, line, "section [%s] is already there on line %u", section, before);
		ok = false;
	}
	if (ok && parser->section == CONFIG_DESTINATION) {
		ok = begin_destination(parser, line, section, name);
	}
	if (ok) {
		config_places_add(parser->config->places, whole, NULL, line);
	}
	parser->is_lost = !ok;
	free(name);
	free(whole);
}

static void report_unknown_key(struct parser *parser, const struct ini_item *item)
{
	const struct config_option *nearest = config_option_nearest(parser->section, item->key);

	for (unsigned i = 0; i < CONFIG_SECTIONS; i++) {
		const struct config_option *elsewhere =
			config_option_find((enum config_section)i, item->key);

		if (elsewhere != NULL) {
			fail(parser, item->line,
				"unknown key \"%s\" in [%s]; a key of that name belongs in [%s]",
				item->key, item->section,
				config_section_name((enum config_section)i));
			return;
		}
	}
	fail(parser, item->line, "unknown key \"%s\" in [%s]; the nearest known key is \"%s\"",
		item->key, item->section, nearest->key);
}

static void *owner_of(struct parser *parser)
{
	struct config *config = parser->config;

	return parser->section == CONFIG_DESTINATION
		       ? (void *)&config->destinations[config->destination_count - 1]
		       : (void *)config;
}

static void parse_entry(struct parser *parser, const struct ini_item *item)
{
	const struct config_option *option = config_option_find(parser->section, item->key);
	struct config_places *places = parser->config->places;
	/* Not the item's: that may have other blanks in it. */
	const char *section = config_places_section(places);
	unsigned before = config_places_find(places, section, item->key);
	struct error err;

	if (option == NULL) {
		report_unknown_key(parser, item);
		return;
	}
	if (before != 0) {
		fail(parser, item->line, "\"%s\" in [%s] is already set on line %u", item->key,
			item->section, before);
		return;
	}
	config_places_add(places, section, item->key, item->line);
	if (parse_into(option, &parser->scope, item->value, owner_of(parser), &err)) {
		return;
	}
	if ((option->flags & CONFIG_SECRET) != 0) {
		fail(parser, item->line, "invalid value for \"%s\" in [%s]: %s", item->key,
			item->section, err.message);
	} else {
		fail(parser, item->line, "invalid value \"%.200s\" for \"%s\" in [%s]: %s",
			item->value, item->key, item->section, err.message);
	}
}

static void visit_item(void *context, const struct ini_item *item)
{
	struct parser *parser = context;

	switch (item->kind) {
	case INI_FAULT:
		parser->has_begun = true;
		fail(parser, item->line, "%s", item->fault);
		break;
	case INI_SECTION:
		parser->has_begun = true;
		begin_section(parser, item->line, item->section);
		break;
	case INI_ENTRY:
		if (item->section == NULL) {
			if (!parser->has_begun) {
				fail(parser, item->line, "key \"%s\" stands before any [section]",
					item->key);
			}
		} else if (!parser->is_lost) {
			parse_entry(parser, item);
		}
		break;
	}
}

static void require_keys(struct parser *parser, enum config_section kind, const char *section)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (option->section == kind && (option->flags & CONFIG_REQUIRED) != 0 &&
			!config_is_set(parser->config, section, option->key)) {
			fail(parser, config_line(parser->config, section, NULL),
				"missing required key \"%s\" in [%s]", option->key, section);
		}
	}
}

static void require_all(struct parser *parser)
{
	struct config *config = parser->config;

	for (unsigned i = 0; i < CONFIG_SECTIONS; i++) {
		if (i != CONFIG_DESTINATION) {
			require_keys(parser, (enum config_section)i,
				config_section_name((enum config_section)i));
		}
	}
	for (size_t i = 0; i < config->destination_count; i++) {
		char section[CONFIG_SECTION_SIZE];

		config_destination_section(&config->destinations[i], section);
		require_keys(parser, CONFIG_DESTINATION, section);
	}
}

static struct config *config_new(const char *file, const struct config_scope *scope)
{
	struct config *config = memory_new(sizeof(*config));

	config->file = memory_copy_text(file);
	config->places = config_places_new();
	config->conninfo = *scope->conninfo;
	for (unsigned i = 0; i < CONFIG_SECTIONS; i++) {
		if (i != CONFIG_DESTINATION) {
			set_defaults((enum config_section)i, scope, config);
		}
	}
	return config;
}

void config_free(struct config **config)
{
	struct config *freed = *config;

	if (freed == NULL) {
		return;
	}
	*config = NULL;
	for (unsigned i = 0; i < CONFIG_SECTIONS; i++) {
		if (i != CONFIG_DESTINATION) {
			release_fields((enum config_section)i, freed);
		}
	}
	for (size_t i = 0; i < freed->destination_count; i++) {
		release_fields(CONFIG_DESTINATION, &freed->destinations[i]);
		free(freed->destinations[i].name);
	}
	free(freed->destinations);
	config_places_free(&freed->places);
	free(freed->file);
	free(freed);
}

static struct config *parse_anyway(const char *file, const char *directory, const char *text,
	size_t length, const struct config_conninfo *conninfo, struct config_report *report)
{
	struct parser parser = {
		.scope = {.directory = directory, .conninfo = conninfo}, .report = report};
	size_t errors_before = report->error_count;

	parser.config = config_new(file, &parser.scope);
	ini_parse(text, length, visit_item, &parser);
	require_all(&parser);
	if (report->error_count == errors_before) {
		config_apply_rules(parser.config, report);
	}
	config_report_sort(report);
	return parser.config;
}

struct config *config_parse(const char *file, const char *directory, const char *text,
	size_t length, const struct config_conninfo *conninfo, struct config_report *report)
{
	size_t errors_before = report->error_count;
	struct config *config = parse_anyway(file, directory, text, length, conninfo, report);

	if (report->error_count != errors_before) {
		config_free(&config);
	}
	return config;
}

/* malloc'ed; NULL: errno tells why. */
static char *read_whole(const char *path, size_t *length_out)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t length;

	if (file == NULL) {
		return NULL;
	}
	/* No buffer of stdio's keeps a password. */
	setvbuf(file, NULL, _IONBF, 0);
	text = memory_new(FILE_BYTES_MAX + 1);
	length = fread(text, 1, FILE_BYTES_MAX + 1, file);
	if (ferror(file) != 0 || length > FILE_BYTES_MAX) {
		errno = length > FILE_BYTES_MAX ? EFBIG : errno;
		free(text);
		text = NULL;
	}
	(void)fclose(file);
	*length_out = length;
	return text;
}

struct config *config_load_anyway(
	const char *file, const struct config_conninfo *conninfo, struct config_report *report)
{
	struct config *config = NULL;
	size_t length;
	char *text = read_whole(file, &length);
	char *real = text == NULL ? NULL : realpath(file, NULL);

	if (text == NULL || real == NULL) {
		config_report_error(report, file, 1, "could not read the configuration file: %s",
			strerror(errno));
	} else {
		config = parse_anyway(file, dirname(real), text, length, conninfo, report);
	}
	free(real);
	if (text != NULL) {
		memory_wipe(text, length);
		free(text);
	}
	return config;
}

struct config *config_load(
	const char *file, const struct config_conninfo *conninfo, struct config_report *report)
{
	size_t errors_before = report->error_count;
	struct config *config = config_load_anyway(file, conninfo, report);

	if (report->error_count != errors_before) {
		config_free(&config);
	}
	return config;
}
