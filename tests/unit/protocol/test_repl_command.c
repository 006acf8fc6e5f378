/*
 * repl_command: every spelling that PostgreSQL 13 to 18 and their clients use, what each version
 * refuses, and what is plain SQL. The expectations were compared with a walsender of PostgreSQL 15.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/repl_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define LETTERS_63  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define LETTERS_255 LETTERS_63 LETTERS_63 LETTERS_63 LETTERS_63 "123"

struct example {
	const char *text;
	const char *expected;
};

static const char *const kind_names[] = {
	[REPL_IDENTIFY_SYSTEM] = "identify",
	[REPL_SHOW] = "show",
	[REPL_TIMELINE_HISTORY] = "history",
	[REPL_CREATE_SLOT] = "create",
	[REPL_CREATE_LOGICAL_SLOT] = "create logical",
	[REPL_READ_SLOT] = "read",
	[REPL_DROP_SLOT] = "drop",
	[REPL_ALTER_SLOT] = "alter",
	[REPL_START_PHYSICAL] = "start",
	[REPL_START_LOGICAL] = "start logical",
	[REPL_BASE_BACKUP] = "backup",
	[REPL_UPLOAD_MANIFEST] = "manifest",
	[REPL_SQL] = "sql",
};

/* What a command says, its defaults left out. */
static void describe(const struct repl_command *command, char *out, size_t size)
{
	size_t length = (size_t)snprintf(out, size, "%s", kind_names[command->kind]);
#define ADD(condition, ...)                                                                        \
	if (condition) {                                                                           \
		length += (size_t)snprintf(out + length, size - length, " " __VA_ARGS__);          \
	}
	ADD(*command->slot, "slot=%s", command->slot);
	ADD(*command->show_name, "name=%s", command->show_name);
	ADD(command->start_lsn, "lsn=" LSN_FORMAT, LSN_ARGS(command->start_lsn));
	ADD(command->tli, "tli=%u", command->tli);
	ADD(command->temporary, "temporary");
	ADD(command->reserve_wal, "reserve");
	ADD(command->wait, "wait");
	for (size_t i = 0; i < command->option_count; i++) {
		const struct repl_option *option = &command->options[i];
		ADD(true, "[%s%s%s]", option->name, option->has_value ? "=" : "", option->value);
	}
#undef ADD
}

