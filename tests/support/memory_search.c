/*
 * memory_search: reads the writable mappings through /proc/self/mem, page by page. Mappings of a
 * gigabyte and more are a sanitizer's own and almost empty.
 */
#include "support/memory_search.h"

#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK         65536u
#define LENGTH_MAX    256u
#define MAPPING_MAX   (UINT64_C(1) << 30)
#define PLACES_MAX    4096

struct mapping {
	uint64_t start;
	uint64_t end;
};

/* Its own copies of what it reads must not be found. */
static uint8_t chunk[CHUNK + LENGTH_MAX];

static bool is_own(uint64_t place, size_t length)
{
	uint64_t own = (uint64_t)(uintptr_t)chunk;
	return place + length > own && place < own + sizeof(chunk);
}

static size_t search_mapping(
	int fd, const struct mapping *mapping, const char *secret, size_t length)
{
	size_t count = 0;
	for (uint64_t at = mapping->start; at < mapping->end; at += CHUNK) {
		uint64_t left = mapping->end - at;
		size_t wanted = left < CHUNK + length - 1 ? left : CHUNK + length - 1;
		ssize_t got = pread(fd, chunk, wanted, (off_t)at);
		const uint8_t *from = chunk, *end = chunk + (got > 0 ? got : 0), *hit;
		while ((hit = memmem(from, (size_t)(end - from), secret, length)) != NULL) {
			count += !is_own(at + (uint64_t)(hit - chunk), length);
			from = hit + 1;
		}
	}
	memset(chunk, 0, sizeof(chunk));
	return count;
}

/* Those of before the search, which makes one or the other itself. */
static size_t read_mappings(struct mapping *mappings)
{
	size_t count = 0;
	char line[512];
	FILE *file = fopen("/proc/self/maps", "re");
	assert(file != NULL);
	while (count < PLACES_MAX && fgets(line, sizeof(line), file) != NULL) {
		struct mapping each;
		char rights[5];
		if (sscanf(line, "%lx-%lx %4s", &each.start, &each.end, rights) == 3 &&
			rights[0] == 'r' && rights[1] == 'w' &&
			each.end - each.start < MAPPING_MAX) {
			mappings[count++] = each;
		}
	}
	(void)fclose(file);
	return count;
}

size_t memory_search(const char *secret)
{
	static struct mapping mappings[PLACES_MAX];
	size_t found = 0, length = strlen(secret);
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	assert(fd >= 0);
	assert(length > 0 && length < LENGTH_MAX);
	size_t count = read_mappings(mappings);
	for (size_t i = 0; i < count; i++) {
		found += search_mapping(fd, &mappings[i], secret, length);
	}
	close(fd);
	return found;
}
