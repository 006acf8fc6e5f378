/* Tests of net/listen_socket: addresses in text, binding, Unix paths, inherited sockets. */
#include "support/cmocka_all.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/listen_socket.h"

struct folder {
	char path[64];
};

static int setup(void **state)
{
	static struct folder folder;
	strcpy(folder.path, "/tmp/listen_socket_XXXXXX");
	*state = &folder;
	return mkdtemp(folder.path) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	struct folder *folder = *state;
	return rmdir(folder->path);
}

static struct listen_sockets open_sockets(const char *addresses, int *inherited, size_t count)
{
	struct error err = {0};
	struct listen_sockets sockets = {0};
	if (!listen_sockets_open(addresses, inherited, count, &sockets, &err)) {
		fail_msg("%s", err.message);
	}
	return sockets;
}

static unsigned port_of(const struct listen_socket *listening)
{
	return (unsigned)atoi(strrchr(listening->address, ':') + 1);
}

static void test_listen_socket__says_what_is_wrong_with_an_address(void **state)
{
	(void)state;
	static const char shape[] =
		"address \"%s\" is not host:port, [v6]:port, *:port or an absolute "
		"directory";
	static const struct {
		const char *addresses;
		const char *named; /* in shape; NULL: message stands alone */
		const char *message;
	} cases[] = {
		{"", NULL, "no address to listen on"},
		{" , ", NULL, "no address to listen on"},
		{"localhost", "localhost", NULL},
		{"localhost:", "localhost:", NULL},
		{"localhost:65536", "localhost:65536", NULL},
		{"localhost:123456", "localhost:123456", NULL},
		{"localhost:64x", "localhost:64x", NULL},
		{"127.0.0.1:1, tmp/x", "tmp/x", NULL},
		{"::1:6433", NULL,
			"IPv6 address in \"::1:6433\" must stand in brackets, as in [::1]:6433"},
		{":6433", NULL, "address \":6433\" has no host (use *:port for every interface)"},
		{"[]:6433", NULL,
			"address \"[]:6433\" has no host (use *:port for every interface)"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};
		char expected[256];
		snprintf(expected, sizeof(expected), shape, cases[i].named);
		assert_false(listen_addresses_are_valid(cases[i].addresses, &err));
		assert_string_equal(err.message, cases[i].named ? expected : cases[i].message);
	}
}

static void test_listen_socket__takes_what_the_manual_shows(void **state)
{
	(void)state;
	static const char *const good[] = {"0.0.0.0:6433", "[::]:6433", "*:6433", "localhost:0",
		"/run/walrelay", " 10.0.0.1:1 ,\t/tmp, db.example.com:65535 "};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct error err = {0};
		if (!listen_addresses_are_valid(good[i], &err)) {
			fail_msg("%s: %s", good[i], err.message);
		}
	}
}

