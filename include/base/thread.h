/*
 * thread: a thread that no signal reaches: those are for the loops.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* name: at most 15 characters are shown by the kernel. */
bool thread_start(pthread_t *thread_out, const char *name, void *(*run)(void *), void *context,
	struct error *err) MUST_CHECK;

/* Of the calling thread: it mostly waits, and what it then does is waited for. Where the kernel
 * takes the hint (Linux 6.12), it comes before threads that have no such haste, without getting
 * more of the processor than they. */
void thread_make_prompt(void);
/* What the calling thread has used of the processor. */
uint64_t thread_cpu_us(void);

#endif
