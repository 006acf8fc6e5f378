/*
 * fake_server: writes and reads backend messages by hand.
 */
#include "fake_server.h"

#include "protocol/link_stream.h"
#include "protocol/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_SECONDS 20

static void complain(struct fake_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void complain(struct fake_server *server, const char *format, ...)
{
	va_list arguments;

	server->is_over = true;
	if (server->problem[0] != '\0') {
		return;
	}
	va_start(arguments, format);
	vsnprintf(server->problem, sizeof(server->problem), format, arguments);
	va_end(arguments);
}

static int listen_on_loopback(uint16_t *port_out)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert(listener >= 0);
	assert(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	assert(listen(listener, 4) == 0);
	assert(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	*port_out = ntohs(address.sin_port);
	return listener;
}

static void *run(void *context)
{
	struct fake_server *server = context;

	server->play(server);
	fake_close(server);
	return NULL;
}

void fake_server_listen(
	struct fake_server *server, void (*play)(struct fake_server *server), void *context)
{
	memset(server, 0, sizeof(*server));
	server->listener = listen_on_loopback(&server->port);
	server->connection = -1;
	server->play = play;
	server->context = context;
}

void fake_server_run(struct fake_server *server)
{
	if (server->play != NULL) {
		assert(pthread_create(&server->thread, NULL, run, server) == 0);
	}
}

void fake_server_start(
	struct fake_server *server, void (*play)(struct fake_server *server), void *context)
{
	fake_server_listen(server, play, context);
	fake_server_run(server);
}

void fake_server_join(struct fake_server *server)
{
	if (server->play != NULL) {
		pthread_join(server->thread, NULL);
	}
	close(server->listener);
}

void fake_server_conninfo(const struct fake_server *server, char *out, size_t size)
{
	snprintf(out, size,
		"host=127.0.0.1 port=%u user=tester sslmode=disable gssencmode=disable "
		"connect_timeout=2",
		server->port);
}

uint16_t fake_server_closed_port(void)
{
	uint16_t port;

	close(listen_on_loopback(&port));
	return port;
}

/* --- the connection -------------------------------------------------------------------------- */

void fake_accept(struct fake_server *server)
{
	const struct timeval patience = {PATIENCE_SECONDS, 0};

	if (server->is_over) {
		return;
	}
	setsockopt(server->listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	server->connection = accept(server->listener, NULL, NULL);
	if (server->connection < 0) {
		complain(server, "nobody connects: %s", strerror(errno));
		return;
	}
	setsockopt(server->connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(server->connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void fake_close(struct fake_server *server)
{
	if (server->connection >= 0) {
		close(server->connection);
		server->connection = -1;
	}
}

/* From now on nothing is sent or read. */
static void miss_client(struct fake_server *server, const char *what)
{
	server->is_over = true;
	if (!server->client_may_leave) {
		complain(server, "%s: %s", what, strerror(errno));
	}
}

static void read_fully(struct fake_server *server, void *bytes, size_t length)
{
	/* A recv() of nothing would wait for something. */
	if (length > 0 && !server->is_over &&
		recv(server->connection, bytes, length, MSG_WAITALL) != (ssize_t)length) {
		miss_client(server, "client is silent or gone");
	}
}

static void write_fully(struct fake_server *server, const void *bytes, size_t length)
{
	if (!server->is_over &&
		send(server->connection, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) {
		miss_client(server, "client does not read");
	}
}

static size_t read_body(struct fake_server *server, uint8_t *body, size_t size)
{
	uint8_t word[4] = {0};
	size_t length;

	read_fully(server, word, sizeof(word));
	length = wire_get_u32(word) - sizeof(word);
	if (!server->is_over && length > size) {
		complain(server, "a message of %zu bytes", length);
	}
	read_fully(server, body, server->is_over ? 0 : length);
	return length;
}

char fake_read(struct fake_server *server, uint8_t *body, size_t size, size_t *length_out)
{
	char type = '\0';

	read_fully(server, &type, 1);
	*length_out = read_body(server, body, size);
	return server->is_over ? '\0' : type;
}

size_t fake_expect(struct fake_server *server, char type, uint8_t *body, size_t size)
{
	size_t length;
	char got = fake_read(server, body, size, &length);

	if (!server->is_over && got != type) {
		complain(server, "expected message '%c', got '%c'", type, got);
	}
	return length;
}

void fake_check(struct fake_server *server, bool holds, const char *format, ...)
{
	char text[128];
	va_list arguments;

	if (holds || server->is_over) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	complain(server, "%s", text);
}

void fake_expect_query(struct fake_server *server, const char *sql)
{
	uint8_t body[1024] = {0};

	fake_expect(server, 'Q', body, sizeof(body) - 1);
	if (!server->is_over && strcmp((const char *)body, sql) != 0) {
		complain(server, "expected query \"%s\", got \"%s\"", sql, (const char *)body);
	}
}

void fake_expect_end(struct fake_server *server)
{
	char byte;

	while (!server->is_over && recv(server->connection, &byte, 1, 0) > 0) {
	}
}

/* --- messages -------------------------------------------------------------------------------- */

static void send_writer(struct fake_server *server, struct wire_writer *writer)
{
	wire_end_message(writer);
	write_fully(server, writer->bytes, writer->length);
	wire_writer_release(writer);
}

void fake_send(struct fake_server *server, char type, const void *body, size_t length)
{
	struct wire_writer writer;

	wire_writer_init(&writer);
	wire_begin_message(&writer, type);
	wire_write_bytes(&writer, body, length);
	send_writer(server, &writer);
}

static void send_parameter(struct fake_server *server, const char *name, const char *value)
{
	struct wire_writer writer;

	wire_writer_init(&writer);
	wire_begin_message(&writer, 'S');
	wire_write_string(&writer, name);
	wire_write_string(&writer, value);
	send_writer(server, &writer);
}

void fake_let_in(struct fake_server *server, const char *version)
{
	static const char authentication[] = {0, 0, 0, 0};
	static const char key[] = {0, 0, 0, 9, 0, 0, 0, 7};
	uint8_t startup[1024];

	read_body(server, startup, sizeof(startup));
	fake_send(server, 'R', authentication, sizeof(authentication));
	send_parameter(server, "server_version", version);
	send_parameter(server, "TimeZone", "Etc/UTC");
	fake_send(server, 'K', key, sizeof(key));
	fake_send_ready(server);
}

void fake_refuse(
	struct fake_server *server, const char *sql, const char *sqlstate, const char *message)
{
	fake_expect_query(server, sql);
	fake_send_error(server, sqlstate, message);
	fake_send_ready(server);
}

bool fake_expect_status(struct fake_server *server, struct standby_status *status_out)
{
	struct client_copy copy = {0};
	const char *reason = "";
	uint8_t body[64];
	size_t length = fake_expect(server, 'd', body, sizeof(body));

	if (!server->is_over && (client_copy_decode(body, length, &copy, &reason) != DECODE_OK ||
					copy.kind != CLIENT_COPY_STATUS)) {
		complain(server, "expected a status: %s", reason);
	}
	*status_out = copy.status;
	return copy.status.reply_requested;
}

static void send_row_description(struct fake_server *server, unsigned columns)
{
	struct wire_writer writer;

	wire_writer_init(&writer);
	wire_begin_message(&writer, 'T');
	wire_write_u16(&writer, (uint16_t)columns);
	for (unsigned i = 0; i < columns; i++) {
		wire_write_string(&writer, "column");
		wire_write_u32(&writer, 0);
		wire_write_u16(&writer, 0);
		wire_write_u32(&writer, 25);
		wire_write_u16(&writer, UINT16_MAX);
		wire_write_u32(&writer, UINT32_MAX);
		wire_write_u16(&writer, 0);
	}
	send_writer(server, &writer);
}

void fake_send_row(struct fake_server *server, const char *first, ...)
{
	struct wire_writer writer;
	const char *texts[8];
	unsigned columns = 0;
	va_list arguments;

	va_start(arguments, first);
	for (const char *text = first; text != NULL; text = va_arg(arguments, const char *)) {
		assert(columns < sizeof(texts) / sizeof(texts[0]));
		texts[columns++] = text;
	}
	va_end(arguments);
	send_row_description(server, columns);
	wire_writer_init(&writer);
	wire_begin_message(&writer, 'D');
	wire_write_u16(&writer, (uint16_t)columns);
	for (unsigned i = 0; i < columns; i++) {
		wire_write_u32(
			&writer, texts[i][0] == '\0' ? UINT32_MAX : (uint32_t)strlen(texts[i]));
		wire_write_bytes(&writer, texts[i], strlen(texts[i]));
	}
	send_writer(server, &writer);
}

void fake_send_complete(struct fake_server *server, const char *tag)
{
	fake_send(server, 'C', tag, strlen(tag) + 1);
}

void fake_send_ready(struct fake_server *server)
{
	fake_send(server, 'Z', "I", 1);
}

void fake_send_error(struct fake_server *server, const char *sqlstate, const char *message)
{
	struct wire_writer writer;

	wire_writer_init(&writer);
	wire_begin_message(&writer, 'E');
	wire_write_u8(&writer, 'S');
	wire_write_string(&writer, "ERROR");
	wire_write_u8(&writer, 'C');
	wire_write_string(&writer, sqlstate);
	wire_write_u8(&writer, 'M');
	wire_write_string(&writer, message);
	wire_write_u8(&writer, 0);
	send_writer(server, &writer);
}

void fake_send_copy_both(struct fake_server *server)
{
	static const char format[] = {0, 0, 0};

	fake_send(server, 'W', format, sizeof(format));
}

void fake_send_wal(struct fake_server *server, lsn_t lsn, const void *wal, size_t length)
{
	const uint8_t *from = wal;

	while (length > 0) {
		struct wal_data data = {.start_lsn = lsn, .server_end_lsn = lsn + length};
		uint8_t header[WAL_FRAME_HEADER_BYTES];
		uint8_t check[LINK_CHECK_BYTES];

		data.wal_length = length < WAL_DATA_BYTES_MAX ? length : WAL_DATA_BYTES_MAX;
		data.wal = from;
		if (server->is_link) {
			link_wal_header_encode(&data, header);
		} else {
			wal_frame_header_encode(&data, header);
		}
		write_fully(server, header, sizeof(header));
		write_fully(server, from, data.wal_length);
		if (server->is_link) {
			write_fully(server, check, link_check_encode(&data, check));
		}
		lsn += data.wal_length;
		from += data.wal_length;
		length -= data.wal_length;
	}
}

void fake_send_keepalive(struct fake_server *server, lsn_t lsn, bool asks)
{
	const struct keepalive keepalive = {.server_end_lsn = lsn, .reply_requested = asks};
	uint8_t payload[KEEPALIVE_BYTES];

	fake_send(server, 'd', payload, keepalive_encode(&keepalive, payload));
}
