/*
 * raw_client: blocking reads with a deadline, and a printer of backend messages.
 */
#include "support/raw_client.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/wire.h"

static void give_up(const char *what)
{
	fprintf(stderr, "raw_client: %s\n", what);
	abort();
}

void raw_client_open(struct raw_client *client, int fd)
{
	*client = (struct raw_client){.fd = fd};
}

void raw_client_close(struct raw_client *client)
{
	if (client->fd >= 0) {
		close(client->fd);
	}
	free(client->body);
	*client = (struct raw_client){.fd = -1};
}

/* --- sending -----------------------------------------------------------------------------------
 */

void raw_client_send(struct raw_client *client, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	while (length > 0) {
		ssize_t sent = send(client->fd, at, length, MSG_NOSIGNAL);
		if (sent <= 0) {
			return; /* closed: what the server said is still to be read */
		}
		at += sent;
		length -= (size_t)sent;
	}
}

void raw_client_message(struct raw_client *client, char type, const void *body, size_t length)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	wire_begin_message(&writer, type);
	wire_write_bytes(&writer, body, length);
	wire_end_message(&writer);
	raw_client_send(client, writer.bytes, writer.length);
	wire_writer_release(&writer);
}

void raw_client_query(struct raw_client *client, const char *text)
{
	raw_client_message(client, 'Q', text, strlen(text) + 1);
}

void raw_client_startup(struct raw_client *client, uint32_t version, const char *parameters)
{
	uint8_t packet[4096];
	size_t length = 8;
	for (const char *at = parameters; *at != '\0'; at++) {
		packet[length++] = *at == ';' || *at == '=' ? '\0'
				   : *at == '~'             ? '='
							    : (uint8_t)*at;
	}
	packet[length++] = '\0';
	packet[length++] = '\0';
	wire_put_u32(packet, (uint32_t)length);
	wire_put_u32(packet + 4, version);
	raw_client_send(client, packet, length);
}

void raw_client_status(struct raw_client *client, lsn_t write, lsn_t flush, lsn_t apply, bool reply)
{
	uint8_t payload[34] = {'r'};
	wire_put_u64(payload + 1, write);
	wire_put_u64(payload + 9, flush);
	wire_put_u64(payload + 17, apply);
	payload[33] = reply;
	raw_client_message(client, 'd', payload, sizeof(payload));
}

void raw_client_feedback(
	struct raw_client *client, uint32_t xmin, uint32_t epoch, uint32_t catalog_xmin)
{
	uint8_t payload[25] = {'h'};
	wire_put_u32(payload + 9, xmin);
	wire_put_u32(payload + 13, epoch);
	wire_put_u32(payload + 17, catalog_xmin);
	wire_put_u32(payload + 21, epoch);
	raw_client_message(client, 'd', payload, sizeof(payload));
}

/* --- receiving ---------------------------------------------------------------------------------
 */

bool raw_client_is_quiet(struct raw_client *client, int milliseconds)
{
	struct pollfd wanted = {.fd = client->fd, .events = POLLIN};
	return poll(&wanted, 1, milliseconds) == 0;
}

/* false: closed before the first byte. */
static bool receive(struct raw_client *client, void *out, size_t length)
{
	uint8_t *at = out;
	size_t left = length;
	while (left > 0) {
		if (raw_client_is_quiet(client, RAW_CLIENT_SECONDS * 1000)) {
			give_up("nothing came in time");
		}
		ssize_t got = recv(client->fd, at, left, 0);
		if (got <= 0) {
			if (left != length) {
				give_up("closed inside a message");
			}
			return false;
		}
		at += got;
		left -= (size_t)got;
	}
	return true;
}

int raw_client_byte(struct raw_client *client)
{
	uint8_t byte;
	return receive(client, &byte, 1) ? byte : -1;
}

const uint8_t *raw_client_wal(const struct raw_client *client, lsn_t *start_out, size_t *length_out)
{
	if (client->type != 'd' || client->body_length < 25 || client->body[0] != 'w') {
		give_up("the last message is no WAL");
	}
	*start_out = wire_get_u64(client->body + 1);
	*length_out = client->body_length - 25;
	return client->body + 25;
}

/* --- showing -----------------------------------------------------------------------------------
 */

struct text {
	char *at;
	size_t left;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text->at, text->left, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= text->left) {
		give_up("more text than there is room for");
	}
	text->at += length;
	text->left -= (size_t)length;
}

