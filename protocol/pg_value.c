/*
 * pg_value: one function a type and format.
 */
#include "protocol/pg_value.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "protocol/lsn.h"
#include "protocol/pg_message.h"

#define SECOND_US       INT64_C(1000000)
#define EPOCH_DAYS      10957 /* from 1970-01-01 to 2000-01-01, where PostgreSQL's time begins */
#define DAY_SECONDS     INT64_C(86400)
#define PG_FAMILY_INET  2
#define PG_FAMILY_INET6 3
#define VALUE_TEXT_SIZE 64

/* --- text --------------------------------------------------------------------------------------
 */

/* ".25", without zeros at the end; nothing for a whole second. */
static void format_fraction(int64_t us, char *out, size_t size)
{
	snprintf(out, size, "%s", "");
	if (us % SECOND_US != 0) {
		snprintf(out, size, ".%06d", (int)(us % SECOND_US));
		for (size_t length = strlen(out); out[length - 1] == '0'; length--) {
			out[length - 1] = '\0';
		}
	}
}

static void format_date(const struct pg_value *value, char *out, size_t size)
{
	time_t seconds = (time_t)(value->integer * DAY_SECONDS);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	(void)strftime(out, size, "%Y-%m-%d", &parts);
}

static void format_timestamptz(const struct pg_value *value, char *out, size_t size)
{
	int64_t remainder_us = value->integer % SECOND_US;
	int64_t fraction_us = remainder_us < 0 ? remainder_us + SECOND_US : remainder_us;
	time_t seconds = (time_t)((value->integer - fraction_us) / SECOND_US);
	struct tm parts;
	gmtime_r(&seconds, &parts);
	size_t length = strftime(out, size, "%Y-%m-%d %H:%M:%S", &parts);
	format_fraction(fraction_us, out + length, size - length);
	strncat(out, "+00", size - strlen(out) - 1);
}

static void format_interval(const struct pg_value *value, char *out, size_t size)
{
	int64_t seconds = value->integer / SECOND_US;
	int length = snprintf(out, size, "%02" PRId64 ":%02d:%02d", seconds / 3600,
		(int)(seconds % 3600 / 60), (int)(seconds % 60));
	format_fraction(value->integer, out + length, size - (size_t)length);
}

/* The shortest that reads back as the same. */
static void format_float8(const struct pg_value *value, char *out, size_t size)
{
	if (isnan(value->number)) {
		snprintf(out, size, "NaN");
		return;
	}
	if (isinf(value->number)) {
		snprintf(out, size, "%sInfinity", value->number < 0 ? "-" : "");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, size, "%.*g", digits, value->number);
		if (strtod(out, NULL) == value->number) {
			return;
		}
	}
}

static void format_bool(const struct pg_value *value, char *out, size_t size)
{
	snprintf(out, size, "%s", value->boolean ? "t" : "f");
}

static void format_integer(const struct pg_value *value, char *out, size_t size)
{
	snprintf(out, size, "%" PRId64, value->integer);
}

static void format_lsn(const struct pg_value *value, char *out, size_t size)
{
	snprintf(out, size, LSN_FORMAT, LSN_ARGS((lsn_t)value->integer));
}

/* --- binary ------------------------------------------------------------------------------------
 */

static void write_bool(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 1);
	wire_write_u8(writer, value->boolean);
}

static void write_four(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 4);
	wire_write_u32(writer, (uint32_t)value->integer);
}

static void write_eight(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 8);
	wire_write_u64(writer, (uint64_t)value->integer);
}

static void write_float8(const struct pg_value *value, struct wire_writer *writer)
{
	uint64_t bits;
	memcpy(&bits, &value->number, sizeof(bits));
	wire_write_u32(writer, 8);
	wire_write_u64(writer, bits);
}

static void write_timestamptz(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 8);
	wire_write_u64(writer, (uint64_t)(value->integer - EPOCH_DAYS * DAY_SECONDS * SECOND_US));
}

static void write_date(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 4);
	wire_write_u32(writer, (uint32_t)(value->integer - EPOCH_DAYS));
}

static void write_interval(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 16);
	wire_write_u64(writer, (uint64_t)value->integer);
	wire_write_u32(writer, 0); /* days */
	wire_write_u32(writer, 0); /* months */
}

