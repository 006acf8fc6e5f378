/* Tests of net/connection over real sockets: bytes in and out, and how they are counted. */
#include "connection_side.h"

static void test_connection__tells_input_and_keeps_what_is_left(void **state)
{
	struct side *side = *state;
	side->on_input = DRAIN_NOTHING;
	send_bytes(side, "hel");
	RUN_UNTIL(side->loop, side->inputs == 1);
	side->on_input = DRAIN_ALL;
	send_bytes(side, "lo");
	RUN_UNTIL(side->loop, side->inputs == 2);
	assert_memory_equal(side->input, "hello", 5);
	assert_int_equal(side->input_bytes, 5);
}

static void test_connection__flush_writes_without_the_poller(void **state)
{
	struct side *side = *state;
	char bytes[8] = "";
	connection_write(side->connection, "ab", 2);
	connection_write(side->connection, "cd", 2);
	assert_int_equal(connection_output_bytes(side->connection), 4);
	flush(side);
	assert_int_equal(connection_output_bytes(side->connection), 0);
	assert_int_equal(recv(side->peer, bytes, sizeof(bytes), MSG_DONTWAIT), 4);
	assert_string_equal(bytes, "abcd");
}

static void test_connection__counts_exactly_what_the_kernel_took_and_gave(void **state)
{
	struct side *side = *state;
	struct connection_stats stats;
	size_t taken = 0;
	set_small_buffers(side);
	write_filled(side, 300000);
	flush(side);
	connection_read_stats(side->connection, &stats);
	assert_true(stats.output_bytes > 0);
	assert_int_equal(stats.wire_sent_bytes + stats.output_bytes, 300000);
	RUN_UNTIL(side->loop, (taken += take_at_peer(side)) >= 300000);
	send_bytes(side, "hello");
	RUN_UNTIL(side->loop, side->input_bytes == 5);
	connection_read_stats(side->connection, &stats);
	assert_int_equal(stats.wire_sent_bytes, 300000);
	assert_int_equal(stats.wire_received_bytes, 5);
	assert_int_equal(stats.output_bytes, 0);
}

static void test_connection__keeps_order_when_the_socket_is_full(void **state)
{
	struct side *side = *state;
	char bytes[4096];
	size_t at = 0;
	set_small_buffers(side);
	for (int i = 0; i < 10; i++) {
		write_filled(side, 26 * 1000);
	}
	flush(side);
	int64_t end_us = loop_refresh_now_us(side->loop) + RUN_UNTIL_US;
	while (at < 260000) {
		assert_true(loop_refresh_now_us(side->loop) < end_us);
		run_a_tick(side->loop);
		ssize_t got = recv(side->peer, bytes, sizeof(bytes), MSG_DONTWAIT);
		for (ssize_t i = 0; i < got; i++, at++) {
			assert_int_equal(bytes[i], 'a' + at % 26);
		}
	}
	assert_int_equal(side->writables, 1);
}

static void test_connection__asks_for_more_each_time_it_fell_to_low_water(void **state)
{
	struct side *side = *state;
	side->refill_bytes = LOW_WATER + 1;
	write_filled(side, LOW_WATER + 1);
	flush(side);
	assert_int_equal(side->writables, 0);
	int64_t end_us = loop_refresh_now_us(side->loop) + RUN_UNTIL_US;
	while (side->writables < 20) {
		assert_true(loop_refresh_now_us(side->loop) < end_us);
		run_a_tick(side->loop);
		take_at_peer(side);
	}
}

static void test_connection__does_not_ask_while_below_low_water(void **state)
{
	struct side *side = *state;
	write_filled(side, LOW_WATER);
	flush(side);
	RUN_TICKS(side->loop, 3);
	assert_int_equal(side->writables, 0);
}

static void test_connection__releases_a_reference_when_the_kernel_has_it(void **state)
{
	struct side *side = *state;
	static const char bytes[100000] = "x";
	set_small_buffers(side);
	connection_write(side->connection, "head", 4);
	connection_write_reference(side->connection, bytes, sizeof(bytes), release, side);
	flush(side);
	assert_int_equal(side->releases, 0);
	size_t taken = 0;
	RUN_UNTIL(side->loop, (taken += take_at_peer(side)) >= sizeof(bytes) + 4);
	assert_int_equal(side->releases, 1);
}

