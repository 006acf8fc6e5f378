/*
 * memory: allocation that never fails: without memory the process ends, with its name in the log.
 *
 * For small things whose size is ours. What somebody outside asks for is bounded first.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Zeroed. */
void *memory_new(size_t size) __attribute__((malloc, returns_nonnull));
char *memory_copy_text(const char *text) __attribute__((malloc, returns_nonnull));
/* The first length bytes, and an end. */
char *memory_copy_bytes(const char *bytes, size_t length) __attribute__((malloc, returns_nonnull));
/* Frees a text that is or holds a secret; nothing of it stays in memory. Accepts NULL, sets NULL. */
void memory_wipe_text(char **text);
void memory_wipe(void *bytes, size_t length);
/* free(3), and realloc(3) that keeps no copy: nothing of the old memory stays, however much it held.
 * For libraries that are handed secrets. */
void memory_free_wiped(void *memory);
void *memory_realloc_wiped(void *memory, size_t size);
/* Room for one more item behind count of them, zeroed; grows by doubling. */
void *memory_grow(void *items, size_t count, size_t item_size) __attribute__((returns_nonnull));

#endif
