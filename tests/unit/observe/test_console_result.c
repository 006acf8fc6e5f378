/* Tests of observe/console_result: rows of typed cells, and what is NULL. */
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "observe/console_result.h"

static const struct pg_typed_column columns[] = {
	{"text", PG_TYPE_TEXT},
	{"count", PG_TYPE_INT8},
	{"lsn", PG_TYPE_LSN},
	{"at", PG_TYPE_TIMESTAMPTZ},
	{"lag", PG_TYPE_INTERVAL},
};

static void put_row(struct console_result *result, const char *text, uint64_t count, lsn_t lsn,
	int64_t at_us, int64_t lag_us)
{
	console_put_known(result, text);
	console_put_number(result, count);
	console_put_lsn(result, lsn);
	console_put_time(result, at_us);
	console_put_interval(result, lag_us);
}

static void test_console_result__keeps_rows_apart(void **state)
{
	struct console_result result;
	char text[] = "one";
	(void)state;
	console_result_init(&result, columns, 5);
	assert_int_equal(console_result_row_count(&result), 0);
	put_row(&result, text, 1, 0x10, 5, 0);
	text[0] = 'x';
	put_row(&result, "", CONSOLE_NOT_KNOWN, LSN_INVALID, 0, -1);
	assert_int_equal(console_result_row_count(&result), 2);
	const struct pg_value *row = console_result_row(&result, 0);
	assert_string_equal(row[0].text, "one");
	assert_int_equal(row[1].integer, 1);
	assert_int_equal(row[2].integer, 0x10);
	assert_int_equal(row[3].integer, 5);
	assert_false(row[4].is_null);
	row = console_result_row(&result, 1);
	for (size_t i = 0; i < 5; i++) {
		assert_true(row[i].is_null);
	}
	console_result_release(&result);
	console_result_release(&result);
	assert_int_equal(console_result_row_count(&result), 0);
}

static void test_console_result__copies_the_columns(void **state)
{
	char name[] = "name";
	struct pg_typed_column column = {name, PG_TYPE_BOOL};
	struct console_result result;
	(void)state;
	console_result_init(&result, &column, 1);
	name[0] = 'x';
	column.type = PG_TYPE_TEXT;
	assert_string_equal(result.columns[0].name, "name");
	console_put_bool(&result, true);
	assert_true(console_result_row(&result, 0)[0].boolean);
	console_result_release(&result);
}

static void test_console_result__cuts_numbers_to_their_type(void **state)
{
	static const struct pg_typed_column numbers[] = {
		{"a", PG_TYPE_INT8}, {"b", PG_TYPE_INT4}, {"c", PG_TYPE_INT4}};
	struct console_result result;
	(void)state;
	console_result_init(&result, numbers, 3);
	console_put_number(&result, UINT64_MAX - 1);
	console_put_number(&result, UINT32_MAX);
	console_put_signed(&result, -7);
	const struct pg_value *row = console_result_row(&result, 0);
	assert_true(row[0].integer == INT64_MAX);
	assert_int_equal(row[1].integer, INT32_MAX);
	assert_int_equal(row[2].integer, -7);
	console_result_release(&result);
}

static void test_console_result__reads_peers(void **state)
{
	static const struct pg_typed_column peer_columns[] = {
		{"address", PG_TYPE_INET}, {"port", PG_TYPE_INT4}};
	static const struct {
		const char *peer;
		const char *address; /* NULL: none */
		int port;
		int length;
		uint8_t last;
	} cases[] = {
		{"10.0.0.7:43210", "10.0.0.7", 43210, 4, 7},
		{"[2001:db8::9]:1", "2001:db8::9", 1, 16, 9},
		{"[local]", NULL, -1, 0, 0},
		{"", NULL, -1, 0, 0},
		{"?:5", NULL, -1, 0, 0},
		{":5", NULL, -1, 0, 0},
		{"[]:5", NULL, -1, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct console_result result;
		console_result_init(&result, peer_columns, 2);
		console_put_address(&result, cases[i].peer);
		console_put_port(&result, cases[i].peer);
		const struct pg_value *row = console_result_row(&result, 0);
		assert_int_equal(row[0].is_null, cases[i].address == NULL);
		if (cases[i].address != NULL) {
			assert_string_equal(row[0].text, cases[i].address);
			assert_int_equal(row[0].address_length, cases[i].length);
			assert_int_equal(row[0].address[cases[i].length - 1], cases[i].last);
		}
		assert_int_equal(row[1].integer, cases[i].port);
		console_result_release(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_console_result__keeps_rows_apart),
		cmocka_unit_test(test_console_result__copies_the_columns),
		cmocka_unit_test(test_console_result__cuts_numbers_to_their_type),
		cmocka_unit_test(test_console_result__reads_peers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
