/*
 * link_sender: one seat at the shared encoder, or a share in a group's, and one connection.
 */
#include "downstream/link_sender.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/wall_clock.h"
#include "downstream/lane_group.h"
#include "downstream/lane_watch.h"
#include "downstream/wal_sender.h"
#include "net/socket_tuning.h"
#include "net/tcp_path.h"
#include "protocol/link_codec.h"
#include "protocol/link_stream.h"
#include "protocol/wire.h"

/* Of batches a turn, small as they may be: others wait meanwhile. */
#define BATCHES_A_TURN 16
/* How often lanes that stall are looked for. */
#define LOOK_US INT64_C(250000)
/* In the kernel beyond what is in flight: what is there cannot become part of a larger batch. */
#define UNSENT_MAX (32 * 1024)

struct link_sender {
	struct wal_stream stream;
	struct shared_encoder *encoder;
	struct encoder_seat *seat; /* NULL: it is of a group, which has one */
	struct lane_member *member;
	struct wake *wake;
	struct link_start start;
	bool is_checking; /* what the receiver holds is compared */
	lsn_t plain_until;
	struct encoded_batch *held; /* taken, and waits for leave to go */
	struct link_lane_rules lanes;
	struct lane_watch watch;
	bool may_want_lanes;   /* the receiver can have them and has not been told to */
	unsigned wished_lanes; /* by the receiver, and not yet heeded */
	uint32_t requests;
	struct deadlines look; /* for the first of a group */
};

static void drop_held(struct link_sender *sender)
{
	if (sender->held != NULL) {
		encoded_batch_unref(sender->held);
		sender->held = NULL;
	}
}

static void free_sender(struct wal_stream *stream)
{
	struct link_sender *sender = (struct link_sender *)stream;
	drop_held(sender);
	deadlines_release(&sender->look);
	lane_member_free(&sender->member);
	encoder_seat_free(&sender->seat);
	wake_free(&sender->wake);
	connection_set_low_water(stream->options.connection, WAL_STREAM_LOW_WATER);
	free(sender);
}

static void on_ring(void *context)
{
	struct wal_stream *stream = context;
	if (!stream->is_copy_done) {
		turns_make_ready(stream->options.turns, &stream->turn);
	}
}

static void ring(void *context)
{
	struct link_sender *sender = context;
	wake_ring(sender->wake);
}

/* --- what goes out -----------------------------------------------------------------------------
 */

static void release_batch(void *context)
{
	encoded_batch_unref(context);
}

static void queue_batch(struct wal_stream *stream, struct encoded_batch *batch)
{
	struct connection *connection = stream->options.connection;
	progress_set(stream->options.progress->link_reach_bytes, batch->reach);
	wal_stream_note_sent(stream, batch->start, batch->start + batch->raw_bytes);
	if (stream->options.meter != NULL) {
		connection_meter_add_batch(stream->options.meter, &batch->stats);
	}
	/* From here on the batch belongs to the connection, which may be through with it. */
	connection_write_reference(
		connection, batch->message, batch->message_bytes, release_batch, batch);
	connection_flush(connection);
}

static void send_promise(struct wal_stream *stream, const struct link_promise *promise)
{
	uint8_t frame[5 + LINK_PROMISE_BYTES];
	frame[0] = 'd';
	wire_put_u32(frame + 1, sizeof(frame) - 1);
	link_promise_encode(promise, frame + 5);
	connection_write(stream->options.connection, frame, sizeof(frame));
	connection_flush(stream->options.connection);
}

/* WAL of no length: on an idle link nothing else would tell the receiver where the stream begins.
 */
static void send_place(struct wal_stream *stream)
{
	const struct wal_data data = {.start_lsn = wal_cursor_lsn(stream->cursor),
		.server_end_lsn = wal_cursor_end(stream->cursor),
		.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US};
	uint8_t frame[WAL_FRAME_HEADER_BYTES + LINK_CHECK_BYTES];
	size_t length = link_wal_header_encode(&data, frame);
	length += link_check_encode(&data, frame + length);
	connection_write(stream->options.connection, frame, length);
	connection_flush(stream->options.connection);
}

