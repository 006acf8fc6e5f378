/*
 * History files: what parses is a line of descent with growing timelines, each beginning where the
 * one before it ends.
 */
#include "fuzz.h"

#include "spool/timeline_history.h"

#include <assert.h>

#define FILE_TLI UINT32_MAX

static void check_history(const struct timeline_history *history)
{
	assert(timeline_history_current(history) == FILE_TLI);
	for (size_t i = 0; i < history->count; i++) {
		const struct timeline_entry *entry = &history->entries[i];
		bool is_last = i + 1 == history->count;
		assert(timeline_history_find(history, entry->tli) == entry);
		assert(timeline_history_next(history, entry->tli) == (is_last ? NULL : entry + 1));
		assert((entry->end == LSN_INVALID) == is_last);
		assert(is_last || entry->tli < entry[1].tli);
		assert(is_last || entry->end == entry[1].begin);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct timeline_history history;
	struct timeline_history copy;
	struct error err = {0};
	if (!timeline_history_parse(&history, FILE_TLI, (const char *)bytes, length, &err)) {
		assert(err.kind == ERROR_INVALID);
		return 0;
	}
	check_history(&history);
	if (timeline_history_copy(&copy, &history)) {
		assert(timeline_history_is_ancestor(&copy, &history));
		timeline_history_release(&copy);
	}
	timeline_history_release(&history);
	return 0;
}
