/*
 * link_stream: encodes and decodes the payloads that only relays send each other, and hands the
 * others to repl_message. The byte tables stand in the header.
 */
#include "protocol/link_stream.h"

#include "protocol/wire.h"

#include <assert.h>
#include <xxhash.h>

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
	uint64_t token = wire_read_u64(reader);
	if (reader->bad) {
		return DECODE_MORE;
	}
	if (!is_lane_count(count)) {
		*reason_out = "lanes of a link are out of range";
		return DECODE_BAD;
	}
	*lanes_out = (struct link_lane_plan){.count = count, .token = token};
	return DECODE_OK;
}

static enum decode_result wish_decode(
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

static enum decode_result epoch_decode(struct wire_reader *reader, uint32_t *epoch_out)
{
	uint32_t epoch = wire_read_u32(reader);
	if (reader->bad) {
		return DECODE_MORE;
	}
	*epoch_out = epoch;
	return DECODE_OK;
}

static struct link_lane_count read_lane(struct wire_reader *reader)
{
	struct link_lane_count count;
	count.lane = wire_read_u32(reader);
	count.messages = wire_read_u64(reader);
	return count;
}

static enum decode_result arrived_decode(
	struct wire_reader *reader, struct link_arrived *arrived_out, const char **reason_out)
{
	struct link_arrived arrived = {0};
	arrived.lsn = wire_read_u64(reader);
	arrived.count = wire_read_u32(reader);
	if (!reader->bad && arrived.count > LINK_LANES_MAX) {
		*reason_out = "lanes of a link are out of range";
		return DECODE_BAD;
	}
	for (unsigned i = 0; !reader->bad && i < arrived.count; i++) {
		arrived.lanes[i] = read_lane(reader);
	}
	if (reader->bad) {
		return DECODE_MORE;
	}
	*arrived_out = arrived;
	return DECODE_OK;
}

static enum decode_result lost_decode(struct wire_reader *reader, struct link_lane_count *lost_out)
{
	struct link_lane_count lost = read_lane(reader);
	if (reader->bad) {
		return DECODE_MORE;
	}
	*lost_out = lost;
	return DECODE_OK;
}

static uint64_t check_of(const struct wal_data *data)
{
	return XXH64(data->wal, data->wal_length, data->start_lsn);
}

/* What PostgreSQL sends, TCP alone protects; some of it, such as the bytes between records, no
 * checksum of WAL covers. */
static enum decode_result take_check(struct wal_data *data, const char **reason_out)
{
	if (data->wal_length < LINK_CHECK_BYTES) {
		return DECODE_MORE;
	}
	data->wal_length -= LINK_CHECK_BYTES;
	if (wire_get_u64(data->wal + data->wal_length) != check_of(data)) {
		*reason_out = "WAL with a wrong checksum";
		return DECODE_BAD;
	}
	return DECODE_OK;
}

static enum decode_result stream_decode(const uint8_t *payload, size_t length,
	struct server_copy *stream_out, const char **reason_out)
{
	struct server_copy stream;
	enum decode_result result = server_copy_decode(payload, length, &stream, reason_out);
	if (result == DECODE_OK && stream.kind == SERVER_COPY_WAL) {
		result = take_check(&stream.wal, reason_out);
	}
	if (result == DECODE_OK) {
		*stream_out = stream;
	}
	return result;
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
	case 'e':
		kind = LINK_SERVER_EPOCH;
		result = epoch_decode(&reader, &copy_out->epoch);
		break;
	default: result = stream_decode(payload, length, &copy_out->stream, reason_out); break;
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
		kind = LINK_CLIENT_WISH;
		result = wish_decode(&reader, &copy_out->wished_lanes, reason_out);
		break;
	case 'a':
		kind = LINK_CLIENT_ARRIVED;
		result = arrived_decode(&reader, &copy_out->arrived, reason_out);
		break;
	case 'x':
		kind = LINK_CLIENT_LOST;
		result = lost_decode(&reader, &copy_out->lost);
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
	wire_put_u64(out + 5, lanes->token);
	return LINK_LANES_BYTES;
}

size_t link_epoch_encode(uint32_t epoch, uint8_t out[LINK_EPOCH_BYTES])
{
	out[0] = 'e';
	wire_put_u32(out + 1, epoch);
	return LINK_EPOCH_BYTES;
}

size_t link_wish_encode(unsigned count, uint8_t out[LINK_WISH_BYTES])
{
	assert(is_lane_count(count));
	out[0] = 'l';
	wire_put_u32(out + 1, count);
	return LINK_WISH_BYTES;
}

static void put_lane(const struct link_lane_count *lane, uint8_t *out)
{
	wire_put_u32(out, lane->lane);
	wire_put_u64(out + 4, lane->messages);
}

size_t link_arrived_encode(const struct link_arrived *arrived, uint8_t out[LINK_ARRIVED_BYTES])
{
	assert(arrived->count <= LINK_LANES_MAX);
	out[0] = 'a';
	wire_put_u64(out + 1, arrived->lsn);
	wire_put_u32(out + 9, arrived->count);
	for (unsigned i = 0; i < arrived->count; i++) {
		put_lane(&arrived->lanes[i], out + 13 + 12 * (size_t)i);
	}
	return 13 + 12 * (size_t)arrived->count;
}

size_t link_lost_encode(const struct link_lane_count *lost, uint8_t out[LINK_LOST_BYTES])
{
	out[0] = 'x';
	put_lane(lost, out + 1);
	return LINK_LOST_BYTES;
}

size_t link_wal_header_encode(const struct wal_data *data, uint8_t out[WAL_FRAME_HEADER_BYTES])
{
	size_t length = wal_frame_header_encode(data, out);
	wire_put_u32(out + 1, wire_get_u32(out + 1) + LINK_CHECK_BYTES);
	return length;
}

size_t link_check_encode(const struct wal_data *data, uint8_t out[LINK_CHECK_BYTES])
{
	wire_put_u64(out, check_of(data));
	return LINK_CHECK_BYTES;
}

size_t link_frame_header_encode(size_t batch_length, uint8_t out[LINK_FRAME_HEADER_BYTES])
{
	assert(batch_length <= INT32_MAX - LINK_FRAME_HEADER_BYTES);
	out[0] = 'd';
	wire_put_u32(out + 1, (uint32_t)(4 + 1 + batch_length));
	out[5] = 'z';
	return LINK_FRAME_HEADER_BYTES;
}
