/*
 * thread: signals are blocked before it begins, so that none finds it.
 */
#include "base/thread.h"

#include <errno.h>
#include <signal.h>

bool thread_start(pthread_t *thread_out, const char *name, void *(*run)(void *), void *context,
	struct error *err)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(thread_out, NULL, run, context);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno != 0) {
		return error_set_errno(err, "could not start the %s thread", name);
	}
	(void)pthread_setname_np(*thread_out, name);
	return true;
}