static void send_lanes(struct link_sender *sender, unsigned count)
{
	const struct link_lane_plan plan = {
		.count = count, .token = lane_member_token(sender->member)};
	struct connection *connection = sender->stream.options.connection;
	uint8_t frame[5 + LINK_LANES_BYTES];
	frame[0] = 'd';
	wire_put_u32(frame + 1, sizeof(frame) - 1);
	link_lane_plan_encode(&plan, frame + 5);
	connection_write(connection, frame, sizeof(frame));
	connection_flush(connection);
}

static void send_epoch(struct wal_stream *stream, uint32_t epoch)
{
	uint8_t frame[5 + LINK_EPOCH_BYTES];
	frame[0] = 'd';
	wire_put_u32(frame + 1, sizeof(frame) - 1);
	link_epoch_encode(epoch, frame + 5);
	connection_write(stream->options.connection, frame, sizeof(frame));
}

static void on_look(void *context, int reason)
{
	struct link_sender *sender = context;
	int64_t now_us = wal_stream_now_us(&sender->stream);
	lane_member_look(sender->member, now_us);
	deadlines_set(&sender->look, reason, now_us + LOOK_US);
}

/* From here on the receiver counts what comes, and others may share in it. */
static bool begin_group(struct link_sender *sender, unsigned count, struct error *err)
{
	const struct wal_stream_options *options = &sender->stream.options;
	int64_t now_us = wal_stream_now_us(&sender->stream);
	const struct lane_group_options group = {
		.encoder = sender->encoder,
		.tli = options->tli,
		.recompress = link_terms_recompress(&sender->start.terms),
		.promise = sender->start.promise,
		.lsn = wal_cursor_lsn(sender->stream.cursor),
		.plain_until = sender->plain_until,
		.epoch = sender->requests,
		.wake = sender->wake,
		.now_us = now_us,
	};
	if (!deadlines_init(&sender->look, options->loop, 1, on_look, sender, err)) {
		return false;
	}
	drop_held(sender);
	sender->member = lane_group_begin(sender->lanes.groups, &group, err);
	if (sender->member == NULL) {
		return false;
	}
	encoder_seat_free(&sender->seat);
	deadlines_set(&sender->look, 0, now_us + LOOK_US);
	send_lanes(sender, count);
	return true;
}

/* Told once: what is opened then stays. */
static bool watch_path(struct link_sender *sender, struct error *err)
{
	int64_t now_us = wal_stream_now_us(&sender->stream);
	struct tcp_path path;
	if (sender->wished_lanes > 0) {
		unsigned count = sender->wished_lanes;
		sender->wished_lanes = 0;
		sender->may_want_lanes = false;
		return begin_group(sender, count, err);
	}
	if (!sender->may_want_lanes || !lane_watch_is_due(&sender->watch, now_us)) {
		return true;
	}
	tcp_path_read(connection_fd(sender->stream.options.connection), &path);
	bool is_helped = lane_watch_look(&sender->watch, &path, now_us);
	if (!is_helped && sender->lanes.count <= 1) {
		return true;
	}
	sender->may_want_lanes = false;
	return begin_group(sender, sender->lanes.count > 1 ? sender->lanes.count : LANES_AUTO, err);
}

/* False: not yet known. */
static bool is_checked(struct link_sender *sender)
{
	struct wal_stream *stream = &sender->stream;
	lsn_t start_lsn = wal_cursor_lsn(stream->cursor);
	lsn_t held_lsn = sender->start.held_lsn;
	if (!sender->is_checking) {
		return true;
	}
	switch (encoder_seat_check(sender->seat, start_lsn, held_lsn, sender->start.held_hash)) {
	case ENCODER_CHECK_RUNS: return false;
	case ENCODER_CHECK_SAME:
		wal_cursor_advance(stream->cursor, held_lsn - start_lsn);
		progress_set(stream->options.progress->sent_lsn, held_lsn);
		send_place(stream);
		break;
	case ENCODER_CHECK_OTHER:
		/* The receiver finds the first byte that differs itself. */
		sender->plain_until = held_lsn;
		break;
	case ENCODER_CHECK_UNKNOWN: break;
	}
	sender->is_checking = false;
	return true;
}

