/*
 * backoff: doubling with a ceiling, the upper half of it at random.
 */
#include "upstream/backoff.h"

int64_t backoff_delay_us(unsigned attempt, uint32_t random)
{
	int64_t whole_us = BACKOFF_FIRST_US;

	for (unsigned i = 1; i < attempt && whole_us < BACKOFF_MAX_US; i++) {
		whole_us *= 2;
	}
	if (whole_us > BACKOFF_MAX_US) {
		whole_us = BACKOFF_MAX_US;
	}
	return whole_us / 2 + (int64_t)((uint64_t)random * (uint64_t)(whole_us / 2) / UINT32_MAX);
}
