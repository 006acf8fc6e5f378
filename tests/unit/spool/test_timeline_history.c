/*
 * timeline_history: the files PostgreSQL writes, the ones it refuses, and questions about descent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/timeline_history.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define THREE                                                                                      \
	"1\t0/1508180\tno recovery target specified\n"                                             \
	"2\t0/3000060\tbefore 2026-01-01 00:00:00+00\n"

/* "tli begin-end, ..." */
static void describe(const struct timeline_history *history, char *out, size_t size)
{
	size_t length = 0;
	for (size_t i = 0; i < history->count; i++) {
		const struct timeline_entry *entry = &history->entries[i];
		length += (size_t)snprintf(out + length, size - length,
			"%s%u " LSN_FORMAT "-" LSN_FORMAT, i ? ", " : "", entry->tli,
			LSN_ARGS(entry->begin), LSN_ARGS(entry->end));
	}
}

static struct timeline_history parsed(tli_t tli, const char *text)
{
	struct timeline_history history;
	struct error err;
	assert_true(timeline_history_parse(&history, tli, text, text ? strlen(text) : 0, &err));
	return history;
}

static void test_timeline_history__parses_files(void **state)
{
	static const struct {
		tli_t tli;
		const char *text;
		const char *expected;
	} rows[] = {
		{1, NULL, "1 0/0-0/0"},
		{5, "", "5 0/0-0/0"},
		{2, "1\t0/1508180\tno recovery target specified\n",
			"1 0/0-0/1508180, 2 0/1508180-0/0"},
		{3, THREE, "1 0/0-0/1508180, 2 0/1508180-0/3000060, 3 0/3000060-0/0"},
		{9, "# one\n\n \t\n  # two\n1\t0/1\n", "1 0/0-0/1, 9 0/1-0/0"},
		{2, "1\t0/1508180", "1 0/0-0/1508180, 2 0/1508180-0/0"},
		{2, "1\t0/1508180\r\n", "1 0/0-0/1508180, 2 0/1508180-0/0"},
		{2, "  1   16/b374d848   x", "1 0/0-16/B374D848, 2 16/B374D848-0/0"},
		{2, "1\t00000016/0000D848\tpadded as by 19\n", "1 0/0-16/D848, 2 16/D848-0/0"},
		{3, "1\t0/2000000\n2\t0/1000000\tstopped before an inherited fork\n",
			"1 0/0-0/2000000, 2 0/2000000-0/1000000, 3 0/1000000-0/0"},
		{UINT32_MAX, "4294967294\t0/1\n", "4294967294 0/0-0/1, 4294967295 0/1-0/0"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct timeline_history history = parsed(rows[i].tli, rows[i].text);
		char described[256];
		describe(&history, described, sizeof(described));
		assert_string_equal(described, rows[i].expected);
		timeline_history_release(&history);
	}
}

static void test_timeline_history__refuses_in_postgresqls_words(void **state)
{
	static const char no_tli[] = "Expected a numeric timeline ID.";
	static const char no_lsn[] = "Expected a write-ahead log switchpoint location.";
	static const char not_growing[] = "Timeline IDs must be in increasing sequence.";
	static const char not_less[] = "Timeline IDs must be less than child timeline's ID.";
	static const struct {
		const char *text;
		const char *message;
		const char *hint;
	} rows[] = {
		{"x\n", "syntax error in history file: x", no_tli},
		{"1\t0/1\nx y\n", "syntax error in history file: x y", no_tli},
		{"-1\t0/1\n", "syntax error in history file: -1\t0/1", no_tli},
		{"0\t0/1\n", "syntax error in history file: 0\t0/1", no_tli},
		{"4294967296\t0/1", "syntax error in history file: 4294967296\t0/1", no_tli},
		{"1\n", "syntax error in history file: 1", no_lsn},
		{"1\t\n", "syntax error in history file: 1\t", no_lsn},
		{"1\t0\n", "syntax error in history file: 1\t0", no_lsn},
		{"1\t0/0\n", "syntax error in history file: 1\t0/0", no_lsn},
		{"1\t0/123456789\n", "syntax error in history file: 1\t0/123456789", no_lsn},
		{"1\tno reason\n", "syntax error in history file: 1\tno reason", no_lsn},
		{"2\t0/1\n2\t0/2\n", "invalid data in history file \"00000005.history\"",
			not_growing},
		{"2\t0/1\n1\t0/2\n", "invalid data in history file \"00000005.history\"",
			not_growing},
		{"5\t0/1\n", "invalid data in history file \"00000005.history\"", not_less},
		{"6\t0/1\n", "invalid data in history file \"00000005.history\"", not_less},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct timeline_history history = {.count = 77};
		struct error err = {0};
		assert_false(timeline_history_parse(
			&history, 5, rows[i].text, strlen(rows[i].text), &err));
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_string_equal(err.message, rows[i].message);
		assert_string_equal(err.hint, rows[i].hint);
		assert_int_equal(history.count, 77);
	}
}

static void test_timeline_history__bounds_the_file(void **state)
{
	(void)state;
	struct timeline_history history;
	struct error err = {0};
	assert_false(timeline_history_parse(
		&history, 2, "", (size_t)TIMELINE_HISTORY_BYTES_MAX + 1, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
}

static void test_timeline_history__every_prefix_parses_or_is_refused(void **state)
{
	(void)state;
	for (size_t length = 0; length <= strlen(THREE); length++) {
		struct timeline_history history;
		struct error err = {0};
		if (timeline_history_parse(&history, 3, THREE, length, &err)) {
			assert_in_range(history.count, 1, 3);
			timeline_history_release(&history);
		} else {
			assert_int_equal(err.kind, ERROR_INVALID);
		}
	}
}

static void test_timeline_history__finds_what_follows(void **state)
{
	(void)state;
	struct timeline_history history = parsed(3, THREE);
	assert_int_equal(timeline_history_current(&history), 3);
	assert_int_equal(timeline_history_find(&history, 2)->end, 0x3000060);
	assert_null(timeline_history_find(&history, 4));
	assert_int_equal(timeline_history_next(&history, 1)->tli, 2);
	assert_int_equal(timeline_history_next(&history, 2)->tli, 3);
	assert_null(timeline_history_next(&history, 3));
	assert_null(timeline_history_next(&history, 4));
	timeline_history_release(&history);
	assert_int_equal(history.count, 0);
}

static void test_timeline_history__copies(void **state)
{
	(void)state;
	struct timeline_history history = parsed(3, THREE);
	struct timeline_history copy;
	assert_true(timeline_history_copy(&copy, &history));
	timeline_history_release(&history);
	assert_int_equal(timeline_history_current(&copy), 3);
	timeline_history_release(&copy);
}

static void test_timeline_history__knows_its_descendants(void **state)
{
	static const struct {
		tli_t ours;
		const char *our_text;
		tli_t theirs;
		const char *their_text;
		bool expected;
	} rows[] = {
		{1, "", 1, "", true},
		{1, "", 3, THREE, true},
		{2, "1\t0/1508180\n", 3, THREE, true},
		{3, THREE, 3, THREE, true},
		{3, THREE, 2, "1\t0/1508180\n", false},
		{2, "1\t0/1508188\n", 3, THREE, false},
		{2, "1\t0/1508180\n", 3, "1\t0/1508180\n", false},
		{4, "1\t0/1508180\n", 3, THREE, false},
		{2, "", 1, "", false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct timeline_history ours = parsed(rows[i].ours, rows[i].our_text);
		struct timeline_history theirs = parsed(rows[i].theirs, rows[i].their_text);
		if (timeline_history_is_ancestor(&ours, &theirs) != rows[i].expected) {
			fail_msg("row %zu", i);
		}
		timeline_history_release(&ours);
		timeline_history_release(&theirs);
	}
}

static void test_timeline_history__has_those_of_its_ancestors_in_it(void **state)
{
	static const struct {
		tli_t tli;
		const char *expected;
	} cases[] = {
		{3, "1 0/0-0/1508180, 2 0/1508180-0/3000060, 3 0/3000060-0/0"},
		{2, "1 0/0-0/1508180, 2 0/1508180-0/0"},
		{1, "1 0/0-0/0"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct timeline_history history = parsed(3, THREE);
		char text[256];
		timeline_history_cut(&history, cases[i].tli);
		describe(&history, text, sizeof(text));
		assert_string_equal(text, cases[i].expected);
		timeline_history_release(&history);
	}
}

static void test_timeline_history__names_files(void **state)
{
	static const char *const refused[] = {"", "00000001", "00000001.history.partial",
		"0000000a.history", "00000000.history", "0000001.history", "000000001.history",
		"000000010000000000000001", "00000001.History", " 0000001.history"};
	char name[TIMELINE_FILE_NAME_SIZE];
	tli_t tli;
	(void)state;
	assert_string_equal(timeline_history_file_name(26, name), "0000001A.history");
	assert_true(timeline_history_file_name_parse(name, &tli));
	assert_int_equal(tli, 26);
	assert_true(timeline_history_file_name_parse(
		timeline_history_file_name(UINT32_MAX, name), &tli));
	assert_int_equal(tli, UINT32_MAX);
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (timeline_history_file_name_parse(refused[i], &tli)) {
			fail_msg("\"%s\"", refused[i]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeline_history__parses_files),
		cmocka_unit_test(test_timeline_history__refuses_in_postgresqls_words),
		cmocka_unit_test(test_timeline_history__bounds_the_file),
		cmocka_unit_test(test_timeline_history__every_prefix_parses_or_is_refused),
		cmocka_unit_test(test_timeline_history__finds_what_follows),
		cmocka_unit_test(test_timeline_history__copies),
		cmocka_unit_test(test_timeline_history__knows_its_descendants),
		cmocka_unit_test(test_timeline_history__has_those_of_its_ancestors_in_it),
		cmocka_unit_test(test_timeline_history__names_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
