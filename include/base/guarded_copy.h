/*
 * guarded_copy: copies out of a mapped file whose pages the disk may fail to give.
 *
 * A plain read of such a page is a SIGBUS, which would end the process for one bad sector, or for a
 * file that somebody else cut. Here it is an answer. Any thread that has not blocked SIGBUS; the
 * first call installs the handler, which passes every other SIGBUS on to the one before it.
 */
#ifndef BASE_GUARDED_COPY_H
#define BASE_GUARDED_COPY_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* false: not all of from can be read; what is in to by then is undefined. */
bool guarded_copy(void *to, const void *from, size_t length) MUST_CHECK;

#endif