/* Parses a copy without a byte to spare, so that a sanitizer sees a read past its end. */
static void parse_and_describe(const char *text, size_t length, char *out, size_t size)
{
	char *copy = strndup(text, length);
	struct repl_command command;
	const char *message = NULL;
	if (repl_command_parse(copy, &command, &message) == REPL_PARSE_OK) {
		describe(&command, out, size);
	} else {
		snprintf(out, size, "%s", message);
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

static const struct example simple_commands[] = {
	{"IDENTIFY_SYSTEM", "identify"},
	{"IDENTIFY_SYSTEM;", "identify"},
	{"IDENTIFY_SYSTEM ; ", "identify"},
	{" \t\r\n\f IDENTIFY_SYSTEM\n", "identify"},
	{"SHOW data_directory_mode", "show name=data_directory_mode"},
	{"SHOW wal_segment_size;", "show name=wal_segment_size"},
	{"SHOW\nWork_Mem", "show name=work_mem"},
	{"SHOW \"Work_Mem\"", "show name=Work_Mem"},
	{"SHOW walrelay.link", "show name=walrelay.link"},
	{"SHOW a . b . c", "show name=a.b.c"},
	{"SHOW \"SHOW\"", "show name=SHOW"},
	{"SHOW identify_system", "show name=identify_system"},
	{"TIMELINE_HISTORY 2", "history tli=2"},
	{"TIMELINE_HISTORY 4294967295", "history tli=4294967295"},
	{"TIMELINE_HISTORY 007;", "history tli=7"},
	{"UPLOAD_MANIFEST", "manifest"},
};

static void test_repl_command__parses_simple_commands(void **state)
{
	(void)state;
	check(simple_commands, COUNT(simple_commands));
}

static const struct example slot_commands[] = {
	{"CREATE_REPLICATION_SLOT \"pg_walreceiver_77\" TEMPORARY PHYSICAL RESERVE_WAL",
		"create slot=pg_walreceiver_77 temporary reserve"},
	{"CREATE_REPLICATION_SLOT \"pg_basebackup_77\" TEMPORARY PHYSICAL ( RESERVE_WAL)",
		"create slot=pg_basebackup_77 temporary reserve"},
	{"CREATE_REPLICATION_SLOT \"rs\" PHYSICAL", "create slot=rs"},
	{"CREATE_REPLICATION_SLOT barman PHYSICAL;", "create slot=barman"},
	{"CREATE_REPLICATION_SLOT name  PHYSICAL  ", "create slot=name"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL  RESERVE_WAL", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL(RESERVE_WAL)", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL true)", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL ON)", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 1)", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 'TRUE')", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (reserve_wal \"on\")", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (\"reserve_wal\")", "create slot=s reserve"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL false)", "create slot=s"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 0)", "create slot=s"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 'off')", "create slot=s"},
	{"CREATE_REPLICATION_SLOT Mixed_Case PHYSICAL", "create slot=mixed_case"},
	{"CREATE_REPLICATION_SLOT \"Mixed \"\"Case\" PHYSICAL", "create slot=Mixed \"Case"},
	{"CREATE_REPLICATION_SLOT physical PHYSICAL", "create slot=physical"},
	{"CREATE_REPLICATION_SLOT " LETTERS_63 "lmno PHYSICAL", "create slot=" LETTERS_63},
	{"CREATE_REPLICATION_SLOT \"" LETTERS_63 "lmno\" PHYSICAL", "create slot=" LETTERS_63},
	{"CREATE_REPLICATION_SLOT s LOGICAL pgoutput", "create logical slot=s"},
	{"CREATE_REPLICATION_SLOT s TEMPORARY LOGICAL \"pgoutput\" USE_SNAPSHOT",
		"create logical slot=s temporary"},
	{"CREATE_REPLICATION_SLOT s LOGICAL p NOEXPORT_SNAPSHOT TWO_PHASE",
		"create logical slot=s"},
	{"CREATE_REPLICATION_SLOT s LOGICAL pgoutput (SNAPSHOT 'export', TWO_PHASE, FAILOVER)",
		"create logical slot=s"},
	{"READ_REPLICATION_SLOT rs", "read slot=rs"},
	{"READ_REPLICATION_SLOT \"rs\";", "read slot=rs"},
	{"READ_REPLICATION_SLOT a.b", "read slot=a.b"},
	{"DROP_REPLICATION_SLOT \"rs\"", "drop slot=rs"},
	{"DROP_REPLICATION_SLOT \"\"", "drop"},
	{"DROP_REPLICATION_SLOT rs WAIT;", "drop slot=rs wait"},
	{"ALTER_REPLICATION_SLOT s ( FAILOVER true, TWO_PHASE )", "alter slot=s"},
};

static void test_repl_command__parses_slot_commands(void **state)
{
	(void)state;
	check(slot_commands, COUNT(slot_commands));
}

static const struct example start_commands[] = {
	{"START_REPLICATION 0/1000000 TIMELINE 1", "start lsn=0/1000000 tli=1"},
	{"START_REPLICATION SLOT \"sl\" 0/1000000 TIMELINE 1", "start slot=sl lsn=0/1000000 tli=1"},
	{"START_REPLICATION SLOT name PHYSICAL 16/B374D848 TIMELINE 3",
		"start slot=name lsn=16/B374D848 tli=3"},
	{"START_REPLICATION PHYSICAL 0/0", "start"},
	{"START_REPLICATION abc/def;", "start lsn=ABC/DEF"},
	{"START_REPLICATION 0/01000000", "start lsn=0/1000000"},
	{"START_REPLICATION SLOT\"s\"0/1TIMELINE 2", "start slot=s lsn=0/1 tli=2"},
	{"START_REPLICATION 0/1 TIMELINE 1 (link '1', reach '2GB', plain)",
		"start lsn=0/1 tli=1 [link=1] [reach=2GB] [plain]"},
	{"START_REPLICATION SLOT s PHYSICAL 0/1 (Link 'it''s', WAIT 7, SLOT)",
		"start slot=s lsn=0/1 [link=it's] [wait=7] [slot]"},
	{"START_REPLICATION 0/1 (a '" LETTERS_255 "')", "start lsn=0/1 [a=" LETTERS_255 "]"},
	{"START_REPLICATION 0/1 (a,b,c,d,e,f,g,h)",
		"start lsn=0/1 [a] [b] [c] [d] [e] [f] [g] [h]"},
	{"START_REPLICATION SLOT s LOGICAL 0/1", "start logical slot=s lsn=0/1"},
	{"START_REPLICATION SLOT \"s\" LOGICAL 0/0 (proto_version '4', streaming 'parallel', "
	 "publication_names '\"p\"', a, b, c, d, e, f)",
		"start logical slot=s"},
};

static void test_repl_command__parses_start_replication(void **state)
{
	(void)state;
	check(start_commands, COUNT(start_commands));
}

static const struct example backup_commands[] = {
	{"BASE_BACKUP", "backup"},
	{"BASE_BACKUP  LABEL 'pg_basebackup base backup'  PROGRESS  FAST  NOWAIT WAL", "backup"},
	{"BASE_BACKUP LABEL 'x' MAX_RATE 1024 MANIFEST 'yes' TABLESPACE_MAP;", "backup"},
	{"BASE_BACKUP ( LABEL 'x',  PROGRESS,  CHECKPOINT 'fast',  WAIT 0,  MANIFEST 'yes',  "
	 "TARGET 'client')",
		"backup"},
	{"BASE_BACKUP ( INCREMENTAL, LABEL 'it''s; here')", "backup"},
};

static void test_repl_command__parses_base_backup(void **state)
{
	(void)state;
	check(backup_commands, COUNT(backup_commands));
}

static const struct example plain_sql[] = {
	{"", "sql"},
	{" \n", "sql"},
	{";", "sql"},
	{"SELECT 1", "sql"},
	{"identify_system", "sql"},
	{"Identify_System", "sql"},
	{"show wal_segment_size", "sql"},
	{"IDENTIFY_SYSTEMS", "sql"},
	{"SHOW1", "sql"},
	{"\"SHOW\" x", "sql"},
	{"'SHOW' x", "sql"},
	{"TIMELINE 1", "sql"},
	{"PHYSICAL", "sql"},
	{"0/0", "sql"},
	{"42", "sql"},
	{"(SHOW x)", "sql"},
	{"-- SHOW x", "sql"},
	{"BEGIN; SELECT '", "sql"},
	{"FUTURE_COMMAND 'x", "sql"},
};

static void test_repl_command__knows_plain_sql_by_its_first_word(void **state)
{
	(void)state;
	check(plain_sql, COUNT(plain_sql));
}

static const struct example syntax_errors[] = {
	{"IDENTIFY_SYSTEM x", "syntax error"},
	{"IDENTIFY_SYSTEM;;", "syntax error"},
	{"IDENTIFY_SYSTEM; SHOW x", "syntax error"},
	{"IDENTIFY_SYSTEM -- x", "syntax error"},
	{"SHOW", "syntax error"},
	{"SHOW a.", "syntax error"},
	{"SHOW .a", "syntax error"},
	{"SHOW a b", "syntax error"},
	{"SHOW 'a'", "syntax error"},
	{"SHOW 1", "syntax error"},
	{"SHOW TIMELINE", "syntax error"},
	{"TIMELINE_HISTORY", "syntax error"},
	{"TIMELINE_HISTORY -1", "syntax error"},
	{"TIMELINE_HISTORY 0", "invalid timeline 0"},
	{"TIMELINE_HISTORY 4294967296", "syntax error"},
	{"TIMELINE_HISTORY 99999999999999999999999", "syntax error"},
	{"TIMELINE_HISTORY 1 2", "syntax error"},
	{"TIMELINE_HISTORY 1/2", "syntax error"},
	{"CREATE_REPLICATION_SLOT s", "syntax error"},
	{"CREATE_REPLICATION_SLOT PHYSICAL", "syntax error"},
	{"CREATE_REPLICATION_SLOT 's' PHYSICAL", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL TEMPORARY", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL ()", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL,)", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL true false)", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL TIMELINE)", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL (RESERVE_WAL)", "syntax error"},
	{"CREATE_REPLICATION_SLOT s LOGICAL", "syntax error"},
	{"READ_REPLICATION_SLOT", "syntax error"},
	{"READ_REPLICATION_SLOT 'rs'", "syntax error"},
	{"DROP_REPLICATION_SLOT rs wait", "syntax error"},
	{"DROP_REPLICATION_SLOT a.b", "syntax error"},
	{"ALTER_REPLICATION_SLOT s", "syntax error"},
	{"START_REPLICATION", "syntax error"},
	{"START_REPLICATION 0", "syntax error"},
	{"START_REPLICATION 0/", "syntax error"},
	{"START_REPLICATION 0/ 0", "syntax error"},
	{"START_REPLICATION 0/0G", "syntax error"},
	{"START_REPLICATION SLOT 0/0", "syntax error"},
	{"START_REPLICATION LOGICAL 0/0", "syntax error"},
	{"START_REPLICATION 0/0 TIMELINE", "syntax error"},
	{"START_REPLICATION 0/0 TIMELINE 0", "invalid timeline 0"},
	{"START_REPLICATION TIMELINE 1 0/0", "syntax error"},
	{"START_REPLICATION PHYSICAL SLOT s 0/0", "syntax error"},
	{"START_REPLICATION 0/0 ()", "syntax error"},
	{"START_REPLICATION SLOT s LOGICAL 0/0 ()", "syntax error"},
	{"START_REPLICATION 123456789/0", "invalid streaming start location"},
	{"UPLOAD_MANIFEST x", "syntax error"},
	{"'x", "unterminated quoted string"},
	{"\"x", "unterminated quoted string"},
	{"SHOW \"x", "unterminated quoted string"},
	{"SHOW \"x\"\"", "unterminated quoted string"},
	{"BASE_BACKUP LABEL 'x", "unterminated quoted string"},
	{"BASE_BACKUP; SHOW x", "syntax error"},
};