static void write_inet(const struct pg_value *value, struct wire_writer *writer)
{
	wire_write_u32(writer, 4u + value->address_length);
	wire_write_u8(writer, value->address_length == 4 ? PG_FAMILY_INET : PG_FAMILY_INET6);
	wire_write_u8(writer, (uint8_t)(value->address_length * 8)); /* of the netmask */
	wire_write_u8(writer, 0);                                    /* no cidr */
	wire_write_u8(writer, value->address_length);
	wire_write_bytes(writer, value->address, value->address_length);
}

static void write_text(const struct pg_value *value, struct wire_writer *writer)
{
	size_t length = strlen(value->text);
	wire_write_u32(writer, (uint32_t)length);
	wire_write_bytes(writer, value->text, length);
}

/* --- types -------------------------------------------------------------------------------------
 */

static const struct {
	const char *name;
	uint32_t oid;
	int16_t size;                                                         /* -1: variable */
	void (*format)(const struct pg_value *value, char *out, size_t size); /* NULL: is text */
	void (*write)(const struct pg_value *value, struct wire_writer *writer);
} types[] = {
	[PG_TYPE_BOOL] = {"boolean", 16, 1, format_bool, write_bool},
	[PG_TYPE_INT4] = {"integer", 23, 4, format_integer, write_four},
	[PG_TYPE_INT8] = {"bigint", 20, 8, format_integer, write_eight},
	[PG_TYPE_FLOAT8] = {"double precision", 701, 8, format_float8, write_float8},
	[PG_TYPE_TEXT] = {"text", 25, -1, NULL, write_text},
	[PG_TYPE_NAME] = {"name", 19, 64, NULL, write_text},
	[PG_TYPE_OID] = {"oid", 26, 4, format_integer, write_four},
	[PG_TYPE_XID] = {"xid", 28, 4, format_integer, write_four},
	[PG_TYPE_LSN] = {"pg_lsn", 3220, 8, format_lsn, write_eight},
	[PG_TYPE_TIMESTAMPTZ] = {"timestamp with time zone", 1184, 8, format_timestamptz,
		write_timestamptz},
	[PG_TYPE_DATE] = {"date", 1082, 4, format_date, write_date},
	[PG_TYPE_INTERVAL] = {"interval", 1186, 16, format_interval, write_interval},
	[PG_TYPE_INET] = {"inet", 869, -1, NULL, write_inet},
};
_Static_assert(sizeof(types) / sizeof(types[0]) == PG_TYPES, "a type has no row");

uint32_t pg_type_oid(enum pg_type type)
{
	return types[type].oid;
}

const char *pg_type_name(enum pg_type type)
{
	return types[type].name;
}

int16_t pg_format_of(const struct pg_formats *formats, size_t column)
{
	if (formats == NULL || formats->count == 0) {
		return PG_FORMAT_TEXT;
	}
	return formats->count == 1 ? formats->codes[0] : formats->codes[column];
}

void pg_write_typed_description(struct wire_writer *writer, const struct pg_typed_column *columns,
	size_t count, const struct pg_formats *formats)
{
	wire_begin_message(writer, 'T');
	wire_write_u16(writer, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct pg_column column = {.name = columns[i].name,
			.type_oid = types[columns[i].type].oid,
			.type_size = types[columns[i].type].size,
			.type_modifier = -1};
		pg_write_column(writer, &column, (uint16_t)pg_format_of(formats, i));
	}
	wire_end_message(writer);
}

static void write_as_text(
	struct wire_writer *writer, enum pg_type type, const struct pg_value *value)
{
	char text[VALUE_TEXT_SIZE];
	struct pg_value formatted = {.text = text};
	if (types[type].format == NULL) {
		write_text(value, writer);
		return;
	}
	types[type].format(value, text, sizeof(text));
	write_text(&formatted, writer);
}

void pg_write_typed_row(struct wire_writer *writer, const struct pg_typed_column *columns,
	const struct pg_value *values, size_t count, const struct pg_formats *formats)
{
	wire_begin_message(writer, 'D');
	wire_write_u16(writer, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		if (values[i].is_null) {
			wire_write_u32(writer, UINT32_MAX);
		} else if (pg_format_of(formats, i) == PG_FORMAT_BINARY) {
			types[columns[i].type].write(&values[i], writer);
		} else {
			write_as_text(writer, columns[i].type, &values[i]);
		}
	}
	wire_end_message(writer);
}
