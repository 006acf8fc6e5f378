/*
 * run_until: runs a loop in the test's own thread until a condition holds, or fails after 10 s.
 */
#ifndef TESTS_SUPPORT_RUN_UNTIL_H
#define TESTS_SUPPORT_RUN_UNTIL_H

#include "net/loop.h"

#define RUN_UNTIL_US 10000000
#define TICK_US      1000

static inline void stop_tick(void *context, int reason)
{
	(void)reason;
	loop_stop(context);
}

static inline void run_for(struct loop *loop, int64_t duration_us)
{
	struct deadlines tick;
	assert_true(deadlines_init(&tick, loop, 1, stop_tick, loop, NULL));
	deadlines_set(&tick, 0, loop_refresh_now_us(loop) + duration_us);
	loop_run(loop);
	deadlines_release(&tick);
}

/* At least one turn, at most about a millisecond. */
static inline void run_a_tick(struct loop *loop)
{
	run_for(loop, TICK_US);
}

#define RUN_UNTIL(loop, condition)                                                                 \
	do {                                                                                       \
		int64_t run_until_end_us = loop_refresh_now_us(loop) + RUN_UNTIL_US;               \
		while (!(condition)) {                                                             \
			assert_true(loop_refresh_now_us(loop) < run_until_end_us);                 \
			run_a_tick(loop);                                                          \
		}                                                                                  \
	} while (0)

/* For a thing that must not happen: turns enough for it to show. */
#define RUN_TICKS(loop, count)                                                                     \
	do {                                                                                       \
		for (int run_ticks_at = 0; run_ticks_at < (count); run_ticks_at++) {               \
			run_a_tick(loop);                                                          \
		}                                                                                  \
	} while (0)

#endif
