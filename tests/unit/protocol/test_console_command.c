/*
 * console_command: every statement of the console in the spellings people use, the SQL that psql
 * and drivers send by themselves, and what is told of mistakes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/console_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct example {
	const char *text;
	const char *expected;
};

static const char *const kind_names[CONSOLE_KINDS] = {
	[CONSOLE_SHOW_UPSTREAM] = "upstream",
	[CONSOLE_SHOW_STANDBYS] = "standbys",
	[CONSOLE_SHOW_DESTINATIONS] = "destinations",
	[CONSOLE_SHOW_USAGE] = "usage",
	[CONSOLE_SHOW_USAGE_BY_MONTH] = "months",
	[CONSOLE_SHOW_SLOTS] = "slots",
	[CONSOLE_SHOW_PINS] = "pins",
	[CONSOLE_SHOW_SPOOL] = "spool",
	[CONSOLE_SHOW_PROMOTION] = "promotion",
	[CONSOLE_SHOW_CONFIG] = "config",
	[CONSOLE_SHOW_VERSION] = "version",
	[CONSOLE_SHOW_HELP] = "help",
	[CONSOLE_SHOW_SETTING] = "setting",
	[CONSOLE_RELOAD] = "reload",
	[CONSOLE_PAUSE] = "pause",
	[CONSOLE_RESUME] = "resume",
	[CONSOLE_SET_CAP] = "cap",
	[CONSOLE_PIN] = "pin",
	[CONSOLE_UNPIN] = "unpin",
	[CONSOLE_DROP_SLOT] = "drop",
	[CONSOLE_KILL] = "kill",
	[CONSOLE_SKIP] = "skip",
	[CONSOLE_BEGIN] = "begin",
	[CONSOLE_COMMIT] = "commit",
	[CONSOLE_ROLLBACK] = "rollback",
	[CONSOLE_SET] = "set",
	[CONSOLE_RESET] = "reset",
	[CONSOLE_DISCARD] = "discard",
	[CONSOLE_DEALLOCATE] = "deallocate",
	[CONSOLE_UNLISTEN] = "unlisten",
	[CONSOLE_CLOSE] = "close",
	[CONSOLE_SELECT_NUMBER] = "number",
	[CONSOLE_SELECT_VERSION] = "select version",
	[CONSOLE_SQL] = "sql",
};

static size_t append(char *out, size_t size, size_t length, const char *what, const char *value)
{
	return length + (size_t)snprintf(out + length, size - length, "%s%s", what, value);
}

static size_t describe(const struct console_command *command, char *out, size_t size, size_t length)
{
	char lsn[LSN_TEXT_SIZE];
	length = append(out, size, length, length > 0 ? "; " : "", kind_names[command->kind]);
	if (command->name[0] != '\0') {
		length = append(out, size, length, " ", command->name);
	}
	if (command->lsn != LSN_INVALID) {
		length = append(out, size, length, " @", lsn_format(command->lsn, lsn));
	}
	if (command->value[0] != '\0') {
		length = append(out, size, length, " =", command->value);
	}
	return length;
}

/* Of a copy without a byte to spare, so that a sanitizer sees a read past its end. */
static void parse_and_describe(const char *text, size_t length, char *out, size_t size)
{
	char *copy = strndup(text, length);
	struct console_command command;
	struct console_syntax_error err;
	enum console_parse result;
	size_t at = 0, used = 0;
	out[0] = '\0';
	while ((result = console_command_next(copy, &at, &command, &err)) == CONSOLE_PARSE_OK) {
		assert_in_range(command.text - copy, 0, length);
		assert_in_range(command.text - copy + command.length, 1, length);
		used = describe(&command, out, size, used);
	}
	if (result == CONSOLE_PARSE_ERROR) {
		assert_in_range(err.position, 1, length + 1);
		used = append(out, size, used, used > 0 ? "; " : "", err.message);
		snprintf(out + used, size - used, " (%zu)", err.position);
	} else {
		assert_int_equal(at, length);
	}
	free(copy);
}

static void check(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char described[1024];
		parse_and_describe(
			examples[i].text, strlen(examples[i].text), described, sizeof(described));
		if (strcmp(described, examples[i].expected) != 0) {
			fail_msg("%s\n  gives     %s\n  and not   %s", examples[i].text, described,
				examples[i].expected);
		}
	}
}