/* At the end of what is there nothing has to be read to know what comes then. Before what is held
 * there is an end too, and what comes then may be had from the upstream. */
static enum wal_fill fill_at_end(struct wal_stream *stream, struct error *err)
{
	struct wal_span span;
	return wal_sender_peek(stream, WAL_DATA_BYTES_MAX, &span, err);
}

/* A batch goes whole. */
static enum wal_fill send_held(struct link_sender *sender)
{
	struct wal_stream *stream = &sender->stream;
	size_t bytes = sender->held->message_bytes;
	if (wal_stream_ask_leave(stream, bytes, bytes) == 0) {
		return WAL_FILL_WAITS;
	}
	struct encoded_batch *batch = sender->held;
	uint32_t epoch = 0;
	sender->held = NULL;
	if (sender->member == NULL) {
		assert(batch->start == wal_cursor_lsn(stream->cursor));
		wal_cursor_advance(stream->cursor, batch->raw_bytes);
	} else if (!lane_member_note_sent(sender->member, wal_stream_now_us(stream), &epoch)) {
		encoded_batch_unref(batch);
		return WAL_FILL_ENOUGH;
	}
	if (epoch != 0) {
		send_epoch(stream, epoch);
	}
	queue_batch(stream, batch);
	return WAL_FILL_ENOUGH;
}

static enum wal_fill fill_shared(struct link_sender *sender, struct error *err)
{
	enum wal_fill fill = lane_member_next(sender->member, &sender->stream, &sender->held, err);
	return fill == WAL_FILL_ENOUGH ? send_held(sender) : fill;
}

static enum wal_fill fill_plain(struct link_sender *sender, lsn_t left, struct error *err)
{
	enum wal_fill fill = wal_sender_take_plain(
		&sender->stream, lsn_min(left, WAL_DATA_BYTES_MAX), &sender->held, err);
	return fill == WAL_FILL_ENOUGH ? send_held(sender) : fill;
}

static enum wal_fill fill_next(struct link_sender *sender, struct error *err)
{
	struct wal_stream *stream = &sender->stream;
	if (sender->held != NULL) {
		return send_held(sender);
	}
	if (sender->member != NULL) {
		return fill_shared(sender, err);
	}
	lsn_t lsn = wal_cursor_lsn(stream->cursor);
	if (lsn < sender->plain_until) {
		return fill_plain(sender, sender->plain_until - lsn, err);
	}
	lsn_t end = wal_cursor_end(stream->cursor);
	if (lsn >= end) {
		return fill_at_end(stream, err);
	}
	switch (encoder_seat_take(sender->seat, lsn, end, &sender->held)) {
	case ENCODER_BATCH: return send_held(sender);
	case ENCODER_WAITS: return WAL_FILL_WAITS;
	case ENCODER_PLAIN: break;
	}
	sender->plain_until = link_batch_limit(lsn);
	return WAL_FILL_ENOUGH;
}

static enum wal_fill fill(struct wal_stream *stream, struct error *err)
{
	struct link_sender *sender = (struct link_sender *)stream;
	enum wal_fill fill = WAL_FILL_ENOUGH;
	if (!is_checked(sender)) {
		return WAL_FILL_WAITS;
	}
	if (sender->member == NULL && !watch_path(sender, err)) {
		return WAL_FILL_FAILED;
	}
	lag_tracker_on_sent(
		&stream->lag, wal_cursor_end(stream->cursor), wal_stream_now_us(stream));
	for (int i = 0; i < BATCHES_A_TURN && fill == WAL_FILL_ENOUGH &&
			connection_output_bytes(stream->options.connection) == 0;
		i++) {
		fill = fill_next(sender, err);
	}
	if (sender->member != NULL &&
		(sender->held != NULL || connection_output_bytes(stream->options.connection) > 0)) {
		lane_member_pass(sender->member);
	}
	return fill;
}

