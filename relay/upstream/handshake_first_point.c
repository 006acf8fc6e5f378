/*
 * handshake_first_point: where an empty spool begins.
 *
 * start = LSN says it, start = redo takes it from the slot (which holds WAL from the last
 * checkpoint's redo), and otherwise the oldest segment the server has is searched for. A question
 * of the search is a START_REPLICATION without the slot, ended as soon as WAL comes. Nothing is
 * begun here: that waits for the first WAL, since what was there may be removed meanwhile.
 */
#include "upstream/handshake_step.h"

#include "upstream/upstream_choice.h"

#include <assert.h>

static bool begin_at(struct upstream_handshake *handshake, lsn_t lsn, struct error *err)
{
	if (lsn > handshake->server_lsn) {
		error_set(err, ERROR_INVALID,
			"the first position " LSN_FORMAT " is ahead of the upstream at " LSN_FORMAT,
			LSN_ARGS(lsn), LSN_ARGS(handshake->server_lsn));
		return handshake_refuse(handshake, UPSTREAM_FAILURE_UNUSABLE);
	}
	handshake->begin_lsn = lsn;
	handshake->tli = upstream_timeline_of(&handshake->theirs, lsn);
	handshake->start_lsn = lsn_segment_start(lsn, handshake->identity.segment_bytes);
	return true;
}

static enum step_begin search(struct upstream_handshake *handshake, struct error *err)
{
	lsn_t lsn;

	if (!handshake->has_search) {
		handshake->has_search = true;
		start_search_begin(&handshake->search, handshake->server_lsn,
			handshake->identity.segment_bytes);
	} else if (handshake->probe == PROBE_OPEN) {
		error_set(err, ERROR_INVALID, "upstream ended a stream without a word");
		return STEP_FAILED;
	} else {
		start_search_answer(&handshake->search, handshake->probe == PROBE_HELD);
	}
	if (!start_search_next(&handshake->search, &lsn)) {
		return begin_at(handshake, lsn, err) ? STEP_DONE : STEP_FAILED;
	}
	return handshake_ask_probe(
		handshake, lsn, upstream_timeline_of(&handshake->theirs, lsn), err);
}

static enum step_begin begin_first_point(struct upstream_handshake *handshake, struct error *err)
{
	const struct upstream_handshake_options *options = &handshake->options;

	if (wal_store_received(options->store).tli != 0) {
		return STEP_DONE;
	}
	if (options->start == UPSTREAM_START_LSN) {
		return begin_at(handshake, options->start_lsn, err) ? STEP_DONE : STEP_FAILED;
	}
	if (options->start == UPSTREAM_START_REDO && handshake->slot_restart_lsn != LSN_INVALID) {
		return begin_at(handshake, handshake->slot_restart_lsn, err) ? STEP_DONE
									     : STEP_FAILED;
	}
	return search(handshake, err);
}

const struct handshake_step handshake_first_point = {
	.command = "START_REPLICATION",
	.begin = begin_first_point,
	.on_copy = handshake_take_probe,
	.on_error = handshake_take_probe_error,
};
