/*
 * config_places: a list in the order of the file.
 */
#include "app/config_places.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct config_places *config_places_new(void)
{
	return memory_new(sizeof(struct config_places));
}

void config_places_free(struct config_places **places)
{
	struct config_places *freed = *places;

	if (freed == NULL) {
		return;
	}
	*places = NULL;
	for (size_t i = 0; i < freed->count; i++) {
		free(freed->items[i].section);
		free(freed->items[i].key);
	}
	free(freed->items);
	free(freed);
}

void config_places_add(
	struct config_places *places, const char *section, const char *key, unsigned line)
{
	struct config_place *place;

	places->items = memory_grow(places->items, places->count, sizeof(*place));
	place = &places->items[places->count++];
	place->section = memory_copy_text(section);
	place->key = key == NULL ? NULL : memory_copy_text(key);
	place->line = line;
}

unsigned config_places_find(
	const struct config_places *places, const char *section, const char *key)
{
	for (size_t i = 0; i < places->count; i++) {
		const struct config_place *place = &places->items[i];

		if ((place->key == NULL) == (key == NULL) &&
			(key == NULL || strcmp(place->key, key) == 0) &&
			strcmp(place->section, section) == 0) {
			return place->line;
		}
	}
	return 0;
}

const char *config_places_section(const struct config_places *places)
{
	size_t i = places->count;

	do {
		assert(i > 0);
		i--;
	} while (places->items[i].key != NULL);
	return places->items[i].section;
}
