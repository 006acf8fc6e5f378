/*
 * pace: a ring of six figures.
 */
#include "observe/pace.h"

static unsigned newest(const struct pace *pace)
{
	return (pace->next + PACE_SAMPLES - 1) % PACE_SAMPLES;
}

static unsigned oldest(const struct pace *pace)
{
	return (pace->next + PACE_SAMPLES - pace->count) % PACE_SAMPLES;
}

void pace_add(struct pace *pace, int64_t unix_us, uint64_t figure)
{
	unsigned last = newest(pace);
	if (pace->count > 0 && (figure < pace->figures[last] || unix_us <= pace->at_us[last])) {
		pace->count = 0;
	}
	pace->at_us[pace->next] = unix_us;
	pace->figures[pace->next] = figure;
	pace->next = (pace->next + 1) % PACE_SAMPLES;
	if (pace->count < PACE_SAMPLES) {
		pace->count++;
	}
}

double pace_per_second(const struct pace *pace)
{
	if (pace->count < 2) {
		return PACE_UNKNOWN;
	}
	unsigned from = oldest(pace);
	unsigned to = newest(pace);
	return (double)(pace->figures[to] - pace->figures[from]) * 1e6 /
	       (double)(pace->at_us[to] - pace->at_us[from]);
}

double pace_seconds_left(uint64_t bytes_left, double per_second)
{
	return per_second <= 0 ? PACE_UNKNOWN : (double)bytes_left / per_second;
}
