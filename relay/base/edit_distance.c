/*
 * edit_distance: optimal string alignment over three rows.
 */
#include "base/edit_distance.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

typedef size_t row[EDIT_DISTANCE_NAME_MAX + 1];

static size_t min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* rows: of the prefixes of a one and two characters shorter. */
static void fill_row(row current, const row last, const row before_last, const char *a, size_t i,
	const char *b, size_t b_length)
{
	current[0] = i;
	for (size_t j = 1; j <= b_length; j++) {
		size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;

		current[j] = min(min(last[j], current[j - 1]) + 1, last[j - 1] + cost);
		if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
			current[j] = min(current[j], before_last[j - 2] + 1);
		}
	}
}

size_t edit_distance(const char *a, const char *b)
{
	size_t a_length = strnlen(a, EDIT_DISTANCE_NAME_MAX);
	size_t b_length = strnlen(b, EDIT_DISTANCE_NAME_MAX);
	row rows[3] = {{0}};

	for (size_t j = 0; j <= b_length; j++) {
		rows[0][j] = j;
	}
	for (size_t i = 1; i <= a_length; i++) {
		fill_row(rows[i % 3], rows[(i + 2) % 3], rows[(i + 1) % 3], a, i, b, b_length);
	}
	return rows[a_length % 3][b_length];
}

size_t edit_distance_nearest(const char *text, const char *const *names, size_t count)
{
	size_t nearest = 0, distance = SIZE_MAX;

	assert(count > 0);
	for (size_t i = 0; i < count; i++) {
		size_t next = edit_distance(text, names[i]);

		if (next < distance) {
			nearest = i;
			distance = next;
		}
	}
	return nearest;
}
