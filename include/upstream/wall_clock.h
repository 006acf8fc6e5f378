/*
 * wall_clock: the time of day, for what is told to others. Durations go by the loop's clock.
 */
#ifndef UPSTREAM_WALL_CLOCK_H
#define UPSTREAM_WALL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t wall_clock_unix_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif
