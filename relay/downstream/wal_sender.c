/*
 * wal_sender: the cursor, the turn and the timers of one stream.
 *
 * Per message of up to 128 kB a turn copies 30 bytes of header and queues a reference to the mapped
 * segment; a turn ends with one flush. Between turns nothing of the WAL is held here.
 */
#include "downstream/wal_sender.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/wall_clock.h"
#include "downstream/lag_tracker.h"
#include "downstream/liveness.h"
#include "protocol/pg_message.h"
#include "protocol/wire.h"

/* A short stretch is cheaper to copy than to refer to: no second vector, no reference counted. */
#define COPIED_SPAN_MAX 2048u
/* A client that answers at once without having confirmed must not be asked in a busy loop. */
#define ASK_AGAIN_US INT64_C(50000)

struct wal_sender {
	struct wal_sender_options options;
	struct wal_cursor *cursor;
	struct turn turn;
	struct liveness liveness;
	struct lag_tracker lag;
	struct standby_status last_status; /* zeros: none came yet */
	lsn_t slot_lsn;                    /* last confirmed to the slot */
	int64_t ask_again_us;              /* stopping: not before */
	lsn_t awaited_lsn;                 /* the disk was asked for what follows it */
	bool is_at_tip;
	bool is_copy_done; /* our CopyDone is sent: nothing of the stream may follow */
	bool is_answer_owed;
	bool is_stopping;
};

struct wal_sender *wal_sender_new(const struct wal_sender_options *options, struct error *err)
{
	struct wal_cursor *cursor = wal_cursor_open(
		options->store, options->tli, options->start_lsn, options->flushed_only, err);
	if (cursor == NULL) {
		return NULL;
	}
	struct wal_sender *sender = memory_new(sizeof(*sender));
	sender->options = *options;
	sender->cursor = cursor;
	sender->turn.call = options->on_turn;
	sender->turn.context = options->context;
	lag_tracker_init(&sender->lag);
	return sender;
}

void wal_sender_free(struct wal_sender **sender)
{
	struct wal_sender *gone = *sender;
	if (gone == NULL) {
		return;
	}
	*sender = NULL;
	turns_leave(gone->options.turns, &gone->turn);
	deadlines_clear(gone->options.deadlines, gone->options.deadline_reason);
	wal_cursor_close(&gone->cursor);
	free(gone);
}

static int64_t now_us(const struct wal_sender *sender)
{
	return loop_now_us(sender->options.loop);
}

bool wal_sender_is_over(struct wal_sender *sender)
{
	lsn_t switch_lsn;
	tli_t next_tli;
	return wal_sender_timeline_end(sender, &switch_lsn, &next_tli) &&
	       wal_cursor_lsn(sender->cursor) >= switch_lsn;
}

bool wal_sender_timeline_end(struct wal_sender *sender, lsn_t *switch_lsn_out, tli_t *next_tli_out)
{
	return wal_cursor_timeline_end(sender->cursor, switch_lsn_out, next_tli_out);
}

lsn_t wal_sender_sent_lsn(const struct wal_sender *sender)
{
	return wal_cursor_lsn(sender->cursor);
}

static void set_deadline(struct wal_sender *sender)
{
	int64_t next_us = liveness_next_check_us(&sender->liveness, now_us(sender));
	if (!sender->liveness.is_reply_awaited && sender->ask_again_us > now_us(sender)) {
		next_us = sender->ask_again_us < next_us ? sender->ask_again_us : next_us;
	}
	deadlines_set(sender->options.deadlines, sender->options.deadline_reason, next_us);
}

void wal_sender_start(struct wal_sender *sender)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	pg_write_copy_both(&writer);
	connection_write(sender->options.connection, writer.bytes, writer.length);
	connection_flush(sender->options.connection);
	wire_writer_release(&writer);
	standby_progress_begin_stream(sender->options.progress, wal_cursor_tli(sender->cursor),
		wal_cursor_lsn(sender->cursor));
	liveness_begin(&sender->liveness, sender->options.timeout_us, now_us(sender));
	set_deadline(sender);
	turns_make_ready(sender->options.turns, &sender->turn);
}

