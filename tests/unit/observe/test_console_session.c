/* Tests of observe/console and its conversations: simple queries, orders, what outlives a client. */
#include "console_rig.h"

/* --- simple queries ----------------------------------------------------------------------------
 */

static void test_console_session__answers_tables(void **state)
{
	(void)state;
	assert_string_equal(query("SHOW VERSION"), "TDCZ");
	TEXT_HAS("SHOW~|I|");
	assert_string_equal(query("SHOW STANDBYS"), "TDCZ");
	assert_string_equal(query("SHOW SLOTS"), "TCZ");
	assert_string_equal(query("SHOW CONFIG"), "TDCZ");
	TEXT_HAS("relay");
	assert_string_equal(query("SHOW server_version"), "TDCZ");
	TEXT_HAS(CONSOLE_SERVER_VERSION);
	assert_string_equal(query("SHOW application_name; SELECT 42; SELECT version()"),
		"TDCTDCTDCZ");
	TEXT_HAS("psql");
	TEXT_HAS("42");
	TEXT_HAS("walrelay");
	assert_string_equal(query(" ;-- nothing"), "IZ");
}

static void test_console_session__ends_a_query_at_its_first_error(void **state)
{
	(void)state;
	assert_string_equal(query("SHOW SLOTS; SHOW nothing; RELOAD"), "TCEZ");
	TEXT_HAS("C42704");
	assert_string_equal(query("RELOAD; SELECT now()"), "CEZ");
	TEXT_HAS("C0A000");
	TEXT_HAS("HSHOW HELP");
	assert_string_equal(test.ordered, "reload() ");
	assert_string_equal(query("RELOAD; SHWO x"), "EZ");
	TEXT_HAS("C42601");
	TEXT_HAS("P9");
	assert_string_equal(test.ordered, "reload() ");
	assert_string_equal(query("SHOW \303\244\377"), "EZ");
	TEXT_HAS("C22021");
	assert_string_equal(query("SHOW \303\244"), "EZ");
	TEXT_HAS("C42704");
	send_message('Q', "RELOAD", 6);
	assert_string_equal(test.kinds, "EZ");
	TEXT_HAS("C08P01");
}

static void test_console_session__makes_results_as_there_is_room(void **state)
{
	(void)state;
	test.is_full = true;
	assert_string_equal(query("SHOW SLOTS; SHOW SLOTS"), "");
	assert_true(test.service->is_busy(test.handle));
	test.service->resume(test.handle);
	assert_string_equal(test.kinds, "");
	test.is_full = false;
	test.service->resume(test.handle);
	turn();
	assert_string_equal(test.kinds, "TCTCZ");
	assert_false(test.service->is_busy(test.handle));
	assert_true(test.idle_count > 0);
}

static void test_console_session__knows_transaction_blocks(void **state)
{
	(void)state;
	assert_string_equal(query("BEGIN"), "CZ");
	TEXT_HAS("BEGIN~|T|");
	assert_string_equal(query("BEGIN"), "NCZ");
	TEXT_HAS("C25001");
	assert_string_equal(query("SHOW SLOTS"), "TCZ");
	assert_string_equal(query("RELOAD"), "EZ");
	TEXT_HAS("C25001");
	assert_string_equal(test.ordered, "");
	assert_string_equal(query("SHOW SLOTS"), "EZ");
	TEXT_HAS("C25P02");
	TEXT_HAS("|E|");
	assert_string_equal(query("COMMIT"), "CZ");
	TEXT_HAS("ROLLBACK~|I|");
	assert_string_equal(query("ROLLBACK"), "NCZ");
	TEXT_HAS("C25P01");
}

/* --- orders ------------------------------------------------------------------------------------
 */

static void test_console_session__passes_orders_on(void **state)
{
	static const struct {
		const char *text;
		const char *ordered;
	} cases[] = {
		{"PAUSE us-west-2", "pause(us-west-2) "},
		{"RESUME \"x y\"", "resume(x y) "},
		{"SET CAP far = 8Mbit/s", "cap(far 1000000) "},
		{"SET CAP far = default", "cap(far 0) "},
		{"PIN p AT 0/10 FOR 1h", "pin(p 0/10 3600) "},
		{"PIN p", "pin(p 0/0 0) "},
		{"UNPIN p", "unpin(p) "},
		{"DROP SLOT s", "drop(s) "},
		{"SKIP TO 1/0", "skip(1/0) "},
		{"KILL s1", "kill(101) "},
		{"KILL 101", "kill(101) "},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		test.ordered[0] = '\0';
		assert_string_equal(query(cases[i].text), "CZ");
		assert_string_equal(test.ordered, cases[i].ordered);
	}
}

