/* Tests of net/listener: accepting, pausing, running out of descriptors, handing over. */
#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/listener.h"
#include "support/run_until.h"

struct accepted {
	struct loop *loop;
	struct listener *listener;
	int count;
	int flags;
	int descriptor_flags;
	int family;
	bool close_listener;
};

static void on_accept(void *context, int fd, const struct sockaddr *peer, size_t peer_length)
{
	struct accepted *accepted = context;
	assert_true(peer_length > 0);
	accepted->count++;
	accepted->flags = fcntl(fd, F_GETFL);
	accepted->descriptor_flags = fcntl(fd, F_GETFD);
	accepted->family = peer->sa_family;
	close(fd);
	if (accepted->close_listener) {
		listener_close(&accepted->listener);
	}
}

static int setup(void **state)
{
	static struct accepted accepted;
	struct error err = {0};
	memset(&accepted, 0, sizeof(accepted));
	accepted.loop = loop_new("test", &err);
	accepted.listener =
		listener_open(accepted.loop, "127.0.0.1:0", NULL, 0, on_accept, &accepted, &err);
	*state = &accepted;
	return accepted.listener == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct accepted *accepted = *state;
	listener_close(&accepted->listener);
	loop_free(&accepted->loop);
	return 0;
}

static int connect_to(int listening)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
	int fd = socket(address.ss_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	return fd;
}

static void test_listener__hands_on_descriptors_ready_for_a_loop(void **state)
{
	struct accepted *accepted = *state;
	int fd = connect_to(listener_fd(accepted->listener, 0));
	RUN_UNTIL(accepted->loop, accepted->count == 1);
	assert_true(accepted->flags & O_NONBLOCK);
	assert_true(accepted->descriptor_flags & FD_CLOEXEC);
	assert_int_equal(accepted->family, AF_INET);
	close(fd);
}

static void test_listener__a_pause_leaves_clients_in_the_queue(void **state)
{
	struct accepted *accepted = *state;
	listener_pause(accepted->listener);
	int fd = connect_to(listener_fd(accepted->listener, 0));
	RUN_TICKS(accepted->loop, 5);
	assert_int_equal(accepted->count, 0);
	listener_resume(accepted->listener);
	RUN_UNTIL(accepted->loop, accepted->count == 1);
	close(fd);
}

static void test_listener__may_be_closed_when_it_accepts(void **state)
{
	struct accepted *accepted = *state;
	accepted->close_listener = true;
	int first = connect_to(listener_fd(accepted->listener, 0));
	int second = connect_to(listener_fd(accepted->listener, 0));
	RUN_UNTIL(accepted->loop, accepted->count == 1);
	RUN_TICKS(accepted->loop, 2);
	assert_int_equal(accepted->count, 1);
	close(first);
	close(second);
}

static int64_t thread_cpu_us(void)
{
	struct timespec used;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

static void test_listener__rests_without_descriptors_and_goes_on_with_them(void **state)
{
	struct accepted *accepted = *state;
	struct rlimit before;
	int fd = connect_to(listener_fd(accepted->listener, 0));
	getrlimit(RLIMIT_NOFILE, &before);
	struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	/* Within one rest, one try: whoever spins uses most of this time. */
	int64_t cpu_us = thread_cpu_us();
	run_for(accepted->loop, 90000);
	int64_t used_us = thread_cpu_us() - cpu_us;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(accepted->count, 0);
	assert_true(used_us < 20000);
	RUN_UNTIL(accepted->loop, accepted->count == 1);
	close(fd);
}

static void test_listener__a_pause_while_resting_holds(void **state)
{
	struct accepted *accepted = *state;
	struct rlimit before;
	int fd = connect_to(listener_fd(accepted->listener, 0));
	getrlimit(RLIMIT_NOFILE, &before);
	struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	RUN_TICKS(accepted->loop, 5);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	listener_pause(accepted->listener);
	RUN_TICKS(accepted->loop, 150);
	assert_int_equal(accepted->count, 0);
	listener_resume(accepted->listener);
	RUN_UNTIL(accepted->loop, accepted->count == 1);
	close(fd);
}

static void test_listener__what_waits_is_answered_by_who_takes_over(void **state)
{
	struct accepted *accepted = *state;
	struct error err = {0};
	char address[64];
	int fds[1];
	strcpy(address, listener_address(accepted->listener, 0));
	assert_int_equal(listener_count(accepted->listener), 1);
	int fd = connect_to(listener_fd(accepted->listener, 0));
	listener_hand_over(&accepted->listener, fds);
	assert_null(accepted->listener);
	accepted->listener =
		listener_open(accepted->loop, address, fds, 1, on_accept, accepted, &err);
	assert_non_null(accepted->listener);
	assert_int_equal(fds[0], -1);
	assert_string_equal(listener_address(accepted->listener, 0), address);
	RUN_UNTIL(accepted->loop, accepted->count == 1);
	close(fd);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_listener__hands_on_descriptors_ready_for_a_loop),
		TEST(test_listener__a_pause_leaves_clients_in_the_queue),
		TEST(test_listener__may_be_closed_when_it_accepts),
		TEST(test_listener__rests_without_descriptors_and_goes_on_with_them),
		TEST(test_listener__a_pause_while_resting_holds),
		TEST(test_listener__what_waits_is_answered_by_who_takes_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
