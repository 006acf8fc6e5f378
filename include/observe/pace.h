/*
 * pace: how fast a figure that grows has grown of late.
 *
 * The last PACE_SAMPLES figures with their times; the pace is that from the first of them to the
 * last. Pure: time is an argument. A figure that goes back (another connection, another process)
 * begins anew.
 */
#ifndef OBSERVE_PACE_H
#define OBSERVE_PACE_H

#include <stdint.h>

#define PACE_SAMPLES 6
#define PACE_UNKNOWN (-1.0)

/* Zeroed: none yet. */
struct pace {
	int64_t at_us[PACE_SAMPLES];
	uint64_t figures[PACE_SAMPLES];
	unsigned count;
	unsigned next;
};

/* unix_us: a clock that does not go on begins anew. */
void pace_add(struct pace *pace, int64_t unix_us, uint64_t figure);
/* A second; PACE_UNKNOWN before there are two. */
double pace_per_second(const struct pace *pace);
/* Seconds until what is left is done at that many bytes a second; PACE_UNKNOWN: not in sight, or
 * not known. */
double pace_seconds_left(uint64_t bytes_left, double per_second);

#endif
