/*
 * thread: signals are blocked before it begins, so that none finds it.
 */
#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A slice of the processor, in ns; the kernel's own are some ms. */
#define PROMPT_SLICE_NS 500000u

/* struct sched_attr of sched_setattr(2), which the C library does not have. */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t niceness;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

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

void thread_make_prompt(void)
{
	struct scheduling scheduling = {.size = sizeof(scheduling)};
	if (syscall(SYS_sched_getattr, 0, &scheduling, sizeof(scheduling), 0) == 0 &&
		scheduling.policy == SCHED_OTHER) {
		scheduling.runtime_ns = PROMPT_SLICE_NS;
		/* Older kernels take it and do nothing; without it everything works as well. */
		(void)syscall(SYS_sched_setattr, 0, &scheduling, 0);
	}
}

uint64_t thread_cpu_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
