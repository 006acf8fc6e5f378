/*
 * The connection to an upstream, against a server played by the test.
 */
#include "fake_server.h"

#include "upstream/upstream_session.h"

#include "base/log.h"

#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* What happened to the session, a letter an event: c connected, r rows, o command complete, w copy
 * both, i the server's CopyDone, e error, d payload, p pause, z query over, l lost. */
struct observer {
	struct loop *loop;
	struct upstream_session session;
	char events[128];
	size_t payload_bytes;
	const char *sql;
	char close_on; /* close the session at this event */
	char end_on;   /* end the copy at this event */
	char read_on;  /* read at this event behind the session's back, until libpq sees the end */
	struct error err;
};

/* As when libpq reads while it writes: the socket is closed before the session is told. */
static void read_to_the_end(struct upstream_session *session)
{
	upstream_session_stop_reading(session);
	while (PQconsumeInput(session->connection)) {
		struct pollfd wanted = {.fd = PQsocket(session->connection), .events = POLLIN};

		assert_int_equal(poll(&wanted, 1, 10000), 1);
	}
	assert_int_equal(PQsocket(session->connection), -1);
	upstream_session_resume_reading(session);
}

static void note(struct observer *observer, char event)
{
	size_t length = strlen(observer->events);
	struct error err;

	assert_true(length + 1 < sizeof(observer->events));
	observer->events[length] = event;
	if (event == observer->end_on) {
		observer->end_on = '\0';
		assert_true(upstream_session_end_copy(&observer->session, &err));
	}
	if (event == observer->read_on) {
		read_to_the_end(&observer->session);
	}
	if (event == observer->close_on) {
		upstream_session_close(&observer->session);
		loop_stop(observer->loop);
	}
}

static char event_of(const PGresult *result)
{
	if (result == NULL) {
		return 'z';
	}
	switch (PQresultStatus(result)) {
	case PGRES_TUPLES_OK: return 'r';
	case PGRES_COMMAND_OK: return 'o';
	case PGRES_COPY_BOTH: return 'w';
	case PGRES_COPY_IN: return 'i';
	default: return 'e';
	}
}

static void on_result(void *context, const PGresult *result)
{
	note(context, event_of(result));
}

static void on_copy(void *context, const uint8_t *payload, size_t length)
{
	struct observer *observer = context;

	assert_non_null(payload);
	observer->payload_bytes += length;
	note(observer, 'd');
}

static void on_copy_pause(void *context)
{
	struct observer *observer = context;

	/* How often depends on how the bytes arrive. */
	if (observer->close_on == 'p') {
		note(observer, 'p');
	}
}

static void on_connected(void *context)
{
	struct observer *observer = context;
	const struct upstream_query query = {on_result, on_copy, on_copy_pause, observer};
	struct error err;

	note(observer, 'c');
	if (observer->sql != NULL) {
		assert_true(
			upstream_session_query(&observer->session, observer->sql, &query, &err));
	}
}

static void on_lost(void *context, const struct error *err)
{
	struct observer *observer = context;

	observer->err = *err;
	note(observer, 'l');
	loop_stop(observer->loop);
}

/* Connects and runs until the session is lost or closed. */
static void observe(struct observer *observer, const char *conninfo)
{
	struct error err;
	const struct upstream_session_options options = {
		.conninfo = conninfo,
		.application_name = "observer",
		.on_connected = on_connected,
		.on_lost = on_lost,
		.context = observer,
	};
	struct upstream_session_options with_loop = options;

	observer->loop = loop_new("test", &err);
	assert_non_null(observer->loop);
	with_loop.loop = observer->loop;
	assert_true(upstream_session_open(&observer->session, &with_loop, &err));
	loop_run(observer->loop);
	upstream_session_close(&observer->session);
	loop_free(&observer->loop);
}

static void observe_server(struct observer *observer, void (*play)(struct fake_server *server))
{
	struct fake_server server;
	char conninfo[256];

	fake_server_start(&server, play, NULL);
	fake_server_conninfo(&server, conninfo, sizeof(conninfo));
	observe(observer, conninfo);
	fake_server_join(&server);
	assert_string_equal(server.problem, "");
}

/* --- queries --------------------------------------------------------------------------------- */

static void play_query(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "IDENTIFY_SYSTEM");
	fake_send_row(server, "1", "2", NULL);
	fake_send_complete(server, "IDENTIFY_SYSTEM");
	fake_send_complete(server, "SELECT");
	fake_send_ready(server);
}

static void test_upstream_session__hands_over_results_then_the_end(void **state)
{
	struct observer observer = {.sql = "IDENTIFY_SYSTEM"};

	(void)state;
	observe_server(&observer, play_query);
	assert_string_equal(observer.events, "crozl");
}

