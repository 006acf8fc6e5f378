/*
 * edit_distance: which known name did somebody mean.
 *
 * Counts insertions, deletions, substitutions and swaps of neighbours.
 */
#ifndef BASE_EDIT_DISTANCE_H
#define BASE_EDIT_DISTANCE_H

#include <stddef.h>

/* Names longer than this are compared by their beginnings. */
#define EDIT_DISTANCE_NAME_MAX 64

size_t edit_distance(const char *a, const char *b);
/* Index of the nearest of count names, the first of equals; count > 0. */
size_t edit_distance_nearest(const char *text, const char *const *names, size_t count);

#endif
