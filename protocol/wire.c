/*
 * wire: the byte layer under every codec. Reads are bounds-checked and sticky-bad; writes grow one
 * buffer by doubling and are sticky-bad when memory ends or a message outgrows its int32 length.
 */
#include "protocol/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WRITER_FIRST_CAPACITY 256

void wire_put_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

void wire_put_u64(uint8_t *at, uint64_t value)
{
	wire_put_u32(at, (uint32_t)(value >> 32));
	wire_put_u32(at + 4, (uint32_t)value);
}

uint32_t wire_get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t wire_get_u64(const uint8_t *at)
{
	return (uint64_t)wire_get_u32(at) << 32 | wire_get_u32(at + 4);
}

void wire_reader_init(struct wire_reader *reader, const void *bytes, size_t length)
{
	*reader = (struct wire_reader){.bytes = bytes, .length = length};
}

size_t wire_reader_left(const struct wire_reader *reader)
{
	return reader->length - reader->at;
}

bool wire_reader_is_done(const struct wire_reader *reader)
{
	return !reader->bad && reader->at == reader->length;
}

const uint8_t *wire_read_bytes(struct wire_reader *reader, size_t length)
{
	if (reader->bad || length > wire_reader_left(reader)) {
		reader->bad = true;
		return NULL;
	}
	const uint8_t *bytes = reader->bytes + reader->at;
	reader->at += length;
	return bytes;
}

uint8_t wire_read_u8(struct wire_reader *reader)
{
	const uint8_t *at = wire_read_bytes(reader, 1);
	return at ? *at : 0;
}

uint16_t wire_read_u16(struct wire_reader *reader)
{
	const uint8_t *at = wire_read_bytes(reader, 2);
	return at ? (uint16_t)(at[0] << 8 | at[1]) : 0;
}

uint32_t wire_read_u32(struct wire_reader *reader)
{
	const uint8_t *at = wire_read_bytes(reader, 4);
	return at ? wire_get_u32(at) : 0;
}

uint64_t wire_read_u64(struct wire_reader *reader)
{
	const uint8_t *at = wire_read_bytes(reader, 8);
	return at ? wire_get_u64(at) : 0;
}

const char *wire_read_string(struct wire_reader *reader)
{
	if (reader->bad || wire_reader_left(reader) == 0) {
		reader->bad = true;
		return "";
	}
	const uint8_t *start = reader->bytes + reader->at;
	const uint8_t *end = memchr(start, 0, wire_reader_left(reader));
	if (!end) {
		reader->bad = true;
		return "";
	}
	reader->at += (size_t)(end - start) + 1;
	return (const char *)start;
}

void wire_writer_init(struct wire_writer *writer)
{
	*writer = (struct wire_writer){0};
}

void wire_writer_release(struct wire_writer *writer)
{
	free(writer->bytes);
	wire_writer_init(writer);
}

void wire_writer_reset(struct wire_writer *writer)
{
	writer->length = 0;
	writer->message_start = 0;
	writer->bad = false;
}

/* Room for length more bytes, counted as written; NULL when the writer is or goes bad. */
static uint8_t *writer_extend(struct wire_writer *writer, size_t length)
{
	if (writer->bad || length > SIZE_MAX / 2 - writer->length) {
		writer->bad = true;
		return NULL;
	}
	size_t needed = writer->length + length;
	if (needed > writer->capacity) {
		size_t capacity = writer->capacity ? writer->capacity : WRITER_FIRST_CAPACITY;
		while (capacity < needed) {
			capacity *= 2;
		}
		uint8_t *bytes = realloc(writer->bytes, capacity);
		if (!bytes) {
			writer->bad = true;
			return NULL;
		}
		writer->bytes = bytes;
		writer->capacity = capacity;
	}
	uint8_t *at = writer->bytes + writer->length;
	writer->length = needed;
	return at;
}

void wire_write_u8(struct wire_writer *writer, uint8_t value)
{
	wire_write_bytes(writer, &value, 1);
}

void wire_write_u16(struct wire_writer *writer, uint16_t value)
{
	uint8_t *at = writer_extend(writer, 2);
	if (at) {
		at[0] = (uint8_t)(value >> 8);
		at[1] = (uint8_t)value;
	}
}

void wire_write_u32(struct wire_writer *writer, uint32_t value)
{
	uint8_t *at = writer_extend(writer, 4);
	if (at) {
		wire_put_u32(at, value);
	}
}

void wire_write_u64(struct wire_writer *writer, uint64_t value)
{
	uint8_t *at = writer_extend(writer, 8);
	if (at) {
		wire_put_u64(at, value);
	}
}

void wire_write_string(struct wire_writer *writer, const char *text)
{
	wire_write_bytes(writer, text, strlen(text) + 1);
}

void wire_write_bytes(struct wire_writer *writer, const void *bytes, size_t length)
{
	uint8_t *at = writer_extend(writer, length);
	if (at && length > 0) {
		memcpy(at, bytes, length);
	}
}

void wire_begin_message(struct wire_writer *writer, char type)
{
	wire_write_u8(writer, (uint8_t)type);
	writer->message_start = writer->length;
	wire_write_u32(writer, 0);
}

void wire_end_message(struct wire_writer *writer)
{
	if (writer->bad) {
		return;
	}
	assert(writer->length >= writer->message_start + 4);
	size_t length = writer->length - writer->message_start;
	if (length > INT32_MAX) {
		writer->bad = true;
		return;
	}
	wire_put_u32(writer->bytes + writer->message_start, (uint32_t)length);
}

void wire_write_bare_message(struct wire_writer *writer, char type)
{
	wire_begin_message(writer, type);
	wire_end_message(writer);
}
