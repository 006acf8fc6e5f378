/*
 * downstream_session_stream: START_REPLICATION from the command to its two CommandCompletes.
 *
 * The sender streams; this file does what its answers ask for, in PostgreSQL's order: slot and
 * history are judged before CopyBothResponse, WAL that is gone after it; a stream that ends by
 * itself waits for the client's CopyDone before its result is told.
 */
#include <ctype.h>
#include <event2/buffer.h>
#include <string.h>

#include "base/log.h"
#include "downstream/downstream_session_state.h"
#include "downstream/link_sender.h"
#include "downstream/wal_sender.h"
#include "net/socket_tuning.h"
#include "spool/wal_store.h"

static void on_turn(void *context);

/* --- the beginning -----------------------------------------------------------------------------
 */

static bool open_stream(struct downstream_session *session, const struct repl_command *command,
	const struct link_start *link, struct error *err)
{
	const struct downstream_shared *shared = session->host->shared;
	const struct wal_stream_options options = {
		.loop = session->host->loop,
		.connection = session->connection,
		.turns = session->host->turns,
		.share = session->share,
		.meter = session->meter,
		.on_turn = on_turn,
		.context = session,
		.deadlines = &session->deadlines,
		.deadline_reason = SESSION_DEADLINE_STREAM,
		.timeout_us = session->wal_sender_timeout_us,
		.store = shared->store,
		.prefetch = shared->prefetch,
		.slots = shared->slots,
		.slot = session->slot,
		.tli = command->tli != 0 ? command->tli : wal_store_received(shared->store).tli,
		.start_lsn = command->start_lsn,
		.flushed_only = shared->forward_flushed,
		.progress = &session->progress,
	};
	session->stream = link == NULL ? wal_sender_new(&options, err)
				       : link_sender_new(&options, shared->encoder, link,
						 &shared->link_lanes, err);
	return session->stream != NULL;
}

/* NULL: the command asks for a plain stream. */
static bool parse_link(struct downstream_session *session, const struct repl_command *command,
	struct link_start *start_out, const struct link_start **link_out, struct error *err)
{
	const struct downstream_shared *shared = session->host->shared;
	const char *message = "syntax error";
	enum link_start_result result =
		command->option_count == 0 ? LINK_START_NONE
		: shared->encoder == NULL  ? LINK_START_SYNTAX
					   : link_start_parse(&shared->link_offer, command->options,
						     command->option_count, start_out, &message);
	*link_out = result == LINK_START_OK ? start_out : NULL;
	if (result == LINK_START_OK || result == LINK_START_NONE) {
		return true;
	}
	error_set(err, ERROR_INVALID, "%s", message);
	return error_sqlstate(err, result == LINK_START_SYNTAX ? "42601" : "0A000");
}

static void use_congestion(struct downstream_session *session)
{
	struct downstream_shared *shared = session->host->shared;
	struct error err = {0};
	if (!socket_set_congestion(
		    connection_fd(session->connection), shared->link_congestion, &err) &&
		!atomic_exchange(&shared->is_congestion_missed, true)) {
		log_error(LOG_LEVEL_WARNING, "link", &err);
	}
}

/* What counts for the relay's own replay position moved: whoever tells it upstream is rung, if this
 * standby can be the one that held it back. Read-modify-writes on both sides (this one, and the
 * exchange before the walk of downstream_replayed_lsn()): either that walk sees what was written
 * here, or it is seen here that it had begun. */
static void note_replayed(struct downstream_session *session)
{
	struct downstream_shared *shared = session->host->shared;
	const struct standby_progress *progress = &session->progress;
	lsn_t before = session->replayed_lsn;
	session->replayed_lsn = standby_progress_replayed(progress, progress_get(progress->tli));
	if (shared->on_replayed == NULL || session->replayed_lsn == before) {
		return;
	}
	if (before == LSN_INVALID || before <= atomic_fetch_or(&shared->replayed_told, 0)) {
		shared->on_replayed(shared->replayed_context);
	}
}

static void note_flushed(struct downstream_session *session)
{
	const struct downstream_shared *shared = session->host->shared;
	lsn_t lsn = progress_get(session->progress.tli) == 0
			    ? LSN_INVALID
			    : progress_get(session->progress.flush_lsn);
	if (shared->on_flushed != NULL && lsn != session->flushed_lsn) {
		session->flushed_lsn = lsn;
		shared->on_flushed(shared->replayed_context);
	}
}

void session_close_stream(struct downstream_session *session)
{
	wal_stream_free(&session->stream);
	session_release_slot(session);
	standby_progress_end_stream(&session->progress);
	note_replayed(session);
	note_flushed(session);
}

/* The stream's result: what comes after its timeline, when that is no longer the current one. */
static void finish_stream(struct downstream_session *session)
{
	struct wire_writer writer;
	lsn_t switch_lsn = LSN_INVALID;
	tli_t next_tli = 0;
	wal_stream_timeline_end(session->stream, &switch_lsn, &next_tli);
	session_close_stream(session);
	wire_writer_init(&writer);
	replication_write_stream_end(
		&writer, next_tli, switch_lsn, session_server_version(session));
	session_finish_command(session, &writer);
}

static void log_begin(
	const struct downstream_session *session, const struct repl_command *command, bool is_link)
{
	log_info(session->scope, "starts streaming at " LSN_FORMAT " on timeline %u%s%s%s%s",
		LSN_ARGS(command->start_lsn), progress_get(session->progress.tli),
		progress_get(session->progress.is_lane) ? " as a lane of a link"
		: is_link                               ? " over a link"
							: "",
		session->slot[0] != '\0' ? " from slot \"" : "", session->slot,
		session->slot[0] != '\0' ? "\"" : "");
}

