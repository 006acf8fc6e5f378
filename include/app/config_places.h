/*
 * config_places: on which line of the file a section begins and a key is set.
 */
#ifndef APP_CONFIG_PLACES_H
#define APP_CONFIG_PLACES_H

#include <stddef.h>

struct config_place {
	char *section;
	char *key; /* NULL: the section itself */
	unsigned line;
};

struct config_places {
	struct config_place *items; /* in the order of the file */
	size_t count;
};

struct config_places *config_places_new(void);
void config_places_free(struct config_places **places);
void config_places_add(
	struct config_places *places, const char *section, const char *key, unsigned line);
/* key NULL: the section. 0: not there. */
unsigned config_places_find(
	const struct config_places *places, const char *section, const char *key);
/* The section added last. */
const char *config_places_section(const struct config_places *places);

#endif
