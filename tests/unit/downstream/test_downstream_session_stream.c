/* START_REPLICATION: every reply and every ending, and that each byte is the one that was asked
 * for. */
#include "relay_fixture.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

static void start(struct raw_client *client, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void start(struct raw_client *client, const char *format, ...)
{
	char query[256] = "START_REPLICATION ";
	va_list arguments;
	size_t length = strlen(query);
	va_start(arguments, format);
	vsnprintf(query + length, sizeof(query) - length, format, arguments);
	va_end(arguments);
	raw_client_query(client, query);
}

/* Reads WAL from the stream up to `to`, compares it with what was made, passes over keepalives. */
static void check_stream(
	struct relay_fixture *fixture, struct raw_client *client, lsn_t from, lsn_t to)
{
	while (from < to) {
		lsn_t at;
		size_t length;
		const char *text = raw_client_next(client);
		if (strncmp(text, "d k", 3) == 0) {
			continue;
		}
		if (strncmp(text, "d w", 3) != 0) {
			fail_msg("%s", text);
		}
		const uint8_t *bytes = raw_client_wal(client, &at, &length);
		assert_int_equal(at, from);
		assert_in_range(length, 1, 131072);
		if (at + length < to) {
			assert_int_equal((at + length) % WAL_PAGE_BYTES, 0);
		}
		assert_memory_equal(bytes, wal_maker_bytes(fixture->maker, at), length);
		from += length;
	}
	assert_int_equal(from, to);
}

static void test_wal_sender__sends_every_byte_from_the_one_asked_for(void **state)
{
	(void)state;
	static const lsn_t offsets[] = {0, 1, 8191, 8192, 100000, FIXTURE_SEGMENT - 1,
		FIXTURE_SEGMENT, FIXTURE_SEGMENT + 12345};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	lsn_t end = relay_fixture_append(fixture, 3 * FIXTURE_SEGMENT + 5000);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct raw_client client;
		lsn_t from = FIXTURE_START + offsets[i];
		relay_fixture_log_in(fixture, &client);
		start(&client, LSN_FORMAT, LSN_ARGS(from));
		assert_string_equal(raw_client_next(&client), "W");
		check_stream(fixture, &client, from, end);
		raw_client_close(&client);
	}
	relay_fixture_free(fixture);
}

static void test_wal_sender__news_goes_out_as_it_comes(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client clients[3];
	lsn_t sent = FIXTURE_START;
	for (int i = 0; i < 3; i++) {
		relay_fixture_log_in(fixture, &clients[i]);
		start(&clients[i], LSN_FORMAT " TIMELINE 1", LSN_ARGS(FIXTURE_START));
		assert_string_equal(raw_client_next(&clients[i]), "W");
	}
	for (int round = 0; round < 50; round++) {
		lsn_t end = relay_fixture_append(fixture, round % 7 == 0 ? 60000 : 300);
		for (int i = 0; i < 3; i++) {
			check_stream(fixture, &clients[i], sent, end);
		}
		sent = end;
	}
	for (int i = 0; i < 3; i++) {
		raw_client_close(&clients[i]);
	}
	relay_fixture_free(fixture);
}

