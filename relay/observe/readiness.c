/*
 * readiness: the first reason, the gravest first, why this relay should not be followed now.
 */
#include "observe/readiness.h"

#include <stdio.h>

static bool not_ready(char *reason_out, const char *what, const char *why)
{
	snprintf(
		reason_out, READINESS_REASON_SIZE, "%s%s%s", what, why[0] == '\0' ? "" : ": ", why);
	return false;
}

bool readiness_check(const struct snapshot *snapshot, char reason_out[READINESS_REASON_SIZE])
{
	const struct upstream_stats *upstream = &snapshot->upstream;
	if (upstream->has_diverged) {
		return not_ready(reason_out, "upstream has diverged", upstream->last_error);
	}
	if (upstream->has_gap) {
		return not_ready(reason_out, "upstream no longer has the WAL that comes next",
			upstream->last_error);
	}
	if (snapshot->store.is_full) {
		return not_ready(reason_out, "spool is full", snapshot->store.full_reason);
	}
	if (upstream->state != UPSTREAM_STREAMING) {
		char what[64];
		snprintf(
			what, sizeof(what), "upstream is %s", upstream_state_name(upstream->state));
		return not_ready(reason_out, what, upstream->last_error);
	}
	/* Until then clients are turned away. */
	if (snapshot->store.tli == 0) {
		return not_ready(reason_out, "nothing has been received yet", "");
	}
	reason_out[0] = '\0';
	return true;
}
