/*
 * backup_stream: zstd at level 3 with a checksum at the end.
 *
 * The encoder flushes by itself every FLUSH_BYTES, which costs zstd nothing (its blocks are as
 * long). The decoder produces no more than it was asked for: a chunk of zeros may stand for
 * gigabytes.
 */
#include "protocol/backup_stream.h"

#include "protocol/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LEVEL        3
#define WINDOW_LOG   22
#define FLUSH_BYTES  (128u << 10)
#define LENGTH_BYTES 4
#define ROOM_BYTES   (128u << 10)

struct backup_encoder {
	backup_chunk_taker *take;
	void *context;
	ZSTD_CCtx *zstd;
	size_t held; /* raw bytes since the last flush */
	size_t chunk_size;
	uint8_t *chunk;
};

struct backup_encoder *backup_encoder_new(backup_chunk_taker *take, void *context)
{
	struct backup_encoder *encoder = calloc(1, sizeof(*encoder));
	if (encoder == NULL) {
		return NULL;
	}
	encoder->take = take;
	encoder->context = context;
	encoder->zstd = ZSTD_createCCtx();
	encoder->chunk_size = ZSTD_CStreamOutSize();
	encoder->chunk = malloc(encoder->chunk_size);
	if (encoder->zstd == NULL || encoder->chunk == NULL ||
		ZSTD_isError(
			ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_windowLog, WINDOW_LOG)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_checksumFlag, 1))) {
		backup_encoder_free(&encoder);
	}
	return encoder;
}

void backup_encoder_free(struct backup_encoder **encoder_at)
{
	struct backup_encoder *encoder = *encoder_at;
	if (encoder == NULL) {
		return;
	}
	ZSTD_freeCCtx(encoder->zstd);
	free(encoder->chunk);
	free(encoder);
	*encoder_at = NULL;
}

void backup_encoder_begin(struct backup_encoder *encoder)
{
	ZSTD_CCtx_reset(encoder->zstd, ZSTD_reset_session_only);
	encoder->held = 0;
}

static void compress(struct backup_encoder *encoder, const void *bytes, size_t length,
	ZSTD_EndDirective directive)
{
	ZSTD_inBuffer in = {.src = bytes, .size = length};
	size_t left;
	do {
		ZSTD_outBuffer out = {.dst = encoder->chunk, .size = encoder->chunk_size};
		left = ZSTD_compressStream2(encoder->zstd, &out, &in, directive);
		assert(!ZSTD_isError(left));
		if (out.pos > 0) {
			encoder->take(encoder->context, encoder->chunk, out.pos);
		}
	} while (directive == ZSTD_e_continue ? in.pos < in.size : left > 0);
}

void backup_encoder_write(struct backup_encoder *encoder, const void *payload, size_t length)
{
	uint8_t head[LENGTH_BYTES];
	assert(length > 0 && length <= BACKUP_PAYLOAD_MAX);
	wire_put_u32(head, (uint32_t)length);
	compress(encoder, head, sizeof(head), ZSTD_e_continue);
	compress(encoder, payload, length, ZSTD_e_continue);
	encoder->held += length;
	if (encoder->held >= FLUSH_BYTES) {
		backup_encoder_flush(encoder);
	}
}

bool backup_encoder_is_holding(const struct backup_encoder *encoder)
{
	return encoder->held > 0;
}

void backup_encoder_flush(struct backup_encoder *encoder)
{
	encoder->held = 0;
	compress(encoder, NULL, 0, ZSTD_e_flush);
}

void backup_encoder_end(struct backup_encoder *encoder)
{
	encoder->held = 0;
	compress(encoder, NULL, 0, ZSTD_e_end);
}

struct backup_decoder {
	ZSTD_DCtx *zstd;
	ZSTD_inBuffer in;
	uint8_t *bytes; /* decoded, and not read yet from start to end */
	size_t start, end, capacity;
	bool is_ended; /* the stream said so */
};

