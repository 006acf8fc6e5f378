/*
 * recorder: looks at a snapshot every other second, so that there are paces and a history.
 *
 * Pure but for memory: about 250 bytes a standby and destination, and a history. One thread.
 */
#ifndef OBSERVE_RECORDER_H
#define OBSERVE_RECORDER_H

#include "observe/history.h"

#include <stdint.h>

#define RECORDER_INTERVAL_US INT64_C(2000000)

struct recorder;
struct snapshot;

struct recorder *recorder_new(void);
/* Accepts NULL, sets NULL. */
void recorder_free(struct recorder **recorder);

/* The first time, and whenever RECORDER_INTERVAL_US have passed. */
void recorder_take(struct recorder *recorder, const struct snapshot *snapshot);
/* Fills in the paces of what is in the snapshot. */
void recorder_fill(const struct recorder *recorder, struct snapshot *snapshot);
const struct history *recorder_history(const struct recorder *recorder);

#endif
