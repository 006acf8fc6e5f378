/*
 * acknowledge: a target that the standbys have to reach in time, and the next one after it.
 */
#include "upstream/acknowledge.h"

#include "base/log.h"

#include <inttypes.h>

static void begin(struct acknowledge *state, tli_t tli)
{
	bool is_alone = state->is_alone;
	*state = (struct acknowledge){.tli = tli, .is_alone = is_alone};
}

/* What was flushed here since the last target is the next one, and as old as its oldest byte. */
static void set_target(struct acknowledge *state, lsn_t own_lsn, int64_t now_us)
{
	state->target_us = state->beyond_us != 0 ? state->beyond_us : now_us;
	state->target_lsn = own_lsn;
	state->beyond_us = 0;
}

static enum acknowledge_news follow_target(struct acknowledge *state, int64_t timeout_us,
	lsn_t own_lsn, lsn_t standbys_lsn, int64_t now_us)
{
	bool is_reached = state->target_lsn != LSN_INVALID && standbys_lsn >= state->target_lsn;
	if (own_lsn > state->target_lsn && state->beyond_us == 0) {
		state->beyond_us = now_us;
	}
	if (is_reached || state->target_lsn == LSN_INVALID) {
		bool comes_back = is_reached && state->is_alone;
		if (standbys_lsn >= own_lsn) {
			state->target_lsn = LSN_INVALID;
			state->beyond_us = 0;
		} else {
			set_target(state, own_lsn, now_us);
		}
		state->is_alone = state->is_alone && !comes_back;
		return comes_back ? ACKNOWLEDGE_TOGETHER : ACKNOWLEDGE_NO_NEWS;
	}
	if (!state->is_alone && now_us - state->target_us >= timeout_us) {
		state->is_alone = true;
		/* All that is here now has to come to them before they count again. */
		state->beyond_us = now_us;
		set_target(state, own_lsn, now_us);
		return ACKNOWLEDGE_ALONE;
	}
	return ACKNOWLEDGE_NO_NEWS;
}

struct acknowledge_decision acknowledge_decide(struct acknowledge *state,
	const struct acknowledge_limits *limits, tli_t tli, lsn_t own_lsn, lsn_t standbys_lsn,
	int64_t now_us)
{
	struct acknowledge_decision decision = {.flush_lsn = own_lsn};
	if (state->tli != tli) {
		begin(state, tli);
	}
	if (limits->standbys == 0) {
		begin(state, tli);
		state->is_alone = false;
		state->told_lsn = own_lsn;
		return decision;
	}
	if (own_lsn != LSN_INVALID) {
		decision.news =
			follow_target(state, limits->timeout_us, own_lsn, standbys_lsn, now_us);
	}
	if (!state->is_alone) {
		decision.flush_lsn = lsn_min(own_lsn, lsn_max(standbys_lsn, state->told_lsn));
		decision.next_us = state->target_lsn == LSN_INVALID
					   ? 0
					   : state->target_us + limits->timeout_us;
	}
	state->told_lsn = lsn_max(state->told_lsn, decision.flush_lsn);
	return decision;
}

void acknowledge_log(
	const struct acknowledge_decision *decision, const struct acknowledge_limits *limits)
{
	if (decision->news == ACKNOWLEDGE_ALONE) {
		log_write(LOG_LEVEL_ERROR, "upstream",
			"fewer than %u standbys have flushed what is flushed here for %" PRId64
			" ms: our own disk is all that holds what is acknowledged",
			limits->standbys, limits->timeout_us / 1000);
	} else if (decision->news == ACKNOWLEDGE_TOGETHER) {
		log_info("upstream", "%u standbys hold again what is acknowledged",
			limits->standbys);
	}
}