static void test_repl_command__tells_syntax_errors_in_postgresqls_words(void **state)
{
	(void)state;
	check(syntax_errors, COUNT(syntax_errors));
}

static const struct example option_errors[] = {
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL maybe)",
		"reserve_wal requires a Boolean value"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL t)",
		"reserve_wal requires a Boolean value"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL 2)",
		"reserve_wal requires a Boolean value"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (RESERVE_WAL, RESERVE_WAL)",
		"conflicting or redundant options"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (SNAPSHOT 'use')", "conflicting or redundant options"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (TWO_PHASE)", "conflicting or redundant options"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (FAILOVER)", "conflicting or redundant options"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (foo)", "unrecognized option"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (\"RESERVE_WAL\")", "unrecognized option"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL (foo) x", "syntax error"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL USE_SNAPSHOT", "conflicting or redundant options"},
	{"CREATE_REPLICATION_SLOT s PHYSICAL RESERVE_WAL RESERVE_WAL",
		"conflicting or redundant options"},
	{"CREATE_REPLICATION_SLOT s LOGICAL p RESERVE_WAL", "conflicting or redundant options"},
	{"START_REPLICATION 0/1 (a,b,c,d,e,f,g,h,i)", "too many options"},
	{"START_REPLICATION 0/1 (a '" LETTERS_255 "4')", "option value is too long"},
	{"SHOW " LETTERS_63 "." LETTERS_63 ".x", "name is too long"},
};

