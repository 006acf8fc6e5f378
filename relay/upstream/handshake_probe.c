/*
 * handshake_probe: does the server have the WAL at a position?
 *
 * Asked by a START_REPLICATION without the slot (which then stays as it is), ended as soon as WAL
 * comes.
 */
#include "upstream/handshake_step.h"

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