static void test_connection__releases_references_that_never_went(void **state)
{
	struct side *side = *state;
	static const char bytes[10] = "x";
	connection_write_reference(side->connection, bytes, 0, release, side);
	assert_int_equal(side->releases, 1);
	connection_write_reference(side->connection, bytes, sizeof(bytes), release, side);
	connection_free(&side->connection);
	assert_int_equal(side->releases, 2);
}

static void test_connection__reads_no_more_than_its_bound(void **state)
{
	struct side *side = *state;
	char bytes[INPUT_MAX + 500];
	struct connection_stats stats;
	memset(bytes, 'x', sizeof(bytes));
	side->on_input = DRAIN_NOTHING;
	assert_int_equal(send(side->peer, bytes, sizeof(bytes), 0), sizeof(bytes));
	RUN_UNTIL(side->loop, side->inputs >= 1);
	RUN_TICKS(side->loop, 3);
	connection_read_stats(side->connection, &stats);
	assert_int_equal(stats.wire_received_bytes, INPUT_MAX);
}

static void drain_later(void *context)
{
	struct evbuffer *input = context;
	evbuffer_drain(input, evbuffer_get_length(input));
}

static void keep_and_drain_later(void *context, struct evbuffer *input)
{
	struct side *side = context;
	side->inputs++;
	side->input_bytes += evbuffer_get_length(input);
	loop_defer(side->loop, drain_later, input);
}

static void test_connection__reads_on_when_full_input_is_drained_later(void **state)
{
	struct side *side = *state;
	struct error err = {0};
	int fds[2];
	char bytes[INPUT_MAX + 500];
	const struct connection_callbacks later = {.on_input = keep_and_drain_later,
		.on_writable = on_writable,
		.on_closed = on_closed};
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct connection *connection =
		connection_new(side->loop, fds[0], NULL, &side->options, &later, side, &err);
	assert_int_equal(send(fds[1], bytes, sizeof(bytes), 0), sizeof(bytes));
	RUN_UNTIL(side->loop, side->input_bytes == sizeof(bytes));
	connection_free(&connection);
	close(fds[1]);
}

static void test_connection__a_pause_leaves_bytes_in_the_kernel(void **state)
{
	struct side *side = *state;
	struct connection_stats stats;
	side->on_input = PAUSE;
	send_bytes(side, "one");
	RUN_UNTIL(side->loop, side->inputs == 1);
	send_bytes(side, "two");
	RUN_TICKS(side->loop, 3);
	connection_read_stats(side->connection, &stats);
	assert_int_equal(stats.wire_received_bytes, 3);
	side->on_input = DRAIN_ALL;
	connection_resume_reading(side->connection);
	assert_int_equal(side->inputs, 1);
	RUN_UNTIL(side->loop, side->input_bytes == 6);
	assert_memory_equal(side->input, "onetwo", 6);
}

static void test_connection__resuming_tells_what_was_left(void **state)
{
	struct side *side = *state;
	side->on_input = PAUSE;
	send_bytes(side, "one");
	RUN_UNTIL(side->loop, side->inputs == 1);
	side->on_input = DRAIN_ALL;
	connection_resume_reading(side->connection);
	RUN_UNTIL(side->loop, side->inputs == 2);
	assert_int_equal(side->input_bytes, 3);
}

static void test_connection__names_a_local_peer(void **state)
{
	struct side *side = *state;
	struct sockaddr_un peer = {.sun_family = AF_UNIX};
	assert_string_equal(connection_peer_name(side->connection), "[local]");
	assert_int_equal(connection_peer_address(side->connection)->ss_family, AF_UNSPEC);
	assert_true(connection_is_local(side->connection));
	connection_set_peer_address(side->connection, (struct sockaddr *)&peer);
	assert_string_equal(connection_peer_name(side->connection), "[local]");
	assert_true(connection_is_local(side->connection));
}

static void test_connection__names_a_tcp_peer_and_sends_at_once(void **state)
{
	struct side *side = *state;
	struct sockaddr_in local;
	socklen_t size = sizeof(local);
	char expected[32];
	int nodelay = 0;
	getsockname(side->peer, (struct sockaddr *)&local, &size);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(local.sin_port));
	assert_string_equal(connection_peer_name(side->connection), expected);
	assert_false(connection_is_local(side->connection));
	size = sizeof(nodelay);
	getsockopt(connection_fd(side->connection), IPPROTO_TCP, TCP_NODELAY, &nodelay, &size);
	assert_true(nodelay);
}

