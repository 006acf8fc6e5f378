/*
 * downstream_session_backup: BASE_BACKUP and UPLOAD_MANIFEST, answered by the upstream.
 *
 * Messages pass as they are in both directions. Toward the client the provider is told when enough
 * waits; from the client a CopyData is handed on in the pieces it arrives in, so that a manifest of
 * any size costs no more memory than any other input. The handle stays open from a manifest to its
 * backup, because both belong on one upstream connection, and no longer than the backup.
 */
#include <assert.h>
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/memory.h"
#include "downstream/downstream_session_state.h"
#include "downstream/passthrough.h"
#include "protocol/repl_command.h"
#include "protocol/wire.h"

#define MESSAGE_HEADER_BYTES 5
#define COPY_IN_MESSAGE_MAX  (1u << 20)

static void tell_result(struct downstream_session *session);

/* --- toward the client -------------------------------------------------------------------------
 */

static size_t waiting_bytes(const struct downstream_session *session)
{
	return session->backup_output != NULL ? evbuffer_get_length(session->backup_output) : 0;
}

/* Gives what waits to the connection, as far as the caps let it. A message is cut where leave ends:
 * nothing else is said on the connection meanwhile. */
static void pump(struct downstream_session *session)
{
	size_t waiting;
	int64_t retry_at_us;
	while ((waiting = waiting_bytes(session)) > 0 &&
		connection_output_bytes(session->connection) <= WAL_STREAM_LOW_WATER) {
		const struct rate_wish wish = {.least = 1, .wanted = waiting};
		size_t leave = rate_share_take(
			session->share, &wish, session_now_us(session), &retry_at_us);
		if (leave == 0) {
			turns_wait_until(session->host->turns, &session->backup_turn, retry_at_us);
			break;
		}
		connection_write_from(session->connection, session->backup_output, leave);
	}
	connection_flush(session->connection);
	session_note_wire(session);
}

/* What follows once nothing waits any more. */
static void go_on(struct downstream_session *session)
{
	if (waiting_bytes(session) > 0) {
		return;
	}
	if (session->backup_result != BACKUP_GOES_ON) {
		tell_result(session);
	} else if (session->is_backup_full && session->backup != NULL &&
		   connection_output_bytes(session->connection) <= WAL_STREAM_LOW_WATER) {
		session->is_backup_full = false;
		session->host->shared->passthrough->resume(session->backup);
	}
}

static void on_turn(void *context)
{
	struct downstream_session *session = context;
	pump(session);
	go_on(session);
}

static void flush(void *context)
{
	struct downstream_session *session = context;
	session->is_backup_flush_due = false;
	if (!session_is_ended(session)) {
		pump(session);
		go_on(session);
	}
}

static void queue(struct downstream_session *session, const void *bytes, size_t length)
{
	if (waiting_bytes(session) == 0 && rate_share_stretch(session->share) == SIZE_MAX) {
		connection_write(session->connection, bytes, length);
		return;
	}
	if (session->backup_output == NULL) {
		session->backup_output = evbuffer_new();
	}
	int failed = session->backup_output == NULL
			     ? -1
			     : evbuffer_add(session->backup_output, bytes, length);
	assert(failed == 0);
}

static void on_send(void *context, char type, const void *body, size_t length)
{
	struct downstream_session *session = context;
	uint8_t header[MESSAGE_HEADER_BYTES];
	header[0] = (uint8_t)type;
	wire_put_u32(header + 1, (uint32_t)(length + 4));
	queue(session, header, sizeof(header));
	queue(session, body, length);
	if (type == 'd') {
		progress_set(session->progress.backup_bytes,
			progress_get(session->progress.backup_bytes) + length);
	}
	if (!session->is_backup_flush_due) {
		session->is_backup_flush_due = true;
		loop_defer(session->host->loop, flush, session);
	}
}

static bool has_room(void *context)
{
	struct downstream_session *session = context;
	session->is_backup_full =
		waiting_bytes(session) > 0 ||
		connection_output_bytes(session->connection) >= WAL_STREAM_HIGH_WATER;
	if (session->is_backup_full) {
		/* What is queued must be on its way, or nothing would tell of room. */
		connection_flush(session->connection);
	}
	return !session->is_backup_full;
}

void session_resume_backup(struct downstream_session *session)
{
	if (session->state == SESSION_BACKUP) {
		pump(session);
		go_on(session);
	}
}

static void hold_input(void *context, bool is_held)
{
	struct downstream_session *session = context;
	session->is_input_held = is_held;
	if (!is_held) {
		session_resume_input(session);
	}
}

static void on_progress(void *context, const struct backup_progress *progress)
{
	struct downstream_session *session = context;
	if (!session->is_uploading) {
		standby_progress_on_backup(&session->progress, progress);
	}
}

static void close_backup(void *context)
{
	struct downstream_session *session = context;
	if (session->is_backup_over) {
		session_close_backup(session);
	}
}

/* The provider is still in its callback: its handle is closed after it. */
static void end_backup(struct downstream_session *session)
{
	session->is_backup_over = !session->is_uploading;
	if (session->is_backup_over) {
		loop_defer(session->host->loop, close_backup, session);
	}
}

