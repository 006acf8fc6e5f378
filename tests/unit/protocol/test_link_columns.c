#include "protocol/link_columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t values[] = {
	0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 56, (uint64_t)1 << 63, UINT64_MAX};

#define VALUES (sizeof(values) / sizeof(values[0]))

static uint8_t *join(struct link_columns *columns, size_t *length_out)
{
	uint8_t *bytes;

	*length_out = link_columns_bytes(columns);
	bytes = malloc(*length_out);
	assert_non_null(bytes);
	link_columns_join(columns, bytes);
	return bytes;
}

static void test_link_columns__gives_back_what_was_put(void **state)
{
	struct link_columns out, in;
	size_t length;
	uint8_t *bytes;

	(void)state;
	link_columns_init(&out);
	for (size_t i = 0; i < VALUES; i++) {
		link_put_varint(&out, LINK_COLUMN_LENGTH, values[i]);
		for (size_t k = 0; k < VALUES; k++) {
			link_put_delta(&out, LINK_COLUMN_XID, values[i], values[k]);
		}
		link_put_u8(&out, LINK_COLUMN_SHAPE, (uint8_t)i);
	}
	link_put_bytes(&out, LINK_COLUMN_EXTRA, "abc", 3);
	bytes = join(&out, &length);
	assert_true(link_columns_split(&in, bytes, length));
	for (size_t i = 0; i < VALUES; i++) {
		assert_int_equal(link_get_varint(&in, LINK_COLUMN_LENGTH), values[i]);
		for (size_t k = 0; k < VALUES; k++) {
			assert_int_equal(
				link_get_delta(&in, LINK_COLUMN_XID, values[k]), values[i]);
		}
		assert_int_equal(link_get_u8(&in, LINK_COLUMN_SHAPE), i);
	}
	assert_false(link_columns_are_done(&in));
	assert_memory_equal(link_get_bytes(&in, LINK_COLUMN_EXTRA, 3), "abc", 3);
	assert_true(link_columns_are_done(&in));
	free(bytes);
	link_columns_release(&out);
}

static void test_link_columns__small_differences_are_short(void **state)
{
	struct link_columns columns;

	(void)state;
	link_columns_init(&columns);
	link_put_delta(&columns, LINK_COLUMN_XID, 1000000, 1000063);
	link_put_delta(&columns, LINK_COLUMN_XID, 1000063, 1000000);
	assert_int_equal(columns.column[LINK_COLUMN_XID].length, 2);
	link_columns_release(&columns);
}

static void test_link_columns__refuses_every_other_length(void **state)
{
	struct link_columns out, in;
	size_t length;
	uint8_t *bytes;

	(void)state;
	link_columns_init(&out);
	link_put_bytes(&out, LINK_COLUMN_DATA, "0123456789", 10);
	link_put_bytes(&out, LINK_COLUMN_MAIN, "0123456789", 10);
	bytes = join(&out, &length);
	for (size_t i = 0; i < length; i++) {
		uint8_t *exact = malloc(i + 1);

		assert_non_null(exact);
		memcpy(exact, bytes, i);
		assert_false(link_columns_split(&in, exact, i));
		free(exact);
	}
	bytes = realloc(bytes, length + 1);
	assert_non_null(bytes);
	bytes[length] = 0;
	assert_false(link_columns_split(&in, bytes, length + 1));
	free(bytes);
	link_columns_release(&out);
}

static void test_link_columns__reading_past_the_end_stays_bad(void **state)
{
	struct link_columns out, in;
	size_t length;
	uint8_t *bytes;

	(void)state;
	link_columns_init(&out);
	link_put_u8(&out, LINK_COLUMN_XID, 0x80); /* a varint that never ends */
	bytes = join(&out, &length);
	assert_true(link_columns_split(&in, bytes, length));
	assert_int_equal(link_get_varint(&in, LINK_COLUMN_XID), 0);
	assert_true(in.bad);
	assert_true(link_columns_split(&in, bytes, length));
	assert_null(link_get_bytes(&in, LINK_COLUMN_XID, 2));
	assert_int_equal(link_get_u8(&in, LINK_COLUMN_XID), 0x80);
	assert_false(link_columns_are_done(&in));
	free(bytes);
	link_columns_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_columns__gives_back_what_was_put),
		cmocka_unit_test(test_link_columns__small_differences_are_short),
		cmocka_unit_test(test_link_columns__refuses_every_other_length),
		cmocka_unit_test(test_link_columns__reading_past_the_end_stays_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
