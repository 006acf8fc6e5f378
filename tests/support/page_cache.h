/*
 * page_cache: files that only the disk has.
 */
#ifndef SUPPORT_PAGE_CACHE_H
#define SUPPORT_PAGE_CACHE_H

#include <stdbool.h>

/* Written back and dropped. Nobody may have it mapped. False: here it stays in memory. */
bool page_cache_drop(const char *path);

#endif