static void send_keepalive(struct wal_sender *sender, bool reply_requested)
{
	uint8_t frame[5 + KEEPALIVE_BYTES];
	/* A standby ahead of this relay is told where the relay is. */
	const struct keepalive keepalive = {
		.server_end_lsn =
			lsn_min(wal_cursor_lsn(sender->cursor), wal_cursor_end(sender->cursor)),
		.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US,
		.reply_requested = reply_requested,
	};
	frame[0] = 'd';
	wire_put_u32(frame + 1, sizeof(frame) - 1);
	keepalive_encode(&keepalive, frame + 5);
	connection_write(sender->options.connection, frame, sizeof(frame));
	connection_flush(sender->options.connection);
	if (reply_requested) {
		liveness_on_asked(&sender->liveness, now_us(sender));
	} else {
		liveness_on_sent(&sender->liveness, now_us(sender));
	}
}

/* A client that asks without reading gets one answer for all it asked, when there is room. */
static void answer(struct wal_sender *sender)
{
	if (connection_output_bytes(sender->options.connection) >= WAL_SENDER_HIGH_WATER) {
		sender->is_answer_owed = true;
		return;
	}
	sender->is_answer_owed = false;
	send_keepalive(sender, false);
}

static void send_copy_done(struct wal_sender *sender)
{
	static const uint8_t copy_done[] = {'c', 0, 0, 0, 4};
	connection_write(sender->options.connection, copy_done, sizeof(copy_done));
	connection_flush(sender->options.connection);
	sender->is_copy_done = true;
	turns_leave(sender->options.turns, &sender->turn);
}

/* --- stopping ----------------------------------------------------------------------------------
 */

/* As WalSndDone: what the client has written counts where it does not tell what it has flushed. */
static bool is_confirmed(const struct wal_sender *sender)
{
	lsn_t confirmed = sender->last_status.flush_lsn != LSN_INVALID
				  ? sender->last_status.flush_lsn
				  : sender->last_status.write_lsn;
	return confirmed >= wal_cursor_lsn(sender->cursor);
}

static enum wal_sender_step seek_confirmation(struct wal_sender *sender)
{
	if (!sender->is_stopping || !sender->is_at_tip || sender->is_copy_done) {
		return WAL_SENDER_GOES_ON;
	}
	if (is_confirmed(sender)) {
		return WAL_SENDER_CONFIRMED;
	}
	if (sender->liveness.is_reply_awaited) {
		return WAL_SENDER_GOES_ON;
	}
	if (now_us(sender) >= sender->ask_again_us) {
		send_keepalive(sender, true);
		sender->ask_again_us = now_us(sender) + ASK_AGAIN_US;
	}
	set_deadline(sender);
	return WAL_SENDER_GOES_ON;
}

void wal_sender_stop(struct wal_sender *sender)
{
	sender->is_stopping = true;
	/* As of its last turn it was; more may have come since, and that is to be sent too. */
	sender->is_at_tip = false;
	progress_set(sender->options.progress->state, STANDBY_STOPPING);
	if (!sender->is_copy_done) {
		turns_make_ready(sender->options.turns, &sender->turn);
	}
}

/* --- a turn ------------------------------------------------------------------------------------
 */

static void release_segment(void *context)
{
	wal_segment_unref(context);
}

/* From here on WAL lies in the segment that is being written, so in memory. Elsewhere a page that
 * the disk cannot give is an error of one connection when the kernel reads it for the socket, and
 * would be a SIGBUS when it is read here. */
static lsn_t hot_lsn(const struct wal_sender *sender)
{
	struct wal_store *store = sender->options.store;
	struct wal_position received = wal_store_received(store);
	if (received.tli != wal_cursor_tli(sender->cursor)) {
		return UINT64_MAX;
	}
	return lsn_segment_start(received.lsn - 1, wal_store_segment_bytes(store));
}

static void queue_span(
	struct wal_sender *sender, const struct wal_span *span, lsn_t end_lsn, int64_t pg_now_us)
{
	struct connection *connection = sender->options.connection;
	uint8_t header[WAL_FRAME_HEADER_BYTES];
	const struct wal_data data = {
		.start_lsn = span->lsn,
		.server_end_lsn = lsn_max(end_lsn, span->lsn + span->length),
		.sent_at = pg_now_us,
		.wal_length = span->length,
	};
	assert(span->length > 0);
	assert(span->length <= WAL_DATA_BYTES_MAX);
	wal_frame_header_encode(&data, header);
	connection_write(connection, header, sizeof(header));
	if (span->length <= COPIED_SPAN_MAX && span->lsn >= hot_lsn(sender)) {
		connection_write(connection, span->bytes, span->length);
	} else {
		connection_write_reference(connection, span->bytes, span->length, release_segment,
			wal_segment_ref(span->segment));
	}
	wal_cursor_advance(sender->cursor, span->length);
}

