/* From the first byte to the first ReadyForQuery, and every way not to get there. */
#include "relay_fixture.h"

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define V3_0 196608u

static void test_downstream_session_startup__greets_a_walreceiver(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	relay_fixture_append(fixture, 1000);
	relay_fixture_connect(fixture, &client);
	raw_client_startup(&client, V3_0,
		"user=rep;database=replication;replication=true;application_name=walreceiver");
	assert_string_equal(raw_client_until(&client, 'Z'), "R 0\n"
							    "S application_name=walreceiver\n"
							    "S client_encoding=SQL_ASCII\n"
							    "S DateStyle=ISO, MDY\n"
							    "S default_transaction_read_only=off\n"
							    "S in_hot_standby=off\n"
							    "S integer_datetimes=on\n"
							    "S IntervalStyle=postgres\n"
							    "S is_superuser=off\n"
							    "S server_encoding=SQL_ASCII\n"
							    "S server_version=15.18\n"
							    "S session_authorization=rep\n"
							    "S standard_conforming_strings=on\n"
							    "S TimeZone=Etc/UTC\n"
							    "K\n"
							    "Z I\n");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

struct refusal {
	const char *parameters;
	const char *expected;
};

static void check_refusals(struct relay_fixture *fixture, const struct refusal *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct raw_client client;
		relay_fixture_connect(fixture, &client);
		raw_client_startup(&client, V3_0, rows[i].parameters);
		assert_string_equal(raw_client_until(&client, 'E'), rows[i].expected);
		assert_string_equal(raw_client_next(&client), "closed");
		raw_client_close(&client);
	}
}

