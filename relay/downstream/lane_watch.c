/*
 * lane_watch: differences over a few seconds.
 */
#include "downstream/lane_watch.h"

#include <string.h>

#define LOOK_US INT64_C(3000000)
/* Less is a LAN, where a loss is made good at once. */
#define ROUND_TRIP_MIN_US INT64_C(10000)

bool lane_watch_is_due(const struct lane_watch *watch, int64_t now_us)
{
	return watch->since_us == 0 || now_us - watch->since_us >= LOOK_US;
}

bool lane_watch_look(struct lane_watch *watch, const struct tcp_path *path, int64_t now_us)
{
	int64_t passed_us = now_us - watch->since_us;
	const struct tcp_path *since = &watch->since;
	bool is_helped = watch->since_us != 0 && path->is_tcp &&
			 strncmp(path->congestion, "bbr", 3) != 0 &&
			 path->round_trip_us >= ROUND_TRIP_MIN_US &&
			 path->segments_resent > since->segments_resent &&
			 (path->busy_us - since->busy_us) * 10 >= passed_us * 9 &&
			 (path->window_limited_us - since->window_limited_us) * 10 <= passed_us &&
			 (path->space_limited_us - since->space_limited_us) * 10 <= passed_us;
	watch->since_us = now_us;
	watch->since = *path;
	return is_helped;
}
