/*
 * metrics: a snapshot as Prometheus text (exposition format 0.0.4).
 *
 * Base units, "_total" on counters, HELP and TYPE on each. No two samples have the same name and
 * labels, whatever the standbys call themselves.
 */
#ifndef OBSERVE_METRICS_H
#define OBSERVE_METRICS_H

#include "observe/snapshot.h"

struct evbuffer;

void metrics_write(const struct snapshot *snapshot, struct evbuffer *out);

#endif
