/*
 * pglz: streams written out by hand, round trips, and damage. That PostgreSQL makes the same bytes
 * tests/integration/test_link_codec.py shows on its WAL.
 */
#include "protocol/pglz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pglz_finder finder;

static void test_pglz__makes_the_streams_that_the_format_asks_for(void **state)
{
	static const struct {
		const char *name, *bytes, *stored;
		size_t stored_length;
	} cases[] = {
		{"one byte over and over", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"\x02"
			"a"
			"\x0F\x01\x0D",
			5},
		{"a short copy", "abcdefghabcdefgh01234567abcdefgh",
			"\x00"
			"abcdefgh"
			"\x01\x05\x08"
			"0123456"
			"\x02"
			"7"
			"\x05\x10",
			23},
		{"nothing to copy", "abcdefghijklmnopqrstuvwxyz012345", "", 0},
		{"too short to be tried", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "", 0},
	};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t count = pglz_compress(&finder, (const uint8_t *)cases[i].bytes,
			strlen(cases[i].bytes), out, sizeof(out));

		if (count != cases[i].stored_length ||
			memcmp(out, cases[i].stored, cases[i].stored_length) != 0) {
			fail_msg("%s", cases[i].name);
		}
	}
}

static void test_pglz__copies_of_all_lengths_and_distances(void **state)
{
	uint8_t out[64];
	/* Ten literals in two groups, and 17 bytes from ten before. */
	static const uint8_t stored[] = {
		0x00, '0', '1', '2', '3', '4', '5', '6', '7', 0x04, '8', '9', 0x0E, 0x0A};

	(void)state;
	assert_true(pglz_decompress(stored, sizeof(stored), out, 27));
	assert_memory_equal(out, "012345678901234567890123456", 27);
}

/* Pages as tables have them: rows alike, numbers that grow, zeros, and noise. */
static void fill(uint8_t *page, size_t length, unsigned seed)
{
	for (size_t at = 0; at < length; at++) {
		seed = seed * 1103515245 + 12345;
		page[at] = (uint8_t)(at % 64 < 40   ? at * (seed >> 16 < 4000) + at / 64
				     : at % 64 < 52 ? 0
						    : seed >> 24);
	}
}

static void test_pglz__gives_back_what_it_took(void **state)
{
	static const size_t lengths[] = {
		32, 33, 127, 128, 255, 256, 511, 512, 1023, 1024, 4000, 8192};
	uint8_t page[PGLZ_INPUT_MAX], back[PGLZ_INPUT_MAX];
	uint8_t stored[2 * PGLZ_INPUT_MAX];
	size_t made = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (unsigned seed = 0; seed < 20; seed++) {
			size_t count;

			fill(page, lengths[i], seed);
			count = pglz_compress(&finder, page, lengths[i], stored, sizeof(stored));
			if (count == 0) {
				continue;
			}
			made++;
			assert_true(count < lengths[i] * 3 / 4);
			assert_true(pglz_decompress(stored, count, back, lengths[i]));
			assert_memory_equal(back, page, lengths[i]);
			assert_int_equal(
				pglz_compress(&finder, page, lengths[i], stored, count / 2), 0);
		}
	}
	assert_true(made > 100);
}

static void test_pglz__refuses_what_is_no_such_page(void **state)
{
	static const struct {
		const char *name, *stored;
		size_t stored_length, length;
	} cases[] = {
		{"nothing", "", 0, 1},
		{"a control byte alone", "\x00", 1, 1},
		{"too little",
			"\x00"
			"ab",
			3, 3},
		{"too much",
			"\x00"
			"abc",
			4, 2},
		{"a copy of nothing", "\x01\x00\x01", 3, 3},
		{"a copy from before the start",
			"\x02"
			"a\x00\x02",
			4, 4},
		{"a copy from here",
			"\x02"
			"a\x00\x00",
			4, 4},
		{"a copy cut short",
			"\x02"
			"a\x00",
			3, 4},
		{"a long copy cut short",
			"\x02"
			"a\x0F\x01",
			4, 19},
		{"a copy past the end",
			"\x02"
			"a\x03\x01",
			4, 5},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *exact = malloc(cases[i].stored_length + 1), out[64];

		assert_non_null(exact);
		memcpy(exact, cases[i].stored, cases[i].stored_length);
		if (pglz_decompress(exact, cases[i].stored_length, out, cases[i].length)) {
			fail_msg("%s", cases[i].name);
		}
		free(exact);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pglz__makes_the_streams_that_the_format_asks_for),
		cmocka_unit_test(test_pglz__copies_of_all_lengths_and_distances),
		cmocka_unit_test(test_pglz__gives_back_what_it_took),
		cmocka_unit_test(test_pglz__refuses_what_is_no_such_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