static void test_connection__takes_another_peer_address(void **state)
{
	struct side *side = *state;
	struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_port = htons(4321)};
	inet_pton(AF_INET6, "2001:db8::1", &peer.sin6_addr);
	connection_set_peer_address(side->connection, (struct sockaddr *)&peer);
	assert_string_equal(connection_peer_name(side->connection), "[2001:db8::1]:4321");
	assert_false(connection_is_local(side->connection));
	inet_pton(AF_INET6, "::ffff:10.0.0.7", &peer.sin6_addr);
	connection_set_peer_address(side->connection, (struct sockaddr *)&peer);
	assert_string_equal(connection_peer_name(side->connection), "10.0.0.7:4321");
	assert_int_equal(connection_peer_address(side->connection)->ss_family, AF_INET);
}

/* --- many connections, and news in between -----------------------------------------------------
 */

#define MANY 8

static struct loop *many_loop;
static char order[2 * MANY + 1]; /* w: what a connection waited with was written; n: news */

static void note(char what)
{
	order[strlen(order)] = what;
}

static void take_news(void *context)
{
	(void)context;
	note('n');
}

static void note_written(void *context)
{
	(void)context;
	note('w');
	loop_post(many_loop, take_news, NULL);
}

/* Waits with one last byte for room in the socket, and then has it. */
static void fill_and_make_room(struct side *side)
{
	while (connection_output_bytes(side->connection) == 0) {
		write_filled(side, 4096);
		flush(side);
	}
	connection_write_reference(side->connection, "x", 1, note_written, NULL);
	while (take_at_peer(side) > 0) {
	}
}

static void test_connection__sockets_with_room_do_not_run_ahead_of_news(void **state)
{
	(void)state;
	struct side *sides[MANY];
	struct error err = {0};
	memset(order, 0, sizeof(order));
	many_loop = loop_new("test", &err);
	assert_non_null(many_loop);
	for (int i = 0; i < MANY; i++) {
		int fds[2];
		sides[i] = calloc(1, sizeof(struct side));
		assert_non_null(sides[i]);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		sides[i]->loop = many_loop;
		sides[i]->peer = fds[1];
		open_side(sides[i], fds[0], NULL);
		fill_and_make_room(sides[i]);
	}
	RUN_UNTIL(many_loop, strlen(order) == 2 * MANY);
	assert_string_equal(order, "wnwnwnwnwnwnwnwn");
	for (int i = 0; i < MANY; i++) {
		connection_free(&sides[i]->connection);
		close(sides[i]->peer);
	}
	loop_free(&many_loop);
	for (int i = 0; i < MANY; i++) {
		free(sides[i]);
	}
}

static void test_connection__knows_a_peer_on_this_machine(void **state)
{
	struct side *side = *state;
	struct sockaddr_in far = {.sin_family = AF_INET};
	assert_true(connection_shares_machine(side->connection));
	/* What a PROXY header says is not where the bytes go. */
	assert_int_equal(inet_pton(AF_INET, "203.0.113.7", &far.sin_addr), 1);
	connection_set_peer_address(side->connection, (const struct sockaddr *)&far);
	assert_true(connection_shares_machine(side->connection));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR(test_connection__tells_input_and_keeps_what_is_left),
		TCP(test_connection__flush_writes_without_the_poller),
		TCP(test_connection__counts_exactly_what_the_kernel_took_and_gave),
		TCP(test_connection__keeps_order_when_the_socket_is_full),
		TCP(test_connection__asks_for_more_each_time_it_fell_to_low_water),
		PAIR(test_connection__does_not_ask_while_below_low_water),
		TCP(test_connection__knows_a_peer_on_this_machine),
		PAIR(test_connection__knows_a_peer_on_this_machine),
		TCP(test_connection__releases_a_reference_when_the_kernel_has_it),
		PAIR(test_connection__releases_references_that_never_went),
		PAIR(test_connection__reads_no_more_than_its_bound),
		PAIR(test_connection__reads_on_when_full_input_is_drained_later),
		PAIR(test_connection__a_pause_leaves_bytes_in_the_kernel),
		PAIR(test_connection__resuming_tells_what_was_left),
		PAIR(test_connection__names_a_local_peer),
		TCP(test_connection__names_a_tcp_peer_and_sends_at_once),
		TCP(test_connection__takes_another_peer_address),
		cmocka_unit_test(test_connection__sockets_with_room_do_not_run_ahead_of_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
