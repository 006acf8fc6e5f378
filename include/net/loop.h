/*
 * loop: one thread, one libevent base, and how other threads reach it.
 *
 * What lives on a loop is touched by that loop's thread alone. Everything else crosses by
 * loop_post(). Callbacks do bounded work and return; nothing is freed in its own callback: what
 * ends itself hands its memory to loop_defer(). Only the loop reads the clock.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct event_base;
struct loop;

typedef void loop_call(void *context);

/* name: for logs and the thread's name (at most 15 characters are shown by the kernel). */
struct loop *loop_new(const char *name, struct error *err) MUST_CHECK;
/* The loop must not be running. Posted calls that did not run are run now, so that nothing they
 * own leaks. */
void loop_free(struct loop **loop);

/* Run in the calling thread until loop_stop(). */
void loop_run(struct loop *loop);
/* Run in a thread of its own, all signals but SIGBUS blocked there; loop_join() waits for its end.
 */
bool loop_start(struct loop *loop, struct error *err) MUST_CHECK;
void loop_join(struct loop *loop);
/* Any thread, also before the loop runs. What was posted before is still run. */
void loop_stop(struct loop *loop);

struct event_base *loop_event_base(struct loop *loop);
const char *loop_name(const struct loop *loop);
bool loop_is_current(const struct loop *loop);

/* CLOCK_MONOTONIC in microseconds, read at most once per event-loop turn unless refreshed. */
int64_t loop_now_us(struct loop *loop);
int64_t loop_refresh_now_us(struct loop *loop);

/* Any thread: call(context) on the loop's thread, in order of posting. Never fails (out of memory
 * ends the process) and never blocks on the loop. */
void loop_post(struct loop *loop, loop_call *call, void *context);
/* From an event's callback that took its time: what was posted meanwhile does not wait until all
 * other events that are ready have taken theirs. */
void loop_let_posts_in(struct loop *loop);
/* The loop's own thread: after the present callback, before waiting again. */
void loop_defer(struct loop *loop, loop_call *call, void *context);

/*
 * What nobody owns but the loop, until something happens on it: loop_free() calls those for which
 * it has not happened, which then free themselves. Embedded; on the loop's thread. Zeroed is
 * released.
 */
struct loop_leftover {
	LIST_ENTRY(loop_leftover) link;
	loop_call *call; /* NULL: released */
	void *context;
};
void loop_leftover_init(
	struct loop_leftover *leftover, struct loop *loop, loop_call *call, void *context);
void loop_leftover_release(struct loop_leftover *leftover);

/*
 * A wake-up that many threads may ring and that runs once for any number of rings: the cheap form
 * of loop_post() for "there is news, look". wake_ring() is any thread and costs one atomic
 * operation while a ring is already pending.
 */
struct wake;
struct wake *wake_new(
	struct loop *loop, loop_call *call, void *context, struct error *err) MUST_CHECK;
void wake_ring(struct wake *wake);
/* On the loop's thread, or when it no longer runs; nobody may ring any more. */
void wake_free(struct wake **wake);

/*
 * deadlines: a session's timers, each with a reason of its own, on one event. reason is an index
 * below count chosen by the owner (an enum). call gets the context and the reason; a fired reason
 * is cleared first.
 */
#define DEADLINES_MAX 12
typedef void deadline_call(void *context, int reason);
struct event;
struct deadlines {
	struct loop *loop;
	struct event *event;
	deadline_call *call;
	void *context;
	int64_t at_us[DEADLINES_MAX]; /* 0: not set */
	int64_t armed_us;
	int count;
};
bool deadlines_init(struct deadlines *deadlines, struct loop *loop, int count, deadline_call *call,
	void *context, struct error *err) MUST_CHECK;
void deadlines_release(struct deadlines *deadlines);
/* at_us on loop_now_us()'s clock. */
void deadlines_set(struct deadlines *deadlines, int reason, int64_t at_us);
void deadlines_clear(struct deadlines *deadlines, int reason);
bool deadlines_is_set(const struct deadlines *deadlines, int reason);

#endif