static void test_listen_socket__picks_a_free_port_and_tells_it(void **state)
{
	(void)state;
	struct listen_sockets sockets = open_sockets("127.0.0.1:0, 127.0.0.1:0", NULL, 0);
	assert_int_equal(sockets.count, 2);
	assert_true(port_of(&sockets.sockets[0]) > 0);
	assert_true(port_of(&sockets.sockets[0]) != port_of(&sockets.sockets[1]));
	assert_true(fcntl(sockets.sockets[0].fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(sockets.sockets[0].fd, F_GETFD) & FD_CLOEXEC);
	listen_sockets_close(&sockets);
	assert_int_equal(sockets.count, 0);
}

static void test_listen_socket__star_is_every_family(void **state)
{
	(void)state;
	struct listen_sockets sockets = open_sockets("*:0", NULL, 0);
	assert_true(sockets.count >= 1);
	assert_true(strncmp(sockets.sockets[0].address, "0.0.0.0:", 8) == 0 ||
		    strncmp(sockets.sockets[0].address, "[::]:", 5) == 0);
	listen_sockets_close(&sockets);
}

static void test_listen_socket__refuses_an_address_in_use(void **state)
{
	(void)state;
	struct error err = {0};
	char expected[256];
	struct listen_sockets second = {0};
	struct listen_sockets first = open_sockets("127.0.0.1:0", NULL, 0);
	const char *address = first.sockets[0].address;
	assert_false(listen_sockets_open(address, NULL, 0, &second, &err));
	snprintf(expected, sizeof(expected), "could not listen on \"%s\": Address already in use",
		address);
	assert_string_equal(err.message, expected);
	assert_null(second.sockets);
	listen_sockets_close(&first);
}

static void test_listen_socket__a_unix_socket_takes_the_first_port(void **state)
{
	struct folder *folder = *state;
	char addresses[128];
	char expected[128];
	struct stat status;
	snprintf(addresses, sizeof(addresses), "%s, 127.0.0.1:0", folder->path);
	struct listen_sockets sockets = open_sockets(addresses, NULL, 0);
	snprintf(expected, sizeof(expected), "%s/.s.PGSQL.%u", folder->path,
		port_of(&sockets.sockets[0]));
	assert_int_equal(sockets.count, 2);
	assert_string_equal(sockets.sockets[1].address, expected);
	assert_true(sockets.sockets[1].is_unix);
	assert_int_equal(stat(expected, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0777);
	listen_sockets_close(&sockets);
	assert_int_not_equal(stat(expected, &status), 0);
}

static void test_listen_socket__a_unix_socket_alone_takes_5432(void **state)
{
	struct folder *folder = *state;
	struct listen_sockets sockets = open_sockets(folder->path, NULL, 0);
	assert_non_null(strstr(sockets.sockets[0].address, "/.s.PGSQL.5432"));
	listen_sockets_close(&sockets);
}

static void test_listen_socket__replaces_a_stale_path_but_not_a_living_one(void **state)
{
	struct folder *folder = *state;
	struct error err = {0};
	char expected[256];
	struct listen_sockets second = {0};
	struct listen_sockets first = open_sockets(folder->path, NULL, 0);
	assert_false(listen_sockets_open(folder->path, NULL, 0, &second, &err));
	snprintf(expected, sizeof(expected), "another process listens on \"%s/.s.PGSQL.5432\"",
		folder->path);
	assert_string_equal(err.message, expected);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	close(first.sockets[0].fd);
	listen_sockets_release(&first);
	second = open_sockets(folder->path, NULL, 0);
	listen_sockets_close(&second);
}

static void test_listen_socket__does_not_remove_what_is_no_socket(void **state)
{
	struct folder *folder = *state;
	struct error err = {0};
	char path[128];
	struct listen_sockets sockets = {0};
	snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", folder->path);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_false(listen_sockets_open(folder->path, NULL, 0, &sockets, &err));
	assert_non_null(strstr(err.message, "exists and is not a socket"));
	assert_int_equal(unlink(path), 0);
}

static void test_listen_socket__refuses_a_path_that_does_not_fit(void **state)
{
	(void)state;
	struct error err = {0};
	char path[128];
	struct listen_sockets sockets = {0};
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_false(listen_sockets_open(path, NULL, 0, &sockets, &err));
	assert_non_null(strstr(err.message, "is too long for a Unix socket"));
}

static void test_listen_socket__uses_inherited_ones_of_the_same_address(void **state)
{
	struct folder *folder = *state;
	char addresses[512];
	char bound[3][128];
	int inherited[4];
	snprintf(addresses, sizeof(addresses), "127.0.0.1:0, [::1]:0, %s", folder->path);
	struct listen_sockets before = open_sockets(addresses, NULL, 0);
	assert_int_equal(before.count, 3);
	for (int i = 0; i < 3; i++) {
		inherited[2 - i] = before.sockets[i].fd;
		strcpy(bound[i], before.sockets[i].address);
	}
	inherited[3] = socket(AF_INET, SOCK_STREAM, 0);
	snprintf(addresses, sizeof(addresses), "%s,%s,%s", bound[0], bound[1], folder->path);
	listen_sockets_release(&before);
	int fds[] = {inherited[2], inherited[1], inherited[0]};
	struct listen_sockets after = open_sockets(addresses, inherited, 4);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(after.sockets[i].fd, fds[i]);
		assert_string_equal(after.sockets[i].address, bound[i]);
		assert_int_equal(inherited[i], -1);
	}
	assert_true(inherited[3] >= 0);
	close(inherited[3]);
	listen_sockets_close(&after);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_socket__says_what_is_wrong_with_an_address),
		cmocka_unit_test(test_listen_socket__takes_what_the_manual_shows),
		cmocka_unit_test(test_listen_socket__picks_a_free_port_and_tells_it),
		cmocka_unit_test(test_listen_socket__star_is_every_family),
		cmocka_unit_test(test_listen_socket__refuses_an_address_in_use),
		TEST(test_listen_socket__a_unix_socket_takes_the_first_port),
		TEST(test_listen_socket__a_unix_socket_alone_takes_5432),
		TEST(test_listen_socket__replaces_a_stale_path_but_not_a_living_one),
		TEST(test_listen_socket__does_not_remove_what_is_no_socket),
		cmocka_unit_test(test_listen_socket__refuses_a_path_that_does_not_fit),
		TEST(test_listen_socket__uses_inherited_ones_of_the_same_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
