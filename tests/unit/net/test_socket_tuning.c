/* Tests of net/socket_tuning: what the kernel says afterwards. */
#include "support/tcp_pair.h"

#include <netinet/tcp.h>
#include <string.h>

#include "net/socket_tuning.h"

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
	return value;
}

static void congestion_of(int fd, char name_out[32])
{
	socklen_t length = 31;
	memset(name_out, 0, 32);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name_out, &length), 0);
}

static int setup(void **state)
{
	static int fds[2];
	tcp_pair(fds);
	*state = fds;
	return 0;
}

static int teardown(void **state)
{
	const int *fds = *state;
	close(fds[0]);
	close(fds[1]);
	return 0;
}

static void test_socket_tuning__nothing_waits_and_the_gone_are_noticed(void **state)
{
	const int *fds = *state;
	socket_set_common(fds[0]);
	assert_int_equal(option_of(fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(fds[0], SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(option_of(fds[1], SOL_SOCKET, SO_KEEPALIVE), 0);
}

static void test_socket_tuning__what_is_not_yet_sent_is_bounded(void **state)
{
	const int *fds = *state;
	int before = option_of(fds[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT);
	socket_set_unsent_max(fds[0], 32768);
	assert_int_equal(option_of(fds[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 32768);
	assert_int_equal(option_of(fds[1], IPPROTO_TCP, TCP_NOTSENT_LOWAT), before);
	socket_set_unsent_max(fds[0], 0);
	assert_int_equal(option_of(fds[0], IPPROTO_TCP, TCP_NOTSENT_LOWAT), 0);
}

/* "reno" is in every kernel, and everybody may have it. */
static void test_socket_tuning__congestion_control_is_of_one_socket(void **state)
{
	const int *fds = *state;
	struct error err = {0};
	char before[32], name[32];
	congestion_of(fds[0], before);
	assert_true(socket_set_congestion(fds[0], "", &err));
	congestion_of(fds[0], name);
	assert_string_equal(name, before);
	assert_true(socket_set_congestion(fds[0], "reno", &err));
	congestion_of(fds[0], name);
	assert_string_equal(name, "reno");
	congestion_of(fds[1], name);
	assert_string_equal(name, before);
}

static void test_socket_tuning__a_control_that_is_not_to_be_had_changes_nothing(void **state)
{
	const int *fds = *state;
	struct error err = {0};
	char before[32], name[32];
	congestion_of(fds[0], before);
	assert_false(socket_set_congestion(fds[0], "nosuch", &err));
	assert_string_equal(err.message,
		"could not use the congestion control \"nosuch\": No such file or directory");
	congestion_of(fds[0], name);
	assert_string_equal(name, before);
}

static void test_socket_tuning__what_is_not_tcp_is_left_alone(void **state)
{
	(void)state;
	struct error err = {0};
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	socket_set_common(fds[0]);
	socket_set_unsent_max(fds[0], 32768);
	assert_true(socket_set_congestion(fds[0], "nosuch", &err));
	assert_int_equal(option_of(fds[0], SOL_SOCKET, SO_KEEPALIVE), 0);
	close(fds[0]);
	close(fds[1]);
}

#define ON_A_PAIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_PAIR(test_socket_tuning__nothing_waits_and_the_gone_are_noticed),
		ON_A_PAIR(test_socket_tuning__what_is_not_yet_sent_is_bounded),
		ON_A_PAIR(test_socket_tuning__congestion_control_is_of_one_socket),
		ON_A_PAIR(test_socket_tuning__a_control_that_is_not_to_be_had_changes_nothing),
		cmocka_unit_test(test_socket_tuning__what_is_not_tcp_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
