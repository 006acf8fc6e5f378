/*
 * lag_tracker: samples of when WAL was there, consumed by reports of what was replayed.
 */
#include "downstream/lag_tracker.h"

#include <string.h>

void lag_tracker_init(struct lag_tracker *tracker)
{
	memset(tracker, 0, sizeof(*tracker));
	tracker->lag_us = LAG_UNKNOWN;
}

static void halve(struct lag_tracker *tracker)
{
	size_t kept = 0;
	for (size_t i = 0; i < tracker->count; i += 2) {
		tracker->samples[kept++] = tracker->samples[i];
	}
	tracker->count = kept;
	tracker->spacing_us = (tracker->samples[kept - 1].at_us - tracker->samples[0].at_us) /
			      (int64_t)(kept - 1);
}

void lag_tracker_on_sent(struct lag_tracker *tracker, lsn_t lsn, int64_t now_us)
{
	lsn_t last =
		tracker->count > 0 ? tracker->samples[tracker->count - 1].lsn : tracker->passed.lsn;
	if (lsn <= last) {
		return;
	}
	if (tracker->count == 0) {
		tracker->spacing_us = 0;
	} else if (now_us - tracker->samples[tracker->count - 1].at_us < tracker->spacing_us) {
		return;
	}
	if (tracker->count == LAG_SAMPLES_MAX) {
		halve(tracker);
	}
	tracker->samples[tracker->count++] = (struct lag_sample){.lsn = lsn, .at_us = now_us};
}

/* When the byte before lsn, which lies between two samples, was there. */
static int64_t interpolate(
	const struct lag_sample *before, const struct lag_sample *after, lsn_t lsn)
{
	if (lsn < before->lsn || before->at_us > after->at_us) {
		return 0;
	}
	double fraction = (double)(lsn - before->lsn) / (double)(after->lsn - before->lsn);
	return before->at_us + (int64_t)(fraction * (double)(after->at_us - before->at_us));
}

static int64_t measure(struct lag_tracker *tracker, lsn_t lsn, int64_t now_us)
{
	int64_t at_us = 0;
	size_t passed = 0;
	while (passed < tracker->count && tracker->samples[passed].lsn <= lsn) {
		tracker->passed = tracker->samples[passed++];
		at_us = tracker->passed.at_us;
	}
	tracker->count -= passed;
	memmove(tracker->samples, tracker->samples + passed,
		tracker->count * sizeof(tracker->samples[0]));
	if (tracker->count == 0) {
		tracker->passed.at_us = 0;
	} else if (at_us == 0) {
		/* With nothing passed before, the best guess is that the next sample is replayed
		 * just now. */
		at_us = tracker->passed.at_us == 0
				? tracker->samples[0].at_us
				: interpolate(&tracker->passed, &tracker->samples[0], lsn);
	}
	return at_us == 0 || at_us > now_us ? LAG_UNKNOWN : now_us - at_us;
}

int64_t lag_tracker_on_replayed(
	struct lag_tracker *tracker, lsn_t replay_lsn, lsn_t sent_lsn, int64_t now_us)
{
	int64_t lag_us = measure(tracker, replay_lsn, now_us);
	bool is_all_replayed = replay_lsn == sent_lsn;
	if (lag_us != LAG_UNKNOWN || (is_all_replayed && tracker->was_all_replayed)) {
		tracker->lag_us = lag_us;
	}
	tracker->was_all_replayed = is_all_replayed;
	return tracker->lag_us;
}
