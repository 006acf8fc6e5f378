/*
 * crc32c: the published check value, and instruction against table.
 */
#include "protocol/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* RFC 3720, B.4, and the catalogue's "123456789". */
static void test_crc32c__gives_the_published_values(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(crc32c_finish(crc32c_update(CRC32C_INIT, "123456789", 9)), 0xE3069283);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c_finish(crc32c_update(CRC32C_INIT, bytes, 32)), 0x8A9136AA);
	memset(bytes, 0xFF, sizeof(bytes));
	assert_int_equal(crc32c_finish(crc32c_update(CRC32C_INIT, bytes, 32)), 0x62A8AB43);
	assert_int_equal(crc32c_finish(crc32c_update(CRC32C_INIT, bytes, 0)), 0);
}

static void test_crc32c__is_the_same_by_table_and_in_pieces(void **state)
{
	uint8_t bytes[300];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(i * 167 + (i >> 3));
	}
	for (size_t start = 0; start < 9; start++) {
		for (size_t length = 0; start + length <= sizeof(bytes); length++) {
			const uint8_t *at = bytes + start;
			size_t cut = length * 5 / 7;
			uint32_t whole = crc32c_update(CRC32C_INIT, at, length);
			uint32_t part = crc32c_update(CRC32C_INIT, at, cut);

			assert_int_equal(crc32c_update(part, at + cut, length - cut), whole);
			assert_int_equal(crc32c_update_portable(CRC32C_INIT, at, length), whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c__gives_the_published_values),
		cmocka_unit_test(test_crc32c__is_the_same_by_table_and_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
