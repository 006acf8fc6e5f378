/*
 * pg_control: layouts of each version, made here by the header's table; integration tests read
 * those of real servers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/pg_control.h"
#include "cli_helpers.h"
#include "protocol/crc32c.h"

#include <string.h>
#include <sys/stat.h>

static uint8_t bytes[PG_CONTROL_BYTES];

static void put(size_t offset, uint64_t value, size_t width)
{
	memcpy(bytes + offset, &value, width);
}

static void make(uint32_t version, size_t crc_offset)
{
	memset(bytes, 0, sizeof(bytes));
	put(0, UINT64_C(7714036868741110450), 8);
	put(8, version, 4);
	put(40, UINT64_C(0x1600000028), 8);
	put(48, 3, 4);
	put(crc_offset, crc32c_finish(crc32c_update(CRC32C_INIT, bytes, crc_offset)), 4);
}

static void test_pg_control__knows_13_to_18(void **state)
{
	static const struct {
		uint32_t version;
		size_t crc_offset;
	} cases[] = {{1300, 288}, {1700, 288}, {1800, 292}};
	struct error err = {0};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct pg_control control;
		make(cases[i].version, cases[i].crc_offset);
		assert_true(pg_control_decode(bytes, sizeof(bytes), &control, &err));
		assert_int_equal(control.redo_lsn, UINT64_C(0x1600000028));
		assert_int_equal(control.tli, 3);
		assert_int_equal(control.system_identifier, UINT64_C(7714036868741110450));
		for (size_t at = 0; at < cases[i].crc_offset + 4; at++) {
			bytes[at] ^= 1;
			assert_false(pg_control_decode(bytes, sizeof(bytes), &control, &err));
			bytes[at] ^= 1;
		}
	}
}

static void test_pg_control__refuses_others(void **state)
{
	struct error err = {0};
	struct pg_control control;
	(void)state;
	make(1201, 288);
	assert_false(pg_control_decode(bytes, sizeof(bytes), &control, &err));
	assert_string_equal(err.message, "pg_control is of an unknown version (1201)");
	make(1300, 288);
	assert_false(pg_control_decode(bytes, sizeof(bytes) - 1, &control, &err));
	assert_string_equal(err.message, "pg_control has 8191 bytes, not 8192");
	bytes[41]++;
	assert_false(pg_control_decode(bytes, sizeof(bytes), &control, &err));
	assert_string_equal(err.message, "pg_control has a wrong checksum");
}

static void test_pg_control__says_which_directory(void **state)
{
	struct error err = {0};
	struct pg_control control;
	(void)state;
	scratch_enter();
	assert_false(pg_control_read("nowhere", &control, &err));
	assert_string_equal(err.message,
		"\"nowhere\": could not open "
		"\"nowhere/global/pg_control\": No such file or directory");
	assert_int_equal(mkdir("global", 0700), 0);
	scratch_write("global/pg_control", "short", 0600);
	assert_false(pg_control_read(".", &control, &err));
	assert_string_equal(err.message, "\".\": pg_control has 5 bytes, not 8192");
	scratch_leave();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pg_control__knows_13_to_18),
		cmocka_unit_test(test_pg_control__refuses_others),
		cmocka_unit_test(test_pg_control__says_which_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
