/*
 * metrics_link: what the links toward relays that follow, and toward a relay that is followed, have
 * saved and cost.
 */
#ifndef OBSERVE_METRICS_LINK_H
#define OBSERVE_METRICS_LINK_H

#include "observe/snapshot.h"

struct evbuffer;

void metrics_write_link(const struct snapshot *snapshot, struct evbuffer *out);

#endif
