/*
 * thread: a thread that no signal reaches: those are for the loops.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>

/* name: at most 15 characters are shown by the kernel. */
bool thread_start(pthread_t *thread_out, const char *name, void *(*run)(void *), void *context,
	struct error *err) MUST_CHECK;

#endif
