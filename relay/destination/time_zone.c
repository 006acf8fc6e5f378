/*
 * time_zone: the transitions of a TZif file, and the rule in its footer for what comes after.
 *
 *   offset  length  header
 *   0       4       "TZif"
 *   4       1       version: 0, '2', '3', '4'
 *   5       15      reserved
 *   20      6 x 4   counts: UT indicators, standard indicators, leap seconds, transitions, types,
 *                   bytes of abbreviations
 * and the data: transition times (4 bytes each, 8 in the second block), a type index each, types (4
 * bytes of offset, 1 of summer time, 1 of abbreviation), abbreviations, leap seconds, indicators.
 * From version 2 on a second header and block with times of 8 bytes follow, then a line with the
 * rule. All big-endian.
 */
#include "destination/time_zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "destination/time_zone_rule.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo/"
#define ZONE_BYTES_MAX (1u << 20)
#define HEADER_BYTES   44u
#define TYPE_BYTES     6u
#define COUNT_MAX      100000u
#define RULE_TEXT_SIZE 128u

struct transition {
	int64_t at; /* seconds since 1970 */
	int32_t offset;
};

struct time_zone {
	char *name;
	int32_t first_offset; /* before the first transition */
	struct transition *transitions;
	size_t count;
	bool has_rule;
	struct time_zone_rule rule;
};

struct block {
	const uint8_t *times;
	const uint8_t *indexes;
	const uint8_t *types;
	size_t time_bytes;
	uint32_t time_count;
	uint32_t type_count;
	size_t length; /* with its header */
};

static uint32_t get_u32(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static int64_t get_time(const uint8_t *bytes, size_t width)
{
	if (width == 4) {
		return (int32_t)get_u32(bytes);
	}
	return (int64_t)((uint64_t)get_u32(bytes) << 32 | get_u32(bytes + 4));
}

static bool read_block(const uint8_t *bytes, size_t length, size_t time_bytes, struct block *out)
{
	if (length < HEADER_BYTES || memcmp(bytes, "TZif", 4) != 0) {
		return false;
	}
	uint32_t counts[6];
	for (size_t i = 0; i < 6; i++) {
		counts[i] = get_u32(bytes + 20 + i * 4);
		if (counts[i] > COUNT_MAX) {
			return false;
		}
	}
	out->time_bytes = time_bytes;
	out->time_count = counts[3];
	out->type_count = counts[4];
	out->times = bytes + HEADER_BYTES;
	out->indexes = out->times + (size_t)out->time_count * time_bytes;
	out->types = out->indexes + out->time_count;
	out->length = HEADER_BYTES + (size_t)out->time_count * (time_bytes + 1) +
		      (size_t)out->type_count * TYPE_BYTES + counts[5] +
		      (size_t)counts[2] * (time_bytes + 4) + counts[1] + counts[0];
	return out->length <= length && out->type_count > 0;
}

static bool take_transitions(struct time_zone *zone, const struct block *block)
{
	zone->first_offset = (int32_t)get_u32(block->types);
	zone->transitions = memory_new((block->time_count + 1) * sizeof(struct transition));
	for (uint32_t i = 0; i < block->time_count; i++) {
		uint8_t type = block->indexes[i];
		if (type >= block->type_count) {
			return false;
		}
		zone->transitions[i] = (struct transition){
			.at = get_time(
				block->times + (size_t)i * block->time_bytes, block->time_bytes),
			.offset = (int32_t)get_u32(block->types + (size_t)type * TYPE_BYTES),
		};
		if (i > 0 && zone->transitions[i].at <= zone->transitions[i - 1].at) {
			return false;
		}
	}
	zone->count = block->time_count;
	return true;
}

/* "\nRULE\n" at the end; an empty rule says that nothing more is known. */
static bool take_rule(struct time_zone *zone, const uint8_t *bytes, size_t length)
{
	char text[RULE_TEXT_SIZE];
	if (length < 2 || bytes[0] != '\n') {
		return false;
	}
	const uint8_t *end = memchr(bytes + 1, '\n', length - 1);
	if (end == NULL || (size_t)(end - bytes - 1) >= sizeof(text)) {
		return false;
	}
	snprintf(text, sizeof(text), "%.*s", (int)(end - bytes - 1), (const char *)bytes + 1);
	zone->has_rule = text[0] != '\0';
	return !zone->has_rule || time_zone_rule_parse(text, &zone->rule);
}

static bool parse(struct time_zone *zone, const uint8_t *bytes, size_t length)
{
	struct block block;
	if (!read_block(bytes, length, 4, &block)) {
		return false;
	}
	if (bytes[4] < '2') {
		return take_transitions(zone, &block);
	}
	bytes += block.length;
	length -= block.length;
	return read_block(bytes, length, 8, &block) && take_transitions(zone, &block) &&
	       take_rule(zone, bytes + block.length, length - block.length);
}

struct time_zone *time_zone_parse(
	const char *name, const uint8_t *bytes, size_t length, struct error *err)
{
	struct time_zone *zone = memory_new(sizeof(*zone));
	zone->name = memory_copy_text(name);
	if (!parse(zone, bytes, length)) {
		time_zone_free(&zone);
		error_set(err, ERROR_INVALID, "time zone \"%s\" has an invalid file", name);
	}
	return zone;
}

static struct time_zone *open_file(const char *name, const char *path, struct error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		error_set_errno(err, "could not open time zone file \"%s\"", path);
		return NULL;
	}
	struct time_zone *zone = NULL;
	uint8_t *bytes = memory_new(ZONE_BYTES_MAX);
	size_t length = 0;
	ssize_t got;
	while ((got = read(fd, bytes + length, ZONE_BYTES_MAX - length)) > 0) {
		length += (size_t)got;
	}
	if (got < 0) {
		error_set_errno(err, "could not read time zone file \"%s\"", path);
	} else {
		zone = time_zone_parse(name, bytes, length, err);
	}
	free(bytes);
	close(fd);
	return zone;
}

struct time_zone *time_zone_open(const char *name, struct error *err)
{
	if (strcmp(name, "UTC") == 0) {
		struct time_zone *zone = memory_new(sizeof(*zone));
		zone->name = memory_copy_text(name);
		return zone;
	}
	char path[512];
	if (snprintf(path, sizeof(path), ZONE_DIRECTORY "%s", name) >= (int)sizeof(path)) {
		error_set(err, ERROR_INVALID, "time zone name is too long");
		return NULL;
	}
	return open_file(name, path, err);
}

void time_zone_free(struct time_zone **zone)
{
	if (*zone != NULL) {
		free((*zone)->transitions);
		free((*zone)->name);
		free(*zone);
		*zone = NULL;
	}
}

const char *time_zone_name(const struct time_zone *zone)
{
	return zone->name;
}

int32_t time_zone_offset(const struct time_zone *zone, int64_t unix_seconds)
{
	size_t low = 0;
	size_t high = zone->count; /* the first transition that is later */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->transitions[middle].at <= unix_seconds) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low == zone->count && zone->has_rule) {
		return time_zone_rule_offset(&zone->rule, unix_seconds);
	}
	return low == 0 ? zone->first_offset : zone->transitions[low - 1].offset;
}
