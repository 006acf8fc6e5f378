/* Tests of base/log_repeat: a flood of lines alike, and what is said of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log_repeat.h"

#include <stdio.h>
#include <string.h>

#define START_US INT64_C(5000000)

static struct log_repeat repeat;
static struct log_repeat_kind told;

static int setup(void **state)
{
	(void)state;
	memset(&repeat, 0, sizeof(repeat));
	return 0;
}

static bool admit(const char *scope, const char *message, int64_t now_us)
{
	const struct log_repeat_line line = {.level = 2, .scope = scope, .message = message};
	return log_repeat_admit(&repeat, &line, now_us);
}

static unsigned flood(unsigned count, const char *message, int64_t now_us)
{
	unsigned passed = 0;
	for (unsigned i = 0; i < count; i++) {
		passed += admit("http", message, now_us);
	}
	return passed;
}

static void test_log_repeat__a_burst_passes_and_the_rest_is_counted(void **state)
{
	(void)state;
	assert_int_equal(flood(100, "a", START_US), LOG_REPEAT_BURST);
	assert_false(log_repeat_take(&repeat, START_US + LOG_REPEAT_WINDOW_US - 1, false, &told));
	assert_true(log_repeat_take(&repeat, START_US + LOG_REPEAT_WINDOW_US, false, &told));
	assert_int_equal(told.held, 100 - LOG_REPEAT_BURST);
	assert_int_equal(told.level, 2);
	assert_string_equal(told.scope, "http");
	assert_string_equal(told.message, "a");
	assert_false(log_repeat_take(&repeat, START_US + LOG_REPEAT_WINDOW_US, false, &told));
	assert_true(admit("http", "a", START_US + LOG_REPEAT_WINDOW_US));
}

static void test_log_repeat__what_comes_now_and_then_passes(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_true(admit("up", "a", START_US + i * LOG_REPEAT_WINDOW_US / 5));
	}
	assert_false(log_repeat_take(&repeat, INT64_MAX, true, &told));
}

static void test_log_repeat__what_differs_is_another_kind(void **state)
{
	(void)state;
	const struct log_repeat_line other_level = {.level = 1, .scope = "http", .message = "a"};
	const struct log_repeat_line other_detail = {
		.level = 2, .scope = "http", .message = "a", .detail = "d"};
	(void)flood(100, "a", START_US);
	assert_true(admit("http", "b", START_US));
	assert_true(admit("", "httpa", START_US));
	assert_true(admit(NULL, "a", START_US));
	assert_true(log_repeat_admit(&repeat, &other_level, START_US));
	assert_true(log_repeat_admit(&repeat, &other_detail, START_US));
	assert_false(admit("http", "a", START_US));
}

static void test_log_repeat__two_kinds_in_turn_are_both_held(void **state)
{
	(void)state;
	unsigned passed = 0;
	for (int i = 0; i < 100; i++) {
		passed += flood(1, "a", START_US) + flood(1, "b", START_US);
	}
	assert_int_equal(passed, 2 * LOG_REPEAT_BURST);
	assert_true(log_repeat_take(&repeat, START_US, true, &told));
	assert_true(log_repeat_take(&repeat, START_US, true, &told));
	assert_false(log_repeat_take(&repeat, START_US, true, &told));
}

static void test_log_repeat__many_kinds_never_lose_a_count(void **state)
{
	(void)state;
	unsigned passed = 0, held = 0;
	for (int round = 0; round < 20; round++) {
		for (int kind = 0; kind < 3 * LOG_REPEAT_KINDS; kind++) {
			char message[16];
			snprintf(message, sizeof(message), "%d", kind);
			passed += flood(20, message, START_US + round);
		}
	}
	while (log_repeat_take(&repeat, START_US, true, &told)) {
		held += told.held;
	}
	assert_int_equal(passed + held, 20 * 20 * 3 * LOG_REPEAT_KINDS);
	assert_true(held > 0);
}

static void test_log_repeat__long_text_is_cut_but_told_apart(void **state)
{
	(void)state;
	char one[2000], other[2000];
	memset(one, 'x', sizeof(one));
	one[sizeof(one) - 1] = '\0';
	strcpy(other, one);
	other[sizeof(other) - 2] = 'y';
	(void)flood(20, one, START_US);
	assert_int_equal(flood(1, other, START_US), 1);
	assert_true(log_repeat_take(&repeat, START_US, true, &told));
	assert_int_equal(strlen(told.message), LOG_REPEAT_MESSAGE_SIZE - 1);
}

#define TEST(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_log_repeat__a_burst_passes_and_the_rest_is_counted),
		TEST(test_log_repeat__what_comes_now_and_then_passes),
		TEST(test_log_repeat__what_differs_is_another_kind),
		TEST(test_log_repeat__two_kinds_in_turn_are_both_held),
		TEST(test_log_repeat__many_kinds_never_lose_a_count),
		TEST(test_log_repeat__long_text_is_cut_but_told_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
