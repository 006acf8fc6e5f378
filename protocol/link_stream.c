/*
 * link_stream: encodes and decodes the payloads that only relays send each other, and hands the
 * others to repl_message. The byte tables stand in the header.
 */
#include "protocol/link_stream.h"

#include "protocol/link_scan.h"
#include "protocol/wire.h"

#include <assert.h>

/* Bytes after the fields are passed over: a later version may have more to say. */
static enum decode_result promise_decode(
	struct wire_reader *reader, struct link_promise *promise_out, const char **reason_out)
{
	struct link_promise promise = {
		.oldest_lsn = wire_read_u64(reader),
		.keep_bytes = wire_read_u64(reader),
	};
	if (reader->bad) {
		return DECODE_MORE;
	}
	if (promise.keep_bytes > LINK_KEEP_BYTES_MAX) {
		*reason_out = "link promise is out of range";
		return DECODE_BAD;
	}
	*promise_out = promise;
	return DECODE_OK;
}

static enum decode_result request_decode(struct wire_reader *reader, lsn_t *lsn_out)
{
	lsn_t lsn = wire_read_u64(reader);
	if (reader->bad) {
		return DECODE_MORE;
	}
	*lsn_out = lsn;
	return DECODE_OK;
}

static bool is_lane_count(uint32_t count)
{
	return count >= 2 && count <= LINK_LANES_MAX;
}

static enum decode_result lanes_decode(
	struct wire_reader *reader, struct link_lane_plan *lanes_out, const char **reason_out)
{
	uint32_t count = wire_read_u32(reader);
	lsn_t from = wire_read_u64(reader);
	uint64_t token = wire_read_u64(reader);
	if (reader->bad) {
		return DECODE_MORE;
	}
	if (!is_lane_count(count) || from % LINK_FRAME_BYTES != 0) {
		*reason_out = "lanes of a link are out of range";
		return DECODE_BAD;
	}
	*lanes_out = (struct link_lane_plan){.count = count, .from = from, .token = token};
	return DECODE_OK;
}

static enum decode_result divide_decode(
	struct wire_reader *reader, unsigned *count_out, const char **reason_out)
{
	uint32_t count = wire_read_u32(reader);
	if (reader->bad) {
		return DECODE_MORE;
	}
	if (!is_lane_count(count)) {
		*reason_out = "lanes of a link are out of range";
		return DECODE_BAD;
	}
	*count_out = count;
	return DECODE_OK;
}

enum decode_result link_server_copy_decode(const uint8_t *payload, size_t length,
	struct link_server_copy *copy_out, const char **reason_out)
{
	struct wire_reader reader;
	wire_reader_init(&reader, payload, length);
	uint8_t type = wire_read_u8(&reader);
	if (reader.bad) {
		return DECODE_MORE;
	}
	enum decode_result result = DECODE_OK;
	enum link_server_kind kind = LINK_SERVER_STREAM;
	switch (type) {
	case 'z':
		kind = LINK_SERVER_BATCH;
		copy_out->batch_length = wire_reader_left(&reader);
		copy_out->batch = wire_read_bytes(&reader, copy_out->batch_length);
		break;
	case 'p':
		kind = LINK_SERVER_PROMISE;
		result = promise_decode(&reader, &copy_out->promise, reason_out);
		break;
	case 'l':
		kind = LINK_SERVER_LANES;
		result = lanes_decode(&reader, &copy_out->lanes, reason_out);
		break;
	default: result = server_copy_decode(payload, length, &copy_out->stream, reason_out); break;
	}
	if (result == DECODE_OK) {
		copy_out->kind = kind;
	}
	return result;
}

enum decode_result link_client_copy_decode(const uint8_t *payload, size_t length,
	struct link_client_copy *copy_out, const char **reason_out)
{
	struct wire_reader reader;
	wire_reader_init(&reader, payload, length);
	uint8_t type = wire_read_u8(&reader);
	if (reader.bad) {
		return DECODE_MORE;
	}
	enum decode_result result;
	enum link_client_kind kind = LINK_CLIENT_STREAM;
	switch (type) {
	case 'p':
		kind = LINK_CLIENT_PROMISE;
		result = promise_decode(&reader, &copy_out->promise, reason_out);
		break;
	case 'n':
		kind = LINK_CLIENT_REQUEST;
		result = request_decode(&reader, &copy_out->request_lsn);
		break;
	case 'l':
		kind = LINK_CLIENT_DIVIDE;
		result = divide_decode(&reader, &copy_out->lane_count, reason_out);
		break;
	default: result = client_copy_decode(payload, length, &copy_out->stream, reason_out); break;
	}
	if (result == DECODE_OK) {
		copy_out->kind = kind;
	}
	return result;
}

size_t link_promise_encode(const struct link_promise *promise, uint8_t out[LINK_PROMISE_BYTES])
{
	assert(promise->keep_bytes <= LINK_KEEP_BYTES_MAX);
	out[0] = 'p';
	wire_put_u64(out + 1, promise->oldest_lsn);
	wire_put_u64(out + 9, promise->keep_bytes);
	return LINK_PROMISE_BYTES;
}

size_t link_request_encode(lsn_t lsn, uint8_t out[LINK_REQUEST_BYTES])
{
	out[0] = 'n';
	wire_put_u64(out + 1, lsn);
	return LINK_REQUEST_BYTES;
}

size_t link_lane_plan_encode(const struct link_lane_plan *lanes, uint8_t out[LINK_LANES_BYTES])
{
	assert(is_lane_count(lanes->count));
	out[0] = 'l';
	wire_put_u32(out + 1, lanes->count);
	wire_put_u64(out + 5, lanes->from);
	wire_put_u64(out + 13, lanes->token);
	return LINK_LANES_BYTES;
}

size_t link_divide_encode(unsigned count, uint8_t out[LINK_DIVIDE_BYTES])
{
	assert(is_lane_count(count));
	out[0] = 'l';
	wire_put_u32(out + 1, count);
	return LINK_DIVIDE_BYTES;
}

size_t link_frame_header_encode(size_t batch_length, uint8_t out[LINK_FRAME_HEADER_BYTES])
{
	assert(batch_length <= INT32_MAX - LINK_FRAME_HEADER_BYTES);
	out[0] = 'd';
	wire_put_u32(out + 1, (uint32_t)(4 + 1 + batch_length));
	out[5] = 'z';
	return LINK_FRAME_HEADER_BYTES;
}