/* --- what the receiver says --------------------------------------------------------------------
 */

static void take_promise(struct link_sender *sender, const struct link_promise *promise)
{
	struct link_promise answer = *promise;
	bool is_due = true;
	if (sender->member != NULL) {
		is_due = lane_member_promise(sender->member, promise, &answer);
	} else {
		encoder_seat_promise(sender->seat, promise);
	}
	sender->start.promise = *promise;
	if (is_due && !sender->stream.is_copy_done) {
		send_promise(&sender->stream, &answer);
	}
}

static void take_arrived(struct link_sender *sender, const struct link_arrived *arrived)
{
	struct link_promise answer;
	if (lane_member_arrived(
		    sender->member, arrived, wal_stream_now_us(&sender->stream), &answer) &&
		!sender->stream.is_copy_done) {
		send_promise(&sender->stream, &answer);
	}
}

/* What could not be decoded goes again, as it is. */
static enum wal_stream_step take_request(struct link_sender *sender, lsn_t lsn, struct error *err)
{
	struct wal_stream *stream = &sender->stream;
	const struct wal_stream_options *options = &stream->options;
	if (stream->is_copy_done) {
		return WAL_STREAM_GOES_ON;
	}
	lsn_t sent_lsn = sender->member != NULL ? lane_member_lsn(sender->member)
						: wal_cursor_lsn(stream->cursor);
	if (lsn < options->start_lsn || lsn >= sent_lsn) {
		error_set(err, ERROR_INVALID,
			"WAL from " LSN_FORMAT " was not sent, and cannot be asked for again",
			LSN_ARGS(lsn));
		error_sqlstate(err, "08P01");
		return WAL_STREAM_FAILED;
	}
	struct wal_cursor *cursor =
		wal_cursor_open(options->store, options->tli, lsn, options->flushed_only, err);
	if (cursor == NULL) {
		return WAL_STREAM_FAILED;
	}
	drop_held(sender);
	wal_cursor_close(&stream->cursor);
	stream->cursor = cursor;
	stream->awaited_lsn = LSN_INVALID;
	sender->is_checking = false;
	sender->plain_until = lsn_min(link_batch_limit(lsn), wal_cursor_end(cursor));
	sender->requests++;
	if (sender->member != NULL) {
		lane_member_go_back(sender->member, lsn, sender->plain_until);
	} else {
		encoder_seat_note_plain_request(sender->seat);
	}
	turns_make_ready(options->turns, &stream->turn);
	return WAL_STREAM_GOES_ON;
}

/* Said again, it is answered again. */
static void take_wish(struct link_sender *sender, unsigned count)
{
	struct wal_stream *stream = &sender->stream;
	if (stream->is_copy_done) {
		return;
	}
	if (sender->member != NULL) {
		send_lanes(sender, count);
	} else {
		sender->wished_lanes = count;
		turns_make_ready(stream->options.turns, &stream->turn);
	}
}

static enum wal_stream_step refuse_message(const char *reason, struct error *err)
{
	error_set(err, ERROR_INVALID, "%s", reason);
	error_sqlstate(err, "08P01");
	return WAL_STREAM_FAILED;
}

static enum wal_stream_step on_message(
	struct wal_stream *stream, const uint8_t *payload, size_t length, struct error *err)
{
	struct link_sender *sender = (struct link_sender *)stream;
	struct link_client_copy message;
	const char *reason = "insufficient data left in message";
	if (link_client_copy_decode(payload, length, &message, &reason) != DECODE_OK) {
		return refuse_message(reason, err);
	}
	if (stream->is_lane || (message.kind == LINK_CLIENT_WISH && sender->lanes.count == 1) ||
		((message.kind == LINK_CLIENT_ARRIVED || message.kind == LINK_CLIENT_LOST) &&
			sender->member == NULL)) {
		return refuse_message("WAL is not shared here among lanes", err);
	}
	switch (message.kind) {
	case LINK_CLIENT_REQUEST: return take_request(sender, message.request_lsn, err);
	case LINK_CLIENT_WISH: take_wish(sender, message.wished_lanes); break;
	case LINK_CLIENT_ARRIVED: take_arrived(sender, &message.arrived); break;
	case LINK_CLIENT_LOST:
		lane_member_lost(sender->member, &message.lost, wal_stream_now_us(stream));
		break;
	default:
		assert(message.kind == LINK_CLIENT_PROMISE);
		take_promise(sender, &message.promise);
		break;
	}
	return WAL_STREAM_GOES_ON;
}

