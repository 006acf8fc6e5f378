/*
 * lingering: what stays behind on a loop without an owner, until it is done, its time is over or
 * the loop ends. Embedded in what stays; on the loop's thread. Zeroed is released.
 */
#ifndef NET_LINGERING_H
#define NET_LINGERING_H

#include "net/loop.h"

struct lingering {
	struct deadlines deadlines;
	struct loop_leftover leftover;
};

/* give_up(context) is called once, after timeout_us or from loop_free(), unless released before; it
 * releases. */
bool lingering_start(struct lingering *lingering, struct loop *loop, int64_t timeout_us,
	loop_call *give_up, void *context) MUST_CHECK;
void lingering_release(struct lingering *lingering);

#endif
