/*
 * check_files: directories and files as an operator may have left them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/check_rules.h"
#include "cli_helpers.h"

#include <stdlib.h>
#include <sys/stat.h>

#define UPSTREAM "[upstream]\nconninfo = host=x\n"

typedef void file_check(const struct config *config, struct config_report *report);

static void check_says(file_check *check, const char *text, const char *problems)
{
	struct config *config = scratch_config(text);
	struct config_report report = {0};
	char *found;

	check(config, &report);
	found = report_text(&report);
	assert_string_equal(found, problems);
	free(found);
	config_free(&config);
}

static void test_check_files__data_directory(void **state)
{
	static const char text[] = UPSTREAM "[relay]\nname = a\ndata_dir = data\n";

	(void)state;
	/* Can be made. */
	check_says(check_data_directory, text, "");
	assert_int_equal(mkdir("data", 0700), 0);
	check_says(check_data_directory, text, "");
	assert_int_equal(chmod("data", 0750), 0);
	check_says(check_data_directory, text,
		"w.ini:5: data directory \"./data\" has mode 0750: it holds the database's "
		"contents and must be closed to others (chmod 0700)\n");
	scratch_write("data/file", "", 0600);
	check_says(check_data_directory, UPSTREAM "[relay]\nname = a\ndata_dir = data/file\n",
		"w.ini:5: \"./data/file\" is not a directory\n");
	check_says(check_data_directory, UPSTREAM "[relay]\nname = a\ndata_dir = no/such\n",
		"w.ini:5: directory \"./no/such\" does not exist and cannot be made in \"./no\": "
		"No such file or directory\n");
	check_says(check_data_directory, UPSTREAM "[relay]\nname = a\ndata_dir = data/file/x\n",
		"w.ini:5: could not look at data directory \"./data/file/x\": Not a directory\n");
}

#define RELAY "[relay]\nname = a\ndata_dir = data\n"

static void test_check_files__what_else_is_named(void **state)
{
	(void)state;
	check_says(check_other_files, UPSTREAM RELAY, "");
	check_says(check_other_files,
		UPSTREAM RELAY "log_file = logs/w.log\n[egress]\nip_ranges = r\n",
		"w.ini:8: could not read \"./r\" (\"ip_ranges\"): No such file or directory\n"
		"w.ini:6: directory \"./logs/w.log\" does not exist and cannot be made in "
		"\"./logs\": No such file or directory\n");
	assert_int_equal(mkdir("r", 0700), 0);
	check_says(check_other_files,
		UPSTREAM RELAY "log_file = w.log\n[egress]\nip_ranges = r\n",
		"w.ini:8: \"./r\" (\"ip_ranges\") is not a file\n");
	check_says(check_other_files, UPSTREAM RELAY "[egress]\nip_ranges = https://x.example/r\n",
		"");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_check_files__data_directory),
		TEST(test_check_files__what_else_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
