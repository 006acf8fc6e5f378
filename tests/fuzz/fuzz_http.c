/*
 * What a client sends to the status server before it closes its side, on a connection of its own. Whatever
 * that is, it is answered or cut. Its bytes are also taken for the host of a request.
 */
#include "fuzz.h"

#include "base/log.h"
#include "fake_readers.h"
#include "observe/http_host.h"
#include "observe/status_server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct loop *loop;
static struct status_server *server;
static char directory[] = "/tmp/fuzz_http_XXXXXX";

static void tear_down(void)
{
	loop_stop(loop);
	loop_join(loop);
	status_server_close(&server);
	loop_free(&loop);
	(void)rmdir(directory);
}

/* A Unix socket: ports of TCP would run out. */
static void set_up(void)
{
	const struct snapshot_sources sources = {.relay_name = "r"};
	const struct log_options quiet = {.level = LOG_LEVEL_ERROR};
	struct error err = {0};
	if (!log_configure(&quiet, &err) || mkdtemp(directory) == NULL) {
		abort();
	}
	fake_readers_reset();
	loop = loop_new("http", &err);
	server = loop == NULL ? NULL
			      : status_server_open(loop, &sources, directory, NULL, 0, &err);
	if (server == NULL || !loop_start(loop, &err)) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	atexit(tear_down);
}

static int connect_to_server(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		status_server_address(server, 0));
	assert(fd >= 0);
	int failed = connect(fd, (struct sockaddr *)&address, sizeof(address));
	assert(failed == 0);
	return fd;
}

static void name_host(const uint8_t *bytes, size_t length)
{
	char *host = malloc(length + 1);
	assert(host != NULL);
	memcpy(host, bytes, length);
	host[length] = '\0';
	(void)http_host_is_ours(host, "db1.example.com", host);
	free(host);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char answer[65536];
	if (server == NULL) {
		set_up();
	}
	name_host(bytes, length);
	int fd = connect_to_server();
	(void)send(fd, bytes, length, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	while (recv(fd, answer, sizeof(answer), 0) > 0) {
	}
	close(fd);
	return 0;
}
