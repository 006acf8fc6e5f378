/*
 * start_search: doubling steps back, then bisection between what is gone and what is held.
 */
#include "upstream/start_search.h"

#include <assert.h>

void start_search_begin(struct start_search *search, lsn_t end_lsn, uint32_t segment_bytes)
{
	assert(wal_segment_bytes_is_valid(segment_bytes));
	search->segment_bytes = segment_bytes;
	search->held = end_lsn / segment_bytes;
	search->gone = START_SEARCH_FIRST_SEGMENT - 1;
	search->step = 1;
	search->question = 0;
}

bool start_search_next(struct start_search *search, lsn_t *lsn_out)
{
	uint64_t between;

	if (search->held <= search->gone + 1) {
		*lsn_out = search->held * search->segment_bytes;
		return false;
	}
	between = search->held - search->gone;
	if (search->step > 0 && search->step < between) {
		search->question = search->held - search->step;
	} else if (search->step > 0) {
		search->question = search->gone + 1;
	} else {
		search->question = search->gone + between / 2;
	}
	*lsn_out = search->question * search->segment_bytes;
	return true;
}

void start_search_answer(struct start_search *search, bool is_held)
{
	assert(search->question > search->gone);
	assert(search->question < search->held);
	if (is_held) {
		search->held = search->question;
		search->step *= 2;
	} else {
		search->gone = search->question;
		search->step = 0;
	}
}
