/* Tests of observe/console_psql: the queries psql of 13 to 18 makes up, and what only looks alike. */
#include "support/cmocka_all.h"

#include <string.h>

#include "observe/console_psql.h"

static bool ask(const char *text, struct console_result *result)
{
	return console_psql_answer(text, strlen(text), result);
}

static void test_console_psql__describes_a_result(void **state)
{
	struct console_result result;
	(void)state;
	assert_true(ask("SELECT name AS \"Spalte\", pg_catalog.format_type(tp, tpm) AS \"Typ\"\n"
			"FROM (VALUES ('lsn','3220'::pg_catalog.oid,-1),"
			"('it''s','25'::pg_catalog.oid,-1),('x','600'::pg_catalog.oid,-1)) "
			"s(name, tp, tpm)",
		&result));
	assert_string_equal(result.columns[0].name, "Spalte");
	assert_string_equal(result.columns[1].name, "Typ");
	assert_int_equal(console_result_row_count(&result), 3);
	assert_string_equal(console_result_row(&result, 0)[0].text, "lsn");
	assert_string_equal(console_result_row(&result, 0)[1].text, "pg_lsn");
	assert_string_equal(console_result_row(&result, 1)[0].text, "it's");
	assert_string_equal(console_result_row(&result, 1)[1].text, "text");
	assert_string_equal(console_result_row(&result, 2)[1].text, "unknown");
	console_result_release(&result);
}

static void check_completion(const char *text, const char *const *expected, size_t count)
{
	struct console_result result;
	assert_true(ask(text, &result));
	assert_int_equal(result.column_count, 1);
	assert_int_equal(console_result_row_count(&result), count);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(console_result_row(&result, i)[0].text, expected[i]);
	}
	console_result_release(&result);
}

static void test_console_psql__completes_show(void **state)
{
	static const char *const with_s[] = {"standbys", "slots", "spool"};
	static const char *const destinations[] = {"destinations"};
	(void)state;
	check_completion("SELECT name FROM (SELECT pg_catalog.lower(name) AS name FROM "
			 "pg_catalog.pg_settings UNION ALL SELECT 'session authorization' "
			 "UNION ALL SELECT 'all') ss WHERE substring(name,1,1)='s'\nLIMIT 1000",
		with_s, 3);
	check_completion(
		"SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings WHERE "
		"pg_catalog.lower(name) LIKE pg_catalog.lower('DEST%')\nLIMIT 1000",
		destinations, 1);
	check_completion("SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings WHERE "
			 "pg_catalog.lower(name) LIKE pg_catalog.lower('x%')",
		NULL, 0);
}

static void test_console_psql__answers_nothing_else(void **state)
{
	struct console_result result;
	(void)state;
	assert_false(ask("SELECT 1", &result));
	assert_false(ask("SELECT name FROM pg_catalog.pg_settings", &result));
	assert_false(ask("SELECT pg_catalog.format_type(tp, tpm)", &result));
	assert_false(ask("", &result));
}

/* A text that ends anywhere. */
static void test_console_psql__survives_every_prefix(void **state)
{
	static const char text[] = "SELECT name AS \"a\", pg_catalog.format_type(tp, tpm) AS \"b\" "
				   "FROM (VALUES ('x','25'::pg_catalog.oid,-1)) s(name, tp, tpm)";
	(void)state;
	for (size_t length = 0; length < strlen(text); length++) {
		struct console_result result = {0};
		if (console_psql_answer(text, length, &result)) {
			assert_true(console_result_row_count(&result) <= 1);
			assert_int_equal(result.value_count % 2, 0);
		}
		console_result_release(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_console_psql__describes_a_result),
		cmocka_unit_test(test_console_psql__completes_show),
		cmocka_unit_test(test_console_psql__answers_nothing_else),
		cmocka_unit_test(test_console_psql__survives_every_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
