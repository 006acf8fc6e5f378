/*
 * upstream_choice: compares two lines of descent.
 */
#include "upstream/upstream_choice.h"

#include <assert.h>
#include <stddef.h>

static lsn_t floor_lsn(const struct upstream_choice_input *input, tli_t tli)
{
	const struct timeline_entry *entry = timeline_history_find(input->ours, tli);

	assert(entry != NULL);
	return lsn_segment_start(lsn_max(entry->begin, input->oldest_lsn), input->segment_bytes);
}

/* From the segment that holds the last byte we have, so that there is something to compare. */
static void start_below(
	struct upstream_choice *choice, const struct upstream_choice_input *input, lsn_t end_lsn)
{
	choice->start_lsn = lsn_segment_start(end_lsn, input->segment_bytes);
	if (choice->start_lsn == end_lsn && end_lsn > floor_lsn(input, choice->tli)) {
		choice->start_lsn -= input->segment_bytes;
		choice->fallback_lsn = end_lsn;
	}
}

static struct upstream_choice same_timeline(const struct upstream_choice_input *input, tli_t tli)
{
	struct upstream_choice choice = {.kind = UPSTREAM_CHOICE_CONTINUE, .tli = tli};

	/* A standby is behind us after a restart of its own, a server restored from a snapshot for
	 * good: what it has is compared, and where it goes on. */
	start_below(&choice, input, lsn_min(input->received_lsn, input->server_lsn));
	if (choice.start_lsn < floor_lsn(input, tli)) {
		choice.kind = UPSTREAM_CHOICE_BEHIND;
	}
	return choice;
}

static struct upstream_choice newer_timeline(const struct upstream_choice_input *input, tli_t tli)
{
	const struct timeline_entry *shared = timeline_history_find(input->theirs, tli);
	const struct timeline_entry *next = timeline_history_next(input->theirs, tli);
	struct upstream_choice choice = {.kind = UPSTREAM_CHOICE_CONTINUE, .tli = tli};

	assert(shared != NULL);
	assert(next != NULL);
	if (input->received_lsn < shared->end) {
		start_below(&choice, input, input->received_lsn);
		return choice;
	}
	choice.kind = UPSTREAM_CHOICE_SWITCH;
	choice.tli = next->tli;
	choice.fork_lsn = shared->end;
	choice.start_lsn = lsn_segment_start(shared->end, input->segment_bytes);
	return choice;
}

struct upstream_choice upstream_choose(const struct upstream_choice_input *input)
{
	struct upstream_choice choice = {.kind = UPSTREAM_CHOICE_FIRST_CONTACT};
	tli_t our_tli;
	tli_t their_tli = timeline_history_current(input->theirs);

	choice.tli = their_tli;
	if (input->ours == NULL) {
		return choice;
	}
	our_tli = timeline_history_current(input->ours);
	if (timeline_history_is_ancestor(input->ours, input->theirs)) {
		return our_tli == their_tli ? same_timeline(input, our_tli)
					    : newer_timeline(input, our_tli);
	}
	choice.kind = timeline_history_is_ancestor(input->theirs, input->ours)
			      ? UPSTREAM_CHOICE_STALE
			      : UPSTREAM_CHOICE_UNRELATED;
	return choice;
}

tli_t upstream_timeline_of(const struct timeline_history *history, lsn_t lsn)
{
	for (size_t i = 0; i < history->count; i++) {
		if (history->entries[i].end == LSN_INVALID || lsn < history->entries[i].end) {
			return history->entries[i].tli;
		}
	}
	return timeline_history_current(history);
}
