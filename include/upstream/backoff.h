/*
 * backoff: how long to wait before the next try at the upstream.
 *
 * 100 ms doubling to 5 s, each between half and the whole of that, so that many relays that lost
 * the same upstream do not come back in step. Pure: the caller brings the randomness.
 */
#ifndef UPSTREAM_BACKOFF_H
#define UPSTREAM_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_US INT64_C(100000)
#define BACKOFF_MAX_US   INT64_C(5000000)

/* attempt: how many tries failed since it last went well, from 1. */
int64_t backoff_delay_us(unsigned attempt, uint32_t random);

#endif