static void tell_result(struct downstream_session *session)
{
	struct wire_writer writer;
	struct error *err = session->backup_error;
	enum backup_result result = session->backup_result;
	session->backup_result = BACKUP_GOES_ON;
	session->backup_error = NULL;
	rate_share_set_use(session->share, RATE_WAL);
	standby_progress_end_backup(&session->progress);
	end_backup(session);
	if (result == BACKUP_FAILED) {
		session_fail_command(session, err);
	} else {
		wire_writer_init(&writer);
		session_finish_command(session, &writer);
	}
	free(err);
}

static void on_finished(void *context)
{
	struct downstream_session *session = context;
	session->backup_result = BACKUP_FINISHED;
	go_on(session);
}

static void on_failed(void *context, const struct error *err)
{
	struct downstream_session *session = context;
	session->backup_result = BACKUP_FAILED;
	session->backup_error = memory_new(sizeof(*err));
	*session->backup_error = *err;
	go_on(session);
}

/* --- beginning and end -------------------------------------------------------------------------
 */

void session_start_backup(
	struct downstream_session *session, const struct repl_command *command, const char *text)
{
	const struct passthrough *passthrough = session->host->shared->passthrough;
	if (session->is_backup_over) {
		session_close_backup(session);
	}
	session_enter(session, SESSION_BACKUP);
	progress_set(session->progress.state, STANDBY_BACKUP);
	if (session->backup == NULL) {
		session->backup_client = (struct passthrough_client){.context = session,
			.send = on_send,
			.has_room = has_room,
			.finished = on_finished,
			.failed = on_failed,
			.hold_input = hold_input,
			.progress = on_progress};
		session->backup = passthrough->open(
			passthrough->context, session->host->loop, &session->backup_client);
	}
	session->backup_turn.call = on_turn;
	session->backup_turn.context = session;
	rate_share_set_use(session->share, RATE_BACKUP);
	session->is_backup_full = false;
	session->is_input_held = false;
	session->is_uploading = command->kind == REPL_UPLOAD_MANIFEST;
	passthrough->command(session->backup, text);
}

void session_close_backup(struct downstream_session *session)
{
	session->is_backup_over = false;
	standby_progress_end_backup(&session->progress);
	turns_leave(session->host->turns, &session->backup_turn);
	if (session->backup_output != NULL) {
		evbuffer_free(session->backup_output);
		session->backup_output = NULL;
	}
	free(session->backup_error);
	session->backup_error = NULL;
	session->backup_result = BACKUP_GOES_ON;
	if (session->backup != NULL) {
		session->host->shared->passthrough->close(&session->backup);
	}
}

/* --- from the client ---------------------------------------------------------------------------
 */

/* Begins a CopyData whose header is there; false: it is not, or it is too long to be one. */
static bool begin_copy_data(struct downstream_session *session)
{
	uint8_t header[MESSAGE_HEADER_BYTES];
	if (evbuffer_copyout(session->input, header, sizeof(header)) != (ssize_t)sizeof(header)) {
		return false;
	}
	uint32_t length = wire_get_u32(header + 1);
	if (length < 4 || length - 4 > COPY_IN_MESSAGE_MAX) {
		session_fatal_text(session, "08P01", "invalid message length");
		return false;
	}
	evbuffer_drain(session->input, sizeof(header));
	session->copy_in_left = length - 4;
	return true;
}

bool session_take_copy_data(struct downstream_session *session, bool is_wanted)
{
	if (session->copy_in_left == 0) {
		return begin_copy_data(session);
	}
	size_t length = evbuffer_get_length(session->input);
	if (length > session->copy_in_left) {
		length = session->copy_in_left;
	}
	session->copy_in_left -= length;
	if (is_wanted) {
		const uint8_t *bytes = evbuffer_pullup(session->input, (ev_ssize_t)length);
		session->host->shared->passthrough->client_message(
			session->backup, 'd', bytes, length);
	}
	session_drain(session, length);
	return true;
}

bool session_is_in_copy_data(const struct downstream_session *session)
{
	char type;
	return session->copy_in_left > 0 ||
	       (evbuffer_copyout(session->input, &type, 1) == 1 && type == 'd');
}

bool session_take_copy_in(struct downstream_session *session)
{
	struct pg_message message;
	if (session->is_input_held) {
		return false;
	}
	if (session_is_in_copy_data(session)) {
		return session_take_copy_data(session, session->is_uploading);
	}
	if (!session_next_message(session, SESSION_QUERY_MAX, &message)) {
		return false;
	}
	switch (message.type) {
	case 'c':
	case 'f':
		if (!session->is_uploading) {
			break;
		}
		session->host->shared->passthrough->client_message(
			session->backup, message.type, message.body, message.body_length);
		break;
	case 'H':
	case 'S': break;
	case 'X': session_end(session, "terminated by the client"); return false;
	default: return false;
	}
	session_drain(session, message.consumed);
	return true;
}
