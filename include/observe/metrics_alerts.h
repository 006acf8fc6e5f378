/*
 * metrics_alerts: which alerts are on, and how telling of them goes.
 */
#ifndef OBSERVE_METRICS_ALERTS_H
#define OBSERVE_METRICS_ALERTS_H

#include "observe/snapshot.h"

struct evbuffer;

void metrics_write_alerts(const struct snapshot *snapshot, struct evbuffer *out);

#endif
