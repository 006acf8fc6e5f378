/*
 * lag_tracker: how long ago the WAL that a standby has just written, flushed, replayed was there to
 * be sent.
 *
 * As LagTrackerWrite and LagTrackerRead of src/backend/replication/walsender.c: samples of (LSN,
 * time) are kept until the standby reports to have passed them; between two samples the time is
 * interpolated. There are few: when they are used up every second one is dropped, and new ones keep
 * that distance until all were passed. So a long lag is measured as well as a short one, only more
 * coarsely; each stage has samples of its own, so that a slow replay does not make the lag of
 * writing coarse. Pure: time is an argument.
 */
#ifndef DOWNSTREAM_LAG_TRACKER_H
#define DOWNSTREAM_LAG_TRACKER_H

#include "protocol/lsn.h"
#include "protocol/repl_message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAG_SAMPLES_MAX 64
#define LAG_UNKNOWN     INT64_C(-1)

/* What a standby reports of WAL, in the order in which it happens. */
enum lag_stage { LAG_WRITE, LAG_FLUSH, LAG_REPLAY, LAG_STAGES };

struct lag_sample {
	lsn_t lsn;
	int64_t at_us;
};

struct lag_samples {
	struct lag_sample samples[LAG_SAMPLES_MAX]; /* ascending; not yet passed */
	size_t count;
	int64_t spacing_us;       /* what new samples keep from the last */
	struct lag_sample passed; /* the last one passed; at_us 0: none, or all were passed */
};

struct lag_tracker {
	struct lag_samples stages[LAG_STAGES];
	int64_t lag_us[LAG_STAGES]; /* to be shown; LAG_UNKNOWN: none */
	bool was_idle;              /* the previous report was of everything */
	lsn_t idle_lsns[LAG_STAGES];
};

void lag_tracker_init(struct lag_tracker *tracker);
/* WAL up to lsn is there to be sent. */
void lag_tracker_on_sent(struct lag_tracker *tracker, lsn_t lsn, int64_t now_us);
/* The standby reports, and lag_us follows; of a stage that it does not report it stays as it is.
 * Two reports in a row of everything done, and of nothing new, mean that it is idle: the lags are
 * forgotten. Everything is what the last stage it reports at all (a receiver replays nothing) has
 * done of what was sent. */
void lag_tracker_on_status(struct lag_tracker *tracker, const struct standby_status *status,
	lsn_t sent_lsn, int64_t now_us);

#endif