static void test_wal_sender__one_append_is_one_message_at_the_tip(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	char expected[128];
	lsn_t from = relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT, LSN_ARGS(from));
	assert_string_equal(raw_client_next(&client), "W");
	lsn_t end = relay_fixture_append(fixture, 20000);
	snprintf(expected, sizeof(expected), "d w " LSN_FORMAT " +%zu end " LSN_FORMAT,
		LSN_ARGS(from), (size_t)(end - from), LSN_ARGS(end));
	assert_string_equal(raw_client_next(&client), expected);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_wal_sender__flushed_only_sends_no_byte_before_it_is_on_disk(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.forward_flushed = true};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT, LSN_ARGS(FIXTURE_START));
	assert_string_equal(raw_client_next(&client), "W");
	lsn_t sent = FIXTURE_START;
	for (int i = 0; i < 5; i++) {
		lsn_t end = relay_fixture_append(fixture, 30000);
		while (sent < end) {
			lsn_t at;
			size_t length;
			assert_non_null(strstr(raw_client_next(&client), "d w"));
			raw_client_wal(&client, &at, &length);
			assert_int_equal(at, sent);
			sent += length;
			assert_true(wal_store_flushed(fixture->store).lsn >= sent);
		}
	}
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__errors_before_and_after_copy_both(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t fork = relay_fixture_append(fixture, 5000);
	char expected[512];
	relay_fixture_promote(fixture, 2, fork);
	relay_fixture_log_in(fixture, &client);

	start(&client, "0/1000000 TIMELINE 7");
	assert_string_equal(raw_client_until(&client, 'Z'),
		"E ERROR XX000 requested timeline 7 is not in this server's history\nZ I\n");

	start(&client, LSN_FORMAT " TIMELINE 1", LSN_ARGS(fork + 8192));
	snprintf(expected, sizeof(expected),
		"E ERROR XX000 requested starting point " LSN_FORMAT
		" on timeline 1 is not in this server's history detail: This server's history "
		"forked from timeline 1 at " LSN_FORMAT ".\nZ I\n",
		LSN_ARGS(fork + 8192), LSN_ARGS(fork));
	assert_string_equal(raw_client_until(&client, 'Z'), expected);

	start(&client, "0/1000000 TIMELINE 1 (nosuch '1')");
	assert_string_equal(raw_client_until(&client, 'Z'), "E ERROR 42601 syntax error\nZ I\n");

	start(&client, "SLOT nosuch 0/1000000");
	assert_string_equal(raw_client_until(&client, 'Z'),
		"E ERROR 42704 replication slot \"nosuch\" does not exist\nZ I\n");

	start(&client, "0/100000 TIMELINE 1");
	assert_string_equal(raw_client_until(&client, 'Z'),
		"W\n"
		"E ERROR 58P01 requested WAL segment 000000010000000000000001 has already been "
		"removed\nZ I\n");

	raw_client_status(&client, 1, 1, 1, false);
	raw_client_message(&client, 'c', "", 0);
	raw_client_query(&client, "SHOW wal_segment_size");
	assert_string_equal(
		raw_client_until(&client, 'Z'), "T wal_segment_size:25\nD 1MB\nC SHOW\nZ I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__nothing_to_stream_at_the_switchpoint(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	char expected[256];
	lsn_t fork = relay_fixture_append(fixture, 5000);
	relay_fixture_promote(fixture, 2, fork);
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT " TIMELINE 1", LSN_ARGS(fork));
	snprintf(expected, sizeof(expected),
		"T next_tli:20 next_tli_startpos:25\nD 2|" LSN_FORMAT
		"\nC START_STREAMING\nC START_REPLICATION\nZ I\n",
		LSN_ARGS(fork));
	assert_string_equal(raw_client_until(&client, 'Z'), expected);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void check_end_of_timeline(struct raw_client *client, lsn_t fork)
{
	char expected[256];
	snprintf(expected, sizeof(expected),
		"T next_tli:20 next_tli_startpos:25\nD 2|" LSN_FORMAT
		"\nC START_STREAMING\nC START_REPLICATION\nZ I\n",
		LSN_ARGS(fork));
	/* A standby's reports may cross the server's CopyDone. */
	raw_client_status(client, fork, fork, fork, false);
	raw_client_feedback(client, 700, 0, 0);
	raw_client_message(client, 'c', "", 0);
	assert_string_equal(raw_client_until(client, 'Z'), expected);
}

static void test_downstream_session_stream__a_historic_timeline_ends_at_its_switchpoint(
	void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t fork = relay_fixture_append(fixture, FIXTURE_SEGMENT + 5000);
	relay_fixture_append(fixture, 20000);
	relay_fixture_promote(fixture, 2, fork);
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT " TIMELINE 1", LSN_ARGS(fork - 3000));
	assert_string_equal(raw_client_next(&client), "W");
	check_stream(fixture, &client, fork - 3000, fork);
	assert_string_equal(raw_client_next(&client), "c");
	check_end_of_timeline(&client, fork);

	/* And on with the new one, from the start of the segment that holds the fork. */
	lsn_t segment = lsn_segment_start(fork, FIXTURE_SEGMENT);
	lsn_t end = relay_fixture_append(fixture, 5000);
	start(&client, LSN_FORMAT " TIMELINE 2", LSN_ARGS(segment));
	assert_string_equal(raw_client_next(&client), "W");
	check_stream(fixture, &client, segment, end);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__a_promotion_ends_the_current_timeline(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t fork = relay_fixture_append(fixture, 50000);
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT " TIMELINE 1", LSN_ARGS(FIXTURE_START));
	assert_string_equal(raw_client_next(&client), "W");
	check_stream(fixture, &client, FIXTURE_START, fork);
	relay_fixture_promote(fixture, 2, fork);
	assert_string_equal(raw_client_next(&client), "c");
	check_end_of_timeline(&client, fork);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__the_client_ends_it_and_goes_on(void **state)
{
	(void)state;
	static const struct {
		int version;
		const char *expected;
	} rows[] = {
		{150018, "c\nC START_STREAMING\nC START_REPLICATION\nZ I\n"},
		{120022, "c\nC START_STREAMING\nC SELECT\nZ I\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct relay_fixture_options options = {.version = rows[i].version};
		struct relay_fixture *fixture = relay_fixture_new(&options);
		struct raw_client client;
		lsn_t end = relay_fixture_append(fixture, 5000);
		relay_fixture_log_in(fixture, &client);
		for (int round = 0; round < 3; round++) {
			start(&client, LSN_FORMAT, LSN_ARGS(FIXTURE_START));
			assert_string_equal(raw_client_next(&client), "W");
			check_stream(fixture, &client, FIXTURE_START, end);
			raw_client_message(&client, 'c', "", 0);
			assert_string_equal(raw_client_until(&client, 'Z'), rows[i].expected);
		}
		raw_client_close(&client);
		relay_fixture_free(fixture);
	}
}

static void test_downstream_session_stream__messages_that_may_not_come(void **state)
{
	(void)state;
	static const struct {
		char type;
		const char *body;
		size_t length;
		const char *expected;
	} rows[] = {
		{'Q', "IDENTIFY_SYSTEM", 16,
			"E FATAL 08P01 invalid standby message type \"Q\"\nclosed\n"},
		{'S', "", 0, "E FATAL 08P01 invalid standby message type \"S\"\nclosed\n"},
		{'d', "p23456789", 9, "closed\n"},
		{'d', "", 0, "E ERROR 08P01 no data left in message\nZ I\n"},
		{'d', "r12345", 6, "E ERROR 08P01 insufficient data left in message\nZ I\n"},
		{'X', "", 0, "closed\n"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	lsn_t end = relay_fixture_append(fixture, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_client client;
		relay_fixture_log_in(fixture, &client);
		start(&client, LSN_FORMAT, LSN_ARGS(end));
		assert_string_equal(raw_client_next(&client), "W");
		raw_client_message(&client, rows[i].type, rows[i].body, rows[i].length);
		assert_string_equal(raw_client_until(&client, 'Z'), rows[i].expected);
		raw_client_close(&client);
	}
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__a_standby_ahead_waits_and_is_told_where_the_relay_is(
	void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	char expected[64];
	lsn_t held = relay_fixture_append(fixture, 1000);
	lsn_t ahead = held + 100000;
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT " TIMELINE 1", LSN_ARGS(ahead));
	assert_string_equal(raw_client_next(&client), "W");
	raw_client_status(&client, ahead, ahead, ahead, true);
	snprintf(expected, sizeof(expected), "d k " LSN_FORMAT, LSN_ARGS(held));
	assert_string_equal(raw_client_next(&client), expected);
	relay_fixture_append(fixture, 50000);
	raw_client_status(&client, ahead, ahead, ahead, true);
	assert_non_null(strstr(raw_client_next(&client), "d k "));
	lsn_t end = relay_fixture_append(fixture, 100000);
	check_stream(fixture, &client, ahead, end);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__a_requested_reply_comes_at_once(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	char expected[64];
	lsn_t end = relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	start(&client, LSN_FORMAT, LSN_ARGS(end));
	assert_string_equal(raw_client_next(&client), "W");
	raw_client_status(&client, end, end, 0, true);
	snprintf(expected, sizeof(expected), "d k " LSN_FORMAT, LSN_ARGS(end));
	assert_string_equal(raw_client_next(&client), expected);
	raw_client_status(&client, end, end, 0, false);
	assert_true(raw_client_is_quiet(&client, 30));
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_stream__a_silent_standby_is_asked_then_dropped(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.wal_sender_timeout_us = 60000000};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client client;
	char expected[64];
	lsn_t end = relay_fixture_append(fixture, 1000);
	relay_fixture_connect(fixture, &client);
	raw_client_startup(
		&client, 196608, "user=rep;replication=true;options=-c wal_sender_timeout~200ms");
	raw_client_until(&client, 'Z');
	start(&client, LSN_FORMAT, LSN_ARGS(end));
	assert_string_equal(raw_client_next(&client), "W");
	snprintf(expected, sizeof(expected), "d k " LSN_FORMAT " reply", LSN_ARGS(end));
	for (int round = 0; round < 2; round++) {
		assert_string_equal(raw_client_next(&client), expected);
		raw_client_status(&client, end, end, 0, false);
	}
	assert_string_equal(raw_client_next(&client), expected);
	assert_string_equal(raw_client_next(&client), "closed");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

/* Some leave while the disk is being read for them. */
static void test_downstream_session_stream__what_only_the_disk_has_is_sent_to_those_who_stay(
	void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.sender_threads = 2};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client clients[8];
	lsn_t end = relay_fixture_append(fixture, 8 * FIXTURE_SEGMENT);
	WAIT_UNTIL(wal_store_flushed(fixture->store).lsn == end);
	for (lsn_t at = FIXTURE_START; at < end; at += FIXTURE_SEGMENT) {
		relay_fixture_drop_from_memory(fixture, at);
	}
	for (int i = 0; i < 8; i++) {
		relay_fixture_log_in(fixture, &clients[i]);
	}
	for (int i = 0; i < 8; i++) {
		start(&clients[i], LSN_FORMAT,
			LSN_ARGS(FIXTURE_START + (lsn_t)(i / 2) * FIXTURE_SEGMENT));
		if (i % 2 == 1) {
			raw_client_close(&clients[i]);
		}
	}
	for (int i = 0; i < 8; i += 2) {
		assert_string_equal(raw_client_next(&clients[i]), "W");
		check_stream(fixture, &clients[i], FIXTURE_START + (lsn_t)(i / 2) * FIXTURE_SEGMENT,
			end);
		raw_client_close(&clients[i]);
	}
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_sender__sends_every_byte_from_the_one_asked_for),
		cmocka_unit_test(test_wal_sender__news_goes_out_as_it_comes),
		cmocka_unit_test(test_wal_sender__one_append_is_one_message_at_the_tip),
		cmocka_unit_test(test_wal_sender__flushed_only_sends_no_byte_before_it_is_on_disk),
		cmocka_unit_test(test_downstream_session_stream__errors_before_and_after_copy_both),
		cmocka_unit_test(
			test_downstream_session_stream__nothing_to_stream_at_the_switchpoint),
		cmocka_unit_test(
			test_downstream_session_stream__a_historic_timeline_ends_at_its_switchpoint),
		cmocka_unit_test(
			test_downstream_session_stream__a_promotion_ends_the_current_timeline),
		cmocka_unit_test(test_downstream_session_stream__the_client_ends_it_and_goes_on),
		cmocka_unit_test(test_downstream_session_stream__messages_that_may_not_come),
		cmocka_unit_test(
			test_downstream_session_stream__a_standby_ahead_waits_and_is_told_where_the_relay_is),
		cmocka_unit_test(test_downstream_session_stream__a_requested_reply_comes_at_once),
		cmocka_unit_test(
			test_downstream_session_stream__a_silent_standby_is_asked_then_dropped),
		cmocka_unit_test(
			test_downstream_session_stream__what_only_the_disk_has_is_sent_to_those_who_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
