/*
 * error: what ends up in the caller's struct.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

#include <errno.h>
#include <string.h>

static void test_error__set_replaces_everything(void **state)
{
	struct error err = {0};

	(void)state;
	assert_false(error_set(&err, ERROR_CONFLICT, "slot \"%s\" exists", "a"));
	assert_false(error_detail(&err, "detail %d", 1));
	assert_false(error_hint(&err, "hint %d", 2));
	assert_false(error_sqlstate(&err, "42710"));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_string_equal(err.message, "slot \"a\" exists");
	assert_string_equal(err.detail, "detail 1");
	assert_string_equal(err.hint, "hint 2");
	assert_string_equal(err.sqlstate, "42710");
	assert_false(error_set(&err, ERROR_INVALID, "other"));
	assert_string_equal(err.message, "other");
	assert_string_equal(err.detail, "");
	assert_string_equal(err.hint, "");
	assert_string_equal(err.sqlstate, "");
}

static void test_error__errno_is_named_and_kept(void **state)
{
	struct error err = {0};

	(void)state;
	errno = ENOENT;
	assert_false(error_set_errno(&err, "could not open \"%s\"", "x"));
	assert_string_equal(err.message, "could not open \"x\": No such file or directory");
	assert_int_equal(err.kind, ERROR_SYSTEM);
	assert_int_equal(err.saved_errno, ENOENT);
	assert_int_equal(errno, ENOENT);
	errno = ENOSPC;
	assert_false(error_set_errno(&err, "could not write"));
	assert_int_equal(err.kind, ERROR_FULL);
}

static void test_error__wrap_puts_context_in_front(void **state)
{
	struct error err = {0};

	(void)state;
	error_set(&err, ERROR_NOT_FOUND, "no such segment");
	error_hint(&err, "wait");
	assert_false(error_wrap(&err, "standby %d", 7));
	assert_string_equal(err.message, "standby 7: no such segment");
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_string_equal(err.hint, "wait");
}

static void test_error__arguments_may_point_into_it(void **state)
{
	struct error err = {0};

	(void)state;
	error_set(&err, ERROR_INVALID, "inner");
	error_set(&err, ERROR_INVALID, "outer: %s", err.message);
	assert_string_equal(err.message, "outer: inner");
	error_detail(&err, "%s", err.message);
	error_wrap(&err, "%s", err.message);
	assert_string_equal(err.message, "outer: inner: outer: inner");
	assert_string_equal(err.detail, "outer: inner");
}

static void test_error__cuts_what_does_not_fit(void **state)
{
	struct error err = {0};
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&err, ERROR_INVALID, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	error_wrap(&err, "front");
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_memory_equal(err.message, "front: xxx", 10);
	error_hint(&err, "%s", text);
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
	errno = ENOENT;
	error_set_errno(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

static void test_error__nobody_need_care(void **state)
{
	(void)state;
	assert_false(error_set(NULL, ERROR_INVALID, "x"));
	assert_false(error_set_errno(NULL, "x"));
	assert_false(error_wrap(NULL, "x"));
	assert_false(error_detail(NULL, "x"));
	assert_false(error_hint(NULL, "x"));
	assert_false(error_sqlstate(NULL, "XX000"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error__set_replaces_everything),
		cmocka_unit_test(test_error__errno_is_named_and_kept),
		cmocka_unit_test(test_error__wrap_puts_context_in_front),
		cmocka_unit_test(test_error__arguments_may_point_into_it),
		cmocka_unit_test(test_error__cuts_what_does_not_fit),
		cmocka_unit_test(test_error__nobody_need_care),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
