/*
 * alert_conditions: what is wrong, as a pure function of a snapshot and of what is thought too much.
 */
#ifndef OBSERVE_ALERT_CONDITIONS_H
#define OBSERVE_ALERT_CONDITIONS_H

#include "observe/alert.h"
#include "observe/alert_watch.h"

struct snapshot;

/* A file whose certificates are in force. */
struct alert_certificate {
	const char *path;
	const char *key;      /* what the configuration calls it */
	int64_t not_after_us; /* Unix time; of the one that ends first */
};

/* 0: no such alert. */
struct alert_thresholds {
	uint64_t lag_bytes;
	int64_t lag_time_us;
	uint64_t spool_free_bytes;
	uint64_t spool_max_bytes; /* max_size */
};

struct alert_input {
	const struct snapshot *snapshot;
	const struct alert_watch *watch; /* of the same moment */
	const struct alert_thresholds *thresholds;
	const struct alert_certificate *certificates;
	size_t certificate_count;
	int64_t now_us; /* Unix time */
};

/* What was in it goes. */
void alert_conditions_find(
	const struct alert_input *input, struct alert_conditions *conditions_out);

#endif
