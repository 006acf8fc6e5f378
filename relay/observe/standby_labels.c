/*
 * standby_labels: plain names stay plain while nothing can be mistaken.
 *
 * A label with a suffix ends in "#digits" and pids differ, so two of them differ; a plain label
 * never ends so, and no two standbys share it. So all differ.
 */
#include "observe/standby_labels.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int compare_names(const void *a, const void *b)
{
	const struct standby_stats *const *left = a;
	const struct standby_stats *const *right = b;
	return strcmp((*left)->application_name, (*right)->application_name);
}

static bool ends_in_suffix(const char *name)
{
	const char *mark = strrchr(name, '#');
	return mark != NULL && mark[1] != '\0' && mark[1 + strspn(mark + 1, "0123456789")] == '\0';
}

static bool is_same_name(const struct standby_stats *a, const struct standby_stats *b)
{
	return strcmp(a->application_name, b->application_name) == 0;
}

void standby_labels_make(
	const struct standby_stats *standbys, size_t count, char (*labels_out)[STANDBY_LABEL_SIZE])
{
	const struct standby_stats **sorted = memory_new((count + 1) * sizeof(*sorted));
	for (size_t i = 0; i < count; i++) {
		sorted[i] = &standbys[i];
	}
	qsort(sorted, count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < count; i++) {
		const char *name = sorted[i]->application_name;
		char *label = labels_out[sorted[i] - standbys];
		bool is_shared = (i > 0 && is_same_name(sorted[i - 1], sorted[i])) ||
				 (i + 1 < count && is_same_name(sorted[i], sorted[i + 1]));
		if (is_shared || name[0] == '\0' || ends_in_suffix(name)) {
			snprintf(label, STANDBY_LABEL_SIZE, "%s#%u", name, sorted[i]->pid);
		} else {
			snprintf(label, STANDBY_LABEL_SIZE, "%s", name);
		}
	}
	free(sorted);
}