static void play_error(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "X");
	fake_send_error(server, "0A000", "cannot");
	fake_send_ready(server);
}

static void test_upstream_session__an_error_leaves_the_connection_usable(void **state)
{
	struct observer observer = {.sql = "X"};

	(void)state;
	observe_server(&observer, play_error);
	assert_string_equal(observer.events, "cezl");
}

/* --- streams --------------------------------------------------------------------------------- */

static void play_timeline_end(struct fake_server *server)
{
	static const uint8_t wal[1000];
	uint8_t body[8];

	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "START_REPLICATION 0/1000000 TIMELINE 1");
	fake_send_copy_both(server);
	fake_send_wal(server, 0x1000000, wal, sizeof(wal));
	fake_send_wal(server, 0x1000000 + sizeof(wal), wal, sizeof(wal));
	fake_send(server, 'c', NULL, 0);
	fake_expect(server, 'c', body, sizeof(body));
	fake_send_row(server, "2", "0/10007D0", NULL);
	fake_send_complete(server, "START_STREAMING");
	fake_send_complete(server, "START_REPLICATION");
	fake_send_ready(server);
}

static void test_upstream_session__answers_the_servers_copy_done(void **state)
{
	struct observer observer = {.sql = "START_REPLICATION 0/1000000 TIMELINE 1"};

	(void)state;
	observe_server(&observer, play_timeline_end);
	assert_string_equal(observer.events, "cwddirozl");
	assert_int_equal(observer.payload_bytes, 2 * (25 + 1000));
}

static void play_client_end(struct fake_server *server)
{
	static const uint8_t wal[1000];
	uint8_t body[8];

	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "S");
	fake_send_copy_both(server);
	fake_send_wal(server, 0x1000000, wal, sizeof(wal));
	fake_expect(server, 'c', body, sizeof(body));
	fake_send_wal(server, 0x1000000 + sizeof(wal), wal, sizeof(wal));
	fake_send(server, 'c', NULL, 0);
	fake_send_complete(server, "START_STREAMING");
	fake_send_complete(server, "START_REPLICATION");
	fake_send_ready(server);
}

static void test_upstream_session__ends_a_copy_itself(void **state)
{
	struct observer observer = {.sql = "S", .end_on = 'd'};

	(void)state;
	observer.close_on = 'z';
	observe_server(&observer, play_client_end);
	assert_string_equal(observer.events, "cwddooz");
}

static void play_shutdown(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "S");
	fake_send_copy_both(server);
	fake_send_complete(server, "COPY 0");
}

static void test_upstream_session__a_shutdown_is_a_result_then_the_loss(void **state)
{
	struct observer observer = {.sql = "S"};

	(void)state;
	observe_server(&observer, play_shutdown);
	assert_string_equal(observer.events, "cwol");
	assert_string_equal(observer.err.message,
		"server closed the connection unexpectedly This probably means the server "
		"terminated abnormally before or while processing the request.");
}

static void play_error_in_copy(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "S");
	fake_send_copy_both(server);
	fake_send_error(server, "58P01", "gone");
	fake_send_ready(server);
}

static void test_upstream_session__an_error_ends_a_copy(void **state)
{
	struct observer observer = {.sql = "S"};

	(void)state;
	observe_server(&observer, play_error_in_copy);
	assert_string_equal(observer.events, "cwezl");
}

static void play_large_then_gone(struct fake_server *server)
{
	static uint8_t wal[131072];

	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "S");
	fake_send_copy_both(server);
	for (unsigned i = 0; i < 40; i++) {
		fake_send_wal(server, i * sizeof(wal), wal, sizeof(wal));
	}
}

static void test_upstream_session__what_came_before_the_end_counts(void **state)
{
	struct observer observer = {.sql = "S"};

	(void)state;
	observe_server(&observer, play_large_then_gone);
	assert_int_equal(observer.payload_bytes, 40 * (25 + 131072));
	assert_string_equal(observer.events, "cwddddddddddddddddddddddddddddddddddddddddl");
}

static void play_until_client_ends(struct fake_server *server)
{
	static uint8_t wal[100000];

	server->client_may_leave = true;
	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "S");
	fake_send_copy_both(server);
	fake_send_wal(server, 0, wal, sizeof(wal));
	fake_expect_end(server);
}

static void test_upstream_session__may_be_closed_in_every_callback(void **state)
{
	static const char events[] = "wdp";

	(void)state;
	for (const char *event = events; *event != '\0'; event++) {
		struct observer observer = {.sql = "S", .close_on = *event};

		observe_server(&observer, play_until_client_ends);
		assert_int_equal(observer.events[strlen(observer.events) - 1], *event);
	}
}

