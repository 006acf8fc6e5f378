/*
 * set_aside: everything is still there, under its new name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/set_aside.h"
#include "cli_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".set-aside-20260102T030405Z"

static void assert_holds(const char *name, const char *expected)
{
	char *text = scratch_read(name);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static void test_set_aside__names_the_time(void **state)
{
	char suffix[SET_ASIDE_SUFFIX_SIZE];

	(void)state;
	set_aside_suffix(1767323045, suffix);
	assert_string_equal(suffix, SUFFIX);
}

static void test_set_aside__keeps_everything(void **state)
{
	struct error err;
	struct stat status;

	(void)state;
	assert_int_equal(mkdir("wal", 0700), 0);
	scratch_write("wal/000000010000000000000001", "segment", 0600);
	scratch_write("state.db", "state", 0600);
	scratch_write("state.db-wal", "journal", 0600);
	scratch_write("state.db-shm", "index", 0600);
	scratch_write("walrelay.pid", "1", 0600);
	scratch_write("users.txt", "users", 0600);
	assert_true(set_aside(scratch_path(), SUFFIX, &err));
	assert_holds("wal" SUFFIX "/000000010000000000000001", "segment");
	assert_holds("state.db" SUFFIX, "state");
	/* SQLite finds the journals of the database under its new name. */
	assert_holds("state.db" SUFFIX "-wal", "journal");
	assert_holds("state.db" SUFFIX "-shm", "index");
	assert_holds("walrelay.pid", "1");
	assert_holds("users.txt", "users");
	assert_int_equal(stat("wal", &status), -1);
	assert_null(scratch_read("state.db"));
	assert_null(scratch_read("state.db-wal"));
}

static void test_set_aside__passes_over_what_is_not_there(void **state)
{
	struct error err;

	(void)state;
	assert_true(set_aside(scratch_path(), SUFFIX, &err));
	scratch_write("state.db", "state", 0600);
	assert_true(set_aside(scratch_path(), SUFFIX, &err));
	assert_holds("state.db" SUFFIX, "state");
}

static void test_set_aside__overwrites_nothing(void **state)
{
	struct error err;
	char expected[128];

	(void)state;
	scratch_write("state.db", "new", 0600);
	scratch_write("state.db" SUFFIX, "old", 0600);
	assert_int_equal(mkdir("wal", 0700), 0);
	assert_false(set_aside(scratch_path(), SUFFIX, &err));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	(void)snprintf(expected, sizeof(expected), "\"%s/state.db" SUFFIX "\" is already there",
		scratch_path());
	assert_string_equal(err.message, expected);
	assert_holds("state.db", "new");
	assert_holds("state.db" SUFFIX, "old");
	assert_null(scratch_read("wal" SUFFIX));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_aside__names_the_time),
		TEST(test_set_aside__keeps_everything),
		TEST(test_set_aside__passes_over_what_is_not_there),
		TEST(test_set_aside__overwrites_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
