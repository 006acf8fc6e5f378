/*
 * One error again and again: logged first, then once a minute with a count.
 */
#include "upstream/error_repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)

static void test_error_repeat__logs_the_first_and_then_once_a_minute(void **state)
{
	struct error_repeat repeat = {0};
	unsigned kept_back = 7;

	(void)state;
	assert_true(error_repeat_should_log(&repeat, "refused", 100 * SECOND, &kept_back));
	assert_int_equal(kept_back, 0);
	assert_false(error_repeat_should_log(&repeat, "refused", 101 * SECOND, &kept_back));
	assert_false(error_repeat_should_log(&repeat, "refused", 159 * SECOND, &kept_back));
	assert_true(error_repeat_should_log(&repeat, "refused", 160 * SECOND, &kept_back));
	assert_int_equal(kept_back, 2);
	assert_false(error_repeat_should_log(&repeat, "refused", 161 * SECOND, &kept_back));
}

static void test_error_repeat__another_message_is_news(void **state)
{
	struct error_repeat repeat = {0};
	unsigned kept_back;

	(void)state;
	assert_true(error_repeat_should_log(&repeat, "refused", 1 * SECOND, &kept_back));
	assert_false(error_repeat_should_log(&repeat, "refused", 2 * SECOND, &kept_back));
	assert_true(error_repeat_should_log(&repeat, "starting up", 3 * SECOND, &kept_back));
	assert_int_equal(kept_back, 0);
	assert_true(error_repeat_should_log(&repeat, "refused", 4 * SECOND, &kept_back));
}

static void test_error_repeat__reset_makes_the_same_news(void **state)
{
	struct error_repeat repeat = {0};
	unsigned kept_back;

	(void)state;
	assert_true(error_repeat_should_log(&repeat, "refused", 1 * SECOND, &kept_back));
	error_repeat_reset(&repeat);
	assert_true(error_repeat_should_log(&repeat, "refused", 2 * SECOND, &kept_back));
	assert_int_equal(kept_back, 0);
}

static void test_error_repeat__knows_a_message_longer_than_it_keeps(void **state)
{
	struct error_repeat repeat = {0};
	char message[600];
	unsigned kept_back;

	(void)state;
	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	assert_true(error_repeat_should_log(&repeat, message, 1 * SECOND, &kept_back));
	assert_false(error_repeat_should_log(&repeat, message, 2 * SECOND, &kept_back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_repeat__logs_the_first_and_then_once_a_minute),
		cmocka_unit_test(test_error_repeat__another_message_is_news),
		cmocka_unit_test(test_error_repeat__reset_makes_the_same_news),
		cmocka_unit_test(test_error_repeat__knows_a_message_longer_than_it_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
