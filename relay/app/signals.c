/*
 * signals: libevent's signal events on the main loop, with every other thread kept out of it.
 */
#include "app/signals.h"

#include "base/memory.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
#define HANDLED_COUNT (sizeof handled / sizeof handled[0])

struct signals {
	struct signal_calls calls;
	void *context;
	struct event *events[HANDLED_COUNT];
};

static void handled_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < HANDLED_COUNT; i++) {
		sigaddset(set, handled[i]);
	}
}

void signals_block(void)
{
	signal(SIGPIPE, SIG_IGN);
	sigset_t set;
	handled_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
	(void)what;
	struct signals *signals = context;
	switch ((int)number) {
	case SIGHUP: signals->calls.reload(signals->context); break;
	case SIGUSR1: signals->calls.reopen(signals->context); break;
	case SIGUSR2: signals->calls.replace(signals->context); break;
	default: signals->calls.stop(signals->context); break;
	}
}

struct signals *signals_start(
	struct loop *loop, const struct signal_calls *calls, void *context, struct error *err)
{
	struct signals *signals = memory_new(sizeof *signals);
	signals->calls = *calls;
	signals->context = context;
	for (size_t i = 0; i < HANDLED_COUNT; i++) {
		signals->events[i] =
			evsignal_new(loop_event_base(loop), handled[i], on_signal, signals);
		if (signals->events[i] == NULL || event_add(signals->events[i], NULL) != 0) {
			error_set(err, ERROR_SYSTEM, "could not handle signal %d", handled[i]);
			signals_stop(&signals);
			return NULL;
		}
	}
	sigset_t set;
	handled_set(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return signals;
}

void signals_stop(struct signals **signals)
{
	if (*signals == NULL) {
		return;
	}
	signals_block();
	for (size_t i = 0; i < HANDLED_COUNT; i++) {
		if ((*signals)->events[i] != NULL) {
			event_free((*signals)->events[i]);
		}
	}
	free(*signals);
	*signals = NULL;
}
