/*
 * signals: process signals as callbacks on the main loop.
 *
 * Only the main thread receives them: signals_block() comes before the first thread is made.
 */
#ifndef APP_SIGNALS_H
#define APP_SIGNALS_H

#include "base/error.h"
#include "net/loop.h"

struct signals;

struct signal_calls {
	loop_call *stop;    /* SIGTERM, SIGINT */
	loop_call *reload;  /* SIGHUP */
	loop_call *reopen;  /* SIGUSR1 */
	loop_call *replace; /* SIGUSR2 */
};

/* SIGPIPE is ignored from here on. */
void signals_block(void);
/* On the main thread; signals that came since signals_block() are delivered once the loop runs. */
struct signals *signals_start(struct loop *loop, const struct signal_calls *calls, void *context,
	struct error *err) MUST_CHECK;
void signals_stop(struct signals **signals);

#endif