static const struct example commands[] = {
	{"SHOW UPSTREAM", "upstream"},
	{"show standbys;", "standbys"},
	{"Show Destinations ;", "destinations"},
	{"SHOW USAGE", "usage"},
	{"SHOW USAGE BY MONTH", "months"},
	{"SHOW\n\tSLOTS", "slots"},
	{"SHOW PINS", "pins"},
	{"SHOW SPOOL", "spool"},
	{"SHOW PROMOTION", "promotion"},
	{"SHOW CONFIG", "config"},
	{"SHOW VERSION", "version"},
	{"SHOW HELP", "help"},
	{"SHOW server_version", "setting server_version"},
	{"SHOW Server_Version_Num", "setting server_version_num"},
	{"SHOW \"TimeZone\"", "setting timezone"},
	{"SHOW TIME ZONE", "setting timezone"},
	{"SHOW TRANSACTION ISOLATION LEVEL", "setting transaction_isolation"},
	{"RELOAD", "reload"},
	{"PAUSE us-west-2", "pause us-west-2"},
	{"PAUSE East", "pause East"},
	{"pause \"two words\"", "pause two words"},
	{"PAUSE \"a\"\"b\"", "pause a\"b"},
	{"PAUSE 'us-west-2'", "pause us-west-2"},
	{"RESUME west", "resume west"},
	{"SET CAP west = 50Mbit/s", "cap west =50Mbit/s"},
	{"SET CAP west=50Mbit/s", "cap west =50Mbit/s"},
	{"set cap us-west-2 = '50 Mbit/s';", "cap us-west-2 =50 Mbit/s"},
	{"SET CAP west = 50 Mbit/s ;", "cap west =50 Mbit/s"},
	{"SET CAP west TO DEFAULT", "cap west =DEFAULT"},
	{"PIN seed AT 0/3000028 FOR 7d", "pin seed @0/3000028 =7d"},
	{"PIN seed AT '16/B374D848' FOR '7 d'", "pin seed @16/B374D848 =7 d"},
	{"pin seed at 0/1", "pin seed @0/1"},
	{"PIN seed FOR 1 h", "pin seed =1 h"},
	{"PIN seed", "pin seed"},
	{"PIN for FOR 1h", "pin for =1h"},
	{"UNPIN seed", "unpin seed"},
	{"DROP SLOT standby_1", "drop standby_1"},
	{"KILL walreceiver", "kill walreceiver"},
	{"KILL 4711", "kill 4711"},
	{"KILL \"s1#4711\"", "kill s1#4711"},
	{"KILL s1#4711", "kill s1#4711"},
	{"SKIP TO 1/2A000000", "skip @1/2A000000"},
};

static void test_console_command__knows_every_command(void **state)
{
	(void)state;
	check(commands, COUNT(commands));
}

static const struct example scripts[] = {
	{"", ""},
	{" ; ;; ", ""},
	{"-- nothing", ""},
	{"SHOW SLOTS; SHOW PINS", "slots; pins"},
	{";SHOW SLOTS;;RELOAD;", "slots; reload"},
	{"SHOW -- what\n SLOTS -- is there\n; /* and */ SHOW/**/PINS", "slots; pins"},
	{"/* a /* nested */ one */ SHOW SLOTS", "slots"},
	{"PAUSE a--b\n", "pause a"},
	{"PAUSE \"a;b\"; RESUME \"a--b\"", "pause a;b; resume a--b"},
	{"SELECT ';'; DO $x$ ; $$ ; $x$; SHOW SLOTS", "sql; sql; slots"},
	{"SELECT e'\\';'; SHOW PINS", "sql; pins"},
	{"SHOW SLOTS; SHWO PINS; RELOAD", "slots; syntax error at or near \"SHWO\" (13)"},
};

static void test_console_command__divides_a_text_into_statements(void **state)
{
	(void)state;
	check(scripts, COUNT(scripts));
}

/* As psycopg, asyncpg, pgx, JDBC and psql send them. */
static const struct example driver_sql[] = {
	{"BEGIN", "begin"},
	{"BEGIN TRANSACTION READ ONLY", "begin"},
	{"START TRANSACTION", "begin"},
	{"COMMIT", "commit"},
	{"END", "commit"},
	{"ROLLBACK", "rollback"},
	{"ABORT", "rollback"},
	{"ROLLBACK TO SAVEPOINT x", "sql"},
	{"SET extra_float_digits = 3", "set"},
	{"SET client_encoding TO 'UTF8'", "set"},
	{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "set"},
	{"RESET ALL", "reset"},
	{"DISCARD ALL", "discard ALL"},
	{"DEALLOCATE ALL", "deallocate"},
	{"DEALLOCATE _pg3_0", "deallocate _pg3_0"},
	{"DEALLOCATE PREPARE \"x y\"", "deallocate x y"},
	{"CLOSE ALL", "close"},
	{"UNLISTEN *", "unlisten"},
	{"SELECT 1", "number =1"},
	{"select 007;", "number =007"},
	{"SELECT 2147483648", "sql"},
	{"SELECT 1 + 1", "sql"},
	{"SELECT version()", "select version"},
	{"SELECT pg_catalog.set_config('search_path', '', false)", "sql"},
	{"SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relname ~ '^(x)$'", "sql"},
	{"(SELECT 1)", "sql"},
	{"DROP TABLE x", "sql"},
	{"IDENTIFY_SYSTEM", "sql"},
	{"CLOSE c1", "sql"},
};

static void test_console_command__knows_the_sql_of_drivers(void **state)
{
	(void)state;
	check(driver_sql, COUNT(driver_sql));
}

