/*
 * config_print: a configuration as text, and what differs between two.
 */
#include "app/config_options.h"
#include "base/ini.h"

#include <stdlib.h>
#include <string.h>

/* malloc'ed. */
static char *option_text(
	const struct config *config, const struct config_option *option, const void *owner)
{
	struct config_scope scope = {.directory = "", .conninfo = &config->conninfo};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	option->type->format(option, &scope, (const char *)owner + option->offset, out);
	(void)fclose(out);
	return text;
}

static void visit_option(const struct config *config, const struct config_option *option,
	const char *section, const void *owner, config_visit *visit, void *context)
{
	char *text = option_text(config, option, owner);

	visit(context, section, option->key, text, !config_is_set(config, section, option->key));
	free(text);
}

static void visit_destinations(const struct config *config, config_visit *visit, void *context)
{
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct config_destination *destination = &config->destinations[i];
		char section[CONFIG_SECTION_SIZE];

		config_destination_section(destination, section);
		for (size_t j = 0; j < config_option_count; j++) {
			if (config_options[j].section == CONFIG_DESTINATION) {
				visit_option(config, &config_options[j], section, destination,
					visit, context);
			}
		}
	}
}

void config_each(const struct config *config, config_visit *visit, void *context)
{
	bool did_destinations = false;

	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (option->section != CONFIG_DESTINATION) {
			visit_option(config, option, config_section_name(option->section), config,
				visit, context);
		} else if (!did_destinations) {
			did_destinations = true;
			visit_destinations(config, visit, context);
		}
	}
}

struct writer {
	FILE *out;
	char section[CONFIG_SECTION_SIZE]; /* the last one written */
};

static void write_option(
	void *context, const char *section, const char *key, const char *value, bool is_default)
{
	struct writer *writer = context;

	(void)is_default;
	if (strcmp(writer->section, section) != 0) {
		(void)fprintf(
			writer->out, "%s[%s]\n", *writer->section == '\0' ? "" : "\n", section);
		(void)snprintf(writer->section, sizeof(writer->section), "%s", section);
	}
	(void)fprintf(writer->out, "%s =%s", key, *value == '\0' ? "" : " ");
	if (*value != '\0') {
		ini_write_value(value, writer->out);
	}
	(void)fputc('\n', writer->out);
}

void config_write(const struct config *config, FILE *out)
{
	struct writer writer = {.out = out};

	config_each(config, write_option, &writer);
}

void config_compare(
	const struct config *old, const struct config *next, struct config_report *report)
{
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		const char *section = config_section_name(option->section);
		char *before, *after;

		if ((option->flags & CONFIG_RESTART) == 0) {
			continue;
		}
		before = option_text(old, option, old);
		after = option_text(next, option, next);
		if (strcmp(before, after) != 0) {
			config_report_warning(report, next->file,
				config_line(next, section, option->key),
				"\"%s\" in [%s] takes effect with a restart; until then it stays "
				"\"%s\"",
				option->key, section, before);
		}
		free(before);
		free(after);
	}
}
