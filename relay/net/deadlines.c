/*
 * deadlines: a session's timers on one libevent timer.
 *
 * The timer stands at or before the earliest deadline. A deadline that is pushed back, as timeouts
 * are by every message, leaves the timer where it is: it fires early, finds nothing due and is set
 * anew. So pushing a deadline back costs no more than a store.
 */
#include <assert.h>
#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "net/loop.h"

/* Index of the earliest deadline; -1: none is set. */
static int earliest(const struct deadlines *deadlines)
{
	int found = -1;
	for (int reason = 0; reason < deadlines->count; reason++) {
		int64_t at_us = deadlines->at_us[reason];
		if (at_us != 0 && (found < 0 || at_us < deadlines->at_us[found])) {
			found = reason;
		}
	}
	return found;
}

static void arm(struct deadlines *deadlines, int64_t at_us)
{
	int64_t wait_us = at_us - loop_now_us(deadlines->loop);
	if (wait_us < 0) {
		wait_us = 0;
	}
	struct timeval wait = {.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
	int failed = event_add(deadlines->event, &wait);
	assert(failed == 0);
	deadlines->armed_us = at_us;
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	struct deadlines *deadlines = context;
	deadlines->armed_us = 0;
	int64_t now_us = loop_now_us(deadlines->loop);
	/* Bounded: a deadline may be set anew to a time already past. */
	for (int fired = 0; fired < deadlines->count; fired++) {
		int reason = earliest(deadlines);
		if (reason < 0 || deadlines->at_us[reason] > now_us) {
			break;
		}
		deadlines->at_us[reason] = 0;
		deadlines->call(deadlines->context, reason);
		if (deadlines->event == NULL) {
			return;
		}
	}
	int next = earliest(deadlines);
	if (next >= 0 &&
		(deadlines->armed_us == 0 || deadlines->at_us[next] < deadlines->armed_us)) {
		arm(deadlines, deadlines->at_us[next]);
	}
}

bool deadlines_init(struct deadlines *deadlines, struct loop *loop, int count, deadline_call *call,
	void *context, struct error *err)
{
	assert(count > 0 && count <= DEADLINES_MAX);
	memset(deadlines, 0, sizeof(*deadlines));
	deadlines->event = event_new(loop_event_base(loop), -1, 0, on_timer, deadlines);
	if (deadlines->event == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	deadlines->loop = loop;
	deadlines->call = call;
	deadlines->context = context;
	deadlines->count = count;
	return true;
}

void deadlines_release(struct deadlines *deadlines)
{
	if (deadlines->event != NULL) {
		event_free(deadlines->event);
		deadlines->event = NULL;
	}
}

void deadlines_set(struct deadlines *deadlines, int reason, int64_t at_us)
{
	assert(reason >= 0 && reason < deadlines->count);
	assert(at_us > 0);
	deadlines->at_us[reason] = at_us;
	if (deadlines->armed_us == 0 || at_us < deadlines->armed_us) {
		arm(deadlines, at_us);
	}
}

void deadlines_clear(struct deadlines *deadlines, int reason)
{
	assert(reason >= 0 && reason < deadlines->count);
	deadlines->at_us[reason] = 0;
}

bool deadlines_is_set(const struct deadlines *deadlines, int reason)
{
	assert(reason >= 0 && reason < deadlines->count);
	return deadlines->at_us[reason] != 0;
}
