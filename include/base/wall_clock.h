/*
 * wall_clock: the time of day, for what is told to others: timestamps in messages and statistics.
 * Deadlines and durations never use it: they live on a loop's monotonic clock. Any thread.
 */
#ifndef BASE_WALL_CLOCK_H
#define BASE_WALL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Microseconds since 1970. */
static inline int64_t wall_clock_unix_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