/* What only the disk has is not waited for here, where everybody else would wait too. Once: then
 * either it is in memory, or reading it tells what is wrong. */
static bool waits_for_disk(struct wal_sender *sender)
{
	struct wal_on_disk stretch;
	lsn_t lsn = wal_cursor_lsn(sender->cursor);
	if (sender->awaited_lsn == lsn ||
		!wal_cursor_is_on_disk(sender->cursor, WAL_DATA_BYTES_MAX, &stretch)) {
		return false;
	}
	sender->awaited_lsn = lsn;
	turns_wait_for_disk(
		sender->options.turns, &sender->turn, sender->options.prefetch, &stretch);
	return true;
}

/* Fills the connection up to the high-water mark; answers why it stopped, WAL_READ_DATA: enough. */
static enum wal_read fill(struct wal_sender *sender, struct error *err)
{
	struct standby_progress *progress = sender->options.progress;
	int64_t pg_now_us = wall_clock_unix_us() - PG_EPOCH_UNIX_US;
	lsn_t start_lsn = wal_cursor_lsn(sender->cursor);
	lsn_t end_lsn = wal_cursor_end(sender->cursor);
	enum wal_read read = WAL_READ_DATA;
	struct wal_span span;
	lag_tracker_on_sent(&sender->lag, end_lsn, now_us(sender));
	/* A connection that has failed takes everything and keeps nothing: the turn ends all the
	 * same. */
	while (connection_output_bytes(sender->options.connection) < WAL_SENDER_HIGH_WATER &&
		wal_cursor_lsn(sender->cursor) - start_lsn < WAL_SENDER_HIGH_WATER &&
		!waits_for_disk(sender)) {
		read = wal_cursor_peek(sender->cursor, WAL_DATA_BYTES_MAX, &span, err);
		if (read != WAL_READ_DATA) {
			break;
		}
		queue_span(sender, &span, end_lsn, pg_now_us);
	}
	lsn_t sent_lsn = wal_cursor_lsn(sender->cursor);
	if (sent_lsn > start_lsn) {
		liveness_on_sent(&sender->liveness, now_us(sender));
		progress_set(progress->sent_lsn, sent_lsn);
		progress_set(progress->wal_bytes,
			progress_get(progress->wal_bytes) + (sent_lsn - start_lsn));
	}
	return read;
}

/* The client has been sent everything once when nothing of it waits here. */
static void note_caught_up(struct wal_sender *sender)
{
	struct standby_progress *progress = sender->options.progress;
	if (sender->is_at_tip && progress_get(progress->state) == STANDBY_CATCHUP &&
		connection_output_bytes(sender->options.connection) == 0) {
		progress_set(progress->state, STANDBY_STREAMING);
	}
}

enum wal_sender_step wal_sender_turn(struct wal_sender *sender, struct error *err)
{
	struct connection *connection = sender->options.connection;
	enum wal_read read = fill(sender, err);
	sender->is_at_tip = read == WAL_READ_WAIT;
	if (read == WAL_READ_TIMELINE_END) {
		send_copy_done(sender);
		return WAL_SENDER_TIMELINE_ENDED;
	}
	connection_flush(connection);
	switch (read) {
	case WAL_READ_WAIT:
		turns_wait_at_tip(sender->options.turns, &sender->turn);
		note_caught_up(sender);
		return seek_confirmation(sender);
	case WAL_READ_DATA:
		/* Above the low-water mark the connection tells when there is room again. */
		if (connection_output_bytes(connection) <= WAL_SENDER_LOW_WATER) {
			turns_make_ready(sender->options.turns, &sender->turn);
		}
		return WAL_SENDER_GOES_ON;
	default: return WAL_SENDER_FAILED;
	}
}

void wal_sender_on_writable(struct wal_sender *sender)
{
	if (sender->is_copy_done) {
		return;
	}
	if (sender->is_answer_owed) {
		answer(sender);
	}
	turns_make_ready(sender->options.turns, &sender->turn);
}

