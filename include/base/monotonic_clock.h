/*
 * monotonic_clock: time that only goes forward, for intervals and deadlines off a loop; on one,
 * loop_now_us() has it already. Any thread.
 */
#ifndef BASE_MONOTONIC_CLOCK_H
#define BASE_MONOTONIC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since some moment before the process began. */
static inline int64_t monotonic_clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
