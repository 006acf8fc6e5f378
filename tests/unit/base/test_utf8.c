/*
 * utf8: RFC 3629, at the edges of every form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_utf8__measures_characters(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t length;
	} examples[] = {
		{"a", 1},
		{"\x7f", 1},
		{"\x80", 0},
		{"\xc1\xbf", 0},
		{"\xc2\x80", 2},
		{"\xdf\xbf", 2},
		{"\xc3", 0},
		{"\xe0\x9f\xbf", 0},
		{"\xe0\xa0\x80", 3},
		{"\xe2\x82", 0},
		{"\xed\x9f\xbf", 3},
		{"\xed\xa0\x80", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xf0\x90\x80\x80", 4},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xff", 0},
	};
	for (size_t i = 0; i < COUNT(examples); i++) {
		const unsigned char *text = (const unsigned char *)examples[i].text;
		if (utf8_character_length(text) != examples[i].length) {
			fail_msg("example %zu", i);
		}
	}
}

static void test_utf8__judges_whole_texts(void **state)
{
	(void)state;
	assert_true(utf8_is_valid(""));
	assert_true(utf8_is_valid("h\xc3\xa9lice"));
	assert_false(utf8_is_valid("h\xe9lice"));
	assert_false(utf8_is_valid("helic\xc3"));
}

static void test_utf8__knows_what_is_an_order_to_a_terminal(void **state)
{
	static const char *const controls[] = {"\1", "\n", "\x1f", "\x7f", "\xc2\x80", "\xc2\x9f"};
	static const char *const others[] = {" ", "~", "\xc2\xa0", "\xc3\x9b", "\xc2"};

	(void)state;
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		assert_true(utf8_is_control((const unsigned char *)controls[i]));
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(utf8_is_control((const unsigned char *)others[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8__measures_characters),
		cmocka_unit_test(test_utf8__judges_whole_texts),
		cmocka_unit_test(test_utf8__knows_what_is_an_order_to_a_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
