/*
 * wal_stream: the cursor, the turn and the timers of one stream.
 */
#include "downstream/wal_stream.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "base/wall_clock.h"
#include "net/socket_tuning.h"
#include "protocol/pg_message.h"
#include "protocol/wire.h"

/* Under a cap the kernel holds about this much and no more of what it cannot send yet. */
#define UNSENT_BYTES_PACED (16 * 1024)
/* A client that answers at once without having confirmed must not be asked in a busy loop. */
#define ASK_AGAIN_US INT64_C(50000)

bool wal_stream_init(struct wal_stream *stream, const struct wal_stream_sender *sender,
	const struct wal_stream_options *options, struct error *err)
{
	struct wal_cursor *cursor = wal_cursor_open(
		options->store, options->tli, options->start_lsn, options->flushed_only, err);
	if (cursor == NULL) {
		return false;
	}
	*stream = (struct wal_stream){.sender = sender,
		.options = *options,
		.low_water = WAL_STREAM_LOW_WATER,
		.cursor = cursor,
		.pace_bytes = SIZE_MAX};
	stream->turn.call = options->on_turn;
	stream->turn.context = options->context;
	lag_tracker_init(&stream->lag);
	return true;
}

void wal_stream_free(struct wal_stream **stream)
{
	struct wal_stream *gone = *stream;
	if (gone == NULL) {
		return;
	}
	*stream = NULL;
	turns_leave(gone->options.turns, &gone->turn);
	rate_share_cancel(gone->options.share);
	deadlines_clear(gone->options.deadlines, gone->options.deadline_reason);
	wal_cursor_close(&gone->cursor);
	gone->sender->free(gone);
}

int64_t wal_stream_now_us(const struct wal_stream *stream)
{
	return loop_now_us(stream->options.loop);
}

bool wal_stream_is_over(struct wal_stream *stream)
{
	lsn_t switch_lsn;
	tli_t next_tli;
	return wal_stream_timeline_end(stream, &switch_lsn, &next_tli) &&
	       wal_cursor_lsn(stream->cursor) >= switch_lsn;
}

bool wal_stream_timeline_end(struct wal_stream *stream, lsn_t *switch_lsn_out, tli_t *next_tli_out)
{
	return wal_cursor_timeline_end(stream->cursor, switch_lsn_out, next_tli_out);
}

lsn_t wal_stream_sent_lsn(const struct wal_stream *stream)
{
	return wal_cursor_lsn(stream->cursor);
}

static void set_deadline(struct wal_stream *stream)
{
	int64_t next_us = liveness_next_check_us(&stream->liveness, wal_stream_now_us(stream));
	if (!stream->liveness.is_reply_awaited &&
		stream->ask_again_us > wal_stream_now_us(stream)) {
		next_us = stream->ask_again_us < next_us ? stream->ask_again_us : next_us;
	}
	deadlines_set(stream->options.deadlines, stream->options.deadline_reason, next_us);
}

void wal_stream_start(struct wal_stream *stream)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	pg_write_copy_both(&writer);
	connection_write(stream->options.connection, writer.bytes, writer.length);
	connection_flush(stream->options.connection);
	wire_writer_release(&writer);
	standby_progress_begin_stream(stream->options.progress, wal_cursor_tli(stream->cursor),
		wal_cursor_lsn(stream->cursor));
	liveness_begin(&stream->liveness, stream->options.timeout_us, wal_stream_now_us(stream));
	set_deadline(stream);
	turns_make_ready(stream->options.turns, &stream->turn);
}

static void send_keepalive(struct wal_stream *stream, bool reply_requested)
{
	uint8_t frame[5 + KEEPALIVE_BYTES];
	/* A standby ahead of this relay is told where the relay is. */
	const struct keepalive keepalive = {
		.server_end_lsn =
			lsn_min(wal_cursor_lsn(stream->cursor), wal_cursor_end(stream->cursor)),
		.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US,
		.reply_requested = reply_requested,
	};
	frame[0] = 'd';
	wire_put_u32(frame + 1, sizeof(frame) - 1);
	keepalive_encode(&keepalive, frame + 5);
	connection_write(stream->options.connection, frame, sizeof(frame));
	connection_flush(stream->options.connection);
	if (reply_requested) {
		liveness_on_asked(&stream->liveness, wal_stream_now_us(stream));
	} else {
		liveness_on_sent(&stream->liveness, wal_stream_now_us(stream));
	}
}

/* A client that asks without reading gets one answer for all it asked, when there is room. */
static void answer(struct wal_stream *stream)
{
	if (connection_output_bytes(stream->options.connection) >= WAL_STREAM_HIGH_WATER) {
		stream->is_answer_owed = true;
		return;
	}
	stream->is_answer_owed = false;
	send_keepalive(stream, false);
}

static void send_copy_done(struct wal_stream *stream)
{
	static const uint8_t copy_done[] = {'c', 0, 0, 0, 4};
	connection_write(stream->options.connection, copy_done, sizeof(copy_done));
	connection_flush(stream->options.connection);
	stream->is_copy_done = true;
	turns_leave(stream->options.turns, &stream->turn);
	rate_share_cancel(stream->options.share);
}

