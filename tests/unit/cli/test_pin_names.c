/*
 * pin_names: names that pins take, and back; names that somebody else chose are none of these.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/pin_names.h"

#include <string.h>

static void test_pin_names__there_and_back(void **state)
{
	const struct ec2_snapshot snapshot = {
		.id = "snap-0123456789abcdef0", .owner = "111122223333"};
	char name[PIN_NAME_SIZE];
	struct pin_name parsed;
	(void)state;
	assert_true(pin_name_begun(
		"ap-southeast-1", "vol-0123456789abcdef0", INT64_C(1796076301), name));
	assert_string_equal(name, "ap-southeast-1.vol-0123456789abcdef0.20261130T220501Z");
	pin_name_parse(name, &parsed);
	assert_int_equal(parsed.kind, PIN_NAME_BEGUN);
	assert_string_equal(parsed.region, "ap-southeast-1");
	assert_string_equal(parsed.id, "vol-0123456789abcdef0");
	assert_true(pin_name_snapshot(&snapshot, "us-gov-east-1", name));
	assert_string_equal(name, "snap-0123456789abcdef0.us-gov-east-1.111122223333");
	pin_name_parse(name, &parsed);
	assert_int_equal(parsed.kind, PIN_NAME_SNAPSHOT);
	assert_string_equal(parsed.region, "us-gov-east-1");
	assert_string_equal(parsed.id, "snap-0123456789abcdef0");
	assert_string_equal(parsed.account, "111122223333");
}

static void test_pin_names__of_others(void **state)
{
	static const char *const names[] = {"", ".", "..", "snap1", "snap-1", "snap-1.us-east-1",
		"snap-1.us-east-1.1111222233334", "snap-1.us-east-1.111122223333.x",
		"snap-1..111122223333", "snap-g.us-east-1.111122223333",
		"us-east-1.vol-1.20261130T220501", "us-east-1.vol-1.20261130T220501Zx",
		"us-east-1.snap-1.20261130T220501Z", "lost-1-0-3000028", ".vol-1.20261130T220501Z"};
	struct pin_name parsed;
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pin_name_parse(names[i], &parsed);
		assert_int_equal(parsed.kind, PIN_NAME_OTHER);
	}
}

static void test_pin_names__that_would_be_too_long(void **state)
{
	char name[PIN_NAME_SIZE] = "as it was";
	(void)state;
	assert_false(pin_name_begun(
		"ap-southeast-1", "vol-0123456789abcdef0123456789abcdef01234567", 0, name));
	assert_string_equal(name, "as it was");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pin_names__there_and_back),
		cmocka_unit_test(test_pin_names__of_others),
		cmocka_unit_test(test_pin_names__that_would_be_too_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