static void test_repl_command__judges_options(void **state)
{
	(void)state;
	check(option_errors, COUNT(option_errors));
}

static void test_repl_command__leaves_the_command_alone_on_failure(void **state)
{
	struct repl_command command;
	const char *message;
	(void)state;
	memset(&command, 0x55, sizeof(command));
	struct repl_command before = command;
	assert_int_equal(repl_command_parse("DROP_REPLICATION_SLOT rs WAIT x", &command, &message),
		REPL_PARSE_SYNTAX_ERROR);
	assert_memory_equal(&command, &before, sizeof(command));
}

static void parse_prefixes(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t length = strlen(examples[i].text) + 1; length-- > 0;) {
			char described[1024];
			parse_and_describe(examples[i].text, length, described, sizeof(described));
		}
	}
}

static void test_repl_command__survives_every_prefix(void **state)
{
	(void)state;
	parse_prefixes(simple_commands, COUNT(simple_commands));
	parse_prefixes(slot_commands, COUNT(slot_commands));
	parse_prefixes(start_commands, COUNT(start_commands));
	parse_prefixes(backup_commands, COUNT(backup_commands));
	parse_prefixes(syntax_errors, COUNT(syntax_errors));
	parse_prefixes(option_errors, COUNT(option_errors));
}

static void test_repl_command__reads_back_what_it_quotes(void **state)
{
	static const char *const names[] = {"s", "it's", "a\"b", "\"\"", "''", ""};
	char quoted[32];
	char text[128];
	struct repl_command command;
	const char *message;
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(repl_quote_identifier(names[i], quoted, sizeof(quoted)));
		snprintf(text, sizeof(text), "READ_REPLICATION_SLOT %s", quoted);
		assert_int_equal(repl_command_parse(text, &command, &message), REPL_PARSE_OK);
		assert_string_equal(command.slot, names[i]);
		assert_true(repl_quote_literal(names[i], quoted, sizeof(quoted)));
		snprintf(text, sizeof(text), "START_REPLICATION 0/0 (x %s)", quoted);
		assert_int_equal(repl_command_parse(text, &command, &message), REPL_PARSE_OK);
		assert_string_equal(command.options[0].value, names[i]);
	}
}

