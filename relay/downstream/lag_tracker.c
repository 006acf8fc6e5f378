/*
 * lag_tracker: samples of when WAL was there, consumed by reports of what was done.
 */
#include "downstream/lag_tracker.h"

#include <string.h>

void lag_tracker_init(struct lag_tracker *tracker)
{
	memset(tracker, 0, sizeof(*tracker));
	for (int stage = 0; stage < LAG_STAGES; stage++) {
		tracker->lag_us[stage] = LAG_UNKNOWN;
	}
}

static void halve(struct lag_samples *of)
{
	size_t kept = 0;
	for (size_t i = 0; i < of->count; i += 2) {
		of->samples[kept++] = of->samples[i];
	}
	of->count = kept;
	of->spacing_us = (of->samples[kept - 1].at_us - of->samples[0].at_us) / (int64_t)(kept - 1);
}

static void add(struct lag_samples *of, lsn_t lsn, int64_t now_us)
{
	lsn_t last = of->count > 0 ? of->samples[of->count - 1].lsn : of->passed.lsn;
	if (lsn <= last) {
		return;
	}
	if (of->count == 0) {
		of->spacing_us = 0;
	} else if (now_us - of->samples[of->count - 1].at_us < of->spacing_us) {
		return;
	}
	if (of->count == LAG_SAMPLES_MAX) {
		halve(of);
	}
	of->samples[of->count++] = (struct lag_sample){.lsn = lsn, .at_us = now_us};
}

void lag_tracker_on_sent(struct lag_tracker *tracker, lsn_t lsn, int64_t now_us)
{
	for (int stage = 0; stage < LAG_STAGES; stage++) {
		add(&tracker->stages[stage], lsn, now_us);
	}
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

static int64_t measure(struct lag_samples *of, lsn_t lsn, int64_t now_us)
{
	int64_t at_us = 0;
	size_t passed = 0;
	while (passed < of->count && of->samples[passed].lsn <= lsn) {
		of->passed = of->samples[passed++];
		at_us = of->passed.at_us;
	}
	of->count -= passed;
	memmove(of->samples, of->samples + passed, of->count * sizeof(of->samples[0]));
	if (of->count == 0) {
		of->passed.at_us = 0;
	} else if (at_us == 0) {
		/* With nothing passed before, the best guess is that the next sample is reached
		 * just now. */
		at_us = of->passed.at_us == 0 ? of->samples[0].at_us
					      : interpolate(&of->passed, &of->samples[0], lsn);
	}
	return at_us == 0 || at_us > now_us ? LAG_UNKNOWN : now_us - at_us;
}

/* Whether this report is of everything and of nothing new since the one before. */
static bool is_idle_again(
	struct lag_tracker *tracker, const lsn_t reached[LAG_STAGES], lsn_t sent_lsn)
{
	int last = LAG_REPLAY;
	while (last > LAG_WRITE && reached[last] == LSN_INVALID) {
		last--;
	}
	bool is_idle = reached[last] == sent_lsn;
	bool was_same = memcmp(tracker->idle_lsns, reached, sizeof(tracker->idle_lsns)) == 0;
	bool answer = is_idle && tracker->was_idle && was_same;
	tracker->was_idle = is_idle;
	memcpy(tracker->idle_lsns, reached, sizeof(tracker->idle_lsns));
	return answer;
}

void lag_tracker_on_status(struct lag_tracker *tracker, const struct standby_status *status,
	lsn_t sent_lsn, int64_t now_us)
{
	const lsn_t reached[LAG_STAGES] = {
		[LAG_WRITE] = status->write_lsn,
		[LAG_FLUSH] = status->flush_lsn,
		[LAG_REPLAY] = status->apply_lsn,
	};
	bool is_forgotten = is_idle_again(tracker, reached, sent_lsn);
	for (int stage = 0; stage < LAG_STAGES; stage++) {
		int64_t lag_us = reached[stage] == LSN_INVALID
					 ? LAG_UNKNOWN
					 : measure(&tracker->stages[stage], reached[stage], now_us);
		if (lag_us != LAG_UNKNOWN || is_forgotten) {
			tracker->lag_us[stage] = lag_us;
		}
	}
}