static void show_error(struct text *text, struct wire_reader *body)
{
	const char *fields[128] = {0};
	uint8_t code;
	while ((code = wire_read_u8(body)) != 0) {
		fields[code & 127] = wire_read_string(body);
	}
	add(text, " %s %s %s", fields['S'], fields['C'], fields['M']);
	if (strcmp(fields['S'], fields['V']) != 0) {
		add(text, " (V: %s)", fields['V']);
	}
	if (fields['D'] != NULL) {
		add(text, " detail: %s", fields['D']);
	}
	if (fields['H'] != NULL) {
		add(text, " hint: %s", fields['H']);
	}
}

static void show_columns(struct text *text, struct wire_reader *body)
{
	unsigned count = wire_read_u16(body);
	for (unsigned i = 0; i < count; i++) {
		add(text, " %s", wire_read_string(body));
		wire_read_u32(body);
		wire_read_u16(body);
		add(text, ":%u", wire_read_u32(body));
		wire_read_u16(body);
		wire_read_u32(body);
		wire_read_u16(body);
	}
}

static void show_row(struct text *text, struct wire_reader *body)
{
	unsigned count = wire_read_u16(body);
	for (unsigned i = 0; i < count; i++) {
		uint32_t length = wire_read_u32(body);
		add(text, "%s", i == 0 ? " " : "|");
		if (length == UINT32_MAX) {
			add(text, "NULL");
		} else {
			add(text, "%.*s", (int)length, (const char *)wire_read_bytes(body, length));
		}
	}
}

static void show_copy_data(struct text *text, struct wire_reader *body)
{
	size_t length = wire_reader_left(body);
	uint8_t kind = wire_read_u8(body);
	if (kind == 'w') {
		lsn_t start = wire_read_u64(body);
		lsn_t end = wire_read_u64(body);
		add(text, " w " LSN_FORMAT " +%zu end " LSN_FORMAT, LSN_ARGS(start), length - 25,
			LSN_ARGS(end));
	} else if (kind == 'k' && length == 18) {
		lsn_t end = wire_read_u64(body);
		wire_read_u64(body);
		add(text, " k " LSN_FORMAT "%s", LSN_ARGS(end),
			wire_read_u8(body) != 0 ? " reply" : "");
	} else {
		add(text, " %zu", length);
	}
}

static void show_negotiation(struct text *text, struct wire_reader *body)
{
	uint32_t version = wire_read_u32(body);
	uint32_t count = wire_read_u32(body);
	add(text, " %u.%u", version >> 16, version & 0xffff);
	for (uint32_t i = 0; i < count; i++) {
		add(text, " %s", wire_read_string(body));
	}
}

static void show(struct raw_client *client, struct text *text)
{
	struct wire_reader body;
	wire_reader_init(&body, client->body, client->body_length);
	add(text, "%c", client->type);
	switch (client->type) {
	case 'E':
	case 'N': show_error(text, &body); break;
	case 'T': show_columns(text, &body); break;
	case 'D': show_row(text, &body); break;
	case 'd': show_copy_data(text, &body); break;
	case 'v': show_negotiation(text, &body); break;
	case 'C': add(text, " %s", wire_read_string(&body)); break;
	case 'R': add(text, " %u", wire_read_u32(&body)); break;
	case 'Z': add(text, " %c", wire_read_u8(&body)); break;
	case 'S': {
		const char *name = wire_read_string(&body);
		add(text, " %s=%s", name, wire_read_string(&body));
		break;
	}
	default: break;
	}
}

static bool read_message(struct raw_client *client)
{
	uint8_t header[5];
	if (!receive(client, header, sizeof(header))) {
		return false;
	}
	uint32_t length = wire_get_u32(header + 1);
	if (length < 4 || length > (1u << 24)) {
		give_up("a message of an impossible length");
	}
	free(client->body);
	client->type = (char)header[0];
	client->body_length = length - 4;
	client->body = malloc(client->body_length + 1);
	if (client->body_length > 0 && !receive(client, client->body, client->body_length)) {
		give_up("closed inside a message");
	}
	return true;
}

const char *raw_client_next(struct raw_client *client)
{
	struct text text = {client->text, sizeof(client->text)};
	if (!read_message(client)) {
		return "closed";
	}
	show(client, &text);
	return client->text;
}

const char *raw_client_until(struct raw_client *client, char type)
{
	struct text text = {client->text, sizeof(client->text)};
	do {
		if (!read_message(client)) {
			add(&text, "closed\n");
			break;
		}
		show(client, &text);
		add(&text, "\n");
	} while (client->type != type);
	return client->text;
}
