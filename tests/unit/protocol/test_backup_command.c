/* Tests of protocol/backup_command: what is asked for, what is left alone, and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/backup_command.h"

#include <string.h>

static void test_backup_command__asks_and_takes(void **state)
{
	(void)state;
	static const struct {
		const char *command, *asked, *taken; /* taken NULL: as it was */
	} cases[] = {
		{"BASE_BACKUP ( LABEL 'x',  PROGRESS)",
			"BASE_BACKUP ( LABEL 'x',  PROGRESS, link 'zstd')", NULL},
		{"BASE_BACKUP LABEL 'x' FAST", "BASE_BACKUP LABEL 'x' FAST LINK 'zstd'", NULL},
		{"BASE_BACKUP", "BASE_BACKUP LINK 'zstd'", NULL},
		{"BASE_BACKUP (WAL) ;", "BASE_BACKUP (WAL, link 'zstd')", "BASE_BACKUP (WAL)"},
		{"BASE_BACKUP (LABEL 'it''s (COMPRESSION')",
			"BASE_BACKUP (LABEL 'it''s (COMPRESSION', link 'zstd')", NULL},
		{"BASE_BACKUP (COMPRESSION 'none', WAL)",
			"BASE_BACKUP (COMPRESSION 'none', WAL, link 'zstd')", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128] = "";
		assert_true(backup_command_ask(cases[i].command, text));
		assert_string_equal(text, cases[i].asked);
		assert_true(strlen(text) <= strlen(cases[i].command) + BACKUP_COMMAND_GROWTH);
		assert_true(backup_command_take(text));
		assert_string_equal(
			text, cases[i].taken != NULL ? cases[i].taken : cases[i].command);
		assert_false(backup_command_take(text));
	}
}

static void test_backup_command__leaves_the_rest_alone(void **state)
{
	(void)state;
	static const char *const commands[] = {
		"BASE_BACKUP (COMPRESSION 'gzip', LABEL 'x')",
		"BASE_BACKUP (LABEL 'x', COMPRESSION)",
		"BASE_BACKUP (LABEL 'x', \"compression\" zstd)",
		"BASE_BACKUP (LABEL 'x",
		"UPLOAD_MANIFEST",
		"",
	};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		char text[128] = "untouched";
		assert_false(backup_command_ask(commands[i], text));
		assert_string_equal(text, "untouched");
		strcpy(text, commands[i]);
		assert_false(backup_command_take(text));
		assert_string_equal(text, commands[i]);
	}
}

static void test_backup_command__knows_where_a_backup_goes(void **state)
{
	(void)state;
	static const struct {
		const char *command;
		bool is_for_client;
	} cases[] = {
		{"BASE_BACKUP", true},
		{"BASE_BACKUP LABEL 'target' FAST", true},
		{"BASE_BACKUP (LABEL 'x', TARGET 'client', WAL)", true},
		{"BASE_BACKUP (LABEL 'TARGET ''server''')", true},
		{"BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/etc')", false},
		{"BASE_BACKUP (TARGET 'blackhole')", false},
		{"BASE_BACKUP (target'server')", false},
		{"BASE_BACKUP (\"target\" 'server')", false},
		{"BASE_BACKUP (\"TARGET\" 'server')", false},
		{"BASE_BACKUP (TARGET 'client', TARGET 'server')", false},
		{"BASE_BACKUP (TARGET 'Client')", false},
		{"BASE_BACKUP (TARGET 'client''')", false},
		{"BASE_BACKUP (TARGET client)", false},
		{"BASE_BACKUP (TARGET)", false},
		{"BASE_BACKUP (LABEL 'x", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (backup_command_is_for_client(cases[i].command) != cases[i].is_for_client) {
			fail_msg("%s", cases[i].command);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backup_command__asks_and_takes),
		cmocka_unit_test(test_backup_command__leaves_the_rest_alone),
		cmocka_unit_test(test_backup_command__knows_where_a_backup_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