/* --- stopping ----------------------------------------------------------------------------------
 */

/* As WalSndDone: what the client has written counts where it does not tell what it has flushed. */
static bool is_confirmed(const struct wal_stream *stream)
{
	lsn_t confirmed = stream->last_status.flush_lsn != LSN_INVALID
				  ? stream->last_status.flush_lsn
				  : stream->last_status.write_lsn;
	/* What was sent over a lane is confirmed by its link. */
	return stream->is_lane ? connection_output_bytes(stream->options.connection) == 0
			       : confirmed >= wal_stream_sent_lsn(stream);
}

static enum wal_stream_step seek_confirmation(struct wal_stream *stream)
{
	if (!stream->is_stopping || !stream->is_at_tip || stream->is_copy_done) {
		return WAL_STREAM_GOES_ON;
	}
	if (is_confirmed(stream)) {
		return WAL_STREAM_CONFIRMED;
	}
	if (stream->liveness.is_reply_awaited) {
		return WAL_STREAM_GOES_ON;
	}
	if (wal_stream_now_us(stream) >= stream->ask_again_us) {
		send_keepalive(stream, true);
		stream->ask_again_us = wal_stream_now_us(stream) + ASK_AGAIN_US;
	}
	set_deadline(stream);
	return WAL_STREAM_GOES_ON;
}

void wal_stream_stop(struct wal_stream *stream)
{
	stream->is_stopping = true;
	/* As of its last turn it was; more may have come since, and that is to be sent too. */
	stream->is_at_tip = false;
	progress_set(stream->options.progress->state, STANDBY_STOPPING);
	if (!stream->is_copy_done) {
		turns_make_ready(stream->options.turns, &stream->turn);
	}
}

/* --- a turn ------------------------------------------------------------------------------------
 */