static void test_downstream_session_startup__refuses_with_postgres_words(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"replication=true",
			"E FATAL 28000 no PostgreSQL user name specified in startup packet\n"},
		{"user=rep;replication=maybe",
			"E FATAL 22023 invalid value for parameter \"replication\": \"maybe\" "
			"hint: "
			"Valid values are: \"false\", 0, \"true\", 1, \"database\".\n"},
		{"user=rep;replication=database;database=d",
			"E FATAL 0A000 logical replication is not possible through walrelay "
			"\"hub\" "
			"hint: Connect to the primary or a standby for logical replication.\n"},
		{"user=rep;database=postgres",
			"E FATAL 0A000 walrelay \"hub\" is a relay for WAL and serves no SQL "
			"sessions "
			"hint: Connect to the primary for SQL, and let pg_rewind, slot "
			"synchronization and monitoring do so; the relay serves replication "
			"connections and its console, database \"walrelay\".\n"},
		{"user=rep;database=walrelay", "R 0\nE FATAL 0A000 walrelay \"hub\" has no console "
					       "hint: Its state is told by "
					       "the command \"walrelay status\" and over HTTP.\n"},
		{"user=rep;replication=true;nosuch=1",
			"R 0\nE FATAL 42704 unrecognized configuration parameter \"nosuch\"\n"},
		{"user=rep;replication=true;options=-c wal_sender_timeout~x",
			"R 0\nE FATAL 22023 invalid value for parameter \"wal_sender_timeout\": "
			"\"x\" "
			"hint: Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", "
			"\"h\", and \"d\".\n"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	check_refusals(fixture, rows, sizeof(rows) / sizeof(rows[0]));
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__has_nothing_to_say_before_its_upstream(void **state)
{
	(void)state;
	static const struct refusal rows[] = {
		{"user=rep;replication=true", "E FATAL 57P03 walrelay \"hub\" has not received "
					      "anything from its upstream "
					      "yet\n"},
	};
	const struct relay_fixture_options options = {.is_unknown = true};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	check_refusals(fixture, rows, 1);
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__answers_negotiation_in_either_order(void **state)
{
	(void)state;
	static const uint8_t tls[] = {0, 0, 0, 8, 4, 210, 22, 47};
	static const uint8_t gssenc[] = {0, 0, 0, 8, 4, 210, 22, 48};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	for (int order = 0; order < 2; order++) {
		struct raw_client client;
		relay_fixture_connect(fixture, &client);
		raw_client_send(&client, order ? tls : gssenc, 8);
		assert_int_equal(raw_client_byte(&client), 'N');
		raw_client_send(&client, order ? gssenc : tls, 8);
		assert_int_equal(raw_client_byte(&client), 'N');
		raw_client_startup(&client, V3_0, "user=rep;replication=1");
		assert_string_equal(raw_client_next(&client), "R 0");
		raw_client_close(&client);

		relay_fixture_connect(fixture, &client);
		raw_client_send(&client, tls, 8);
		assert_int_equal(raw_client_byte(&client), 'N');
		raw_client_send(&client, tls, 8);
		assert_string_equal(raw_client_next(&client),
			"E FATAL 0A000 unsupported frontend protocol 1234.5679: server supports "
			"3.0 "
			"to 3.0");
		raw_client_close(&client);
	}
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__negotiates_the_protocol(void **state)
{
	(void)state;
	static const struct {
		uint32_t version;
		const char *parameters;
		const char *expected;
	} rows[] = {
		{V3_0, "user=rep;replication=true", "R 0"},
		{196610, "user=rep;replication=true", "v 3.0"},
		{206607, "user=rep;replication=true;_pq_.test_protocol_negotiation=",
			"v 3.0 _pq_.test_protocol_negotiation"},
		{V3_0, "user=rep;_pq_.a=1;replication=true;_pq_.b=2", "v 3.0 _pq_.a _pq_.b"},
		{131072, "user=rep;replication=true",
			"E FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to "
			"3.0"},
		{262144, "user=rep",
			"E FATAL 0A000 unsupported frontend protocol 4.0: server supports 3.0 to "
			"3.0"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_client client;
		relay_fixture_connect(fixture, &client);
		raw_client_startup(&client, rows[i].version, rows[i].parameters);
		assert_string_equal(raw_client_next(&client), rows[i].expected);
		if (client.type == 'v') {
			assert_string_equal(raw_client_next(&client), "R 0");
		}
		raw_client_close(&client);
	}
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__what_is_no_startup_packet(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t length;
		const char *expected;
	} rows[] = {
		{"\0\0\0\7\0\0\0", 7, "E FATAL 08P01 invalid length of startup packet"},
		{"\0\0\x27\x11\0\3\0\0", 8, "E FATAL 08P01 invalid length of startup packet"},
		{"\xff\xff\xff\xff", 4, "E FATAL 08P01 invalid length of startup packet"},
		{"GET / HTTP/1.1\r\n", 16, "E FATAL 08P01 invalid length of startup packet"},
		{"\x16\3\1\2\0\1", 6, "closed"},
		{"\0\0\0\x10\4\xd2\x16\x2e\0\0\0\1\0\0\0\2", 16, "closed"},
	};
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_client client;
		relay_fixture_connect(fixture, &client);
		raw_client_send(&client, rows[i].bytes, rows[i].length);
		assert_string_equal(raw_client_next(&client), rows[i].expected);
		raw_client_close(&client);
	}
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 0);
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__a_silent_client_is_cut(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.authentication_timeout_us = 50000};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client silent, slow;
	relay_fixture_connect(fixture, &silent);
	relay_fixture_connect(fixture, &slow);
	raw_client_send(&slow, "\0\0", 2);
	assert_string_equal(raw_client_next(&silent), "closed");
	assert_string_equal(raw_client_next(&slow), "closed");
	raw_client_close(&silent);
	raw_client_close(&slow);
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__too_many_are_told(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.max_connections = 2};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client clients[2], third;
	relay_fixture_log_in(fixture, &clients[0]);
	relay_fixture_log_in(fixture, &clients[1]);
	relay_fixture_connect(fixture, &third);
	raw_client_startup(&third, V3_0, "user=rep;replication=true");
	assert_string_equal(
		raw_client_next(&third), "E FATAL 53300 sorry, too many clients already");
	raw_client_close(&third);
	raw_client_close(&clients[0]);
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 1);
	relay_fixture_log_in(fixture, &clients[0]);
	raw_client_close(&clients[0]);
	raw_client_close(&clients[1]);
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__silence_shuts_nobody_out(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.max_connections = 2, .sender_threads = 2};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client silent[2], clients[2], third;
	relay_fixture_connect(fixture, &silent[0]);
	raw_client_send(&silent[0], "\0", 1);
	relay_fixture_connect(fixture, &silent[1]);
	raw_client_send(&silent[1], "\0", 1);
	for (int i = 0; i < 2; i++) {
		relay_fixture_log_in(fixture, &clients[i]);
		WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 2);
	}
	for (int i = 0; i < 2; i++) {
		assert_string_equal(raw_client_next(&silent[i]), "closed");
		raw_client_close(&silent[i]);
	}
	/* Those who have logged in stay. */
	relay_fixture_connect(fixture, &third);
	raw_client_startup(&third, V3_0, "user=rep;replication=true");
	assert_string_equal(
		raw_client_next(&third), "E FATAL 53300 sorry, too many clients already");
	for (int i = 0; i < 2; i++) {
		raw_client_query(&clients[i], "IDENTIFY_SYSTEM");
		raw_client_until(&clients[i], 'Z');
		raw_client_close(&clients[i]);
	}
	raw_client_close(&third);
	relay_fixture_free(fixture);
}