struct backup_decoder *backup_decoder_new(void)
{
	struct backup_decoder *decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL) {
		return NULL;
	}
	decoder->zstd = ZSTD_createDCtx();
	decoder->capacity = ROOM_BYTES;
	decoder->bytes = malloc(decoder->capacity);
	if (decoder->zstd == NULL || decoder->bytes == NULL ||
		ZSTD_isError(
			ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, WINDOW_LOG))) {
		backup_decoder_free(&decoder);
	}
	return decoder;
}

void backup_decoder_free(struct backup_decoder **decoder_at)
{
	struct backup_decoder *decoder = *decoder_at;
	if (decoder == NULL) {
		return;
	}
	ZSTD_freeDCtx(decoder->zstd);
	free(decoder->bytes);
	free(decoder);
	*decoder_at = NULL;
}

void backup_decoder_begin(struct backup_decoder *decoder)
{
	ZSTD_DCtx_reset(decoder->zstd, ZSTD_reset_session_only);
	decoder->in = (ZSTD_inBuffer){.src = NULL};
	decoder->start = decoder->end = 0;
	decoder->is_ended = false;
}

void backup_decoder_give(struct backup_decoder *decoder, const void *bytes, size_t length)
{
	assert(decoder->in.pos == decoder->in.size);
	decoder->in = (ZSTD_inBuffer){.src = bytes, .size = length};
}

/* Room for what is wanted from start on, at least; false: no memory. */
static bool make_room(struct backup_decoder *decoder, size_t wanted)
{
	memmove(decoder->bytes, decoder->bytes + decoder->start, decoder->end - decoder->start);
	decoder->end -= decoder->start;
	decoder->start = 0;
	if (wanted <= decoder->capacity) {
		return true;
	}
	uint8_t *larger = realloc(decoder->bytes, wanted);
	if (larger == NULL) {
		return false;
	}
	decoder->bytes = larger;
	decoder->capacity = wanted;
	return true;
}

/* Decodes as much as there is room for. */
static enum decode_result decompress(struct backup_decoder *decoder, const char **reason_out)
{
	size_t before = decoder->end;
	if (decoder->is_ended) {
		*reason_out = "bytes after the end of the stream";
		return decoder->in.pos == decoder->in.size ? DECODE_MORE : DECODE_BAD;
	}
	ZSTD_outBuffer out = {
		.dst = decoder->bytes, .size = decoder->capacity, .pos = decoder->end};
	size_t result = ZSTD_decompressStream(decoder->zstd, &out, &decoder->in);
	if (ZSTD_isError(result)) {
		*reason_out = ZSTD_getErrorName(result);
		return DECODE_BAD;
	}
	decoder->end = out.pos;
	decoder->is_ended = result == 0;
	return decoder->end > before || decoder->in.pos < decoder->in.size ? DECODE_OK
									   : DECODE_MORE;
}

enum decode_result backup_decoder_read(struct backup_decoder *decoder, const uint8_t **payload_out,
	size_t *length_out, const char **reason_out)
{
	for (;;) {
		size_t wanted = LENGTH_BYTES;
		if (decoder->end - decoder->start >= LENGTH_BYTES) {
			uint32_t length = wire_get_u32(decoder->bytes + decoder->start);
			if (length == 0 || length > BACKUP_PAYLOAD_MAX) {
				*reason_out = "length out of range";
				return DECODE_BAD;
			}
			wanted += length;
			if (decoder->end - decoder->start >= wanted) {
				*payload_out = decoder->bytes + decoder->start + LENGTH_BYTES;
				*length_out = length;
				decoder->start += wanted;
				return DECODE_OK;
			}
		}
		if (!make_room(decoder, wanted)) {
			*reason_out = "out of memory";
			return DECODE_BAD;
		}
		enum decode_result result = decompress(decoder, reason_out);
		if (result != DECODE_OK) {
			return result;
		}
	}
}

bool backup_decoder_is_whole(const struct backup_decoder *decoder)
{
	return decoder->is_ended && decoder->start == decoder->end &&
	       decoder->in.pos == decoder->in.size;
}