static void test_repl_command__quotes_only_what_fits(void **state)
{
	char quoted[5];
	(void)state;
	assert_true(repl_quote_identifier("ab", quoted, sizeof(quoted)));
	assert_string_equal(quoted, "\"ab\"");
	assert_false(repl_quote_identifier("abc", quoted, sizeof(quoted)));
	assert_false(repl_quote_literal("a'", quoted, sizeof(quoted)));
	assert_string_equal(quoted, "\"ab\"");
}

static void test_repl_command__judges_slot_names(void **state)
{
	static const struct example names[] = {{"s", NULL}, {"slot_1", NULL}, {LETTERS_63, NULL},
		{"", "is too short"}, {LETTERS_63 "l", "is too long"},
		{"Bad-Name", "contains invalid character"}, {"a b", "contains invalid character"},
		{"\303\251", "contains invalid character"}};
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *reason = NULL;
		assert_int_equal(
			repl_slot_name_is_valid(names[i].text, &reason), names[i].expected == NULL);
		if (names[i].expected) {
			assert_string_equal(reason, names[i].expected);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repl_command__parses_simple_commands),
		cmocka_unit_test(test_repl_command__parses_slot_commands),
		cmocka_unit_test(test_repl_command__parses_start_replication),
		cmocka_unit_test(test_repl_command__parses_base_backup),
		cmocka_unit_test(test_repl_command__knows_plain_sql_by_its_first_word),
		cmocka_unit_test(test_repl_command__tells_syntax_errors_in_postgresqls_words),
		cmocka_unit_test(test_repl_command__judges_options),
		cmocka_unit_test(test_repl_command__leaves_the_command_alone_on_failure),
		cmocka_unit_test(test_repl_command__survives_every_prefix),
		cmocka_unit_test(test_repl_command__reads_back_what_it_quotes),
		cmocka_unit_test(test_repl_command__quotes_only_what_fits),
		cmocka_unit_test(test_repl_command__judges_slot_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
