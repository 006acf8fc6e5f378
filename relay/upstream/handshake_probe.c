/*
 * handshake_probe: does the server have the WAL at a position?
 *
 * Asked by a START_REPLICATION without the slot (which then stays as it is), ended as soon as WAL
 * comes.
 */
#include "upstream/handshake_step.h"

#include "base/log.h"
#include "protocol/repl_message.h"

enum step_begin handshake_ask_probe(
	struct upstream_handshake *handshake, lsn_t lsn, tli_t tli, struct error *err)
{
	handshake->probe = PROBE_OPEN;
	return handshake_ask(
		handshake, err, "START_REPLICATION " LSN_FORMAT " TIMELINE %u", LSN_ARGS(lsn), tli);
}

bool handshake_take_probe(struct upstream_handshake *handshake, const uint8_t *payload,
	size_t length, struct error *err)
{
	struct server_copy copy;
	const char *reason;

	/* What was on its way comes before the end of the stream. */
	if (handshake->probe != PROBE_OPEN) {
		return true;
	}
	if (server_copy_decode(payload, length, &copy, &reason) != DECODE_OK) {
		return error_set(
			err, ERROR_INVALID, "upstream sent a malformed message: %s", reason);
	}
	if (copy.kind != SERVER_COPY_WAL) {
		return true;
	}
	handshake->probe = PROBE_HELD;
	return upstream_session_end_copy(handshake->options.session, err);
}

bool handshake_take_probe_error(
	struct upstream_handshake *handshake, const char *sqlstate, const char *message)
{
	if (upstream_failure_of_server(sqlstate, message) != UPSTREAM_FAILURE_GAP) {
		return false;
	}
	/* An error behind the first WAL says nothing of the segment asked for. */
	if (handshake->probe == PROBE_OPEN) {
		handshake->probe = PROBE_GONE;
	}
	return true;
}

/* Where our end is a segment's start, the segment before it is asked for to be compared. Should the
 * server not have it any more, xl_prev of the first record that comes still has to name our last
 * one before anything is acknowledged. */
static enum step_begin begin_overlap(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->fallback_lsn == LSN_INVALID) {
		return STEP_DONE;
	}
	if (!handshake->has_asked) {
		return handshake_ask_probe(handshake, handshake->start_lsn, handshake->tli, err);
	}
	if (handshake->probe == PROBE_GONE) {
		log_info("upstream",
			"upstream no longer has the WAL before " LSN_FORMAT " to compare ours with",
			LSN_ARGS(handshake->fallback_lsn));
		handshake->start_lsn = handshake->fallback_lsn;
	}
	return STEP_DONE;
}

const struct handshake_step handshake_check_overlap = {
	.command = "START_REPLICATION",
	.begin = begin_overlap,
	.on_copy = handshake_take_probe,
	.on_error = handshake_take_probe_error,
};
