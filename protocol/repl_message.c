/*
 * repl_message: encodes and decodes the payloads of CopyData while WAL is streamed. The byte tables
 * stand in the header.
 */
#include "protocol/repl_message.h"

#include "protocol/wire.h"

#include <assert.h>

#define FEEDBACK_BYTES_96 17 /* 9.3 to 9.6: no catalog xmin */

static enum decode_result wal_data_decode(struct wire_reader *reader, struct wal_data *data_out)
{
	struct wal_data data = {
		.start_lsn = wire_read_u64(reader),
		.server_end_lsn = wire_read_u64(reader),
		.sent_at = (int64_t)wire_read_u64(reader),
	};
	data.wal_length = wire_reader_left(reader);
	data.wal = wire_read_bytes(reader, data.wal_length);
	if (reader->bad) {
		return DECODE_MORE;
	}
	*data_out = data;
	return DECODE_OK;
}

static enum decode_result keepalive_decode(
	struct wire_reader *reader, struct keepalive *keepalive_out, const char **reason_out)
{
	struct keepalive keepalive = {
		.server_end_lsn = wire_read_u64(reader),
		.sent_at = (int64_t)wire_read_u64(reader),
		.reply_requested = wire_read_u8(reader) != 0,
	};
	if (reader->bad) {
		return DECODE_MORE;
	}
	if (!wire_reader_is_done(reader)) {
		*reason_out = "keepalive message is too long";
		return DECODE_BAD;
	}
	*keepalive_out = keepalive;
	return DECODE_OK;
}

enum decode_result server_copy_decode(const uint8_t *payload, size_t length,
	struct server_copy *copy_out, const char **reason_out)
{
	struct wire_reader reader;
	wire_reader_init(&reader, payload, length);
	uint8_t type = wire_read_u8(&reader);
	if (reader.bad) {
		return DECODE_MORE;
	}
	enum decode_result result;
	switch (type) {
	case 'w':
		result = wal_data_decode(&reader, &copy_out->wal);
		if (result == DECODE_OK) {
			copy_out->kind = SERVER_COPY_WAL;
		}
		return result;
	case 'k':
		result = keepalive_decode(&reader, &copy_out->keepalive, reason_out);
		if (result == DECODE_OK) {
			copy_out->kind = SERVER_COPY_KEEPALIVE;
		}
		return result;
	default: *reason_out = "unknown message type in the replication stream"; return DECODE_BAD;
	}
}

/* As a walsender does, ignores bytes after the fields it knows. */
static enum decode_result status_decode(
	struct wire_reader *reader, struct standby_status *status_out)
{
	struct standby_status status = {
		.write_lsn = wire_read_u64(reader),
		.flush_lsn = wire_read_u64(reader),
		.apply_lsn = wire_read_u64(reader),
		.sent_at = (int64_t)wire_read_u64(reader),
		.reply_requested = wire_read_u8(reader) != 0,
	};
	if (reader->bad) {
		return DECODE_MORE;
	}
	*status_out = status;
	return DECODE_OK;
}

static enum decode_result feedback_decode(
	struct wire_reader *reader, struct standby_feedback *feedback_out)
{
	struct standby_feedback feedback = {
		.sent_at = (int64_t)wire_read_u64(reader),
		.xmin = wire_read_u32(reader),
		.xmin_epoch = wire_read_u32(reader),
	};
	if (reader->length != FEEDBACK_BYTES_96) {
		feedback.catalog_xmin = wire_read_u32(reader);
		feedback.catalog_xmin_epoch = wire_read_u32(reader);
	}
	if (reader->bad) {
		return DECODE_MORE;
	}
	*feedback_out = feedback;
	return DECODE_OK;
}

enum decode_result client_copy_decode(const uint8_t *payload, size_t length,
	struct client_copy *copy_out, const char **reason_out)
{
	struct wire_reader reader;
	wire_reader_init(&reader, payload, length);
	uint8_t type = wire_read_u8(&reader);
	if (reader.bad) {
		return DECODE_MORE;
	}
	enum decode_result result;
	switch (type) {
	case 'r':
		result = status_decode(&reader, &copy_out->status);
		if (result == DECODE_OK) {
			copy_out->kind = CLIENT_COPY_STATUS;
		}
		return result;
	case 'h':
		result = feedback_decode(&reader, &copy_out->feedback);
		if (result == DECODE_OK) {
			copy_out->kind = CLIENT_COPY_FEEDBACK;
		}
		return result;
	default:
		*reason_out = "unexpected message type in the replication stream";
		return DECODE_BAD;
	}
}

size_t wal_data_header_encode(const struct wal_data *data, uint8_t out[WAL_DATA_HEADER_BYTES])
{
	out[0] = 'w';
	wire_put_u64(out + 1, data->start_lsn);
	wire_put_u64(out + 9, data->server_end_lsn);
	wire_put_u64(out + 17, (uint64_t)data->sent_at);
	return WAL_DATA_HEADER_BYTES;
}

size_t keepalive_encode(const struct keepalive *keepalive, uint8_t out[KEEPALIVE_BYTES])
{
	out[0] = 'k';
	wire_put_u64(out + 1, keepalive->server_end_lsn);
	wire_put_u64(out + 9, (uint64_t)keepalive->sent_at);
	out[17] = keepalive->reply_requested;
	return KEEPALIVE_BYTES;
}

size_t standby_status_encode(const struct standby_status *status, uint8_t out[STANDBY_STATUS_BYTES])
{
	out[0] = 'r';
	wire_put_u64(out + 1, status->write_lsn);
	wire_put_u64(out + 9, status->flush_lsn);
	wire_put_u64(out + 17, status->apply_lsn);
	wire_put_u64(out + 25, (uint64_t)status->sent_at);
	out[33] = status->reply_requested;
	return STANDBY_STATUS_BYTES;
}

size_t standby_feedback_encode(const struct standby_feedback *feedback, uint8_t out[FEEDBACK_BYTES])
{
	out[0] = 'h';
	wire_put_u64(out + 1, (uint64_t)feedback->sent_at);
	wire_put_u32(out + 9, feedback->xmin);
	wire_put_u32(out + 13, feedback->xmin_epoch);
	wire_put_u32(out + 17, feedback->catalog_xmin);
	wire_put_u32(out + 21, feedback->catalog_xmin_epoch);
	return FEEDBACK_BYTES;
}

size_t wal_frame_header_encode(const struct wal_data *data, uint8_t out[WAL_FRAME_HEADER_BYTES])
{
	assert(data->wal_length <= WAL_DATA_BYTES_MAX);
	out[0] = 'd';
	wire_put_u32(out + 1, (uint32_t)(4 + WAL_DATA_HEADER_BYTES + data->wal_length));
	return 5 + wal_data_header_encode(data, out + 5);
}
