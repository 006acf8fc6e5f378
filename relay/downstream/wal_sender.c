/*
 * wal_sender: messages of up to 128 kB by reference.
 *
 * Per message a turn copies 30 bytes of header and queues a reference to the mapped segment; a turn
 * ends with one flush. Between turns nothing of the WAL is held here.
 */
#include "downstream/wal_sender.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/wall_clock.h"
#include "spool/wal_segment.h"

/* A short stretch is cheaper to copy than to refer to: no second vector, no reference counted. */
#define COPIED_SPAN_MAX 2048u
/* From here on a call of its own for the file is cheaper than the kernel's copy. */
#define FILE_SPAN_MIN 16384u
/* A receiver on this machine pays for the copy that we save: it reads what is in memory instead of
 * what is in the cache, and one alone is then what everything waits for. One span of three saves us
 * enough and costs it nothing that is seen. */
#define NEAR_FILE_SPANS_EACH 3u
/* The long one is that of a segment's first page. */
#define PAGE_HEADER_BYTES      24u
#define LONG_PAGE_HEADER_BYTES 40u

static void release_segment(void *context)
{
	wal_segment_unref(context);
}

/* From here on WAL lies in the segment that is being written, so in memory. Elsewhere a page that
 * the disk cannot give is an error of one connection when the kernel reads it for the socket, and
 * would be a SIGBUS when it is read here. */
static lsn_t hot_lsn(const struct wal_stream *stream)
{
	struct wal_store *store = stream->options.store;
	struct wal_position received = wal_store_received(store);
	if (received.tli != wal_cursor_tli(stream->cursor)) {
		return UINT64_MAX;
	}
	return lsn_segment_start(received.lsn - 1, wal_store_segment_bytes(store));
}

static bool goes_from_file(const struct wal_stream *stream, const struct wal_span *span)
{
	return span->length >= FILE_SPAN_MIN &&
	       (!connection_shares_machine(stream->options.connection) ||
		       span->lsn / WAL_DATA_BYTES_MAX % NEAR_FILE_SPANS_EACH == 0);
}

static void queue_span(
	struct wal_stream *stream, const struct wal_span *span, lsn_t end_lsn, int64_t pg_now_us)
{
	struct connection *connection = stream->options.connection;
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
	if (span->length <= COPIED_SPAN_MAX && span->lsn >= hot_lsn(stream)) {
		connection_write(connection, span->bytes, span->length);
	} else {
		const struct output_file file = {
			.fd = wal_segment_fd(span->segment),
			.offset = span->bytes - wal_segment_bytes(span->segment),
		};
		connection_write_file(connection, span->bytes, span->length,
			goes_from_file(stream, span) ? &file : NULL, release_segment,
			wal_segment_ref(span->segment));
	}
	wal_cursor_advance(stream->cursor, span->length);
}

/* What only the disk has is not waited for here, where everybody else would wait too. Once: then
 * either it is in memory, or reading it tells what is wrong. */
static bool waits_for_disk(struct wal_stream *stream)
{
	struct wal_on_disk stretch;
	lsn_t lsn = wal_cursor_lsn(stream->cursor);
	if (stream->awaited_lsn == lsn ||
		!wal_cursor_is_on_disk(stream->cursor, WAL_DATA_BYTES_MAX, &stretch)) {
		return false;
	}
	stream->awaited_lsn = lsn;
	turns_wait_for_disk(
		stream->options.turns, &stream->turn, stream->options.prefetch, &stretch);
	return true;
}

/* What is not held may be had from the upstream, or has just come. A relay that stops does not wait
 * for it. */
static enum wal_read peek(
	struct wal_stream *stream, size_t length_max, struct wal_span *span, struct error *err)
{
	struct wal_cursor *cursor = stream->cursor;
	enum wal_read read = wal_cursor_peek(cursor, length_max, span, err);
	stream->is_missing = read == WAL_READ_GONE && !stream->is_stopping &&
			     wal_store_want(stream->options.store, wal_cursor_tli(cursor),
				     wal_cursor_lsn(cursor));
	return read == WAL_READ_GONE && !stream->is_missing
		       ? wal_cursor_peek(cursor, length_max, span, err)
		       : read;
}

enum wal_fill wal_sender_peek(
	struct wal_stream *stream, size_t length_max, struct wal_span *span_out, struct error *err)
{
	if (waits_for_disk(stream)) {
		return WAL_FILL_WAITS;
	}
	switch (peek(stream, length_max, span_out, err)) {
	case WAL_READ_DATA: return WAL_FILL_ENOUGH;
	case WAL_READ_WAIT: return WAL_FILL_AT_TIP;
	case WAL_READ_TIMELINE_END: return WAL_FILL_TIMELINE_END;
	default: return stream->is_missing ? WAL_FILL_MISSING : WAL_FILL_FAILED;
	}
}

enum wal_fill wal_sender_take_plain(struct wal_stream *stream, size_t length_max,
	struct encoded_batch **batch_out, struct error *err)
{
	struct wal_span span;
	enum wal_fill filled = wal_sender_peek(stream, length_max, &span, err);
	if (filled != WAL_FILL_ENOUGH) {
		return filled;
	}
	const struct wal_data data = {.start_lsn = span.lsn,
		.server_end_lsn = lsn_max(wal_cursor_end(stream->cursor), span.lsn + span.length),
		.sent_at = wall_clock_unix_us() - PG_EPOCH_UNIX_US,
		.wal = span.bytes,
		.wal_length = span.length};
	*batch_out = encoded_batch_new_plain(&data);
	if (*batch_out == NULL) {
		error_set(
			err, ERROR_SYSTEM, "could not read WAL at " LSN_FORMAT, LSN_ARGS(span.lsn));
		return WAL_FILL_FAILED;
	}
	return WAL_FILL_ENOUGH;
}

