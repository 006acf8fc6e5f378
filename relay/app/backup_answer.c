/*
 * backup_answer: results, copies and notices of the upstream, put together again for the session.
 *
 * Between two relays the data of a COPY are chunks of one stream (protocol/backup_stream). An
 * encoder is flushed when nothing has been added for a moment, so that a slow server's progress
 * is seen at the far end, without a flush for every read of a fast one.
 */
#include <assert.h>
#include <event2/event.h>
#include <libpq-fe.h>

#include "app/backup_state.h"
#include "app/result_message.h"
#include "base/log.h"

#define LOG_SCOPE "backup"
#define FLUSH_US  20000

static const struct {
	const char *name;
	unsigned successors;
} states[BACKUP_STATES] = {
	[BACKUP_IDLE] = {"idle", 1u << BACKUP_CONNECTING | 1u << BACKUP_ANSWERING},
	[BACKUP_CONNECTING] = {"connecting", 1u << BACKUP_ANSWERING | 1u << BACKUP_IDLE},
	[BACKUP_ANSWERING] = {"answering", 1u << BACKUP_COPY_OUT | 1u << BACKUP_COPY_IN |
						   1u << BACKUP_FAILING | 1u << BACKUP_IDLE},
	[BACKUP_COPY_OUT] = {"copy out", 1u << BACKUP_ANSWERING | 1u << BACKUP_IDLE},
	[BACKUP_COPY_IN] = {"copy in", 1u << BACKUP_ANSWERING | 1u << BACKUP_IDLE},
	[BACKUP_FAILING] = {"failing", 1u << BACKUP_IDLE},
};

void backup_enter(struct backup *backup, enum backup_state state)
{
	assert(states[backup->state].successors & 1u << state);
	log_debug(LOG_SCOPE, "%s, was %s", states[state].name, states[backup->state].name);
	backup->state = state;
}

/* --- the stream between relays --------------------------------------------------------------- */

static void send_chunk(void *context, const uint8_t *bytes, size_t length)
{
	struct backup *backup = context;
	if (!backup->is_closed) {
		backup->client->send(backup->client->context, 'd', bytes, length);
	}
}

static void on_flush_due(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	struct backup *backup = context;
	if (backup->state == BACKUP_COPY_OUT && !backup->is_closed) {
		backup_encoder_flush(backup->encoder);
	}
}

void backup_set_mode(struct backup *backup, enum backup_mode mode)
{
	backup->mode = mode;
	if (mode == BACKUP_ENCODED && backup->encoder == NULL) {
		backup->encoder = backup_encoder_new(send_chunk, backup);
		backup->flush_event =
			event_new(loop_event_base(backup->loop), -1, 0, on_flush_due, backup);
		assert(backup->encoder != NULL && backup->flush_event != NULL);
	}
	if (mode == BACKUP_DECODED && backup->decoder == NULL) {
		backup->decoder = backup_decoder_new();
		assert(backup->decoder != NULL);
	}
}

void backup_free_codecs(struct backup *backup)
{
	if (backup->flush_event != NULL) {
		event_free(backup->flush_event);
	}
	backup_encoder_free(&backup->encoder);
	backup_decoder_free(&backup->decoder);
}

void backup_drop_chunk(struct backup *backup)
{
	PQfreemem(backup->chunk);
	backup->chunk = NULL;
}

void backup_tell_progress(struct backup *backup)
{
	if (backup->client->progress != NULL && !backup->is_closed) {
		backup->client->progress(backup->client->context, &backup->progress);
	}
}

/* What the client of a backup is sent, before it is encoded between relays. */
static void note_data(struct backup *backup, const void *body, size_t length)
{
	bool is_opaque = backup->mode == BACKUP_AS_IS && backup->is_link_asked;
	if (is_opaque) {
		/* Made by the relay before us for the one behind us: only its own size is known. */
		backup->progress.total_bytes = 0;
		backup->progress.format = BACKUP_FORMAT_PLAIN;
	}
	backup_progress_on_data(&backup->progress, body, length);
	backup_tell_progress(backup);
}

static void begin_copy_out(struct backup *backup)
{
	if (backup->mode == BACKUP_ENCODED) {
		backup_encoder_begin(backup->encoder);
	} else if (backup->mode == BACKUP_DECODED) {
		backup_decoder_begin(backup->decoder);
	}
	backup_enter(backup, BACKUP_COPY_OUT);
}

static void encode(struct backup *backup, const char *payload, size_t length)
{
	const struct timeval flush_delay = {.tv_usec = FLUSH_US};
	for (size_t at = 0; at < length;) {
		size_t part = length - at < BACKUP_PAYLOAD_MAX ? length - at : BACKUP_PAYLOAD_MAX;
		backup_encoder_write(backup->encoder, payload + at, part);
		at += part;
	}
	if (backup_encoder_is_holding(backup->encoder)) {
		event_add(backup->flush_event, &flush_delay);
	} else {
		event_del(backup->flush_event);
	}
}

static void reject_answer(struct backup *backup, const char *reason)
{
	error_set(&backup->err, ERROR_INVALID, "invalid answer from the upstream: %s", reason);
	error_sqlstate(&backup->err, "08P01");
	backup_lose_connection(backup);
}

/* True: done, one way or the other; false: the decoder needs its next chunk. */
static bool take_decoded(struct backup *backup)
{
	const uint8_t *payload;
	size_t length;
	const char *reason = NULL;
	switch (backup_decoder_read(backup->decoder, &payload, &length, &reason)) {
	case DECODE_OK:
		note_data(backup, payload, length);
		backup->client->send(backup->client->context, 'd', payload, length);
		return true;
	case DECODE_BAD: reject_answer(backup, reason); return true;
	default: backup_drop_chunk(backup); return false;
	}
}

