/*
 * memory: allocation that ends the process when there is none left.
 */
#include "base/memory.h"

#include "base/log.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory)
{
	if (memory == NULL) {
		log_write(LOG_LEVEL_ERROR, NULL, "out of memory");
		abort();
	}
	return memory;
}

void *memory_new(size_t size)
{
	return checked(calloc(1, size));
}

char *memory_copy_bytes(const char *bytes, size_t length)
{
	char *copy = memory_new(length + 1);

	memcpy(copy, bytes, length);
	return copy;
}

char *memory_copy_text(const char *text)
{
	return memory_copy_bytes(text, strlen(text));
}

void memory_wipe(void *bytes, size_t length)
{
	explicit_bzero(bytes, length);
}

void memory_wipe_text(char **text)
{
	if (*text != NULL) {
		memory_wipe(*text, strlen(*text));
		free(*text);
		*text = NULL;
	}
}

void memory_free_wiped(void *memory)
{
	if (memory != NULL) {
		memory_wipe(memory, malloc_usable_size(memory));
		free(memory);
	}
}

void *memory_realloc_wiped(void *memory, size_t size)
{
	size_t held = memory != NULL ? malloc_usable_size(memory) : 0;
	void *moved = malloc(size);

	if (moved != NULL && memory != NULL) {
		memcpy(moved, memory, held < size ? held : size);
		memory_free_wiped(memory);
	}
	return moved;
}

void *memory_grow(void *items, size_t count, size_t item_size)
{
	/* Capacity is the next power of two, so it need not be kept anywhere. */
	if ((count & (count - 1)) == 0) {
		items = checked(reallocarray(items, count == 0 ? 1 : 2 * count, item_size));
	}
	memset((char *)items + count * item_size, 0, item_size);
	return items;
}
