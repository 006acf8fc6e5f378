/*
 * link_choice: reaches are compared by powers of two, so that chains that differ by little are the
 * same to a receiver, and receivers come together.
 */
#include "downstream/link_choice.h"

static uint64_t power_of_two(uint64_t value)
{
	return value == 0 ? 0 : (uint64_t)1 << (63 - __builtin_clzll(value));
}

uint64_t link_reach_of(
	const struct link_promise *promise, lsn_t held_oldest, lsn_t lsn, uint64_t reach_max)
{
	uint64_t reach = promise->keep_bytes < reach_max ? promise->keep_bytes : reach_max;
	bool is_all_held = promise->oldest_lsn <= held_oldest;
	if (promise->oldest_lsn > lsn) {
		return 0;
	}
	if (!is_all_held && lsn - promise->oldest_lsn < reach) {
		reach = lsn - promise->oldest_lsn;
	}
	reach = power_of_two(reach);
	return reach >= LINK_REACH_MIN ? reach : 0;
}

/* What its batches refer to is bounded by its reach and by what it has seen. */
static uint64_t worth(const struct link_option *option, lsn_t lsn)
{
	uint64_t known = lsn > option->known_from ? lsn - option->known_from : 0;
	uint64_t worth = power_of_two(known < option->reach ? known : option->reach);
	return worth >= LINK_REACH_MIN ? worth : 0;
}

/* What costs nothing to have comes first; then what others have too. */
static unsigned ease(const struct link_option *option)
{
	return option->has_frame ? 2 : option->goes_on ? 1 : 0;
}

static bool is_better(const struct link_option *a, const struct link_option *b, lsn_t lsn)
{
	uint64_t worth_a = worth(a, lsn);
	uint64_t worth_b = worth(b, lsn);
	if (worth_a != worth_b) {
		return worth_a > worth_b;
	}
	if (a->has_frame != b->has_frame) {
		return a->has_frame;
	}
	if (a->receivers != b->receivers) {
		return a->receivers > b->receivers;
	}
	return ease(a) > ease(b);
}

size_t link_choose(const struct link_option *options, size_t count, uint64_t reach, lsn_t lsn)
{
	size_t best = LINK_CHOICE_NONE;
	for (size_t i = 0; i < count; i++) {
		const struct link_option *option = &options[i];
		if (option->reach > reach ||
			(!option->goes_on && !option->has_frame && !option->can_begin)) {
			continue;
		}
		if (best == LINK_CHOICE_NONE || is_better(option, &options[best], lsn)) {
			best = i;
		}
	}
	return best;
}
