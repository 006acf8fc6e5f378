/*
 * link_columns: writing columns side by side, joining them, and reading them back within bounds.
 */
#include "protocol/link_columns.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_BYTES_MIN 4096
#define VARINT_BYTES_MAX 10

void link_columns_init(struct link_columns *columns)
{
	memset(columns, 0, sizeof(*columns));
}

void link_columns_release(struct link_columns *columns)
{
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		if (columns->column[i].capacity > 0) {
			free(columns->column[i].bytes);
		}
	}
	memset(columns, 0, sizeof(*columns));
}

void link_columns_reset(struct link_columns *columns)
{
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		columns->column[i].length = 0;
	}
	columns->bad = false;
}

static bool grow(struct link_columns *columns, struct link_column_bytes *column, size_t need)
{
	size_t capacity = column->capacity == 0 ? COLUMN_BYTES_MIN : column->capacity;
	uint8_t *bytes;

	while (capacity < need) {
		capacity *= 2;
	}
	bytes = realloc(column->bytes, capacity);
	if (bytes == NULL) {
		columns->bad = true;
		return false;
	}
	column->bytes = bytes;
	column->capacity = capacity;
	return true;
}

uint8_t *link_put_room(struct link_columns *columns, enum link_column which, size_t count)
{
	struct link_column_bytes *column = &columns->column[which];
	uint8_t *at;

	if (column->capacity - column->length < count &&
		!grow(columns, column, column->length + count)) {
		return NULL;
	}
	at = column->bytes + column->length;
	column->length += count;
	return at;
}

void link_put_bytes(
	struct link_columns *columns, enum link_column which, const void *bytes, size_t count)
{
	uint8_t *at;

	if (count == 0) {
		return;
	}
	at = link_put_room(columns, which, count);
	if (at != NULL) {
		memcpy(at, bytes, count);
	}
}

void link_put_u8(struct link_columns *columns, enum link_column which, uint8_t value)
{
	uint8_t *at = link_put_room(columns, which, 1);

	if (at != NULL) {
		*at = value;
	}
}

static size_t put_varint(uint8_t *at, uint64_t value)
{
	size_t count = 0;

	while (value >= 0x80) {
		at[count++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	at[count++] = (uint8_t)value;
	return count;
}

void link_put_varint(struct link_columns *columns, enum link_column which, uint64_t value)
{
	struct link_column_bytes *column = &columns->column[which];

	if (column->capacity - column->length < VARINT_BYTES_MAX &&
		!grow(columns, column, column->length + VARINT_BYTES_MAX)) {
		return;
	}
	column->length += put_varint(column->bytes + column->length, value);
}

void link_put_delta(
	struct link_columns *columns, enum link_column which, uint64_t value, uint64_t base)
{
	uint64_t delta = value - base;

	link_put_varint(columns, which, delta << 1 ^ (delta >> 63 != 0 ? UINT64_MAX : 0));
}

size_t link_columns_bytes(const struct link_columns *columns)
{
	uint8_t scratch[VARINT_BYTES_MAX];
	size_t bytes = 0;

	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		bytes += put_varint(scratch, columns->column[i].length) + columns->column[i].length;
	}
	return bytes;
}

void link_columns_join(const struct link_columns *columns, uint8_t *bytes_out)
{
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		bytes_out += put_varint(bytes_out, columns->column[i].length);
	}
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		const struct link_column_bytes *column = &columns->column[i];

		if (column->length > 0) {
			memcpy(bytes_out, column->bytes, column->length);
			bytes_out += column->length;
		}
	}
}

static uint64_t get_varint(struct link_columns *columns, struct link_column_bytes *column)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte;

		if (column->at == column->length) {
			break;
		}
		byte = column->bytes[column->at++];
		value |= (uint64_t)(byte & 0x7F) << (shift < 63 ? shift : 63);
		if (byte < 0x80) {
			return value;
		}
	}
	columns->bad = true;
	return 0;
}

bool link_columns_split(struct link_columns *columns, uint8_t *bytes, size_t length)
{
	struct link_column_bytes whole = {.bytes = bytes, .length = length};

	link_columns_init(columns);
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		uint64_t count = get_varint(columns, &whole);

		if (columns->bad || count > length) {
			return false;
		}
		columns->column[i].length = (size_t)count;
	}
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		struct link_column_bytes *column = &columns->column[i];

		if (column->length > whole.length - whole.at) {
			return false;
		}
		column->bytes = bytes + whole.at;
		whole.at += column->length;
	}
	return whole.at == length;
}

const uint8_t *link_get_bytes(struct link_columns *columns, enum link_column which, size_t count)
{
	struct link_column_bytes *column = &columns->column[which];
	const uint8_t *at = column->bytes + column->at;

	if (count > column->length - column->at) {
		columns->bad = true;
		return NULL;
	}
	column->at += count;
	return at;
}

uint8_t link_get_u8(struct link_columns *columns, enum link_column which)
{
	const uint8_t *at = link_get_bytes(columns, which, 1);

	return at == NULL ? 0 : *at;
}

uint64_t link_get_varint(struct link_columns *columns, enum link_column which)
{
	return get_varint(columns, &columns->column[which]);
}

uint64_t link_get_delta(struct link_columns *columns, enum link_column which, uint64_t base)
{
	uint64_t code = get_varint(columns, &columns->column[which]);

	return base + (code >> 1 ^ ((code & 1) != 0 ? UINT64_MAX : 0));
}

bool link_columns_are_done(const struct link_columns *columns)
{
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		if (columns->column[i].at != columns->column[i].length) {
			return false;
		}
	}
	return !columns->bad;
}