void wal_stream_note_sent(struct wal_stream *stream, lsn_t start_lsn, lsn_t sent_lsn)
{
	struct standby_progress *progress = stream->options.progress;
	if (sent_lsn > start_lsn) {
		liveness_on_sent(&stream->liveness, wal_stream_now_us(stream));
		progress_set(progress->sent_lsn, sent_lsn);
		progress_set(progress->wal_bytes,
			progress_get(progress->wal_bytes) + (sent_lsn - start_lsn));
	}
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static size_t low_water(const struct wal_stream *stream)
{
	return smaller(stream->low_water, stream->pace_bytes);
}

size_t wal_stream_high_water(const struct wal_stream *stream)
{
	return smaller(WAL_STREAM_HIGH_WATER, stream->pace_bytes);
}

static void set_pace(struct wal_stream *stream)
{
	size_t pace_bytes = rate_share_stretch(stream->options.share);
	if (pace_bytes == stream->pace_bytes) {
		return;
	}
	stream->pace_bytes = pace_bytes;
	connection_set_low_water(stream->options.connection, low_water(stream));
	socket_set_unsent_max(connection_fd(stream->options.connection),
		pace_bytes == SIZE_MAX ? stream->unsent_max : UNSENT_BYTES_PACED);
}

size_t wal_stream_ask_leave(struct wal_stream *stream, size_t least, size_t wanted)
{
	const struct rate_wish wish = {.least = least, .wanted = wanted};
	int64_t retry_at_us;
	set_pace(stream);
	size_t bytes = rate_share_take(
		stream->options.share, &wish, wal_stream_now_us(stream), &retry_at_us);
	if (bytes == 0) {
		turns_wait_until(stream->options.turns, &stream->turn, retry_at_us);
	}
	return bytes;
}

/* The client has been sent everything once when nothing of it waits here. */
static void note_caught_up(struct wal_stream *stream)
{
	struct standby_progress *progress = stream->options.progress;
	if (stream->is_at_tip && progress_get(progress->state) == STANDBY_CATCHUP &&
		connection_output_bytes(stream->options.connection) == 0) {
		progress_set(progress->state, STANDBY_STREAMING);
	}
}

enum wal_stream_step wal_stream_turn(struct wal_stream *stream, struct error *err)
{
	struct connection *connection = stream->options.connection;
	enum wal_fill fill = stream->sender->fill(stream, err);
	stream->is_at_tip = fill == WAL_FILL_AT_TIP;
	if (fill == WAL_FILL_TIMELINE_END) {
		send_copy_done(stream);
		return WAL_STREAM_TIMELINE_ENDED;
	}
	connection_flush(connection);
	switch (fill) {
	case WAL_FILL_AT_TIP:
		turns_wait_at_tip(stream->options.turns, &stream->turn);
		note_caught_up(stream);
		return seek_confirmation(stream);
	case WAL_FILL_ENOUGH:
		/* Above the low-water mark the connection tells when there is room again. */
		if (connection_output_bytes(connection) <= low_water(stream)) {
			turns_make_ready(stream->options.turns, &stream->turn);
		}
		return WAL_STREAM_GOES_ON;
	case WAL_FILL_MISSING:
		turns_wait_at_tip(stream->options.turns, &stream->turn);
		return WAL_STREAM_GOES_ON;
	case WAL_FILL_WAITS: return WAL_STREAM_GOES_ON;
	default: return WAL_STREAM_FAILED;
	}
}

void wal_stream_on_writable(struct wal_stream *stream)
{
	if (stream->is_copy_done) {
		return;
	}
	if (stream->is_answer_owed) {
		answer(stream);
	}
	turns_make_ready(stream->options.turns, &stream->turn);
}

/* --- what the client says ----------------------------------------------------------------------
 */

static void confirm_slot(struct wal_stream *stream, lsn_t flush_lsn)
{
	/* Whoever is ahead of this relay still needs what comes next. */
	lsn_t lsn = lsn_min(flush_lsn, wal_cursor_end(stream->cursor));
	if (stream->options.slot[0] == '\0' || lsn == stream->slot_lsn) {
		return;
	}
	stream->slot_lsn = lsn;
	slots_confirm(
		stream->options.slots, stream->options.slot, lsn, wal_cursor_tli(stream->cursor));
}

static enum wal_stream_step on_status(
	struct wal_stream *stream, const struct standby_status *status)
{
	stream->last_status = *status;
	lag_tracker_on_status(
		&stream->lag, status, wal_stream_sent_lsn(stream), wal_stream_now_us(stream));
	standby_progress_on_status(
		stream->options.progress, status, wall_clock_unix_us(), stream->lag.lag_us);
	confirm_slot(stream, status->flush_lsn);
	note_caught_up(stream);
	if (status->reply_requested && !stream->is_copy_done) {
		answer(stream);
	}
	return seek_confirmation(stream);
}

/* As ProcessStandbyHSFeedbackMessage: where there is a slot, it holds what the standby needs. */
static void on_feedback(struct wal_stream *stream, const struct standby_feedback *feedback)
{
	struct standby_progress *progress = stream->options.progress;
	standby_progress_on_feedback(progress, feedback);
	if (stream->options.slot[0] != '\0') {
		slots_hold_xmin(stream->options.slots, stream->options.slot,
			progress_get(progress->xmin), progress_get(progress->catalog_xmin));
	}
}

enum wal_stream_step wal_stream_on_copy_data(
	struct wal_stream *stream, const uint8_t *payload, size_t length, struct error *err)
{
	struct client_copy message;
	const char *reason =
		length == 0 ? "no data left in message" : "insufficient data left in message";
	liveness_on_reply(&stream->liveness, wal_stream_now_us(stream));
	if (length > 0 && payload[0] != 'r' && payload[0] != 'h' &&
		stream->sender->on_message != NULL) {
		return stream->sender->on_message(stream, payload, length, err);
	}
	if (length > 0 && payload[0] != 'r' && payload[0] != 'h') {
		error_set(err, ERROR_INVALID, "unexpected message type \"%c\"",
			isprint(payload[0]) ? payload[0] : '?');
		return WAL_STREAM_DROPPED;
	}
	if (client_copy_decode(payload, length, &message, &reason) != DECODE_OK) {
		error_set(err, ERROR_INVALID, "%s", reason);
		error_sqlstate(err, "08P01");
		return WAL_STREAM_FAILED;
	}
	if (message.kind == CLIENT_COPY_FEEDBACK) {
		on_feedback(stream, &message.feedback);
		return WAL_STREAM_GOES_ON;
	}
	return on_status(stream, &message.status);
}

enum wal_stream_step wal_stream_on_copy_done(struct wal_stream *stream)
{
	assert(!stream->is_copy_done);
	send_copy_done(stream);
	return WAL_STREAM_CLIENT_ENDED;
}

enum wal_stream_step wal_stream_on_deadline(struct wal_stream *stream, struct error *err)
{
	enum liveness_action action = liveness_check(&stream->liveness, wal_stream_now_us(stream));
	if (action == LIVENESS_DEAD) {
		error_set(err, ERROR_SYSTEM,
			"terminating walsender process due to replication timeout");
		return WAL_STREAM_DROPPED;
	}
	if (stream->is_copy_done) {
		/* Nothing may be said any more, but a silent client is still timed out. */
		liveness_on_sent(&stream->liveness, wal_stream_now_us(stream));
		stream->liveness.is_reply_awaited = true;
	} else if (action == LIVENESS_KEEPALIVE &&
		   connection_output_bytes(stream->options.connection) > 0) {
		/* Whoever does not read gets no heap of keepalives to read later. */
		liveness_on_sent(&stream->liveness, wal_stream_now_us(stream));
	} else if (action != LIVENESS_NOTHING) {
		send_keepalive(stream, action == LIVENESS_ASK);
	}
	enum wal_stream_step step = seek_confirmation(stream);
	set_deadline(stream);
	return step;
}
