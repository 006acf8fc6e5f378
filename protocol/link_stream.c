/*
 * link_stream: encodes and decodes the payloads that only relays send each other, and hands the
 * others to repl_message. The byte tables stand in the header.
 */
#include "protocol/link_stream.h"

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

size_t link_frame_header_encode(size_t batch_length, uint8_t out[LINK_FRAME_HEADER_BYTES])
{
	assert(batch_length <= INT32_MAX - LINK_FRAME_HEADER_BYTES);
	out[0] = 'd';
	wire_put_u32(out + 1, (uint32_t)(4 + 1 + batch_length));
	out[5] = 'z';
	return LINK_FRAME_HEADER_BYTES;
}