/* --- connecting ------------------------------------------------------------------------------ */

static void test_upstream_session__tells_why_nobody_answers(void **state)
{
	struct observer observer = {0};
	char conninfo[128];

	(void)state;
	snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=tester",
		fake_server_closed_port());
	observe(&observer, conninfo);
	assert_string_equal(observer.events, "l");
	assert_non_null(strstr(observer.err.message, "Connection refused"));
	assert_null(strchr(observer.err.message, '\n'));
}

static void play_welcome(struct fake_server *server)
{
	fake_accept(server);
	fake_let_in(server, "15.18");
}

/* Both hosts are loopback; only the second port has a server. */
static void test_upstream_session__goes_on_to_the_next_host(void **state)
{
	struct observer observer = {0};
	struct fake_server server;
	char conninfo[256];

	(void)state;
	fake_server_start(&server, play_welcome, NULL);
	snprintf(conninfo, sizeof(conninfo),
		"host=127.0.0.1,127.0.0.1 port=%u,%u user=tester sslmode=disable "
		"gssencmode=disable",
		fake_server_closed_port(), server.port);
	observe(&observer, conninfo);
	fake_server_join(&server);
	assert_string_equal(server.problem, "");
	assert_string_equal(observer.events, "cl");
}

/* A full accept queue: the kernel drops every further handshake, as a dead host would. */
static void fill_queue(struct fake_server *server, int fillers[4])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server->port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(listen(server->listener, 0), 0);
	for (int i = 0; i < 4; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
	}
}

static void test_upstream_session__a_dead_host_does_not_hide_the_next(void **state)
{
	struct observer observer = {0};
	struct fake_server dead;
	struct fake_server server;
	int fillers[4];
	char conninfo[256];

	(void)state;
	fake_server_listen(&dead, NULL, NULL);
	fill_queue(&dead, fillers);
	fake_server_start(&server, play_welcome, NULL);
	snprintf(conninfo, sizeof(conninfo),
		"host=127.0.0.1,127.0.0.1 port=%u,%u user=tester sslmode=disable "
		"gssencmode=disable connect_timeout=2",
		dead.port, server.port);
	observe(&observer, conninfo);
	fake_server_join(&server);
	fake_server_join(&dead);
	for (int i = 0; i < 4; i++) {
		close(fillers[i]);
	}
	assert_string_equal(server.problem, "");
	assert_string_equal(observer.events, "cl");
}

static void play_gone_after_wal(struct fake_server *server)
{
	static uint8_t wal[1000];

	fake_accept(server);
	fake_let_in(server, "15.18");
	fake_expect_query(server, "S");
	fake_send_copy_both(server);
	fake_send_wal(server, 0, wal, sizeof(wal));
}

static void test_upstream_session__a_socket_that_libpq_closed_is_not_waited_for(void **state)
{
	char file[] = "/tmp/walrelay-session.XXXXXX";
	struct log_options log = {.level = LOG_LEVEL_WARNING, .file = file};
	struct observer observer = {.sql = "S", .read_on = 'd', .close_on = 'd'};
	struct stat facts;
	struct error err;

	(void)state;
	close(mkstemp(file));
	assert_true(log_configure(&log, &err));
	observe_server(&observer, play_gone_after_wal);
	assert_int_equal(stat(file, &facts), 0);
	unlink(file);
	log.file = NULL;
	assert_true(log_configure(&log, &err));
	assert_string_equal(observer.events, "cwd");
	assert_int_equal(facts.st_size, 0);
}

static void play_silence(struct fake_server *server)
{
	fake_accept(server);
	fake_expect_end(server);
}

static void test_upstream_session__gives_up_a_server_that_says_nothing(void **state)
{
	struct observer observer = {0};

	(void)state;
	observe_server(&observer, play_silence);
	assert_string_equal(observer.events, "l");
	assert_non_null(strstr(observer.err.message, "no answer from 127.0.0.1"));
}

#define TEST(name) cmocka_unit_test(test_upstream_session__##name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hands_over_results_then_the_end),
		TEST(an_error_leaves_the_connection_usable),
		TEST(answers_the_servers_copy_done),
		TEST(ends_a_copy_itself),
		TEST(a_shutdown_is_a_result_then_the_loss),
		TEST(an_error_ends_a_copy),
		TEST(what_came_before_the_end_counts),
		TEST(may_be_closed_in_every_callback),
		TEST(tells_why_nobody_answers),
		TEST(goes_on_to_the_next_host),
		TEST(a_dead_host_does_not_hide_the_next),
		TEST(gives_up_a_server_that_says_nothing),
		TEST(a_socket_that_libpq_closed_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