static void connect_from(
	struct relay_fixture *fixture, const char *address, struct raw_client *client)
{
	int fds[2];
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(4711)};
	assert_int_equal(inet_pton(AF_INET, address, &peer.sin_addr), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	downstream_accept(fixture->downstream, fds[0], (struct sockaddr *)&peer, sizeof(peer));
	raw_client_open(client, fds[1]);
}

static void test_downstream_session_startup__the_proxy_header_tells_the_address(void **state)
{
	(void)state;
	static const struct {
		const char *from;
		const char *header;
		const char *expected;
	} rows[] = {
		{"10.1.2.3", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 6433\r\n", "R 0"},
		{"10.1.2.3", "PROXY TCP4 192.0.2.8 10.0.0.1 4711 6433\r\n",
			"E FATAL 28000 no pg_hba.conf entry for replication connection from host "
			"\"192.0.2.8\", user \"rep\", no encryption"},
		{"10.1.2.3", "", "closed"},
		{"10.1.2.3", "PROXY nonsense\r\n", "closed"},
		{"192.0.2.7", "", "R 0"},
		{"192.0.2.7", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 6433\r\n",
			"E FATAL 08P01 invalid length of startup packet"},
	};
	const struct relay_fixture_options options = {
		.proxy_protocol = true, .proxy_from = "10.0.0.0/8, 2001:db8::/32"};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct raw_client client;
		connect_from(fixture, rows[i].from, &client);
		raw_client_send(&client, rows[i].header, strlen(rows[i].header));
		raw_client_startup(&client, V3_0, "user=rep;replication=true");
		assert_string_equal(raw_client_next(&client), rows[i].expected);
		raw_client_close(&client);
	}
	relay_fixture_free(fixture);
}

static void test_downstream_session_startup__stopping_lets_nobody_in(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client ready, starting;
	relay_fixture_log_in(fixture, &ready);
	relay_fixture_connect(fixture, &starting);
	raw_client_send(&starting, "\0\0", 2);
	relay_fixture_begin_stop(fixture, 10000000);
	assert_string_equal(raw_client_next(&ready),
		"E FATAL 57P01 terminating connection due to administrator command");
	assert_string_equal(raw_client_next(&ready), "closed");
	assert_string_equal(raw_client_next(&starting), "closed");
	raw_client_close(&ready);
	raw_client_close(&starting);
	relay_fixture_wait_stopped(fixture);
	relay_fixture_connect(fixture, &ready);
	assert_string_equal(raw_client_next(&ready), "closed");
	raw_client_close(&ready);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downstream_session_startup__greets_a_walreceiver),
		cmocka_unit_test(test_downstream_session_startup__refuses_with_postgres_words),
		cmocka_unit_test(
			test_downstream_session_startup__has_nothing_to_say_before_its_upstream),
		cmocka_unit_test(
			test_downstream_session_startup__answers_negotiation_in_either_order),
		cmocka_unit_test(test_downstream_session_startup__negotiates_the_protocol),
		cmocka_unit_test(test_downstream_session_startup__what_is_no_startup_packet),
		cmocka_unit_test(test_downstream_session_startup__a_silent_client_is_cut),
		cmocka_unit_test(test_downstream_session_startup__too_many_are_told),
		cmocka_unit_test(test_downstream_session_startup__silence_shuts_nobody_out),
		cmocka_unit_test(
			test_downstream_session_startup__the_proxy_header_tells_the_address),
		cmocka_unit_test(test_downstream_session_startup__stopping_lets_nobody_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