static const struct example mistakes[] = {
	{"SHOW", "syntax error at end of input (5)"},
	{"SHOW;", "syntax error at end of input (5)"},
	{"SHOW SLOTS now", "syntax error at or near \"now\" (12)"},
	{"SHOW USAGE BY", "syntax error at end of input (14)"},
	{"SHOW USAGE BY year", "syntax error at or near \"year\" (15)"},
	{"HELP", "syntax error at or near \"HELP\" (1)"},
	{"RELOAD x", "syntax error at or near \"x\" (8)"},
	{"PAUSE", "syntax error at end of input (6)"},
	{"PAUSE a b", "syntax error at or near \"b\" (9)"},
	{"PAUSE \"\"", "syntax error at or near \"\"\"\" (7)"},
	{"PAUSE =", "syntax error at or near \"=\" (7)"},
	{"SET CAP", "syntax error at end of input (8)"},
	{"SET CAP west", "syntax error at end of input (13)"},
	{"SET CAP west 5MB/s", "syntax error at or near \"5MB/s\" (14)"},
	{"SET CAP west =", "syntax error at end of input (15)"},
	{"SET CAP west = (5)", "syntax error at or near \"(\" (16)"},
	{"PIN seed AT FOR 7d", "syntax error at or near \"FOR\" (13)"},
	{"PIN seed AT 0/0", "syntax error at or near \"0/0\" (13)"},
	{"PIN seed AT 0/1 FOR", "syntax error at end of input (20)"},
	{"SKIP 0/1", "syntax error at or near \"0/1\" (6)"},
	{"SKIP TO x", "syntax error at or near \"x\" (9)"},
	{"DROP SLOT", "syntax error at end of input (10)"},
	{"KILL", "syntax error at end of input (5)"},
	{"\303\244\303\266 x", "syntax error at or near \"\303\244\303\266\" (1)"},
	{"PAUSE \303\244 x", "syntax error at or near \"x\" (9)"},
	{"PAUSE 'x", "unterminated quoted string at or near \"'x\" (7)"},
	{"PAUSE \"x", "unterminated quoted identifier at or near \"\"x\" (7)"},
	{"SHOW SLOTS /* x", "unterminated /* comment at or near \"/* x\" (12)"},
	{"SELECT $a$ x", "unterminated dollar-quoted string at or near \"$a$ x\" (8)"},
	{"SELECT e'\\", "unterminated quoted string at or near \"e'\\\" (8)"},
};

static void test_console_command__tells_mistakes_in_postgresqls_words(void **state)
{
	(void)state;
	check(mistakes, COUNT(mistakes));
}

static void test_console_command__bounds_what_it_copies(void **state)
{
	char text[512], described[1024], name[CONSOLE_NAME_SIZE + 1];
	(void)state;
	memset(name, 'n', sizeof(name));
	name[CONSOLE_NAME_SIZE - 1] = '\0';
	snprintf(text, sizeof(text), "PAUSE %s", name);
	parse_and_describe(text, strlen(text), described, sizeof(described));
	assert_string_equal(described + strlen("pause "), name);
	snprintf(text, sizeof(text), "PAUSE %sn", name);
	parse_and_describe(text, strlen(text), described, sizeof(described));
	assert_non_null(strstr(described, "syntax error at or near \"nnn"));
}

/* Whatever is cut off: an answer, and no byte behind the end is read. */
static void survive(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t length = 0; length <= strlen(examples[i].text); length++) {
			char described[1024];
			parse_and_describe(examples[i].text, length, described, sizeof(described));
		}
	}
}

static void test_console_command__survives_every_prefix(void **state)
{
	(void)state;
	survive(commands, COUNT(commands));
	survive(scripts, COUNT(scripts));
	survive(driver_sql, COUNT(driver_sql));
	survive(mistakes, COUNT(mistakes));
}

static void test_console_command__lists_forms_that_parse(void **state)
{
	const char *purpose, *form;
	size_t count = 0;
	(void)state;
	while ((form = console_command_form(count, &purpose)) != NULL) {
		struct console_command command;
		struct console_syntax_error err;
		char text[128];
		size_t at = 0;
		assert_true(strlen(purpose) > 0);
		snprintf(text, sizeof(text), "%s", form);
		char *lsn = strstr(text, "lsn");
		if (lsn != NULL) {
			memcpy(lsn, "1/2", 3);
		}
		assert_int_equal(console_command_next(text, &at, &command, &err), CONSOLE_PARSE_OK);
		assert_int_not_equal(command.kind, CONSOLE_SHOW_SETTING);
		assert_int_equal(console_command_is_change(command.kind),
			strncmp(form, "SHOW", 4) != 0);
		count++;
	}
	assert_true(count > 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_console_command__knows_every_command),
		cmocka_unit_test(test_console_command__divides_a_text_into_statements),
		cmocka_unit_test(test_console_command__knows_the_sql_of_drivers),
		cmocka_unit_test(test_console_command__tells_mistakes_in_postgresqls_words),
		cmocka_unit_test(test_console_command__bounds_what_it_copies),
		cmocka_unit_test(test_console_command__survives_every_prefix),
		cmocka_unit_test(test_console_command__lists_forms_that_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
