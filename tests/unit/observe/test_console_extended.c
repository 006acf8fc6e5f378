/* Tests of observe/console_extended: prepared statements, portals, errors until Sync. */
#include "console_rig.h"

#include <stdio.h>

static void begin_portal(const char *text)
{
	char body[256] = "";
	size_t length = strlen(text);
	memcpy(body + 1, text, length + 1);
	memset(body + length + 2, 0, 2);
	send_message('P', body, length + 4);
	SEND('B', "\0\0\0\0\0\0\0\0");
}

static void test_console_extended__executes_a_few_rows_at_a_time(void **state)
{
	(void)state;
	begin_portal("SHOW HELP");
	SEND('D', "P\0");
	assert_string_equal(test.kinds, "T");
	SEND('E', "\0\0\0\0\2");
	turn();
	assert_string_equal(test.kinds, "DDs");
	SEND('E', "\0\0\0\0\1");
	assert_string_equal(test.kinds, "Ds");
	SEND('E', "\0\0\0\0\0");
	assert_string_equal(strrchr(test.kinds, 'D'), "DC");
	SEND('E', "\0\0\0\0\0");
	assert_string_equal(test.kinds, "C");
	SEND('S', "");
	assert_string_equal(test.kinds, "Z");
	SEND('E', "\0\0\0\0\0");
	assert_string_equal(test.kinds, "E");
	TEXT_HAS("C34000");
	SEND('S', "");
}

static void test_console_extended__skips_to_sync_after_an_error(void **state)
{
	(void)state;
	SEND('P', "s\0SHOW nothing\0\0\0");
	assert_string_equal(test.kinds, "E");
	SEND('P', "s\0SHOW VERSION\0\0\0");
	assert_string_equal(test.kinds, "");
	send_message('Q', "RELOAD", 7);
	assert_string_equal(test.kinds, "");
	SEND('S', "");
	assert_string_equal(test.kinds, "Z");
	assert_string_equal(test.ordered, "");
	SEND('D', "Ss\0");
	TEXT_HAS("C26000");
	SEND('S', "");
}

static void test_console_extended__prepares_by_name(void **state)
{
	(void)state;
	SEND('P', "s\0PAUSE far\0\0\0");
	assert_string_equal(test.kinds, "1");
	SEND('D', "Ss\0");
	assert_string_equal(test.kinds, "tn");
	for (int i = 0; i < 2; i++) {
		SEND('B', "\0s\0\0\0\0\0\0\0");
		assert_string_equal(test.kinds, "2");
		SEND('E', "\0\0\0\0\0");
		turn();
		assert_string_equal(test.kinds, "C");
	}
	assert_string_equal(test.ordered, "pause(far) pause(far) ");
	SEND('P', "s\0RELOAD\0\0\0");
	TEXT_HAS("C42P05");
	SEND('S', "");
	/* One that was bound keeps its statement. */
	SEND('B', "p\0s\0\0\0\0\0\0\0");
	SEND('C', "Ss\0");
	assert_string_equal(test.kinds, "3");
	SEND('E', "p\0\0\0\0\0");
	turn();
	assert_string_equal(test.kinds, "C");
	SEND('S', "");
	SEND('B', "\0s\0\0\0\0\0\0\0");
	TEXT_HAS("C26000");
	SEND('S', "");
}

static void test_console_extended__refuses_what_it_cannot_bind(void **state)
{
	(void)state;
	SEND('P', "\0PAUSE $1\0\0\0");
	TEXT_HAS("C0A000");
	SEND('S', "");
	SEND('P', "\0SELECT now()\0\0\0");
	TEXT_HAS("C0A000");
	SEND('S', "");
	SEND('P', "\0SHOW PINS; SHOW PINS\0\0\0");
	TEXT_HAS("C42601");
	SEND('S', "");
	SEND('P', "\0SHOW SPOOL\0\0\0");
	SEND('B', "\0\0\0\0\0\1\0\0\0\1x\0\0");
	TEXT_HAS("C08P01");
	SEND('S', "");
	SEND('B', "\0\0\0\0\0\0\0\2\0\0\0\0");
	TEXT_HAS("C08P01");
	SEND('S', "");
	SEND('B', "\0\0");
	TEXT_HAS("C08P01");
	SEND('S', "");
	SEND('P', "\0SHOW \377\0\0\0");
	TEXT_HAS("C22021");
	SEND('S', "");
	begin_portal("");
	SEND('D', "P\0");
	assert_string_equal(test.kinds, "n");
	SEND('E', "\0\0\0\0\0");
	assert_string_equal(test.kinds, "I");
	SEND('S', "");
}

static void test_console_extended__bounds_what_is_prepared(void **state)
{
	char body[4096];
	unsigned count = 0;
	(void)state;
	do {
		int length = snprintf(body, sizeof(body), "name%u", count);
		memset(body + length + 1, ' ', 3000);
		memcpy(body + length + 3001, "\0\0\0", 3);
		send_message('P', body, (size_t)length + 3004);
		count++;
	} while (strcmp(test.kinds, "1") == 0);
	TEXT_HAS("C53400");
	assert_true(count > 50 && count < 100);
	SEND('S', "");
	assert_string_equal(query("DEALLOCATE ALL"), "CZ");
	send_message('P', body, strlen(body) + 3004);
	assert_string_equal(test.kinds, "1");
}

static void test_console_extended__knows_no_other_message(void **state)
{
	const struct pg_message message = {.type = 'w', .body = (const uint8_t *)"", .consumed = 5};
	(void)state;
	SEND('H', "");
	SEND('d', "x");
	assert_string_equal(test.kinds, "");
	SEND('F', "");
	assert_string_equal(test.kinds, "EZ");
	assert_false(test.service->message(test.handle, &message));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(test_console_extended__executes_a_few_rows_at_a_time),
		CONSOLE_TEST(test_console_extended__skips_to_sync_after_an_error),
		CONSOLE_TEST(test_console_extended__prepares_by_name),
		CONSOLE_TEST(test_console_extended__refuses_what_it_cannot_bind),
		CONSOLE_TEST(test_console_extended__bounds_what_is_prepared),
		CONSOLE_TEST(test_console_extended__knows_no_other_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
