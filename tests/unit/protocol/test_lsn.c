/*
 * lsn: exactly the text PostgreSQL writes, 19's padding included, and nothing like it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/lsn.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_lsn__parses_every_spelling(void **state)
{
	static const struct {
		const char *text;
		lsn_t lsn;
	} examples[] = {{"0/0", 0}, {"0/1508180", 0x1508180}, {"16/B374D848", 0x16B374D848},
		{"16/b374d848", 0x16B374D848}, {"FFFFFFFF/FFFFFFFF", UINT64_MAX},
		{"00000016/00000001", 0x1600000001}, {"1/00001000", 0x100001000}};
	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		lsn_t lsn = 1;
		if (!lsn_parse(examples[i].text, strlen(examples[i].text), &lsn) ||
			lsn != examples[i].lsn) {
			fail_msg("\"%s\"", examples[i].text);
		}
	}
}

static void test_lsn__refuses_everything_else(void **state)
{
	static const char *const examples[] = {"", "/", "0", "0/", "/0", "0/0 ", " 0/0", "0//0",
		"0/0/0", "0/G", "0x1/0", "-1/0", "123456789/0", "0/123456789", "0/0\n"};
	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		lsn_t lsn = 77;
		if (lsn_parse(examples[i], strlen(examples[i]), &lsn) || lsn != 77) {
			fail_msg("\"%s\"", examples[i]);
		}
	}
}

static void test_lsn__reads_no_further_than_length(void **state)
{
	(void)state;
	lsn_t lsn;
	assert_true(lsn_parse("1/23456", 4, &lsn));
	assert_int_equal(lsn, 0x100000023);
}

static void test_lsn__formats_without_padding(void **state)
{
	char text[LSN_TEXT_SIZE];
	(void)state;
	assert_string_equal(lsn_format(0, text), "0/0");
	assert_string_equal(lsn_format(0x16B374D848, text), "16/B374D848");
	assert_string_equal(lsn_format(0x100000001, text), "1/1");
	assert_string_equal(lsn_format(UINT64_MAX, text), "FFFFFFFF/FFFFFFFF");
}

static void test_lsn__finds_starts_of_pages_and_segments(void **state)
{
	(void)state;
	assert_int_equal(lsn_page_start(0x2001), 0x2000);
	assert_int_equal(lsn_page_start(0x2000), 0x2000);
	assert_int_equal(lsn_segment_start(0x1FFFFFF, 16 << 20), 0x1000000);
	assert_int_equal(lsn_segment_start(0x2000000, 16 << 20), 0x2000000);
	assert_int_equal(lsn_segment_start(0x17FFFFFFF, 1 << 30), 0x140000000);
}

static void test_lsn__knows_valid_segment_sizes(void **state)
{
	(void)state;
	for (uint64_t bytes = WAL_SEGMENT_MIN; bytes <= WAL_SEGMENT_MAX; bytes *= 2) {
		assert_true(wal_segment_bytes_is_valid(bytes));
		assert_false(wal_segment_bytes_is_valid(bytes + 1));
	}
	assert_false(wal_segment_bytes_is_valid(0));
	assert_false(wal_segment_bytes_is_valid(WAL_SEGMENT_MIN / 2));
	assert_false(wal_segment_bytes_is_valid(2 * (uint64_t)WAL_SEGMENT_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lsn__parses_every_spelling),
		cmocka_unit_test(test_lsn__refuses_everything_else),
		cmocka_unit_test(test_lsn__reads_no_further_than_length),
		cmocka_unit_test(test_lsn__formats_without_padding),
		cmocka_unit_test(test_lsn__finds_starts_of_pages_and_segments),
		cmocka_unit_test(test_lsn__knows_valid_segment_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
