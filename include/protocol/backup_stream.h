/*
 * backup_stream: the CopyData payloads of one COPY of a base backup as one zstd stream, and back.
 *
 * What the stream holds is each payload behind its length (int32). Chunks of the stream travel as
 * CopyData themselves; where one ends means nothing. The stream ends with the COPY, with a checksum
 * over all of it, so that a whole COPY can be told from one that was broken off. Windows are
 * 4 MB; nothing outside this module is called.
 */
#ifndef PROTOCOL_BACKUP_STREAM_H
#define PROTOCOL_BACKUP_STREAM_H

#include "protocol/decode.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Servers send 32 kB at most. */
#define BACKUP_PAYLOAD_MAX (1u << 20)

struct backup_encoder;
struct backup_decoder;

/* A part of the stream; bytes are valid during the call. */
typedef void backup_chunk_taker(void *context, const uint8_t *bytes, size_t length);

/* NULL: no memory. */
struct backup_encoder *backup_encoder_new(backup_chunk_taker *take, void *context);
/* Accepts NULL, sets NULL. */
void backup_encoder_free(struct backup_encoder **encoder);
/* A COPY begins; whatever was not taken of one before is dropped. */
void backup_encoder_begin(struct backup_encoder *encoder);
/* length: 1 to BACKUP_PAYLOAD_MAX. */
void backup_encoder_write(struct backup_encoder *encoder, const void *payload, size_t length);
/* Something was written that cannot be decoded yet from what was taken. */
bool backup_encoder_is_holding(const struct backup_encoder *encoder);
void backup_encoder_flush(struct backup_encoder *encoder);
/* The COPY is whole. */
void backup_encoder_end(struct backup_encoder *encoder);

/* NULL: no memory. */
struct backup_decoder *backup_decoder_new(void);
/* Accepts NULL, sets NULL. */
void backup_decoder_free(struct backup_decoder **decoder);
/* A COPY begins. */
void backup_decoder_begin(struct backup_decoder *decoder);
/* The next chunk, after backup_decoder_read() wanted more; the bytes stay the caller's, and where
 * they are until it does so again. */
void backup_decoder_give(struct backup_decoder *decoder, const void *bytes, size_t length);
/* The next payload, valid until the next call. DECODE_BAD is final, reason_out static. */
enum decode_result backup_decoder_read(struct backup_decoder *decoder, const uint8_t **payload_out,
	size_t *length_out, const char **reason_out);
/* All of the COPY has been read. */
bool backup_decoder_is_whole(const struct backup_decoder *decoder);

#endif
