/*
 * memory_search: whether a secret lies anywhere in what this process can write: heap, stack, buffers.
 */
#ifndef SUPPORT_MEMORY_SEARCH_H
#define SUPPORT_MEMORY_SEARCH_H

#include <stddef.h>

/* How often it is there. secret: a constant, which itself lies where nothing can be written. */
size_t memory_search(const char *secret);

#endif
