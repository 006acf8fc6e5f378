/*
 * link_columns: the coded content of one batch, as byte columns by kind of field.
 *
 * What is alike stands together, which is worth more to the compressor than the order in which it
 * came. Joined: the length of each column as a varint (7 bits a byte, low ones first), then the
 * columns; link_pack makes less of it. A writer grows its own memory; a failed allocation makes it
 * sticky-bad. A reader never passes a column's end: a short read makes it sticky-bad and yields 0
 * or NULL.
 */
#ifndef PROTOCOL_LINK_COLUMNS_H
#define PROTOCOL_LINK_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum link_column {
	LINK_COLUMN_FRAME,     /* where a frame begins; page headers not as expected */
	LINK_COLUMN_SHAPE,     /* which known shape each record has */
	LINK_COLUMN_NEW_SHAPE, /* shapes not known yet */
	LINK_COLUMN_LENGTH,    /* of data and images, holes */
	LINK_COLUMN_XID,
	LINK_COLUMN_BLOCK,   /* block numbers */
	LINK_COLUMN_EARLIER, /* where the earlier images are */
	LINK_COLUMN_SKIP,    /* copies from them: literals before each copy, */
	LINK_COLUMN_COPY,    /* length of each copy, */
	LINK_COLUMN_SHIFT,   /* and where it is copied from */
	LINK_COLUMN_PATCH,   /* the literals between copies */
	LINK_COLUMN_MASK,    /* which bytes of short data differ from the last ones of the shape */
	LINK_COLUMN_RAW,     /* bytes of records that are not taken apart */
	LINK_COLUMN_EXTRA,   /* checksums and links to the previous record that do not follow */
	LINK_COLUMN_DATA,    /* those bytes, of data of blocks */
	LINK_COLUMN_MAIN,    /* and of main data */
	LINK_COLUMN_IMAGE,   /* images without an earlier one */
	LINK_COLUMN_LONG,    /* longer data */
	LINK_COLUMN_COUNT,
};

struct link_column_bytes {
	uint8_t *bytes;
	size_t length;
	size_t capacity; /* 0: not owned, being read */
	size_t at;       /* reading; of what was packed: the bytes it came to */
};

struct link_columns {
	struct link_column_bytes column[LINK_COLUMN_COUNT];
	bool bad;
};

void link_columns_init(struct link_columns *columns);
void link_columns_release(struct link_columns *columns);
void link_columns_reset(struct link_columns *columns);

/* Room for count bytes at the column's end, which are then there; NULL when bad. */
uint8_t *link_put_room(struct link_columns *columns, enum link_column which, size_t count);
void link_put_bytes(
	struct link_columns *columns, enum link_column which, const void *bytes, size_t count);
void link_put_u8(struct link_columns *columns, enum link_column which, uint8_t value);
void link_put_varint(struct link_columns *columns, enum link_column which, uint64_t value);
/* A difference: small when value is near base, on either side. */
void link_put_delta(
	struct link_columns *columns, enum link_column which, uint64_t value, uint64_t base);
/* Bytes that link_columns_join() writes. */
size_t link_columns_bytes(const struct link_columns *columns);
void link_columns_join(const struct link_columns *columns, uint8_t *bytes_out);

/* Columns then point into bytes. False: not columns. */
bool link_columns_split(struct link_columns *columns, uint8_t *bytes, size_t length);
const uint8_t *link_get_bytes(struct link_columns *columns, enum link_column which, size_t count);
uint8_t link_get_u8(struct link_columns *columns, enum link_column which);
uint64_t link_get_varint(struct link_columns *columns, enum link_column which);
uint64_t link_get_delta(struct link_columns *columns, enum link_column which, uint64_t base);
/* Not bad, and every column was read to its end. */
bool link_columns_are_done(const struct link_columns *columns);

#endif
