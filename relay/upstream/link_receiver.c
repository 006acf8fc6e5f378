/*
 * link_receiver: a decoder, the spool it looks back into, and what is waited for.
 */
#include "upstream/link_receiver.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "protocol/link_batch.h"
#include "protocol/link_codec.h"
#include "protocol/link_held.h"
#include "protocol/link_stream.h"
#include "spool/wal_earlier.h"
#include "upstream/error_repeat.h"

#include <stdlib.h>
#include <time.h>

/* Far more than can be on its way: the server does not heed the request. */
#define PASSED_OVER_MAX (UINT64_C(64) << 20)

struct link_receiver {
	struct link_receiver_options options;
	struct wal_earlier *earlier;
	struct link_decoder *decoder;
	struct link_start start;
	bool has_rested; /* no batch since the last keepalive */
	/* A request is out; LSN_INVALID: none. */
	lsn_t request_lsn;
	uint64_t passed_over_bytes;
	const char *request_reason;
	struct error_repeat repeat;
	struct link_receiver_stats stats;
};

/* False: some of it is not held. */
static bool read_hash(struct link_receiver *link, lsn_t from, lsn_t to, uint64_t *hash_out)
{
	struct link_held *held = link_held_new();

	while (from < to) {
		const uint8_t *bytes;
		size_t length = wal_earlier_read(link->earlier, from, to - from, &bytes);

		if (length == 0) {
			break;
		}
		link_held_update(held, bytes, length);
		from += length;
	}
	*hash_out = link_held_value(held);
	link_held_free(&held);
	return from == to;
}

static struct link_promise promise_now(const struct link_receiver *link)
{
	struct link_promise promise = {.keep_bytes = wal_store_link_keep(link->options.store)};
	struct wal_store_stats stats;

	if (promise.keep_bytes > 0) {
		wal_store_read_stats(link->options.store, &stats);
		promise.oldest_lsn = stats.oldest_lsn;
	}
	return promise;
}

/* More than a segment is there only when the server is far behind us, and then cannot compare. */
static void look_at_held(struct link_receiver *link)
{
	const struct link_receiver_options *options = &link->options;
	struct wal_position received = wal_store_received(options->store);
	struct link_start *start = &link->start;

	start->terms = options->terms;
	start->promise = promise_now(link);
	wal_store_promise_link(options->store, start->promise.keep_bytes);
	start->held_lsn = received.lsn;
	start->has_held = received.tli == options->tli && received.lsn > options->start_lsn &&
			  received.lsn - options->start_lsn <= options->segment_bytes &&
			  read_hash(link, options->start_lsn, received.lsn, &start->held_hash);
}

struct link_receiver *link_receiver_new(
	const struct link_receiver_options *options, struct error *err)
{
	struct link_receiver *link = memory_new(sizeof(*link));
	struct link_source source = {.read = wal_earlier_read};

	link->options = *options;
	link->earlier = wal_earlier_new(options->store);
	source.context = link->earlier;
	link->decoder = link_decoder_new(options->segment_bytes, &source);
	if (link->decoder == NULL) {
		link_receiver_free(&link);
		(void)error_set(err, ERROR_SYSTEM, "out of memory");
		return NULL;
	}
	look_at_held(link);
	return link;
}

void link_receiver_free(struct link_receiver **link)
{
	if (*link != NULL) {
		wal_store_promise_link((*link)->options.store, 0);
		link_decoder_free(&(*link)->decoder);
		wal_earlier_free(&(*link)->earlier);
		free(*link);
		*link = NULL;
	}
}

char *link_receiver_format_start(
	const struct link_receiver *link, char text_out[LINK_START_TEXT_SIZE])
{
	return link_start_format(&link->start, text_out);
}

bool link_receiver_joins_at(const struct link_receiver *link, lsn_t stream_lsn, lsn_t lsn)
{
	return stream_lsn == link->options.start_lsn && link->start.has_held &&
	       lsn == link->start.held_lsn;
}

lsn_t link_receiver_request_lsn(const struct link_receiver *link)
{
	return link->request_lsn;
}

void link_receiver_take_stats(struct link_receiver *link, struct link_receiver_stats *stats_out)
{
	*stats_out = link->stats;
	link->stats = (struct link_receiver_stats){0};
}

/* --- what does not come as it should ---------------------------------------------------------- */

/* Sent before the server heard of the request. */
static enum link_take pass_over(struct link_receiver *link, size_t length, struct error *err)
{
	link->stats.passed_over_bytes += length;
	link->passed_over_bytes += length;
	if (link->passed_over_bytes <= PASSED_OVER_MAX) {
		return LINK_TAKE_NOTHING;
	}
	error_set(err, ERROR_INVALID, "upstream does not send plain what it was asked for");
	error_detail(err, "The WAL at " LSN_FORMAT " could not be decoded: %s.",
		LSN_ARGS(link->request_lsn), link->request_reason);
	return LINK_TAKE_FAILED;
}

static enum link_take request(
	struct link_receiver *link, lsn_t lsn, const char *reason, int64_t now_us)
{
	unsigned kept_back;

	link->request_lsn = lsn;
	link->request_reason = reason;
	link->passed_over_bytes = 0;
	link->stats.plain_requests++;
	if (error_repeat_should_log(&link->repeat, reason, now_us, &kept_back)) {
		log_warning("upstream",
			"WAL at " LSN_FORMAT " of the link could not be decoded (%s): asking for "
			"it plain%s",
			LSN_ARGS(lsn), reason, kept_back > 0 ? ", not for the first time" : "");
	}
	return LINK_TAKE_REQUEST;
}

