/* Tests of net/connection over real sockets: how it ends, and what is told of it. */
#include "connection_side.h"

static void test_connection__tells_input_before_the_end(void **state)
{
	struct side *side = *state;
	send_bytes(side, "last words");
	close(side->peer);
	side->peer = -1;
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_int_equal(side->input_bytes_at_close, 10);
	assert_string_equal(side->reason, "closed by the peer");
	RUN_TICKS(side->loop, 2);
	assert_int_equal(side->closes, 1);
}

static void test_connection__tells_input_before_a_reset(void **state)
{
	struct side *side = *state;
	send_bytes(side, "last words");
	reset_peer(side);
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_int_equal(side->input_bytes_at_close, 10);
	assert_string_equal(side->reason, "Connection reset by peer");
}

/* The write meets the reset first; what the peer had sent before is told all the same. */
static void test_connection__a_failed_write_tells_input_then_the_end_once(void **state)
{
	struct side *side = *state;
	send_bytes(side, "last words");
	reset_peer(side);
	for (int i = 0; i < 3; i++) {
		connection_write(side->connection, "x", 1);
		flush(side);
	}
	assert_int_equal(side->closes, 0);
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_int_equal(side->input_bytes_at_close, 10);
	assert_true(strcmp(side->reason, "Connection reset by peer") == 0 ||
		    strcmp(side->reason, "Broken pipe") == 0);
	connection_write(side->connection, "x", 1);
	connection_write_reference(side->connection, "x", 1, release, side);
	assert_int_equal(side->releases, 1);
	assert_int_equal(connection_output_bytes(side->connection), 0);
	flush(side);
	RUN_TICKS(side->loop, 2);
	assert_int_equal(side->closes, 1);
}

static void test_connection__an_unreadable_page_ends_the_connection_only(void **state)
{
	struct side *side = *state;
	char path[] = "/tmp/test_connection_XXXXXX";
	long page = sysconf(_SC_PAGESIZE);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, page), 0);
	void *mapped = mmap(NULL, (size_t)page, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(mapped != MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), 0);
	connection_write_reference(side->connection, mapped, (size_t)page, release, side);
	flush(side);
	assert_int_equal(side->closes, 0);
	assert_int_equal(side->releases, 1);
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_string_equal(side->reason, "Bad address");
	munmap(mapped, (size_t)page);
	close(fd);
}

static void test_connection__a_half_closed_peer_still_gets_the_answer(void **state)
{
	struct side *side = *state;
	char bytes[8] = "";
	side->on_input = DRAIN_AND_LEAVE;
	send_bytes(side, "question");
	assert_int_equal(shutdown(side->peer, SHUT_WR), 0);
	RUN_UNTIL(side->loop, side->connection == NULL);
	assert_int_equal(recv(side->peer, bytes, sizeof(bytes), 0), 3);
	assert_string_equal(bytes, "bye");
	assert_int_equal(recv(side->peer, bytes, sizeof(bytes), 0), 0);
}

static void test_connection__may_be_freed_when_told_of_input(void **state)
{
	struct side *side = *state;
	side->on_input = FREE;
	send_bytes(side, "x");
	close(side->peer);
	side->peer = -1;
	RUN_UNTIL(side->loop, side->inputs == 1);
	RUN_TICKS(side->loop, 2);
	assert_null(side->connection);
	assert_int_equal(side->inputs, 1);
	assert_int_equal(side->closes, 0);
}

static void test_connection__may_be_freed_when_told_of_the_end(void **state)
{
	struct side *side = *state;
	side->free_when_told = true;
	close(side->peer);
	side->peer = -1;
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_null(side->connection);
	RUN_TICKS(side->loop, 2);
}

static void test_connection__may_be_freed_when_told_of_room(void **state)
{
	struct side *side = *state;
	side->free_when_told = true;
	write_filled(side, LOW_WATER + 1);
	flush(side);
	RUN_UNTIL(side->loop, side->writables == 1);
	assert_null(side->connection);
	RUN_TICKS(side->loop, 2);
	assert_int_equal(side->closes, 0);
}

static void test_connection__no_callback_comes_after_free(void **state)
{
	struct side *side = *state;
	send_bytes(side, "x");
	write_filled(side, LOW_WATER + 1);
	flush(side);
	connection_free(&side->connection);
	connection_free(&side->connection);
	RUN_TICKS(side->loop, 2);
	assert_int_equal(side->inputs + side->writables + side->closes, 0);
}

static void test_connection__leaving_takes_the_output_along(void **state)
{
	struct side *side = *state;
	size_t taken = 0;
	set_small_buffers(side);
	write_filled(side, 200000);
	send_bytes(side, "not read by anybody");
	connection_free_after_flush(&side->connection, RUN_UNTIL_US);
	assert_null(side->connection);
	RUN_UNTIL(side->loop, (taken += take_at_peer(side)) >= 200000);
	char byte;
	RUN_UNTIL(side->loop, recv(side->peer, &byte, 1, MSG_DONTWAIT) == 0);
	assert_int_equal(side->inputs + side->writables + side->closes, 0);
}

static void test_connection__leaving_ends_when_the_time_is_over(void **state)
{
	struct side *side = *state;
	size_t taken = 0;
	size_t got;
	set_small_buffers(side);
	write_filled(side, 1000000);
	connection_write_reference(side->connection, "x", 1, release, side);
	connection_free_after_flush(&side->connection, 5000);
	RUN_UNTIL(side->loop, side->releases == 1);
	while ((got = take_at_peer(side)) > 0) {
		taken += got;
	}
	assert_true(taken < 1000000);
}

static void test_connection__leaving_ends_when_the_peer_resets(void **state)
{
	struct side *side = *state;
	set_small_buffers(side);
	write_filled(side, 1000000);
	connection_write_reference(side->connection, "x", 1, release, side);
	connection_free_after_flush(&side->connection, 3600 * (int64_t)1000000);
	reset_peer(side);
	RUN_UNTIL(side->loop, side->releases == 1);
	assert_int_equal(side->closes, 0);
}

static void test_connection__leaving_ends_with_the_loop(void **state)
{
	struct side *side = *state;
	struct error err = {0};
	set_small_buffers(side);
	write_filled(side, 1000000);
	connection_write_reference(side->connection, "x", 1, release, side);
	connection_free_after_flush(&side->connection, 3600 * (int64_t)1000000);
	loop_free(&side->loop);
	assert_int_equal(side->releases, 1);
	side->loop = loop_new("test", &err);
	assert_non_null(side->loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TCP(test_connection__tells_input_before_the_end),
		TCP(test_connection__tells_input_before_a_reset),
		TCP(test_connection__a_failed_write_tells_input_then_the_end_once),
		TCP(test_connection__an_unreadable_page_ends_the_connection_only),
		TCP(test_connection__a_half_closed_peer_still_gets_the_answer),
		PAIR(test_connection__may_be_freed_when_told_of_input),
		PAIR(test_connection__may_be_freed_when_told_of_the_end),
		PAIR(test_connection__may_be_freed_when_told_of_room),
		PAIR(test_connection__no_callback_comes_after_free),
		TCP(test_connection__leaving_takes_the_output_along),
		TCP(test_connection__leaving_ends_when_the_time_is_over),
		TCP(test_connection__leaving_ends_when_the_peer_resets),
		TCP(test_connection__leaving_ends_with_the_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
