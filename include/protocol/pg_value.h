/*
 * pg_value: values of PostgreSQL's types as results carry them, as text or binary.
 *
 * Text is what a server with UTF8, ISO dates and the time zone UTC writes, binary what its send
 * functions do (src/backend/utils/adt). Pure functions.
 */
#ifndef PROTOCOL_PG_VALUE_H
#define PROTOCOL_PG_VALUE_H

#include "protocol/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pg_type {
	PG_TYPE_BOOL,
	PG_TYPE_INT4,
	PG_TYPE_INT8,
	PG_TYPE_FLOAT8,
	PG_TYPE_TEXT,
	PG_TYPE_NAME,
	PG_TYPE_OID,
	PG_TYPE_XID,
	PG_TYPE_LSN,
	PG_TYPE_TIMESTAMPTZ,
	PG_TYPE_DATE,
	PG_TYPE_INTERVAL,
	PG_TYPE_INET,
	PG_TYPES,
};

struct pg_value {
	bool is_null;
	bool boolean;
	int64_t integer; /* whole numbers, an LSN; microseconds (since 1970, or of an interval that
			    is not negative); days since 1970 */
	double number;
	const char *text;    /* text, name, inet; UTF-8 */
	uint8_t address[16]; /* inet */
	uint8_t address_length;
};

struct pg_typed_column {
	const char *name;
	enum pg_type type;
};

#define PG_FORMAT_TEXT   0
#define PG_FORMAT_BINARY 1

uint32_t pg_type_oid(enum pg_type type);
const char *pg_type_name(enum pg_type type); /* as format_type() spells it */

/* Which of the columns are binary: none given, one for all, or one each. */
struct pg_formats {
	const int16_t *codes;
	size_t count;
};
int16_t pg_format_of(const struct pg_formats *formats, size_t column);

/* 'T' and 'D'. */
void pg_write_typed_description(struct wire_writer *writer, const struct pg_typed_column *columns,
	size_t count, const struct pg_formats *formats);
void pg_write_typed_row(struct wire_writer *writer, const struct pg_typed_column *columns,
	const struct pg_value *values, size_t count, const struct pg_formats *formats);

#endif
