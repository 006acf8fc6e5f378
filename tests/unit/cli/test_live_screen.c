/* Tests of cli/live_screen: the bytes of a frame. */
#include "cli/live_screen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *name;
	const char *text;
	unsigned columns;
	unsigned rows;
	const char *expected;
} cases[] = {
	{"fits", "ab\ncd\n", 10, 5, "\033[Hab\033[K\r\ncd\033[K\r\n\033[J"},
	{"blanks at the end go", "ab  \n   \ncd", 10, 5,
		"\033[Hab\033[K\r\n\033[K\r\ncd\033[K\r\n\033[J"},
	{"just fills it", "ab\ncd\n", 2, 2, "\033[Hab\033[K\r\ncd\033[K"},
	{"is too wide", "abcdef\n", 4, 5, "\033[Habcd\033[K\r\n\033[J"},
	{"is cut between characters", "\xc3\xbc\xe2\x82\xac\xc3\xbc\n", 2, 5,
		"\033[H\xc3\xbc\xe2\x82\xac\033[K\r\n\033[J"},
	{"is too high", "a\nb\nc\nd\n", 20, 3, "\033[Ha\033[K\r\nb\033[K\r\n... 2 more lines\033[K"},
	{"one row", "a\nb\n", 20, 1, "\033[H... 2 more lines\033[K"},
	{"nothing", "", 20, 5, "\033[H\033[J"},
};

static void test_live_screen__frames(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length;
		char *frame = live_screen_frame(
			cases[i].text, cases[i].columns, cases[i].rows, &length);
		if (strcmp(frame, cases[i].expected) != 0 || length != strlen(frame)) {
			fail_msg("%s: \"%s\"", cases[i].name, frame);
		}
		free(frame);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_live_screen__frames)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
