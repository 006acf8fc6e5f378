/*
 * Tests of what net/connection sends out of files. Files hold other bytes than the memory that stands
 * for them, so that one sees where the kernel took them from.
 */
#include "connection_side.h"

#include <signal.h>

#define FILE_BYTES 200000

static char in_memory[FILE_BYTES];

/* Byte n is 'A' + n % 26; nobody finds it by name. */
static struct output_file make_file(size_t length)
{
	char bytes[FILE_BYTES];
	int fd = memfd_create("output", 0);
	assert_true(fd >= 0);
	for (size_t i = 0; i < length; i++) {
		bytes[i] = (char)('A' + i % 26);
	}
	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
	return (struct output_file){.fd = fd};
}

static size_t take_all(struct side *side, char *bytes, size_t wanted)
{
	size_t got = 0;
	int64_t end_us = loop_refresh_now_us(side->loop) + RUN_UNTIL_US;
	while (got < wanted && loop_refresh_now_us(side->loop) < end_us) {
		ssize_t more = recv(side->peer, bytes + got, wanted - got, MSG_DONTWAIT);
		got += more > 0 ? (size_t)more : 0;
		run_a_tick(side->loop);
	}
	return got;
}

static void test_connection_file__goes_from_the_file_in_its_place(void **state)
{
	struct side *side = *state;
	struct output_file file = make_file(FILE_BYTES);
	struct output_file middle = {.fd = file.fd, .offset = 26 * 100};
	static char bytes[2 * FILE_BYTES];
	size_t middle_bytes = FILE_BYTES - 26 * 100;
	size_t wanted = 4 + FILE_BYTES + 5 + middle_bytes + 4;
	set_small_buffers(side);
	connection_write(side->connection, "head", 4);
	connection_write_file(
		side->connection, in_memory, FILE_BYTES, &file, release, side);
	connection_write_reference(side->connection, "between", 5, release, side);
	connection_write_file(
		side->connection, in_memory, middle_bytes, &middle, release, side);
	connection_write(side->connection, "tail", 4);
	assert_int_equal(connection_output_bytes(side->connection), wanted);
	flush(side);
	assert_int_equal(side->releases, 0);
	assert_int_equal(take_all(side, bytes, wanted), wanted);
	assert_memory_equal(bytes, "head", 4);
	assert_memory_equal(bytes + 4 + FILE_BYTES, "betwe", 5);
	assert_memory_equal(bytes + wanted - 4, "tail", 4);
	for (size_t i = 0; i < FILE_BYTES; i++) {
		assert_int_equal(bytes[4 + i], 'A' + i % 26);
	}
	for (size_t i = 0; i < middle_bytes; i++) {
		assert_int_equal(bytes[4 + FILE_BYTES + 5 + i], 'A' + i % 26);
	}
	struct connection_stats stats;
	connection_read_stats(side->connection, &stats);
	assert_int_equal(stats.wire_sent_bytes, wanted);
	assert_int_equal(side->releases, 3);
	assert_int_equal(side->writables, 1);
	close(file.fd);
}

static void test_connection_file__last_bytes_are_not_held_back(void **state)
{
	struct side *side = *state;
	struct output_file file = make_file(100);
	char bytes[104];
	connection_write(side->connection, "head", 4);
	connection_write_file(side->connection, in_memory, 100, &file, release, side);
	flush(side);
	assert_int_equal(side->releases, 1);
	assert_int_equal(recv(side->peer, bytes, sizeof(bytes), MSG_DONTWAIT), 104);
	assert_memory_equal(bytes, "headABC", 7);
	close(file.fd);
}

static void test_connection_file__a_file_that_was_cut_ends_the_connection_only(void **state)
{
	struct side *side = *state;
	struct output_file file = make_file(5000);
	connection_write_file(side->connection, in_memory, 10000, &file, release, side);
	flush(side);
	assert_int_equal(side->closes, 0);
	RUN_UNTIL(side->loop, side->closes == 1);
	assert_int_equal(side->releases, 1);
	assert_string_equal(side->reason, "Input/output error");
	close(file.fd);
}

static void test_connection_file__what_never_went_is_released(void **state)
{
	struct side *side = *state;
	struct output_file file = make_file(FILE_BYTES);
	set_small_buffers(side);
	connection_write_file(side->connection, in_memory, 0, &file, release, side);
	assert_int_equal(side->releases, 1);
	for (int i = 0; i < 3; i++) {
		connection_write_file(
			side->connection, in_memory, FILE_BYTES, &file, release, side);
	}
	flush(side);
	assert_true(connection_output_bytes(side->connection) > 2 * FILE_BYTES);
	connection_free(&side->connection);
	assert_int_equal(side->releases, 4);
	close(file.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TCP(test_connection_file__goes_from_the_file_in_its_place),
		TCP(test_connection_file__last_bytes_are_not_held_back),
		TCP(test_connection_file__a_file_that_was_cut_ends_the_connection_only),
		TCP(test_connection_file__what_never_went_is_released),
		PAIR(test_connection_file__what_never_went_is_released),
	};
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
