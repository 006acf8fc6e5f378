/* Tests of observe/status_server over real connections. */
#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "fake_readers.h"
#include "observe/http_connections.h"
#include "observe/status_server.h"

struct serving {
	struct loop *loop;
	struct status_server *server;
	char answer[1 << 18];
};

static void open_server(struct serving *serving, const char *address, int *inherited, size_t count)
{
	struct error err = {0};
	const struct snapshot_sources sources = {
		.relay_name = "r", .page_url = "http://page.example.com/"};
	serving->server =
		status_server_open(serving->loop, &sources, address, inherited, count, &err);
	if (serving->server == NULL) {
		fail_msg("%s", err.message);
	}
}

static int setup(void **state)
{
	static struct serving serving;
	struct error err = {0};
	memset(&serving, 0, sizeof(serving));
	fake_readers_reset();
	serving.loop = loop_new("http", &err);
	open_server(&serving, "127.0.0.1:0", NULL, 0);
	*state = &serving;
	return loop_start(serving.loop, &err) ? 0 : -1;
}

static void stop_loop(struct serving *serving)
{
	loop_stop(serving->loop);
	loop_join(serving->loop);
}

static int teardown(void **state)
{
	struct serving *serving = *state;
	stop_loop(serving);
	status_server_close(&serving->server);
	status_server_close(&serving->server);
	loop_free(&serving->loop);
	return 0;
}

static int connect_to(struct serving *serving)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	struct timeval patience = {.tv_sec = 20};
	const char *text = status_server_address(serving->server, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(strrchr(text, ':') + 1));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Sends bytes and reads the answer to its end into serving->answer. */
static void ask_bytes(struct serving *serving, const char *bytes, size_t length)
{
	size_t got_total = 0;
	int fd = connect_to(serving);
	assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
	for (;;) {
		ssize_t got = recv(fd, serving->answer + got_total,
			sizeof(serving->answer) - 1 - got_total, 0);
		if (got <= 0) {
			break;
		}
		got_total += (size_t)got;
	}
	serving->answer[got_total] = '\0';
	close(fd);
}

/* Returns the status code. */
static int ask(struct serving *serving, const char *method, const char *path)
{
	char request[256];
	int length = snprintf(request, sizeof(request),
		"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", method, path);
	ask_bytes(serving, request, (size_t)length);
	return strncmp(serving->answer, "HTTP/1.1 ", 9) == 0 ? atoi(serving->answer + 9) : -1;
}

static bool says(struct serving *serving, const char *text)
{
	return strstr(serving->answer, text) != NULL;
}

static void test_status_server__serves_what_the_manual_lists(void **state)
{
	struct serving *serving = *state;
	assert_int_equal(ask(serving, "GET", "/healthz"), 200);
	assert_true(says(serving, "\r\n\r\nok\n"));
	assert_int_equal(ask(serving, "GET", "/readyz"), 200);
	assert_true(says(serving, "\r\n\r\nready\n"));
	assert_int_equal(ask(serving, "GET", "/metrics"), 200);
	assert_true(says(serving, "Content-Type: text/plain; version=0.0.4"));
	assert_true(says(serving, "\nwalrelay_upstream_connected 1\n"));
	assert_int_equal(ask(serving, "GET", "/api/status?x=1"), 200);
	assert_true(says(serving, "Content-Type: application/json"));
	assert_true(says(serving, "\"name\": \"r\""));
	assert_int_equal(ask(serving, "GET", "/"), 200);
	assert_true(says(serving, "Content-Type: text/html"));
	assert_true(says(
		serving, "\r\nContent-Security-Policy: default-src 'none'; script-src 'sha256-"));
	assert_true(says(serving, "</html>"));
	assert_int_equal(ask(serving, "GET", "/api/status?history=1"), 200);
	assert_true(says(serving, "\"interval_seconds\": 10"));
	assert_int_equal(ask(serving, "GET", "/api/status?history=2"), 200);
	assert_false(says(serving, "\"interval_seconds\""));
}

static void test_status_server__is_not_ready_with_a_reason(void **state)
{
	struct serving *serving = *state;
	stop_loop(serving);
	fake_readers.upstream.state = UPSTREAM_WAITING;
	strcpy(fake_readers.upstream.last_error, "connection refused");
	assert_true(loop_start(serving->loop, NULL));
	assert_int_equal(ask(serving, "GET", "/readyz"), 503);
	assert_true(says(serving, "\r\n\r\nupstream is waiting: connection refused\n"));
	assert_int_equal(ask(serving, "GET", "/healthz"), 200);
}

