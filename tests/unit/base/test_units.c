/*
 * units: what people write, to the byte and the microsecond, and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/units.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BAD          UINT64_MAX

/* Names the example that fails. */
#define CHECK(example, is_parsed, parsed)                                                          \
	do {                                                                                       \
		if ((is_parsed) != ((example).value != BAD) ||                                     \
			(uint64_t)(parsed) != (example).value) {                                   \
			fail_msg("\"%s\"", (example).text);                                        \
		}                                                                                  \
	} while (0)

struct example {
	const char *text;
	uint64_t value; /* BAD: refused */
};

static void test_units__parses_sizes(void **state)
{
	static const struct example examples[] = {{"0", 0}, {"0B", 0}, {"1B", 1}, {"1kB", 1024},
		{"16MB", 16777216}, {"16 MB", 16777216}, {"1.5GB", 1610612736},
		{"0.000000001TB", 1100}, {"100GB", 107374182400},
		{"16777215TB", 18446742974197923840u}, {"16777216TB", BAD},
		{"18446744073709551616B", BAD}, {"999999999999999999999TB", BAD}, {"", BAD},
		{"16", BAD}, {"16gb", BAD}, {"16KB", BAD}, {"GB", BAD}, {"-1GB", BAD},
		{"+1GB", BAD}, {"1.GB", BAD}, {".5GB", BAD}, {"1,5GB", BAD}, {"1GB ", BAD},
		{" 1GB", BAD}, {"1GB/s", BAD}, {"0x10GB", BAD}, {"1e3MB", BAD},
		{"0.1234567891GB", BAD}};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		uint64_t bytes = BAD;
		bool ok = units_parse_size(examples[i].text, &bytes);

		CHECK(examples[i], ok, bytes);
	}
}

static void test_units__parses_times(void **state)
{
	static const struct example examples[] = {{"0", 0}, {"1ms", 1000}, {"0.5ms", 500},
		{"60s", 60000000}, {"1min", 60000000}, {"24h", 86400000000}, {"7d", 604800000000},
		{"1.5 h", 5400000000}, {"106751991d", 9223372022400000000u}, {"106751992d", BAD},
		{"60", BAD}, {"1m", BAD}, {"1us", BAD}, {"1 hour", BAD}, {"s", BAD}, {"-1s", BAD}};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		int64_t us = -1;
		bool ok = units_parse_time(examples[i].text, &us);

		CHECK(examples[i], ok, us);
	}
}

static void test_units__parses_rates(void **state)
{
	static const struct example examples[] = {{"0", 0}, {"8kbit/s", 1000},
		{"50Mbit/s", 6250000}, {"1Gbit/s", 125000000}, {"1kB/s", 1024}, {"2 MB/s", 2097152},
		{"0.008kbit/s", 1}, {"1.5Mbit/s", 187500}, {"50", BAD}, {"50Mbit", BAD},
		{"50MBit/s", BAD}, {"50mbit/s", BAD}, {"1GB/s", BAD}, {"1Kbit/s", BAD},
		{"999999999999Gbit/s", BAD}};

	(void)state;
	for (size_t i = 0; i < COUNT(examples); i++) {
		uint64_t rate = BAD;
		bool ok = units_parse_rate(examples[i].text, &rate);

		CHECK(examples[i], ok, rate);
	}
}

static void test_units__parses_percentages_and_decimals(void **state)
{
	unsigned basis_points = 0;
	int64_t nanos = 0;

	(void)state;
	assert_true(units_parse_percent("80%", &basis_points));
	assert_int_equal(basis_points, 8000);
	assert_true(units_parse_percent("99.5 %", &basis_points));
	assert_int_equal(basis_points, 9950);
	assert_false(units_parse_percent("80", &basis_points));
	assert_false(units_parse_percent("%", &basis_points));
	assert_false(units_parse_percent("99999999999%", &basis_points));
	assert_int_equal(basis_points, 9950);

	assert_true(units_parse_nanos("0.085", &nanos));
	assert_int_equal(nanos, 85000000);
	assert_true(units_parse_nanos("3", &nanos));
	assert_true(nanos == 3000000000);
	assert_false(units_parse_nanos("0.02USD", &nanos));
	assert_false(units_parse_nanos("9223372037", &nanos));
	assert_false(units_parse_nanos("-1", &nanos));
	assert_true(nanos == 3000000000);
}

static void test_units__formats_for_people(void **state)
{
	char text[UNITS_TEXT_SIZE];

	(void)state;
	assert_string_equal(units_format_size(0, text), "0");
	assert_string_equal(units_format_size(17179869184, text), "16GB");
	assert_string_equal(units_format_size(1610612736, text), "1536MB");
	assert_string_equal(units_format_size(1500, text), "1500B");
	assert_string_equal(units_format_size(UINT64_MAX, text), "18446744073709551615B");
	assert_string_equal(units_format_time(0, text), "0");
	assert_string_equal(units_format_time(60000000, text), "1min");
	assert_string_equal(units_format_time(90000000, text), "90s");
	assert_string_equal(units_format_time(86400000000, text), "1d");
	assert_string_equal(units_format_time(500, text), "0.5ms");
	assert_string_equal(units_format_time(INT64_MAX, text), "9223372036854775.807ms");
	assert_string_equal(units_format_rate(6250000, text), "50Mbit/s");
	assert_string_equal(units_format_rate(2097152, text), "2MB/s");
	assert_string_equal(units_format_rate(1, text), "0.008kbit/s");
	assert_string_equal(units_format_percent(8000, text), "80%");
	assert_string_equal(units_format_percent(9950, text), "99.5%");
	assert_string_equal(units_format_nanos(85000000, text), "0.085");
	assert_string_equal(units_format_nanos(0, text), "0");
}

/* xorshift: the same numbers in every run. */
static uint64_t next_number(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void test_units__parses_what_it_formats(void **state)
{
	uint64_t seed = 88172645463325252u;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		/* All magnitudes alike, round and odd ones. */
		uint64_t number = next_number(&seed) >> (i % 64);
		uint64_t parsed = 0;
		unsigned basis_points = 0;
		int64_t signed_parsed = 0;
		char text[UNITS_TEXT_SIZE];

		number -= i % 2 == 0 ? number % 1000000 : 0;
		assert_true(units_parse_size(units_format_size(number, text), &parsed));
		assert_true(parsed == number);
		assert_true(units_parse_rate(units_format_rate(number, text), &parsed));
		assert_true(parsed == number);
		assert_true(units_parse_percent(
			units_format_percent((unsigned)number, text), &basis_points));
		assert_true(basis_points == (unsigned)number);
		number >>= 1;
		assert_true(
			units_parse_time(units_format_time((int64_t)number, text), &signed_parsed));
		assert_true(signed_parsed == (int64_t)number);
		assert_true(units_parse_nanos(
			units_format_nanos((int64_t)number, text), &signed_parsed));
		assert_true(signed_parsed == (int64_t)number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units__parses_sizes),
		cmocka_unit_test(test_units__parses_times),
		cmocka_unit_test(test_units__parses_rates),
		cmocka_unit_test(test_units__parses_percentages_and_decimals),
		cmocka_unit_test(test_units__formats_for_people),
		cmocka_unit_test(test_units__parses_what_it_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
