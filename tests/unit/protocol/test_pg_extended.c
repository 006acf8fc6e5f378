/*
 * pg_extended: the messages as libpq and asyncpg send them, every prefix of them, and what is out
 * of bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/pg_extended.h"

#include <stdlib.h>
#include <string.h>

/* A literal without the zero byte at its end. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static uint8_t *exact_copy(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length + (length == 0));
	assert_non_null(copy);
	memcpy(copy, bytes, length);
	return copy;
}

/* Of no proper prefix, and not with a byte too many. */
#define CHECK_ONLY_WHOLE(decode, type, bytes, length)                                              \
	do {                                                                                       \
		uint8_t longer[64] = {0};                                                          \
		type out;                                                                          \
		for (size_t cut = 0; cut < (length); cut++) {                                      \
			uint8_t *copy = exact_copy((bytes), cut);                                  \
			assert_false(decode(copy, cut, &out));                                     \
			free(copy);                                                                \
		}                                                                                  \
		memcpy(longer, (bytes), (length));                                                 \
		assert_false(decode(longer, (length) + 1, &out));                                  \
	} while (0)

static void check_parse(const uint8_t *bytes, size_t length)
{
	struct pg_parse parse;
	assert_true(pg_parse_decode(bytes, length, &parse));
	assert_string_equal(parse.statement, "s1");
	assert_string_equal(parse.query, "SHOW SLOTS");
	assert_int_equal(parse.parameter_count, 1);
	CHECK_ONLY_WHOLE(pg_parse_decode, struct pg_parse, bytes, length);
}

static void test_pg_extended__reads_parse(void **state)
{
	(void)state;
	check_parse(BYTES("s1\0SHOW SLOTS\0\0\1\0\0\0\x17"));
}

static void check_bind(const uint8_t *bytes, size_t length)
{
	struct pg_bind bind;
	assert_true(pg_bind_decode(bytes, length, &bind));
	assert_string_equal(bind.portal, "p");
	assert_string_equal(bind.statement, "s1");
	assert_int_equal(bind.parameter_count, 2);
	assert_int_equal(bind.format_count, 2);
	assert_int_equal(bind.formats[0], 1);
	assert_int_equal(bind.formats[1], 0);
	CHECK_ONLY_WHOLE(pg_bind_decode, struct pg_bind, bytes, length);
}

static void test_pg_extended__reads_bind(void **state)
{
	struct pg_bind bind;
	(void)state;
	check_bind(BYTES("p\0s1\0\0\1\0\0\0\2\0\0\0\1x\xff\xff\xff\xff\0\2\0\1\0\0"));
	assert_true(pg_bind_decode(BYTES("\0\0\0\0\0\0\0\0"), &bind));
	assert_int_equal(bind.format_count, 0);
	assert_false(pg_bind_decode(BYTES("\0\0\0\0\0\0\0\1\0\2"), &bind));
	assert_false(pg_bind_decode(BYTES("\0\0\0\0\0\1\x7f\xff\xff\xff\0\0"), &bind));
	assert_false(pg_bind_decode(BYTES("\0\0\0\0\0\0\xff\xff"), &bind));
}

static void check_target(const uint8_t *bytes, size_t length)
{
	struct pg_target target;
	assert_true(pg_target_decode(bytes, length, &target));
	assert_int_equal(target.kind, 'P');
	assert_string_equal(target.name, "p");
	CHECK_ONLY_WHOLE(pg_target_decode, struct pg_target, bytes, length);
}

static void test_pg_extended__reads_describe_and_close(void **state)
{
	struct pg_target target;
	(void)state;
	check_target(BYTES("Pp\0"));
	assert_true(pg_target_decode(BYTES("S\0"), &target));
	assert_false(pg_target_decode(BYTES("X\0"), &target));
}

static void check_execute(const uint8_t *bytes, size_t length)
{
	struct pg_execute execute;
	assert_true(pg_execute_decode(bytes, length, &execute));
	assert_string_equal(execute.portal, "p");
	assert_int_equal(execute.row_max, 1);
	CHECK_ONLY_WHOLE(pg_execute_decode, struct pg_execute, bytes, length);
}

static void test_pg_extended__reads_execute(void **state)
{
	struct pg_execute execute;
	(void)state;
	check_execute(BYTES("p\0\0\0\0\1"));
	assert_true(pg_execute_decode(BYTES("\0\xff\xff\xff\xff"), &execute));
	assert_int_equal(execute.row_max, 0);
}

static void test_pg_extended__writes_answers(void **state)
{
	static const uint8_t expected[] = {'1', 0, 0, 0, 4, '2', 0, 0, 0, 4, '3', 0, 0, 0, 4, 'n',
		0, 0, 0, 4, 's', 0, 0, 0, 4, 'I', 0, 0, 0, 4, 't', 0, 0, 0, 6, 0, 0};
	struct wire_writer writer;
	(void)state;
	wire_writer_init(&writer);
	pg_write_parse_complete(&writer);
	pg_write_bind_complete(&writer);
	pg_write_close_complete(&writer);
	pg_write_no_data(&writer);
	pg_write_portal_suspended(&writer);
	pg_write_empty_query(&writer);
	pg_write_no_parameters(&writer);
	assert_int_equal(writer.length, sizeof(expected));
	assert_memory_equal(writer.bytes, expected, sizeof(expected));
	wire_writer_release(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pg_extended__reads_parse),
		cmocka_unit_test(test_pg_extended__reads_bind),
		cmocka_unit_test(test_pg_extended__reads_describe_and_close),
		cmocka_unit_test(test_pg_extended__reads_execute),
		cmocka_unit_test(test_pg_extended__writes_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
