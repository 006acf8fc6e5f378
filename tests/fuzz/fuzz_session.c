/*
 * A whole conversation with a session: the first byte says how far the client has come, the rest is
 * what it sends before it closes its side. Whatever that is, the session answers, ends, and lets the
 * next one in.
 */
#include "fuzz.h"

#include "base/log.h"
#include "downstream/hba.h"
#include "downstream/passthrough.h"
#include "downstream/user_list.h"
#include "net/tls_context.h"
#include "relay_fixture.h"
#include "support/tls_maker.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* New ones at the end: the corpus goes by the number. */
enum progress {
	FROM_THE_FIRST_BYTE,
	LOGGED_IN,
	STREAMING,
	ASKED_FOR_A_PASSWORD,
	SHAKING_HANDS, /* TLS was asked for and granted */
	BEHIND_A_BALANCER,
	ON_A_LINK,
	PROGRESS_COUNT
};

#define VERIFIER                                                                                   \
	"\"rep\" \"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"                                    \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"                                             \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\"\n"
#define RULES                                                                                      \
	"local replication,walrelay rep scram-sha-256\n"                                            \
	"local replication,walrelay all trust\n"                                                    \
	"host replication all 192.0.2.0/24 trust\n"

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

static void refuse_problem(void *context, const char *file, unsigned line, const char *message)
{
	(void)context;
	(void)file;
	(void)line;
	(void)message;
	abort();
}

static void refuse_tls_problem(void *context, enum tls_file file, const char *message)
{
	(void)context;
	(void)file;
	(void)message;
	abort();
}

static struct tls_context *load_tls(void)
{
	struct tls_maker maker;
	char certificate[TLS_MAKER_PATH], key[TLS_MAKER_PATH], authority[TLS_MAKER_PATH];
	tls_maker_init(&maker);
	tls_maker_issue(&maker, "server", "localhost", NULL, 30);
	tls_maker_path(&maker, "server.pem", certificate);
	tls_maker_path(&maker, "server.key", key);
	tls_maker_path(&maker, "ca.pem", authority);
	const struct tls_options options = {.certificate = certificate,
		.key = key,
		.client_ca = authority,
		.crl = "",
		.protocol = "postgresql"};
	struct tls_context *tls = tls_context_load(&options, refuse_tls_problem, NULL);
	tls_maker_release(&maker);
	return tls;
}

static void set_limits(void)
{
	struct downstream_limits limits = fixture->limits;
	limits.hba = hba_parse("hba.conf", RULES, strlen(RULES), refuse_problem, NULL);
	limits.users = user_list_parse("users.txt", VERIFIER, strlen(VERIFIER), refuse_problem, NULL);
	limits.tls = load_tls();
	limits.proxy_protocol = true;
	limits.proxy_from = "192.0.2.128/25";
	downstream_set_limits(fixture->downstream, &limits);
	hba_unref(&limits.hba);
	user_list_unref(&limits.users);
	tls_context_unref(&limits.tls);
}

static void open_fixture(void)
{
	static const struct passthrough passthrough = {.open = backup_open,
		.command = backup_command,
		.client_message = backup_client_message,
		.resume = backup_resume,
		.close = backup_close};
	static const struct downstream_link link = {.is_offered = true,
		.level = 1,
		.congestion = "",
		.reference_bytes = 1u << 20};
	const struct relay_fixture_options options = {.passthrough = &passthrough, .link = &link};
	const struct log_options quiet = {.level = LOG_LEVEL_ERROR};
	struct error err = {0};
	if (!log_configure(&quiet, &err)) {
		abort();
	}
	fixture = relay_fixture_new(&options);
	relay_fixture_append(fixture, 40000);
	set_limits();
	atexit(close_fixture);
}

/* --- as far as the first byte says ----------------------------------------------------------- */

static void connect_from(uint32_t address, struct raw_client *client)
{
	int fds[2];
	const struct sockaddr_in peer = {.sin_family = AF_INET,
		.sin_port = htons(4711),
		.sin_addr.s_addr = htonl(address)};
	int failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
	assert(failed == 0);
	downstream_accept(
		fixture->downstream, fds[0], (const struct sockaddr *)&peer, sizeof(peer));
	raw_client_open(client, fds[1]);
}

static void log_in(struct raw_client *client)
{
	relay_fixture_connect(fixture, client);
	raw_client_startup(client, 196608, "user=standby;replication=true");
	raw_client_until(client, 'Z');
}

static void stream(struct raw_client *client, const char *command)
{
	log_in(client);
	raw_client_query(client, command);
	raw_client_next(client);
	assert(client->type == 'W');
}

static void ask_for_tls(struct raw_client *client)
{
	static const uint8_t request[] = {0, 0, 0, 8, 4, 210, 22, 47};
	connect_from(0xc0000207, client); /* 192.0.2.7 */
	raw_client_send(client, request, sizeof(request));
	int byte = raw_client_byte(client);
	assert(byte == 'S');
}

static void advance(enum progress progress, struct raw_client *client)
{
	switch (progress) {
	case FROM_THE_FIRST_BYTE: relay_fixture_connect(fixture, client); break;
	case LOGGED_IN: log_in(client); break;
	case STREAMING: stream(client, "START_REPLICATION 0/1000000"); break;
	case ASKED_FOR_A_PASSWORD:
		relay_fixture_connect(fixture, client);
		raw_client_startup(client, 196608, "user=rep;replication=true");
		raw_client_until(client, 'R');
		break;
	case SHAKING_HANDS: ask_for_tls(client); break;
	case BEHIND_A_BALANCER: connect_from(0xc0000281, client); break; /* 192.0.2.129 */
	case ON_A_LINK:
		stream(client, "START_REPLICATION 0/1000000 TIMELINE 1 (link '1', "
			       "oldest '0/1000000', keep '1048576')");
		break;
	case PROGRESS_COUNT: abort();
	}
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
	if (fixture == NULL) {
		open_fixture();
	}
	advance(length > 0 ? bytes[0] % PROGRESS_COUNT : FROM_THE_FIRST_BYTE, &client);
	if (length > 1) {
		raw_client_send(&client, bytes + 1, length - 1);
	}
	shutdown(client.fd, SHUT_WR);
	drain(&client);
	raw_client_close(&client);
	return 0;
}
