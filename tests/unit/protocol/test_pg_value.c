/*
 * pg_value: what PostgreSQL 15 writes for the same values, as text and binary; taken from its
 * answers to "SELECT value" and to COPY (FORMAT binary).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/pg_value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct example {
	enum pg_type type;
	struct pg_value value;
	const char *text;
	const char *binary; /* in hexadecimal */
};

#define INTEGER(n) {.integer = (n)}
#define NUMBER(n)  {.number = (n)}

static const struct example examples[] = {
	{PG_TYPE_BOOL, {.boolean = true}, "t", "01"},
	{PG_TYPE_BOOL, {.boolean = false}, "f", "00"},
	{PG_TYPE_INT4, INTEGER(-2), "-2", "fffffffe"},
	{PG_TYPE_INT8, INTEGER(INT64_MAX), "9223372036854775807", "7fffffffffffffff"},
	{PG_TYPE_OID, INTEGER(4294967295), "4294967295", "ffffffff"},
	{PG_TYPE_XID, INTEGER(737), "737", "000002e1"},
	{PG_TYPE_FLOAT8, NUMBER(0.1), "0.1", "3fb999999999999a"},
	{PG_TYPE_FLOAT8, NUMBER(1.0 / 3), "0.3333333333333333", "3fd5555555555555"},
	{PG_TYPE_FLOAT8, NUMBER(3), "3", "4008000000000000"},
	{PG_TYPE_FLOAT8, NUMBER(1e14), "100000000000000", "42d6bcc41e900000"},
	{PG_TYPE_FLOAT8, NUMBER(1e15), "1e+15", "430c6bf526340000"},
	{PG_TYPE_FLOAT8, NUMBER(1e-5), "1e-05", "3ee4f8b588e368f1"},
	{PG_TYPE_FLOAT8, NUMBER(-INFINITY), "-Infinity", "fff0000000000000"},
	{PG_TYPE_TEXT, {.text = "a\303\244"}, "a\303\244", "61c3a4"},
	{PG_TYPE_TEXT, {.text = ""}, "", ""},
	{PG_TYPE_NAME, {.text = "ops"}, "ops", "6f7073"},
	{PG_TYPE_LSN, INTEGER(INT64_C(0x16B374D848)), "16/B374D848", "00000016b374d848"},
	{PG_TYPE_TIMESTAMPTZ, INTEGER(INT64_C(1767323045678000)), "2026-01-02 03:04:05.678+00",
		"0002ea5dbb1f6bb0"},
	{PG_TYPE_TIMESTAMPTZ, INTEGER(INT64_C(946684800000000)), "2000-01-01 00:00:00+00",
		"0000000000000000"},
	{PG_TYPE_TIMESTAMPTZ, INTEGER(INT64_C(946684799999999)), "1999-12-31 23:59:59.999999+00",
		"ffffffffffffffff"},
	{PG_TYPE_TIMESTAMPTZ, INTEGER(-1), "1969-12-31 23:59:59.999999+00", "fffca2fec4c81fff"},
	{PG_TYPE_DATE, INTEGER(20454), "2026-01-01", "00002519"},
	{PG_TYPE_INTERVAL, INTEGER(12345), "00:00:00.012345", "00000000000030390000000000000000"},
	{PG_TYPE_INTERVAL, INTEGER(INT64_C(90061500000)), "25:01:01.5",
		"00000014f8156e600000000000000000"},
	{PG_TYPE_INET, {.text = "10.2.3.4", .address = {10, 2, 3, 4}, .address_length = 4},
		"10.2.3.4", "022000040a020304"},
	{PG_TYPE_INET, {.text = "::1", .address = {[15] = 1}, .address_length = 16}, "::1",
		"0380001000000000000000000000000000000001"},
};

static void to_hexadecimal(const uint8_t *bytes, size_t length, char *out)
{
	*out = '\0';
	for (size_t i = 0; i < length; i++) {
		out += sprintf(out, "%02x", bytes[i]);
	}
}

/* The only value of a row of one column. */
static void write_value(const struct example *example, int16_t format, struct wire_writer *writer)
{
	const struct pg_typed_column column = {"c", example->type};
	const struct pg_formats formats = {&format, 1};
	wire_writer_init(writer);
	pg_write_typed_row(writer, &column, &example->value, 1, &formats);
	assert_false(writer->bad);
	assert_int_equal(writer->bytes[0], 'D');
	assert_int_equal(wire_get_u32(writer->bytes + 1), writer->length - 1);
	assert_int_equal(wire_get_u32(writer->bytes + 7), writer->length - 11);
}

static void test_pg_value__writes_what_postgresql_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		struct wire_writer writer;
		char hexadecimal[128];
		write_value(&examples[i], PG_FORMAT_TEXT, &writer);
		assert_int_equal(writer.length - 11, strlen(examples[i].text));
		assert_memory_equal(writer.bytes + 11, examples[i].text, writer.length - 11);
		wire_writer_release(&writer);
		write_value(&examples[i], PG_FORMAT_BINARY, &writer);
		to_hexadecimal(writer.bytes + 11, writer.length - 11, hexadecimal);
		assert_string_equal(hexadecimal, examples[i].binary);
		wire_writer_release(&writer);
	}
}

static void test_pg_value__mixes_formats_and_nulls(void **state)
{
	const struct pg_typed_column columns[] = {
		{"a", PG_TYPE_INT4}, {"b", PG_TYPE_TEXT}, {"c", PG_TYPE_INT4}};
	const struct pg_value values[] = {{.integer = 7}, {.is_null = true}, {.integer = 7}};
	const int16_t codes[] = {PG_FORMAT_BINARY, PG_FORMAT_TEXT, PG_FORMAT_TEXT};
	const struct pg_formats formats = {codes, 3};
	struct wire_writer writer;
	static const uint8_t expected[] = {'D', 0, 0, 0, 23, 0, 3, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255,
		255, 255, 0, 0, 0, 1, '7'};
	(void)state;
	wire_writer_init(&writer);
	pg_write_typed_row(&writer, columns, values, 3, &formats);
	assert_int_equal(writer.length, sizeof(expected));
	assert_memory_equal(writer.bytes, expected, sizeof(expected));
	wire_writer_release(&writer);
	assert_int_equal(pg_format_of(NULL, 2), PG_FORMAT_TEXT);
	assert_int_equal(pg_format_of(&(struct pg_formats){codes, 1}, 2), PG_FORMAT_BINARY);
}

static void test_pg_value__describes_columns(void **state)
{
	const struct pg_typed_column column = {"sent_lsn", PG_TYPE_LSN};
	const int16_t code = PG_FORMAT_BINARY;
	const struct pg_formats formats = {&code, 1};
	struct wire_writer writer;
	static const uint8_t expected[] = {'T', 0, 0, 0, 33, 0, 1, 's', 'e', 'n', 't', '_', 'l',
		's', 'n', 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 148, 0, 8, 255, 255, 255, 255, 0, 1};
	(void)state;
	wire_writer_init(&writer);
	pg_write_typed_description(&writer, &column, 1, &formats);
	assert_int_equal(writer.length, sizeof(expected));
	assert_memory_equal(writer.bytes, expected, sizeof(expected));
	wire_writer_release(&writer);
	assert_string_equal(pg_type_name(PG_TYPE_LSN), "pg_lsn");
	assert_int_equal(pg_type_oid(PG_TYPE_LSN), 3220);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pg_value__writes_what_postgresql_does),
		cmocka_unit_test(test_pg_value__mixes_formats_and_nulls),
		cmocka_unit_test(test_pg_value__describes_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
