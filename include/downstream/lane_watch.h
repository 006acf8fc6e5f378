/*
 * lane_watch: whether one TCP connection is all its path allows, or several would carry more.
 *
 * Pure: what is known of the socket, and the time, are arguments. Several help where a loss costs
 * much: for some seconds the connection had something in flight all the time, segments were lost,
 * neither the receiver nor our own memory was the limit, and the round trip is long. Congestion
 * controls that do not take each loss for a full path (bbr) get by with one.
 */
#ifndef DOWNSTREAM_LANE_WATCH_H
#define DOWNSTREAM_LANE_WATCH_H

#include "net/tcp_path.h"

#include <stdbool.h>
#include <stdint.h>

/* As many as are asked for then. */
#define LANES_AUTO 8u

struct lane_watch {
	int64_t since_us; /* 0: nothing was seen yet */
	struct tcp_path since;
};

/* When it is to be looked at again. */
bool lane_watch_is_due(const struct lane_watch *watch, int64_t now_us);
/* True: several would help. */
bool lane_watch_look(struct lane_watch *watch, const struct tcp_path *path, int64_t now_us);

#endif
