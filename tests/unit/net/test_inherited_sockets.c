/* Tests of net/inherited_sockets: from one process to the next, by fork and exec of this test. */
#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/inherited_sockets.h"

static const char *own_path;

static int bound_socket(unsigned short *port_out)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 5) != 0 ||
		getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
		return -1;
	}
	*port_out = ntohs(address.sin_port);
	return fd;
}

/* In the next process: are they the sockets of these ports, in this order. Exit 0: yes. */
static int check_taken(char **ports, int count)
{
	int *fds;
	size_t taken;
	inherited_sockets_take(&fds, &taken);
	if (taken != (size_t)count || getenv("LISTEN_FDS") != NULL ||
		getenv("LISTEN_PID") != NULL) {
		return 10;
	}
	for (int i = 0; i < count; i++) {
		struct sockaddr_in address = {0};
		socklen_t size = sizeof(address);
		if (fds[i] != 3 + i || !(fcntl(fds[i], F_GETFD) & FD_CLOEXEC) ||
			!(fcntl(fds[i], F_GETFL) & O_NONBLOCK)) {
			return 11;
		}
		if (getsockname(fds[i], (struct sockaddr *)&address, &size) != 0 ||
			ntohs(address.sin_port) != atoi(ports[i])) {
			return 12;
		}
	}
	inherited_sockets_close(fds, taken);
	bool is_closed = fcntl(3, F_GETFD) < 0 && fds[0] == -1;
	free(fds);
	return is_closed ? 0 : 13;
}

/* Sockets on the very numbers they go to, in the wrong order. */
static int pass_and_exec(void)
{
	unsigned short ports[2];
	char texts[2][8];
	struct error err = {0};
	int first = bound_socket(&ports[0]);
	int second = bound_socket(&ports[1]);
	int high[] = {fcntl(first, F_DUPFD_CLOEXEC, 50), fcntl(second, F_DUPFD_CLOEXEC, 50)};
	dup2(high[0], 4);
	dup2(high[1], 3);
	int fds[] = {4, 3};
	snprintf(texts[0], sizeof(texts[0]), "%u", ports[0]);
	snprintf(texts[1], sizeof(texts[1]), "%u", ports[1]);
	if (!inherited_sockets_pass(fds, 2, &err)) {
		return 20;
	}
	execl(own_path, own_path, "take", texts[0], texts[1], (char *)NULL);
	return 21;
}

static void test_inherited_sockets__reach_the_next_process_in_order(void **state)
{
	(void)state;
	int status = 0;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		_exit(pass_and_exec());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_inherited_sockets__what_is_meant_for_another_process_is_left(void **state)
{
	(void)state;
	static const char *const cases[][2] = {{"1", "1"}, {"", "1"}, {"x", "1"}, {NULL, "0"},
		{NULL, "-1"}, {NULL, "9999999"}, {NULL, ""}, {NULL, "1x"}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char own_pid[16];
		int *fds = NULL;
		size_t count = 7;
		snprintf(own_pid, sizeof(own_pid), "%d", getpid());
		setenv("LISTEN_PID", cases[i][0] == NULL ? own_pid : cases[i][0], 1);
		setenv("LISTEN_FDS", cases[i][1], 1);
		inherited_sockets_take(&fds, &count);
		assert_null(fds);
		assert_int_equal(count, 0);
		assert_null(getenv("LISTEN_FDS"));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inherited_sockets__reach_the_next_process_in_order),
		cmocka_unit_test(test_inherited_sockets__what_is_meant_for_another_process_is_left),
	};
	own_path = "/proc/self/exe";
	if (argc > 2 && strcmp(argv[1], "take") == 0) {
		return check_taken(argv + 2, argc - 2);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
