/* What a client is told while nothing streams, message by message. */
#include "relay_fixture.h"

#include "cmocka_all.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct exchange {
	const char *query;
	const char *expected;
};

static void check_exchanges(
	struct relay_fixture *fixture, const struct exchange *rows, size_t count)
{
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	for (size_t i = 0; i < count; i++) {
		raw_client_query(&client, rows[i].query);
		const char *told = raw_client_until(&client, 'Z');
		if (strcmp(told, rows[i].expected) != 0) {
			fail_msg("%s:\n%sinstead of\n%s", rows[i].query, told, rows[i].expected);
		}
	}
	raw_client_close(&client);
}

#define CHECK_EXCHANGES(fixture, rows)                                                             \
	check_exchanges(fixture, rows, sizeof(rows) / sizeof((rows)[0]))

static void test_replication_commands__of_15(void **state)
{
	(void)state;
	static const struct exchange rows[] = {
		{"IDENTIFY_SYSTEM", "T systemid:25 timeline:23 xlogpos:25 dbname:25\n"
				    "D 7300000000000000001|1|0/1000000|NULL\n"
				    "C IDENTIFY_SYSTEM\nZ I\n"},
		{"SHOW wal_segment_size", "T wal_segment_size:25\nD 1MB\nC SHOW\nZ I\n"},
		{"SHOW data_directory_mode", "T data_directory_mode:25\nD 0700\nC SHOW\nZ I\n"},
		{"SHOW server_version_num", "T server_version_num:25\nD 150018\nC SHOW\nZ I\n"},
		{"SHOW server_version", "T server_version:25\nD 15.18\nC SHOW\nZ I\n"},
		{"SHOW transaction_read_only", "T transaction_read_only:25\nD off\nC SHOW\nZ I\n"},
		{"SHOW nosuch",
			"E ERROR 42704 unrecognized configuration parameter \"nosuch\"\nZ I\n"},
		{"SHOW walrelay.link",
			"E ERROR 42704 unrecognized configuration parameter \"walrelay.link\"\n"
			"Z I\n"},
		{"TIMELINE_HISTORY 1", "T filename:25 content:25\n"
				       "E ERROR 58P01 could not open file "
				       "\"pg_wal/00000001.history\": No such file "
				       "or directory\nZ I\n"},
		{"TIMELINE_HISTORY 0", "E ERROR 42601 invalid timeline 0\nZ I\n"},
		{"READ_REPLICATION_SLOT nosuch",
			"T slot_type:25 restart_lsn:25 restart_tli:20\nD NULL|NULL|NULL\n"
			"C READ_REPLICATION_SLOT\nZ I\n"},
		{"IDENTIFY_SYSTEM now", "E ERROR 42601 syntax error\nZ I\n"},
		{"SELECT 1",
			"E ERROR 0A000 cannot execute SQL commands in WAL sender for physical "
			"replication hint: This is walrelay \"hub\"; connect to the primary for "
			"SQL.\nZ I\n"},
		{"", "E ERROR 0A000 cannot execute SQL commands in WAL sender for physical "
		     "replication hint: This is walrelay \"hub\"; connect to the primary for "
		     "SQL.\nZ I\n"},
		{"START_REPLICATION SLOT l LOGICAL 0/0", "E ERROR 0A000 logical replication is not "
							 "possible through walrelay \"hub\" "
							 "hint: Connect to the primary or a "
							 "standby for logical replication.\nZ I\n"},
		{"CREATE_REPLICATION_SLOT l LOGICAL pgoutput",
			"E ERROR 0A000 logical replication is not possible through walrelay "
			"\"hub\" "
			"hint: Connect to the primary or a standby for logical replication.\nZ "
			"I\n"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	CHECK_EXCHANGES(fixture, rows);
	relay_fixture_free(fixture);
}

static void test_replication_commands__differ_by_version(void **state)
{
	(void)state;
	static const struct {
		int version;
		struct exchange rows[3];
	} versions[] = {
		{120022, {{"IDENTIFY_SYSTEM", "T systemid:25 timeline:23 xlogpos:25 dbname:25\n"
					      "D 7300000000000000001|1|0/1000000|NULL\nC SELECT\n"
					      "Z I\n"},
				 {"TIMELINE_HISTORY 2",
					 "T filename:25 content:17\n"
					 "E ERROR 58P01 could not open file "
					 "\"pg_wal/00000002.history\": No such file or directory\n"
					 "Z I\n"},
				 {"SHOW wal_segment_size",
					 "T wal_segment_size:25\nD 1MB\nC SELECT\nZ I\n"}}},
		{130023, {{"SHOW wal_segment_size", "T wal_segment_size:25\nD 1MB\nC SHOW\nZ I\n"},
				 {"SHOW in_hot_standby",
					 "E ERROR 42704 unrecognized configuration parameter "
					 "\"in_hot_standby\"\nZ I\n"},
				 {"TIMELINE_HISTORY 2",
					 "T filename:25 content:17\n"
					 "E ERROR 58P01 could not open file "
					 "\"pg_wal/00000002.history\": No such file or directory\n"
					 "Z I\n"}}},
		{160014,
			{{"IDENTIFY_SYSTEM", "T systemid:25 timeline:20 xlogpos:25 dbname:25\n"
					     "D 7300000000000000001|1|0/1000000|NULL\n"
					     "C IDENTIFY_SYSTEM\nZ I\n"},
				{"SHOW in_hot_standby", "T in_hot_standby:25\nD on\nC SHOW\nZ I\n"},
				{"SHOW transaction_read_only",
					"T transaction_read_only:25\nD on\nC SHOW\nZ I\n"}}},
	};
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		const struct relay_fixture_options options = {
			.version = versions[i].version, .in_recovery = "on"};
		struct relay_fixture *fixture = relay_fixture_new(&options);
		CHECK_EXCHANGES(fixture, versions[i].rows);
		relay_fixture_free(fixture);
	}
}

static void test_replication_commands__a_history_file_is_sent_as_it_is(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	lsn_t fork = relay_fixture_append(fixture, 5000);
	char expected[256];
	relay_fixture_promote(fixture, 2, fork);
	snprintf(expected, sizeof(expected),
		"T filename:25 content:25\n"
		"D 00000002.history|1\t" LSN_FORMAT "\tno recovery target specified\n\n"
		"C TIMELINE_HISTORY\nZ I\n",
		LSN_ARGS(fork));
	const struct exchange rows[] = {{"TIMELINE_HISTORY 2", expected}};
	CHECK_EXCHANGES(fixture, rows);
	relay_fixture_free(fixture);
}

static void test_downstream_session_commands__extended_queries_are_refused_until_sync(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_message(&client, 'P', "\0SELECT 1\0\0", 12);
	raw_client_message(&client, 'B', "\0\0\0\0\0\0\0\0", 8);
	raw_client_query(&client, "IDENTIFY_SYSTEM");
	raw_client_message(&client, 'S', "", 0);
	assert_string_equal(raw_client_until(&client, 'Z'),
		"E ERROR 08P01 extended query protocol not supported in a replication connection\n"
		"Z I\n");
	raw_client_message(&client, 'S', "", 0);
	assert_string_equal(raw_client_until(&client, 'Z'), "Z I\n");
	raw_client_message(&client, 'F', "\0\0\0\0", 4);
	assert_string_equal(raw_client_until(&client, 'Z'),
		"E ERROR 08P01 fastpath function calls not supported in a replication connection\n"
		"Z I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_commands__late_copy_messages_are_swallowed(void **state)
{
	(void)state;
	static const uint8_t large[100000];
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_status(&client, 1, 1, 1, true);
	raw_client_message(&client, 'd', large, sizeof(large));
	raw_client_message(&client, 'c', "", 0);
	raw_client_message(&client, 'f', "why", 4);
	raw_client_message(&client, 'H', "", 0);
	raw_client_query(&client, "SHOW wal_segment_size");
	assert_string_equal(
		raw_client_until(&client, 'Z'), "T wal_segment_size:25\nD 1MB\nC SHOW\nZ I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_commands__what_is_no_message_costs_the_connection(void **state)
{
	(void)state;
	static char large[20000];
	static const struct {
		const void *bytes;
		size_t length;
		const char *expected;
	} rows[] = {
		{"z\0\0\0\4", 5, "E FATAL 08P01 invalid frontend message type 122"},
		{"Q\0\0\0\6no", 7, "E FATAL 08P01 invalid string in message"},
		{"Q\0\0\0\3", 5, "E FATAL 08P01 invalid message length"},
		{"Q\x7f\xff\xff\xff", 5, "E FATAL 08P01 invalid message length"},
		{large, sizeof(large), "E FATAL 08P01 invalid message length"},
		{"d\x7f\xff\xff\xff", 5, "E FATAL 08P01 invalid message length"},
		{"X\0\0\0\4", 5, "closed"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	memcpy(large, "Q\0\0\x4e\x1f", 5);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_client client;
		relay_fixture_log_in(fixture, &client);
		raw_client_send(&client, rows[i].bytes, rows[i].length);
		assert_string_equal(raw_client_next(&client), rows[i].expected);
		if (client.type == 'E') {
			assert_string_equal(raw_client_next(&client), "closed");
		}
		raw_client_close(&client);
	}
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 0);
	relay_fixture_free(fixture);
}

static void test_downstream_session_commands__one_byte_at_a_time(void **state)
{
	(void)state;
	static const char bytes[] = "Q\0\0\0\x14IDENTIFY_SYSTEM";
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		raw_client_send(&client, bytes + i, 1);
	}
	assert_non_null(strstr(raw_client_until(&client, 'Z'), "C IDENTIFY_SYSTEM\nZ I\n"));
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

enum { PIPELINED = 20000 };

static void *send_pipelined(void *context)
{
	for (int i = 0; i < PIPELINED; i++) {
		raw_client_query(context, "IDENTIFY_SYSTEM");
	}
	return NULL;
}

/* A client that asks without reading is served as far as its socket takes answers; nothing piles up
 * for it, and it gets every answer when it reads. */
static void test_downstream_session_commands__pipelined_queries_wait_for_room(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	pthread_t sender;
	relay_fixture_log_in(fixture, &client);
	assert_int_equal(pthread_create(&sender, NULL, send_pipelined, &client), 0);
	uint64_t taken, before = 0;
	WAIT_UNTIL(relay_fixture_standby(fixture).wire_received_bytes > 1000);
	for (int quiet = 0; quiet < 20; before = taken) {
		relay_fixture_pause();
		taken = relay_fixture_standby(fixture).wire_received_bytes;
		quiet = taken == before ? quiet + 1 : 0;
	}
	assert_in_range(taken, 1000, 150000);
	for (int i = 0; i < PIPELINED; i++) {
		raw_client_until(&client, 'Z');
	}
	pthread_join(sender, NULL);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_commands__a_promoted_upstream_is_announced(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.in_recovery = "on"};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	relay_fixture_set_recovery(fixture, "off");
	raw_client_query(&client, "SHOW in_hot_standby");
	assert_string_equal(raw_client_until(&client, 'Z'),
		"T in_hot_standby:25\nD off\nC SHOW\nS in_hot_standby=off\nZ I\n");
	raw_client_query(&client, "SHOW in_hot_standby");
	assert_string_equal(
		raw_client_until(&client, 'Z'), "T in_hot_standby:25\nD off\nC SHOW\nZ I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replication_commands__of_15),
		cmocka_unit_test(test_replication_commands__differ_by_version),
		cmocka_unit_test(test_replication_commands__a_history_file_is_sent_as_it_is),
		cmocka_unit_test(
			test_downstream_session_commands__extended_queries_are_refused_until_sync),
		cmocka_unit_test(
			test_downstream_session_commands__late_copy_messages_are_swallowed),
		cmocka_unit_test(
			test_downstream_session_commands__what_is_no_message_costs_the_connection),
		cmocka_unit_test(test_downstream_session_commands__one_byte_at_a_time),
		cmocka_unit_test(test_downstream_session_commands__pipelined_queries_wait_for_room),
		cmocka_unit_test(
			test_downstream_session_commands__a_promoted_upstream_is_announced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
