/*
 * lingering: a deadline, and a place among what a loop takes along when it ends.
 */
#include "net/lingering.h"

static void on_deadline(void *context, int reason)
{
	(void)reason;
	struct lingering *lingering = context;
	lingering->leftover.call(lingering->leftover.context);
}

bool lingering_start(struct lingering *lingering, struct loop *loop, int64_t timeout_us,
	loop_call *give_up, void *context)
{
	if (!deadlines_init(&lingering->deadlines, loop, 1, on_deadline, lingering, NULL)) {
		return false;
	}
	loop_leftover_init(&lingering->leftover, loop, give_up, context);
	deadlines_set(&lingering->deadlines, 0, loop_now_us(loop) + timeout_us);
	return true;
}

void lingering_release(struct lingering *lingering)
{
	deadlines_release(&lingering->deadlines);
	loop_leftover_release(&lingering->leftover);
}
