/*
 * commands: which command runs, and what is said of what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/commands.h"
#include "cli_helpers.h"

#include <stdio.h>
#include <string.h>

static char ran[128];

static int run_check(int argc, char **argv)
{
	(void)snprintf(ran, sizeof(ran), "%d %s %s", argc, argv[0], argc > 1 ? argv[1] : "-");
	return CLI_NO;
}

static const struct cli_command commands[] = {
	{"serve", run_check, "serves"}, {"check", run_check, "checks"}, {NULL, NULL, NULL}};

/* The words after "walrelay"; the exit code. */
static int run(const char *first, const char *second, struct captured *captured_out)
{
	char words[3][32] = {"walrelay"};
	char *argv[] = {words[0], words[1], words[2], NULL};
	int argc = first == NULL ? 1 : second == NULL ? 2 : 3;
	int result;

	(void)snprintf(words[1], sizeof(words[1]), "%s", first == NULL ? "" : first);
	(void)snprintf(words[2], sizeof(words[2]), "%s", second == NULL ? "" : second);
	argv[argc] = NULL;
	ran[0] = '\0';
	capture_begin();
	result = cli_run(commands, argc, argv);
	capture_end(captured_out);
	return result;
}

static void test_commands__runs_the_one_named(void **state)
{
	struct captured captured;

	(void)state;
	assert_int_equal(run("check", "-x", &captured), CLI_NO);
	assert_string_equal(ran, "2 walrelay check -x");
	captured_release(&captured);
	assert_int_equal(run("check", "--help", &captured), CLI_NO);
	assert_string_equal(ran, "2 walrelay check --help");
	captured_release(&captured);
}

static void test_commands__lists_them(void **state)
{
	static const char *const words[] = {"--help", "-h", "help"};
	struct captured captured;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(run(words[i], NULL, &captured), CLI_DONE);
		assert_string_equal(ran, "");
		assert_non_null(strstr(captured.out, "\n  serve      serves\n"));
		assert_non_null(strstr(captured.out, "\n  check      checks\n"));
		assert_string_equal(captured.err, "");
		captured_release(&captured);
	}
}

static void test_commands__without_a_word_is_wrong_use(void **state)
{
	struct captured captured;

	(void)state;
	assert_int_equal(run(NULL, NULL, &captured), CLI_FAILED);
	assert_string_equal(captured.out, "");
	assert_non_null(strstr(captured.err, "usage: walrelay COMMAND"));
	captured_release(&captured);
}

static void test_commands__tells_its_version(void **state)
{
	struct captured captured;

	(void)state;
	assert_int_equal(run("--version", NULL, &captured), CLI_DONE);
	assert_string_equal(captured.out, "walrelay " WALRELAY_VERSION "\n");
	captured_release(&captured);
}

static void test_commands__names_the_nearest(void **state)
{
	struct captured captured;

	(void)state;
	assert_int_equal(run("chekc", NULL, &captured), CLI_FAILED);
	assert_string_equal(ran, "");
	assert_string_equal(captured.err,
		"walrelay: unknown command \"chekc\"; did you mean \"check\"? (\"walrelay --help\" "
		"lists them)\n");
	captured_release(&captured);
	assert_int_equal(run("--hepl", NULL, &captured), CLI_FAILED);
	assert_string_equal(captured.err,
		"walrelay: unknown option \"--hepl\"; did you mean \"--help\"? (\"walrelay "
		"--help\" lists them)\n");
	captured_release(&captured);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands__runs_the_one_named),
		cmocka_unit_test(test_commands__lists_them),
		cmocka_unit_test(test_commands__without_a_word_is_wrong_use),
		cmocka_unit_test(test_commands__tells_its_version),
		cmocka_unit_test(test_commands__names_the_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