/* A header that is damaged may say anything: then what comes next is asked for. */
static lsn_t place_of(
	const struct link_receiver *link, const uint8_t *batch, size_t length, lsn_t stream_lsn)
{
	struct link_batch_header header;

	if (length < LINK_BATCH_HEADER_BYTES || link_batch_header_get(&header, batch) != NULL) {
		return LSN_INVALID;
	}
	return header.start == stream_lsn || link->request_lsn != LSN_INVALID ||
			       link_receiver_joins_at(link, stream_lsn, header.start)
		       ? header.start
		       : LSN_INVALID;
}

/* --- what comes ------------------------------------------------------------------------------- */

static enum link_result decode(struct link_receiver *link, const uint8_t *batch, size_t length,
	struct link_decoded *decoded_out)
{
	uint64_t from_us = thread_cpu_us();
	enum link_result result = link_decoder_decode(link->decoder, batch, length, decoded_out);

	link->stats.decode_us += thread_cpu_us() - from_us;
	if (result == LINK_OK) {
		link->stats.batches++;
		link->stats.raw_bytes += decoded_out->length;
		link->stats.batch_bytes += length;
	}
	return result;
}

static enum link_take take_batch(struct link_receiver *link, const uint8_t *batch, size_t length,
	lsn_t stream_lsn, int64_t now_us, struct server_copy *copy_out, struct error *err)
{
	lsn_t place = place_of(link, batch, length, stream_lsn);
	struct link_decoded decoded;

	if (link->request_lsn != LSN_INVALID && place != link->request_lsn) {
		return pass_over(link, length, err);
	}
	link->has_rested = false;
	if (decode(link, batch, length, &decoded) != LINK_OK) {
		if (link->request_lsn != LSN_INVALID) {
			error_set(err, ERROR_INVALID,
				"upstream sent WAL at " LSN_FORMAT
				" twice that could not be decoded: %s",
				LSN_ARGS(place), decoded.reason);
			return LINK_TAKE_FAILED;
		}
		return request(
			link, place == LSN_INVALID ? stream_lsn : place, decoded.reason, now_us);
	}
	link->request_lsn = LSN_INVALID;
	*copy_out = (struct server_copy){.kind = SERVER_COPY_WAL,
		.wal = {.start_lsn = decoded.start,
			.server_end_lsn = decoded.start + decoded.length,
			.wal = decoded.raw,
			.wal_length = decoded.length}};
	return LINK_TAKE_COPY;
}

static enum link_take take_stream(struct link_receiver *link, const struct server_copy *stream,
	struct server_copy *copy_out, struct error *err)
{
	if (stream->kind == SERVER_COPY_KEEPALIVE && link->request_lsn == LSN_INVALID) {
		if (link->has_rested) {
			wal_earlier_rest(link->earlier);
		}
		link->has_rested = true;
	}
	if (stream->kind == SERVER_COPY_WAL && link->request_lsn != LSN_INVALID) {
		if (stream->wal.start_lsn != link->request_lsn) {
			return pass_over(link, stream->wal.wal_length, err);
		}
		link->request_lsn = LSN_INVALID;
	}
	*copy_out = *stream;
	return LINK_TAKE_COPY;
}

struct link_promise link_receiver_promise(const struct link_receiver *link)
{
	return link->start.promise;
}

/* What is kept grows before it is promised, and shrinks when the server no longer counts on it. */
bool link_receiver_next_promise(struct link_receiver *link, struct link_promise *promise_out)
{
	struct link_promise next = promise_now(link);

	if (next.keep_bytes == link->start.promise.keep_bytes) {
		return false;
	}
	if (next.keep_bytes > link->start.promise.keep_bytes) {
		wal_store_promise_link(link->options.store, next.keep_bytes);
	}
	link->start.promise = next;
	*promise_out = next;
	return true;
}

/* An answer to one that was made before is still to come when it says more. */
static void take_promise(struct link_receiver *link, const struct link_promise *promise)
{
	if (promise->keep_bytes <= link->start.promise.keep_bytes) {
		wal_store_promise_link(link->options.store, link->start.promise.keep_bytes);
	}
}

enum link_take link_receiver_take(struct link_receiver *link, const uint8_t *payload, size_t length,
	lsn_t stream_lsn, int64_t now_us, struct server_copy *copy_out, struct error *err)
{
	enum link_take taken = LINK_TAKE_NOTHING;
	struct link_server_copy copy;
	const char *reason = "it ends too early";

	if (link_server_copy_decode(payload, length, &copy, &reason) != DECODE_OK) {
		error_set(err, ERROR_INVALID, "upstream sent a malformed message: %s", reason);
		return LINK_TAKE_FAILED;
	}
	switch (copy.kind) {
	case LINK_SERVER_BATCH:
		taken = take_batch(
			link, copy.batch, copy.batch_length, stream_lsn, now_us, copy_out, err);
		break;
	case LINK_SERVER_STREAM: taken = take_stream(link, &copy.stream, copy_out, err); break;
	case LINK_SERVER_PROMISE: take_promise(link, &copy.promise); break;
	case LINK_SERVER_LANES:
	case LINK_SERVER_EPOCH: break;
	}
	return taken;
}