/* --- beginning ---------------------------------------------------------------------------------
 */

static bool check_lane(
	const struct wal_stream_options *options, const struct link_start *start, struct error *err)
{
	if (options->slot[0] != '\0' || start->has_held) {
		error_set(err, ERROR_INVALID, "a lane has no slot and compares nothing");
		return error_sqlstate(err, "22023");
	}
	return true;
}

static bool check_start(
	const struct wal_stream_options *options, const struct link_start *start, struct error *err)
{
	if (start->has_held && (start->held_lsn < options->start_lsn ||
				       start->held_lsn - options->start_lsn > WAL_SEGMENT_MAX)) {
		error_set(err, ERROR_INVALID,
			"what is held cannot end at " LSN_FORMAT " when it begins at " LSN_FORMAT,
			LSN_ARGS(start->held_lsn), LSN_ARGS(options->start_lsn));
		return error_sqlstate(err, "22023");
	}
	return true;
}

/* At the encoder, or in a group. */
static bool take_seat(struct link_sender *sender, struct error *err)
{
	const struct link_start *start = &sender->start;
	const struct wal_stream_options *options = &sender->stream.options;
	if (start->lane != 0) {
		sender->stream.is_lane = true;
		sender->member = sender->lanes.count == 1
					 ? NULL
					 : lane_group_join(sender->lanes.groups, start->lane_token,
						   start->lane, sender->wake,
						   wal_stream_now_us(&sender->stream));
		if (sender->member == NULL) {
			error_set(err, ERROR_INVALID, "the lane belongs to no link of this relay");
			return error_sqlstate(err, "22023");
		}
		return true;
	}
	sender->may_want_lanes =
		link_abilities_find(&start->terms.abilities, LINK_LANES_ABILITY) != NULL;
	sender->seat = encoder_seat_new(
		sender->encoder, options->tli, link_terms_recompress(&start->terms), ring, sender);
	encoder_seat_promise(sender->seat, &start->promise);
	return true;
}

struct wal_stream *link_sender_new(const struct wal_stream_options *options,
	struct shared_encoder *encoder, const struct link_start *start,
	const struct link_lane_rules *lanes, struct error *err)
{
	static const struct wal_stream_sender ops = {
		.fill = fill, .on_message = on_message, .free = free_sender};
	struct link_sender *sender;
	if ((start->lane != 0 && !check_lane(options, start, err)) ||
		!check_start(options, start, err)) {
		return NULL;
	}
	sender = memory_new(sizeof(*sender));
	sender->start = *start;
	sender->is_checking = start->has_held && start->held_lsn > options->start_lsn;
	sender->wake = wake_new(options->loop, on_ring, sender, err);
	if (sender->wake == NULL || !wal_stream_init(&sender->stream, &ops, options, err)) {
		wake_free(&sender->wake);
		free(sender);
		return NULL;
	}
	sender->lanes = *lanes;
	sender->encoder = encoder;
	sender->stream.low_water = 0;
	sender->stream.unsent_max = UNSENT_MAX;
	if (!take_seat(sender, err)) {
		struct wal_stream *stream = &sender->stream;
		wal_stream_free(&stream);
		return NULL;
	}
	connection_set_low_water(options->connection, 0);
	socket_set_unsent_max(connection_fd(options->connection), UNSENT_MAX);
	progress_set(options->progress->link_reach_bytes, 0);
	progress_set(options->progress->is_link, true);
	progress_set(options->progress->is_lane, sender->stream.is_lane);
	return &sender->stream;
}