/* --- what the client says ----------------------------------------------------------------------
 */

static void confirm_slot(struct wal_sender *sender, lsn_t flush_lsn)
{
	/* Whoever is ahead of this relay still needs what comes next. */
	lsn_t lsn = lsn_min(flush_lsn, wal_cursor_end(sender->cursor));
	if (sender->options.slot[0] == '\0' || lsn == sender->slot_lsn) {
		return;
	}
	sender->slot_lsn = lsn;
	slots_confirm(
		sender->options.slots, sender->options.slot, lsn, wal_cursor_tli(sender->cursor));
}

static enum wal_sender_step on_status(
	struct wal_sender *sender, const struct standby_status *status)
{
	int64_t lag_us = progress_get(sender->options.progress->replay_lag_us);
	sender->last_status = *status;
	if (status->apply_lsn != LSN_INVALID) {
		lag_us = lag_tracker_on_replayed(&sender->lag, status->apply_lsn,
			wal_cursor_lsn(sender->cursor), now_us(sender));
	}
	standby_progress_on_status(sender->options.progress, status, wall_clock_unix_us(), lag_us);
	confirm_slot(sender, status->flush_lsn);
	note_caught_up(sender);
	if (status->reply_requested && !sender->is_copy_done) {
		answer(sender);
	}
	return seek_confirmation(sender);
}

/* As ProcessStandbyHSFeedbackMessage: where there is a slot, it holds what the standby needs. */
static void on_feedback(struct wal_sender *sender, const struct standby_feedback *feedback)
{
	struct standby_progress *progress = sender->options.progress;
	standby_progress_on_feedback(progress, feedback);
	if (sender->options.slot[0] != '\0') {
		slots_hold_xmin(sender->options.slots, sender->options.slot,
			progress_get(progress->xmin), progress_get(progress->catalog_xmin));
	}
}

enum wal_sender_step wal_sender_on_copy_data(
	struct wal_sender *sender, const uint8_t *payload, size_t length, struct error *err)
{
	struct client_copy message;
	const char *reason =
		length == 0 ? "no data left in message" : "insufficient data left in message";
	liveness_on_reply(&sender->liveness, now_us(sender));
	if (length > 0 && payload[0] != 'r' && payload[0] != 'h') {
		error_set(err, ERROR_INVALID, "unexpected message type \"%c\"",
			isprint(payload[0]) ? payload[0] : '?');
		return WAL_SENDER_DROPPED;
	}
	if (client_copy_decode(payload, length, &message, &reason) != DECODE_OK) {
		error_set(err, ERROR_INVALID, "%s", reason);
		error_sqlstate(err, "08P01");
		return WAL_SENDER_FAILED;
	}
	if (message.kind == CLIENT_COPY_FEEDBACK) {
		on_feedback(sender, &message.feedback);
		return WAL_SENDER_GOES_ON;
	}
	return on_status(sender, &message.status);
}

enum wal_sender_step wal_sender_on_copy_done(struct wal_sender *sender)
{
	assert(!sender->is_copy_done);
	send_copy_done(sender);
	return WAL_SENDER_CLIENT_ENDED;
}

enum wal_sender_step wal_sender_on_deadline(struct wal_sender *sender, struct error *err)
{
	enum liveness_action action = liveness_check(&sender->liveness, now_us(sender));
	if (action == LIVENESS_DEAD) {
		error_set(err, ERROR_SYSTEM,
			"terminating walsender process due to replication timeout");
		return WAL_SENDER_DROPPED;
	}
	if (sender->is_copy_done) {
		/* Nothing may be said any more, but a silent client is still timed out. */
		liveness_on_sent(&sender->liveness, now_us(sender));
		sender->liveness.is_reply_awaited = true;
	} else if (action == LIVENESS_KEEPALIVE &&
		   connection_output_bytes(sender->options.connection) > 0) {
		/* Whoever does not read gets no heap of keepalives to read later. */
		liveness_on_sent(&sender->liveness, now_us(sender));
	} else if (action != LIVENESS_NOTHING) {
		send_keepalive(sender, action == LIVENESS_ASK);
	}
	enum wal_sender_step step = seek_confirmation(sender);
	set_deadline(sender);
	return step;
}
