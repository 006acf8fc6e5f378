/*
 * wire: big-endian integers and C strings in byte buffers, read and written without surprises.
 *
 * A reader never passes its end: a short or malformed read makes it sticky-bad and yields 0 or "".
 * A writer grows its own memory; a failed allocation makes it sticky-bad. So a codec reads or writes
 * field after field and asks once, at the end, whether all went well.
 */
#ifndef PROTOCOL_WIRE_H
#define PROTOCOL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_reader {
	const uint8_t *bytes;
	size_t length;
	size_t at;
	bool bad;
};

void wire_reader_init(struct wire_reader *reader, const void *bytes, size_t length);
uint8_t wire_read_u8(struct wire_reader *reader);
uint16_t wire_read_u16(struct wire_reader *reader);
uint32_t wire_read_u32(struct wire_reader *reader);
uint64_t wire_read_u64(struct wire_reader *reader);
/* Up to and over the next zero byte; "" and bad when there is none. */
const char *wire_read_string(struct wire_reader *reader);
const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t length);
size_t wire_reader_left(const struct wire_reader *reader);
/* Not bad, and everything was read. */
bool wire_reader_is_done(const struct wire_reader *reader);

struct wire_writer {
	uint8_t *bytes; /* owned; NULL while empty */
	size_t length;
	size_t capacity;
	size_t message_start; /* of the message being built */
	bool bad;
};

void wire_writer_init(struct wire_writer *writer);
void wire_writer_release(struct wire_writer *writer);
/* Keeps the memory, drops the bytes. */
void wire_writer_reset(struct wire_writer *writer);
void wire_write_u8(struct wire_writer *writer, uint8_t value);
void wire_write_u16(struct wire_writer *writer, uint16_t value);
void wire_write_u32(struct wire_writer *writer, uint32_t value);
void wire_write_u64(struct wire_writer *writer, uint64_t value);
void wire_write_string(struct wire_writer *writer, const char *text); /* with its zero byte */
void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t length);
/* A frontend/backend message: type byte and a length filled in by end. */
void wire_begin_message(struct wire_writer *writer, char type);
void wire_end_message(struct wire_writer *writer);
void wire_write_bare_message(struct wire_writer *writer, char type); /* without a body */

/* Fixed places, for hot paths. */
void wire_put_u32(uint8_t *at, uint32_t value);
void wire_put_u64(uint8_t *at, uint64_t value);
uint32_t wire_get_u32(const uint8_t *at);
uint64_t wire_get_u64(const uint8_t *at);

#endif