static void test_console_session__says_what_cannot_be_done(void **state)
{
	static const struct {
		const char *text;
		const char *sqlstate;
	} cases[] = {
		{"PAUSE none", "C42704"},
		{"RESUME none", "C42704"},
		{"SET CAP none = 1MB/s", "C42704"},
		{"SET CAP none = 1", "C22023"},
		{"SET CAP none = 7kbit/s", "C22023"},
		{"PIN none FOR long", "C22023"},
		{"PIN none FOR 0s", "C22023"},
		{"PIN none", "C42704"},
		{"UNPIN none", "C42704"},
		{"DROP SLOT none", "C42704"},
		{"KILL none", "C42704"},
		{"KILL twin", "C42725"},
	};
	(void)state;
	test.is_known = false;
	fake_readers_add_standby("twin", 201);
	fake_readers_add_standby("twin", 202);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(query(cases[i].text), "EZ");
		TEXT_HAS(cases[i].sqlstate);
	}
	assert_string_equal(query("KILL twin#202"), "CZ");
	assert_non_null(strstr(test.ordered, "kill(202)"));
}

static void test_console_session__takes_orders_of_admins_alone(void **state)
{
	static const char *const strangers[] = {"op", "opsx", "ops,", "", "root, ops"};
	(void)state;
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		assert_false(test.service->close(&test.handle));
		open_session(strangers[i]);
		assert_string_equal(query("RELOAD"), "EZ");
		TEXT_HAS("C42501");
		assert_string_equal(query("SHOW SLOTS"), "TCZ");
	}
	assert_string_equal(test.ordered, "");
	test.peer.is_owner = true;
	assert_string_equal(query("RELOAD"), "CZ");
	assert_false(test.service->close(&test.handle));
	open_session("root");
	assert_string_equal(query("RELOAD"), "CZ");
	console_set_admins(test.console, "ops");
	assert_string_equal(query("RELOAD"), "EZ");
}

static void test_console_session__waits_for_what_takes_its_time(void **state)
{
	struct error err = {0};
	(void)state;
	test.waits = true;
	assert_string_equal(query("DROP SLOT s; SHOW SLOTS"), "");
	assert_true(test.service->is_busy(test.handle));
	test.done(test.done_context, true, NULL);
	turn();
	assert_string_equal(test.kinds, "CTCZ");
	assert_false(test.service->is_busy(test.handle));
	assert_string_equal(query("DROP SLOT s; SHOW SLOTS"), "");
	error_set(&err, ERROR_SYSTEM, "the disk said no");
	test.done(test.done_context, false, &err);
	turn();
	assert_string_equal(test.kinds, "EZ");
	TEXT_HAS("CXX000");
	TEXT_HAS("the disk said no");
}

static void test_console_session__outlives_its_client_until_it_is_done(void **state)
{
	(void)state;
	test.waits = true;
	query("DROP SLOT s");
	assert_true(test.service->close(&test.handle));
	assert_null(test.handle);
	unsigned before = test.idle_count;
	turn();
	assert_int_equal(test.idle_count, before);
	test.done(test.done_context, true, NULL);
	turn();
	assert_int_equal(test.idle_count, before + 1);
	assert_string_equal(test.kinds, "");
}

static void test_console_session__ends_while_it_waits_for_room(void **state)
{
	(void)state;
	test.is_full = true;
	query("SHOW SLOTS");
	assert_true(test.service->is_busy(test.handle));
	assert_false(test.service->close(&test.handle));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(test_console_session__answers_tables),
		CONSOLE_TEST(test_console_session__ends_a_query_at_its_first_error),
		CONSOLE_TEST(test_console_session__makes_results_as_there_is_room),
		CONSOLE_TEST(test_console_session__knows_transaction_blocks),
		CONSOLE_TEST(test_console_session__passes_orders_on),
		CONSOLE_TEST(test_console_session__says_what_cannot_be_done),
		CONSOLE_TEST(test_console_session__takes_orders_of_admins_alone),
		CONSOLE_TEST(test_console_session__waits_for_what_takes_its_time),
		CONSOLE_TEST(test_console_session__outlives_its_client_until_it_is_done),
		CONSOLE_TEST(test_console_session__ends_while_it_waits_for_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
