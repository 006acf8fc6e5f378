/*
 * Conninfo strings: what libpq refuses, and secrets that must not be shown.
 */
#include "upstream/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_upstream_conninfo__accepts_what_libpq_does(void **state)
{
	struct error err;

	(void)state;
	assert_true(upstream_conninfo_is_valid(
		"host=db1,db2 port=5432 user=r target_session_attrs=read-write", &err));
	assert_true(upstream_conninfo_is_valid("postgresql://r@db1,db2/x?sslmode=require", &err));
	assert_true(upstream_conninfo_is_valid("", &err));
}

static void test_upstream_conninfo__refuses_with_libpqs_words(void **state)
{
	struct error err;

	(void)state;
	assert_false(upstream_conninfo_is_valid("hots=db1", &err));
	assert_string_equal(err.message, "invalid connection option \"hots\"");
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_false(upstream_conninfo_is_valid("host='db1", &err));
	assert_string_equal(err.message, "unterminated quoted string in connection info string");
}

static void test_upstream_conninfo__repeats_no_password_it_could_not_read(void **state)
{
	static const char *const refused[] = {"host=db1 password=hun ter2 user=r",
		"postgresql://r:ter2@[::1", "postgresql://r:ter2@db1/?x=ter2=", "postgresql://r:%xter2@db1",
		"postgresql://r:ter2@db1/?ter2", "host=db1 password='ter2"};
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		assert_false(upstream_conninfo_is_valid(refused[i], &err));
		assert_true(err.message[0] != '\0');
		assert_null(strstr(err.message, "ter2"));
	}
}

static void check_masked(const char *conninfo, const char *expected)
{
	char *masked = upstream_conninfo_masked(conninfo);

	assert_non_null(masked);
	assert_string_equal(masked, expected);
	free(masked);
}

static void test_upstream_conninfo__masks_secrets(void **state)
{
	(void)state;
	check_masked("host=db1 password=hunter2 user=r", "user='r' password='********' host='db1'");
	check_masked("host=db1 sslpassword=hunter2", "host='db1' sslpassword='********'");
	check_masked("postgresql://r:hunter2@db1:5433",
		"user='r' password='********' host='db1' port='5433'");
	check_masked("host=db1 application_name='it\\'s \\\\ here'",
		"host='db1' application_name='it\\'s \\\\ here'");
	check_masked("", "");
	assert_null(upstream_conninfo_masked("hots=db1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upstream_conninfo__accepts_what_libpq_does),
		cmocka_unit_test(test_upstream_conninfo__refuses_with_libpqs_words),
		cmocka_unit_test(test_upstream_conninfo__repeats_no_password_it_could_not_read),
		cmocka_unit_test(test_upstream_conninfo__masks_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
