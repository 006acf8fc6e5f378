/*
 * The handler jumps back into the copy that is under way on its thread. A jump restores no mask,
 * and a blocked SIGBUS would end the process next time: so the handler puts back the one it
 * interrupted.
 */
#include "base/guarded_copy.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <ucontext.h>

static _Thread_local sigjmp_buf *way_back; /* NULL: no copy is under way */
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	if (way_back != NULL) {
		pthread_sigmask(SIG_SETMASK, &((ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(*way_back, 1);
	}
	if ((before.sa_flags & SA_SIGINFO) != 0) {
		before.sa_sigaction(number, info, context);
		return;
	}
	/* Whatever did it does it again, and then finds the old way. */
	sigaction(SIGBUS, &before, NULL);
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before);
}

bool guarded_copy(void *to, const void *from, size_t length)
{
	sigjmp_buf here;

	pthread_once(&once, install);
	if (sigsetjmp(here, 0) != 0) {
		way_back = NULL;
		return false;
	}
	way_back = &here;
	/* The compiler does not know that reading may look at it. */
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(to, from, length);
	atomic_signal_fence(memory_order_seq_cst);
	way_back = NULL;
	return true;
}
