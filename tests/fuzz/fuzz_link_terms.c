/*
 * Offers and the options of START_REPLICATION: what is agreed on or parsed can be said again and
 * then means the same.
 */
#include "fuzz.h"

#include "protocol/link_terms.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct link_offer ours = {
	.version_min = 1, .version_max = 3, .abilities = {{"lz4=1.9.4", "lanes"}, 2}};

static void check_offer(const char *text)
{
	struct link_terms terms, again;
	struct link_offer said;
	char row[LINK_OFFER_TEXT_SIZE], row_again[LINK_OFFER_TEXT_SIZE];
	if (!link_offer_agree(&ours, text, &terms)) {
		return;
	}
	assert(terms.version >= ours.version_min && terms.version <= ours.version_max);
	said = (struct link_offer){terms.version, terms.version, terms.abilities};
	assert(link_offer_agree(&ours, link_offer_format(&said, row), &again));
	said = (struct link_offer){again.version, again.version, again.abilities};
	assert(strcmp(link_offer_format(&said, row_again), row) == 0);
}

static bool parse(const char *options, struct link_start *start_out)
{
	char query[1024];
	struct repl_command command;
	const char *message = NULL;
	snprintf(query, sizeof(query), "START_REPLICATION 0/0 %s", options);
	return repl_command_parse(query, &command, &message) == REPL_PARSE_OK &&
	       command.kind == REPL_START_PHYSICAL &&
	       link_start_parse(&ours, command.options, command.option_count, start_out,
		       &message) == LINK_START_OK;
}

static void check_options(const char *text)
{
	struct link_start start, again;
	char options[LINK_START_TEXT_SIZE], options_again[LINK_START_TEXT_SIZE];
	if (parse(text, &start)) {
		assert(parse(link_start_format(&start, options), &again));
		assert(strcmp(link_start_format(&again, options_again), options) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text = strndup((const char *)bytes, length);
	check_offer(text);
	check_options(text);
	free(text);
	return 0;
}