static void log_end(const struct downstream_session *session, const char *reason)
{
	log_info(session->scope, "stops streaming at " LSN_FORMAT ": %s",
		LSN_ARGS(wal_stream_sent_lsn(session->stream)), reason);
}

/* The client gets PostgreSQL's words alone. Here somebody reads which standby is past a fork. */
static void tell_refused(const struct downstream_session *session, const struct error *err)
{
	struct error told = *err;
	if (strcmp(err->sqlstate, "XX000") == 0 && err->detail[0] != '\0') {
		error_hint(&told, "What is past that point has to be undone by pg_rewind.");
	}
	log_error(LOG_LEVEL_WARNING, session->scope, &told);
}

void session_start_stream(struct downstream_session *session, const struct repl_command *command)
{
	struct error err = {0};
	struct link_start start;
	const struct link_start *link;
	if (!parse_link(session, command, &start, &link, &err)) {
		session_fail_command(session, &err);
		return;
	}
	if (command->slot[0] != '\0' && !session_acquire_slot(session, command->slot, &err)) {
		session_fail_command(session, &err);
		return;
	}
	if (!open_stream(session, command, link, &err)) {
		tell_refused(session, &err);
		session_release_slot(session);
		session_fail_command(session, &err);
		return;
	}
	if (wal_stream_is_over(session->stream)) {
		finish_stream(session);
		return;
	}
	if (link != NULL) {
		use_congestion(session);
	}
	session_enter(session, SESSION_STREAMING);
	wal_stream_start(session->stream);
	log_begin(session, command, link != NULL);
}

/* --- what the sender asks for ------------------------------------------------------------------
 */

/* COPY is over in both directions at once; the client's late messages are swallowed. */
static void fail_stream(struct downstream_session *session, const struct error *err)
{
	if (session->state == SESSION_STOPPING) {
		session_fatal(session, err);
		return;
	}
	log_end(session, err->message);
	session_close_stream(session);
	session_fail_command(session, err);
}

/* As WalSndDone: no CopyDone and no ReadyForQuery, so that the client knows it is a shutdown. */
static void say_goodbye(struct downstream_session *session)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	pg_write_command_complete(&writer, "COPY 0");
	session_send(session, &writer);
	session_end(session, "the relay stops; everything up to " LSN_FORMAT " is confirmed",
		LSN_ARGS(wal_stream_sent_lsn(session->stream)));
}

static void on_stream_ended(struct downstream_session *session, bool by_client)
{
	if (session->state == SESSION_STOPPING) {
		session_end(session, "the relay stops");
		return;
	}
	log_end(session, by_client ? "ended by the client" : "end of the timeline");
	if (by_client) {
		finish_stream(session);
	} else {
		session_enter(session, SESSION_STREAM_ENDED);
	}
}

/* True when the session goes on. */
static bool do_step(
	struct downstream_session *session, enum wal_stream_step step, const struct error *err)
{
	note_replayed(session);
	note_flushed(session);
	switch (step) {
	case WAL_STREAM_GOES_ON: break;
	case WAL_STREAM_TIMELINE_ENDED: on_stream_ended(session, false); break;
	case WAL_STREAM_CLIENT_ENDED: on_stream_ended(session, true); break;
	case WAL_STREAM_CONFIRMED: say_goodbye(session); break;
	case WAL_STREAM_FAILED: fail_stream(session, err); break;
	case WAL_STREAM_DROPPED: session_end(session, "%s", err->message); break;
	}
	if (session_is_ended(session)) {
		return false;
	}
	session_note_wire(session);
	return true;
}

static void on_turn(void *context)
{
	struct downstream_session *session = context;
	struct error err = {0};
	do_step(session, wal_stream_turn(session->stream, &err), &err);
}

void session_on_stream_deadline(struct downstream_session *session)
{
	struct error err = {0};
	do_step(session, wal_stream_on_deadline(session->stream, &err), &err);
}

void session_stop_stream(struct downstream_session *session)
{
	session_enter(session, SESSION_STOPPING);
	wal_stream_stop(session->stream);
}

/* --- what the client says ----------------------------------------------------------------------
 */

static void refuse_message(struct downstream_session *session, char type)
{
	session_fatal_text(session, "08P01", "invalid standby message type \"%c\"",
		isprint((unsigned char)type) ? type : '?');
}

/* Only these may come during COPY; a wrong one is told before its length is looked at. */
static bool next_copy_message(struct downstream_session *session, struct pg_message *message_out)
{
	char type;
	if (evbuffer_copyout(session->input, &type, 1) != 1) {
		return false;
	}
	if (type != 'd' && type != 'c' && type != 'X') {
		refuse_message(session, type);
		return false;
	}
	if (!session_next_message(session, WAL_STREAM_MESSAGE_MAX, message_out)) {
		return false;
	}
	if (type == 'X') {
		session_end(session, "terminated by the client");
		return false;
	}
	return true;
}

static void take_copy_data(struct downstream_session *session, const struct pg_message *message)
{
	struct error err = {0};
	do_step(session,
		wal_stream_on_copy_data(session->stream, message->body, message->body_length, &err),
		&err);
}

bool session_take_stream(struct downstream_session *session)
{
	struct pg_message message;
	if (!next_copy_message(session, &message)) {
		return false;
	}
	if (message.type == 'c') {
		do_step(session, wal_stream_on_copy_done(session->stream), NULL);
	} else {
		take_copy_data(session, &message);
	}
	session_drain(session, message.consumed);
	return true;
}

bool session_take_stream_end(struct downstream_session *session)
{
	struct pg_message message;
	if (!next_copy_message(session, &message)) {
		return false;
	}
	if (message.type == 'c') {
		finish_stream(session);
	} else {
		take_copy_data(session, &message);
	}
	session_drain(session, message.consumed);
	return true;
}
