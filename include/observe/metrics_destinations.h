/*
 * metrics_destinations: what INTERFACE names of destinations, as Prometheus text.
 *
 * Counters are those of this process, so that one restarted after a crash begins at 0 and is not
 * taken for having gone back; what a day or a month has used is of the ledger.
 */
#ifndef OBSERVE_METRICS_DESTINATIONS_H
#define OBSERVE_METRICS_DESTINATIONS_H

#include "observe/snapshot.h"

struct evbuffer;

void metrics_write_destinations(const struct snapshot *snapshot, struct evbuffer *out);

#endif