/* --- toward the session ---------------------------------------------------------------------- */

/* Hands on the messages in the writer. */
static void send_messages(struct backup *backup)
{
	struct wire_writer *writer = &backup->writer;
	assert(!writer->bad);
	for (size_t at = 0; at < writer->length && !backup->is_closed;) {
		const uint8_t *message = writer->bytes + at;
		uint32_t length = wire_get_u32(message + 1);
		backup->client->send(
			backup->client->context, (char)message[0], message + 5, length - 4);
		at += 1 + length;
	}
	wire_writer_reset(writer);
}

static bool is_copy_whole(const struct backup *backup)
{
	return !backup->is_copy_done_due || backup->mode != BACKUP_DECODED ||
	       backup_decoder_is_whole(backup->decoder);
}

static void send_copy_done(struct backup *backup)
{
	if (!backup->is_copy_done_due) {
		return;
	}
	backup->is_copy_done_due = false;
	backup_progress_on_copy_done(&backup->progress);
	backup_tell_progress(backup);
	if (backup->mode == BACKUP_ENCODED) {
		event_del(backup->flush_event);
		backup_encoder_end(backup->encoder);
	}
	if (!backup->is_closed) {
		backup->client->send(backup->client->context, 'c', "", 0);
	}
}

void backup_on_notice(void *context, const PGresult *result)
{
	struct backup *backup = context;
	if (backup->state == BACKUP_IDLE) {
		return;
	}
	if (is_copy_whole(backup)) {
		send_copy_done(backup);
	}
	result_write_notice(&backup->writer, result);
	send_messages(backup);
}

/* --- the answer ------------------------------------------------------------------------------ */

/* libpq would answer a COPY that nobody drains with itself for ever. */
static bool is_expected(const struct backup *backup, ExecStatusType status)
{
	bool is_copy = status == PGRES_COPY_OUT || status == PGRES_COPY_IN;
	return status != PGRES_COPY_BOTH && !(is_copy && backup->state == BACKUP_FAILING);
}

/* The result that names the tablespaces tells by its third column how large they are. */
static void note_sizes(struct backup *backup, const PGresult *result)
{
	for (int row = 0; PQnfields(result) == 3 && row < PQntuples(result); row++) {
		backup_progress_on_size(&backup->progress,
			PQgetisnull(result, row, 2) ? NULL : PQgetvalue(result, row, 2));
	}
}

static void pass_result(struct backup *backup, const PGresult *result)
{
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK:
		note_sizes(backup, result);
		result_write_rows(&backup->writer, result);
		break;
	case PGRES_COMMAND_OK: result_write_command_complete(&backup->writer, result); break;
	case PGRES_COPY_OUT:
		result_write_copy(&backup->writer, 'H', result);
		begin_copy_out(backup);
		break;
	case PGRES_COPY_IN:
		result_write_copy(&backup->writer, 'G', result);
		backup_enter(backup, BACKUP_COPY_IN);
		break;
	default:
		result_read_error(result, &backup->err);
		backup_enter(backup, BACKUP_FAILING);
		break;
	}
	send_messages(backup);
}

static bool take_result(struct backup *backup)
{
	if (PQisBusy(backup->connection)) {
		return false;
	}
	PGresult *result = PQgetResult(backup->connection);
	ExecStatusType status = PQresultStatus(result);
	if (result != NULL && status == PGRES_FATAL_ERROR) {
		backup->is_copy_done_due = false;
	}
	if (!is_copy_whole(backup)) {
		PQclear(result);
		reject_answer(backup, "the stream of a base backup was broken off");
		return false;
	}
	send_copy_done(backup);
	if (result == NULL) {
		backup_end_command(backup);
		return false;
	}
	bool is_good = is_expected(backup, status);
	if (is_good && backup->state != BACKUP_FAILING) {
		pass_result(backup, result);
	}
	PQclear(result);
	if (!is_good) {
		reject_answer(backup, "unexpected result");
	}
	return is_good;
}

static bool take_copy_data(struct backup *backup)
{
	char *bytes = NULL;
	if (backup->mode == BACKUP_DECODED && take_decoded(backup)) {
		return backup->connection != NULL;
	}
	int length = PQgetCopyData(backup->connection, &bytes, 1);
	if (length == 0) {
		return false;
	}
	if (length < 0) {
		/* libpq does not tell an end by CopyDone from one by ErrorResponse, which must not
		 * look like a whole archive. */
		backup->is_copy_done_due = length == -1;
		backup_enter(backup, BACKUP_ANSWERING);
		return true;
	}
	if (backup->mode == BACKUP_DECODED) {
		backup->chunk = bytes;
		backup_decoder_give(backup->decoder, bytes, (size_t)length);
		return true;
	}
	note_data(backup, bytes, (size_t)length);
	if (backup->mode == BACKUP_ENCODED) {
		encode(backup, bytes, (size_t)length);
	} else {
		backup->client->send(backup->client->context, 'd', bytes, (size_t)length);
	}
	PQfreemem(bytes);
	return true;
}

bool backup_take_one(struct backup *backup)
{
	switch (backup->state) {
	case BACKUP_ANSWERING:
	case BACKUP_FAILING: return take_result(backup);
	case BACKUP_COPY_OUT: return take_copy_data(backup);
	default: return false;
	}
}
