/*
 * readiness: whether this relay is fit to be followed: its upstream streams and its spool takes it.
 */
#ifndef OBSERVE_READINESS_H
#define OBSERVE_READINESS_H

#include "observe/snapshot.h"

#include <stdbool.h>
#include <stddef.h>

#define READINESS_REASON_SIZE 768

/* false: reason_out says why not. */
bool readiness_check(const struct snapshot *snapshot, char reason_out[READINESS_REASON_SIZE]);

#endif