static void test_status_server__knows_no_other_path(void **state)
{
	struct serving *serving = *state;
	static const char *const paths[] = {"/nothing", "/metrics/", "/../etc/passwd", "//", "*",
		"/metrics%00", "/api", "/healthz;x"};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int code = ask(serving, "GET", paths[i]);
		assert_true(code == 404 || code == 400);
	}
	assert_int_equal(ask(serving, "GET", "/nothing"), 404);
	assert_int_equal(ask(serving, "POST", "/nothing"), 404);
}

static void test_status_server__allows_no_other_method(void **state)
{
	struct serving *serving = *state;
	static const char *const methods[] = {
		"POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		assert_int_equal(ask(serving, methods[i], "/metrics"), 405);
		assert_true(says(serving, "Allow: GET\r\n"));
	}
}

static int ask_host(struct serving *serving, const char *host)
{
	char request[256];
	int length = snprintf(request, sizeof(request),
		"GET /api/status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
	ask_bytes(serving, request, (size_t)length);
	return atoi(serving->answer + 9);
}

/* A name of somebody else that resolves to loopback: a browser's page asks, from anywhere. */
static void test_status_server__answers_to_its_own_names(void **state)
{
	struct serving *serving = *state;
	assert_int_equal(ask_host(serving, "127.0.0.1:9871"), 200);
	assert_int_equal(ask_host(serving, "evil.example.com:9871"), 421);
	assert_false(says(serving, "upstream"));
	assert_int_equal(ask_host(serving, "page.example.com"), 200);
	stop_loop(serving);
	status_server_close(&serving->server);
	open_server(serving, "0.0.0.0:0", NULL, 0);
	assert_true(loop_start(serving->loop, NULL));
	assert_int_equal(ask_host(serving, "evil.example.com:9871"), 200);
}

static void test_status_server__survives_nonsense(void **state)
{
	struct serving *serving = *state;
	static char long_line[100000];
	memset(long_line, '/', sizeof(long_line));
	memcpy(long_line, "GET ", 4);
	ask_bytes(serving, "\0\1\2\3\r\n\r\n", 8);
	ask_bytes(serving, "\r\n\r\n\r\n", 6);
	ask_bytes(serving, "GET /metrics HTTP/9.9\r\n\r\n", 25);
	int fd = connect_to(serving);
	send(fd, long_line, sizeof(long_line), MSG_NOSIGNAL);
	close(fd);
	assert_int_equal(ask(serving, "GET", "/healthz"), 200);
}

static void test_status_server__a_silent_client_costs_nobody(void **state)
{
	struct serving *serving = *state;
	int silent[20];
	for (size_t i = 0; i < 20; i++) {
		silent[i] = connect_to(serving);
		send(silent[i], "GET ", 4, MSG_NOSIGNAL);
	}
	assert_int_equal(ask(serving, "GET", "/metrics"), 200);
	for (size_t i = 0; i < 20; i++) {
		close(silent[i]);
	}
}

/* All that goes into the sockets of somebody who reads no answer. */
static size_t send_without_end(int fd, size_t enough)
{
	static const char request[] = "GET /api/status?history=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
	static char requests[1000 * (sizeof(request) - 1)];
	struct pollfd writable = {.fd = fd, .events = POLLOUT};
	size_t total = 0;
	for (size_t i = 0; i < sizeof(requests); i++) {
		requests[i] = request[i % (sizeof(request) - 1)];
	}
	while (total < enough && poll(&writable, 1, 1000) == 1) {
		ssize_t sent =
			send(fd, requests, sizeof(requests), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0) {
			break;
		}
		total += (size_t)sent;
	}
	return total;
}

static void test_status_server__does_not_take_what_it_cannot_answer_yet(void **state)
{
	struct serving *serving = *state;
	const size_t enough = 64u << 20;
	int narrow = 4096;
	int fd = connect_to(serving);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
	assert_in_range(send_without_end(fd, enough), 1, enough - 1);
	assert_int_equal(ask(serving, "GET", "/healthz"), 200);
	close(fd);
}

static size_t count_descriptors(void)
{
	size_t count = 0;
	for (int fd = 0; fd < 2000; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

/* Also those who send a byte now and then: who came first goes first. */
static void test_status_server__has_so_many_clients_and_no_more(void **state)
{
	struct serving *serving = *state;
	int silent[300];
	char byte;
	size_t before = count_descriptors();
	for (size_t i = 0; i < 300; i++) {
		silent[i] = connect_to(serving);
		send(silent[i], "GET ", 4, MSG_NOSIGNAL);
	}
	assert_int_equal(ask(serving, "GET", "/metrics"), 200);
	assert_int_equal(recv(silent[0], &byte, 1, 0), 0);
	assert_true(count_descriptors() <= before + 300 + HTTP_CONNECTIONS_MAX + 1);
	for (size_t i = 0; i < 300; i++) {
		close(silent[i]);
	}
	assert_int_equal(ask(serving, "GET", "/healthz"), 200);
}

static int64_t cpu_us(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* With no descriptor left the acceptor must rest, and come back when there is one. */
static void test_status_server__rests_without_descriptors(void **state)
{
	struct serving *serving = *state;
	char byte;
	struct rlimit before;
	struct timeval wait = {.tv_usec = 300000};
	assert_int_equal(ask(serving, "GET", "/healthz"), 200);
	getrlimit(RLIMIT_NOFILE, &before);
	stop_loop(serving);
	int waiting = connect_to(serving);
	setsockopt(waiting, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	send(waiting, "GET /healthz HTTP/1.1\r\n\r\n", 25, MSG_NOSIGNAL);
	struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int64_t used_us = cpu_us();
	assert_true(loop_start(serving->loop, NULL));
	assert_int_equal(recv(waiting, &byte, 1, 0), -1);
	used_us = cpu_us() - used_us;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(used_us < 100000);
	wait.tv_sec = 20;
	setsockopt(waiting, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(recv(waiting, &byte, 1, 0), 1);
	close(waiting);
}

#define PAIRS 8

static void on_told(evutil_socket_t fd, short events, void *context)
{
	char byte;
	(void)events;
	if (recv(fd, &byte, 1, MSG_DONTWAIT) == 1) {
		atomic_fetch_add((atomic_uint *)context, 1);
	}
}

/* A descriptor that follows on a client's is another's: libcurl's on the same loop, say. */
static void test_status_server__leaves_the_numbers_of_its_sockets_to_others(void **state)
{
	struct serving *serving = *state;
	struct event *events[PAIRS][2];
	int pairs[PAIRS][2];
	atomic_uint told = 0;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(serving, "GET", "/healthz"), 200);
	}
	stop_loop(serving);
	for (int i = 0; i < PAIRS; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
		for (int end = 0; end < 2; end++) {
			events[i][end] = event_new(loop_event_base(serving->loop), pairs[i][end],
				EV_READ | EV_PERSIST, on_told, &told);
			assert_int_equal(event_add(events[i][end], NULL), 0);
			assert_int_equal(send(pairs[i][!end], "x", 1, 0), 1);
		}
	}
	assert_true(loop_start(serving->loop, NULL));
	for (int left_ms = 5000; atomic_load(&told) < 2 * PAIRS; left_ms--) {
		assert_true(left_ms > 0);
		usleep(1000);
	}
	stop_loop(serving);
	for (int i = 0; i < PAIRS; i++) {
		for (int end = 0; end < 2; end++) {
			event_free(events[i][end]);
			close(pairs[i][end]);
		}
	}
	assert_true(loop_start(serving->loop, NULL));
}

static void test_status_server__hands_its_sockets_over(void **state)
{
	struct serving *serving = *state;
	char address[128];
	int fds[1];
	assert_int_equal(status_server_count(serving->server), 1);
	strcpy(address, status_server_address(serving->server, 0));
	stop_loop(serving);
	int early = connect_to(serving);
	status_server_hand_over(&serving->server, fds);
	assert_null(serving->server);
	open_server(serving, address, fds, 1);
	assert_int_equal(fds[0], -1);
	assert_true(loop_start(serving->loop, NULL));
	static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
	send(early, request, sizeof(request) - 1, MSG_NOSIGNAL);
	assert_true(recv(early, serving->answer, sizeof(serving->answer), 0) > 0);
	assert_memory_equal(serving->answer + 8, " 200", 4);
	close(early);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_status_server__serves_what_the_manual_lists),
		TEST(test_status_server__is_not_ready_with_a_reason),
		TEST(test_status_server__knows_no_other_path),
		TEST(test_status_server__allows_no_other_method),
		TEST(test_status_server__answers_to_its_own_names),
		TEST(test_status_server__survives_nonsense),
		TEST(test_status_server__a_silent_client_costs_nobody),
		TEST(test_status_server__does_not_take_what_it_cannot_answer_yet),
		TEST(test_status_server__has_so_many_clients_and_no_more),
		TEST(test_status_server__rests_without_descriptors),
		TEST(test_status_server__leaves_the_numbers_of_its_sockets_to_others),
		TEST(test_status_server__hands_its_sockets_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
