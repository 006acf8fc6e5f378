/*
 * lag_tracker: how long ago the WAL that a standby has just replayed was there to be sent.
 *
 * As LagTrackerWrite and LagTrackerRead of src/backend/replication/walsender.c: samples of (LSN,
 * time) are kept until the standby reports to have passed them; between two samples the time is
 * interpolated. There are few: when they are used up every second one is dropped, and new ones keep
 * that distance until all were passed. So a long lag is measured as well as a short one, only more
 * coarsely. Pure: time is an argument.
 */
#ifndef DOWNSTREAM_LAG_TRACKER_H
#define DOWNSTREAM_LAG_TRACKER_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAG_SAMPLES_MAX 64
#define LAG_UNKNOWN     INT64_C(-1)

struct lag_sample {
	lsn_t lsn;
	int64_t at_us;
};

struct lag_tracker {
	struct lag_sample samples[LAG_SAMPLES_MAX]; /* ascending; not yet passed */
	size_t count;
	int64_t spacing_us;       /* what new samples keep from the last */
	struct lag_sample passed; /* the last one passed; at_us 0: none, or all were passed */
	bool was_all_replayed;    /* at the previous report */
	int64_t lag_us;
};

void lag_tracker_init(struct lag_tracker *tracker);
/* WAL up to lsn is there to be sent. */
void lag_tracker_on_sent(struct lag_tracker *tracker, lsn_t lsn, int64_t now_us);
/* The standby reports; answers the lag to show, LAG_UNKNOWN: none. Two reports in a row of
 * everything replayed mean that it is idle: the lag is forgotten. */
int64_t lag_tracker_on_replayed(
	struct lag_tracker *tracker, lsn_t replay_lsn, lsn_t sent_lsn, int64_t now_us);

#endif