/* One message. */
static enum wal_fill queue_next(
	struct wal_stream *stream, lsn_t limit, lsn_t end_lsn, int64_t pg_now_us, struct error *err)
{
	lsn_t left = limit - wal_cursor_lsn(stream->cursor);
	struct wal_span span;
	enum wal_fill fill = wal_sender_peek(
		stream, left < WAL_DATA_BYTES_MAX ? left : WAL_DATA_BYTES_MAX, &span, err);
	if (fill == WAL_FILL_ENOUGH) {
		queue_span(stream, &span, end_lsn, pg_now_us);
	}
	return fill;
}

/* How far the caps let it go now; false: nowhere. A receiver must never be left within a page
 * unless nothing follows: PostgreSQL's reader takes the first part of a record that crosses into
 * the next page from what it has of this one (XLogDecodeNextRecord(),
 * src/backend/access/transam/xlogreader.c), and finds it damaged. */
static bool ask_leave(struct wal_stream *stream, lsn_t end_lsn, lsn_t *limit)
{
	lsn_t lsn = wal_cursor_lsn(stream->cursor);
	lsn_t last_lsn = lsn_min(lsn_min(end_lsn, *limit), lsn + WAL_STREAM_HIGH_WATER);
	if (lsn >= last_lsn) {
		return true;
	}
	lsn_t page_end_lsn = lsn_min(last_lsn, (lsn / WAL_PAGE_BYTES + 1) * WAL_PAGE_BYTES);
	size_t wanted = last_lsn - lsn + WAL_FRAME_HEADER_BYTES;
	size_t leave =
		wal_stream_ask_leave(stream, page_end_lsn - lsn + WAL_FRAME_HEADER_BYTES, wanted);
	if (leave > 0 && leave < wanted) {
		lsn_t stop_lsn = lsn + leave - WAL_FRAME_HEADER_BYTES;
		stop_lsn -= stop_lsn % WAL_PAGE_BYTES;
		*limit = stop_lsn > lsn ? stop_lsn : page_end_lsn;
	}
	return leave > 0;
}

/* Where a receiver may be left at the tip. PostgreSQL's never is with a page's header and no more:
 * its reader asks for that many bytes of a page, takes what follows them for a record, of length 0,
 * and then ends each new WAL receiver before it has begun (XLogPageRead(), WaitForWALToBecome-
 * Available(), src/backend/access/transam/xlogrecovery.c). Our batches end nowhere like that
 * (link_scan_end_before()); what comes from a relay of another version may. */
static lsn_t tip_end(const struct wal_stream *stream, lsn_t flushed_before, lsn_t end_lsn)
{
	struct wal_store *store = stream->options.store;
	lsn_t in_page = end_lsn % WAL_PAGE_BYTES;
	bool is_first_page = end_lsn % wal_store_segment_bytes(store) < WAL_PAGE_BYTES;
	bool is_tip = wal_store_flushed(store).tli == wal_cursor_tli(stream->cursor) &&
		      end_lsn >= flushed_before;
	lsn_t header_bytes = is_first_page ? LONG_PAGE_HEADER_BYTES : PAGE_HEADER_BYTES;
	return is_tip && in_page <= header_bytes ? end_lsn - in_page : end_lsn;
}

static enum wal_fill fill(struct wal_stream *stream, struct error *err)
{
	lsn_t limit = UINT64_MAX;
	struct connection *connection = stream->options.connection;
	int64_t pg_now_us = wall_clock_unix_us() - PG_EPOCH_UNIX_US;
	lsn_t start_lsn = wal_cursor_lsn(stream->cursor);
	/* Before the end is asked for, which is not behind it unless it is that of a hole. */
	lsn_t flushed_before = wal_store_flushed(stream->options.store).lsn;
	lsn_t received_end_lsn = wal_cursor_end(stream->cursor);
	lsn_t end_lsn = tip_end(stream, flushed_before, received_end_lsn);
	enum wal_fill filled = WAL_FILL_ENOUGH;
	if (end_lsn < received_end_lsn) {
		if (start_lsn >= end_lsn) {
			return WAL_FILL_AT_TIP;
		}
		limit = lsn_min(limit, end_lsn);
	}
	lag_tracker_on_sent(&stream->lag, end_lsn, wal_stream_now_us(stream));
	if (!ask_leave(stream, end_lsn, &limit)) {
		return WAL_FILL_WAITS;
	}
	lsn_t stop_lsn = lsn_min(limit, start_lsn + WAL_STREAM_HIGH_WATER);
	/* A connection that has failed takes everything and keeps nothing: the turn ends all the
	 * same. */
	while (filled == WAL_FILL_ENOUGH &&
		connection_output_bytes(connection) < wal_stream_high_water(stream) &&
		wal_cursor_lsn(stream->cursor) < stop_lsn) {
		filled = queue_next(stream, limit, end_lsn, pg_now_us, err);
	}
	wal_stream_note_sent(stream, start_lsn, wal_cursor_lsn(stream->cursor));
	return filled;
}

static void free_sender(struct wal_stream *stream)
{
	free(stream);
}

struct wal_stream *wal_sender_new(const struct wal_stream_options *options, struct error *err)
{
	static const struct wal_stream_sender sender = {.fill = fill, .free = free_sender};
	struct wal_stream *stream = memory_new(sizeof(*stream));
	if (!wal_stream_init(stream, &sender, options, err)) {
		free(stream);
		return NULL;
	}
	return stream;
}
