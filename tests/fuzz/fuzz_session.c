/*
 * A whole conversation with a session: the first byte says how far the client has come (from its
 * first byte, logged in, streaming), the rest is what it sends before it closes its side. Whatever
 * that is, the session answers, ends, and lets the next one in.
 */
#include "fuzz.h"

#include "base/log.h"
#include "downstream/passthrough.h"
#include "relay_fixture.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

enum progress { FROM_THE_FIRST_BYTE, LOGGED_IN, STREAMING, PROGRESS_COUNT };

struct no_backup {
	const struct passthrough_client *client;
};

static void *backup_open(void *context, struct loop *loop, const struct passthrough_client *client)
{
	(void)context;
	(void)loop;
	struct no_backup *backup = malloc(sizeof(*backup));
	assert(backup != NULL);
	backup->client = client;
	return backup;
}

static void backup_command(void *handle, const char *text)
{
	(void)text;
	struct no_backup *backup = handle;
	struct error err = {0};
	error_set(&err, ERROR_DENIED, "there is no upstream");
	backup->client->failed(backup->client->context, &err);
}

static void backup_client_message(void *handle, char type, const void *body, size_t length)
{
	(void)handle;
	(void)type;
	(void)body;
	(void)length;
}

static void backup_resume(void *handle)
{
	(void)handle;
}

static void backup_close(void **handle)
{
	free(*handle);
	*handle = NULL;
}

static struct relay_fixture *fixture;

static void close_fixture(void)
{
	relay_fixture_free(fixture);
}

static void open_fixture(void)
{
	static const struct passthrough passthrough = {.open = backup_open,
		.command = backup_command,
		.client_message = backup_client_message,
		.resume = backup_resume,
		.close = backup_close};
	const struct relay_fixture_options options = {.passthrough = &passthrough};
	const struct log_options quiet = {.level = LOG_LEVEL_ERROR};
	struct error err = {0};
	if (!log_configure(&quiet, &err)) {
		abort();
	}
	fixture = relay_fixture_new(&options);
	relay_fixture_append(fixture, 40000);
	atexit(close_fixture);
}

static void drain(struct raw_client *client)
{
	char bytes[65536];
	while (recv(client->fd, bytes, sizeof(bytes), 0) > 0) {
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct raw_client client;
	enum progress progress = length > 0 ? bytes[0] % PROGRESS_COUNT : FROM_THE_FIRST_BYTE;
	if (fixture == NULL) {
		open_fixture();
	}
	if (progress == FROM_THE_FIRST_BYTE) {
		relay_fixture_connect(fixture, &client);
	} else {
		relay_fixture_log_in(fixture, &client);
	}
	if (progress == STREAMING) {
		raw_client_query(&client, "START_REPLICATION 0/1000000");
		raw_client_next(&client);
		assert(client.type == 'W');
	}
	if (length > 1) {
		raw_client_send(&client, bytes + 1, length - 1);
	}
	shutdown(client.fd, SHUT_WR);
	drain(&client);
	raw_client_close(&client);
	return 0;
}
