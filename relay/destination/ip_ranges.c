/*
 * ip_ranges: a plain array. It is searched once a connection, and again for all of them on a
 * reload, so some ten thousand comparisons of a few bytes are cheap enough.
 */
#include "destination/ip_ranges.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* The file of 2024 has 2 MB and 10 000 entries. */
#define RANGES_MAX 1000000u

struct range {
	struct ip_network network;
	unsigned region; /* in regions */
};

struct ip_ranges {
	struct range *ranges;
	size_t count;
	char **regions;
	size_t region_count;
};

static unsigned find_region(const struct ip_ranges *ranges, const char *name)
{
	unsigned region = 0;
	while (region < ranges->region_count && strcmp(ranges->regions[region], name) != 0) {
		region++;
	}
	return region;
}

static unsigned take_region(struct ip_ranges *ranges, const char *name)
{
	unsigned region = find_region(ranges, name);
	if (region == ranges->region_count) {
		ranges->regions =
			memory_grow(ranges->regions, ranges->region_count, sizeof(char *));
		ranges->regions[ranges->region_count++] = memory_copy_text(name);
	}
	return region;
}

static void take_prefixes(struct ip_ranges *ranges, const json_t *list, const char *key)
{
	for (size_t i = 0; i < json_array_size(list) && ranges->count < RANGES_MAX; i++) {
		const json_t *entry = json_array_get(list, i);
		const char *prefix = json_string_value(json_object_get(entry, key));
		const char *region = json_string_value(json_object_get(entry, "region"));
		struct range range;
		if (prefix == NULL || region == NULL || !ip_network_parse(prefix, &range.network)) {
			continue;
		}
		range.region = take_region(ranges, region);
		ranges->ranges = memory_grow(ranges->ranges, ranges->count, sizeof(range));
		ranges->ranges[ranges->count++] = range;
	}
}

struct ip_ranges *ip_ranges_parse(const char *text, size_t length, struct error *err)
{
	json_error_t fault;
	json_t *root = json_loadb(text, length, 0, &fault);
	if (root == NULL) {
		error_set(
			err, ERROR_INVALID, "invalid JSON in line %d: %s", fault.line, fault.text);
		return NULL;
	}
	struct ip_ranges *ranges = memory_new(sizeof(*ranges));
	take_prefixes(ranges, json_object_get(root, "prefixes"), "ip_prefix");
	take_prefixes(ranges, json_object_get(root, "ipv6_prefixes"), "ipv6_prefix");
	json_decref(root);
	if (ranges->count == 0) {
		ip_ranges_free(&ranges);
		error_set(err, ERROR_INVALID, "no address ranges in it");
	}
	return ranges;
}

void ip_ranges_free(struct ip_ranges **ranges)
{
	struct ip_ranges *gone = *ranges;
	if (gone == NULL) {
		return;
	}
	*ranges = NULL;
	for (size_t i = 0; i < gone->region_count; i++) {
		free(gone->regions[i]);
	}
	free(gone->regions);
	free(gone->ranges);
	free(gone);
}

bool ip_ranges_is_in_region(
	const struct ip_ranges *ranges, const char *region, const struct ip_address *address)
{
	unsigned wanted = find_region(ranges, region);
	for (size_t i = 0; i < ranges->count; i++) {
		if (ranges->ranges[i].region == wanted &&
			ip_network_contains(&ranges->ranges[i].network, address)) {
			return true;
		}
	}
	return false;
}

bool ip_ranges_has_region(const struct ip_ranges *ranges, const char *region)
{
	return find_region(ranges, region) < ranges->region_count;
}

size_t ip_ranges_count(const struct ip_ranges *ranges)
{
	return ranges->count;
}
