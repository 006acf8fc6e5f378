/*
 * raw_client: a client of the frontend/backend protocol by hand, over a blocking socket, that shows
 * what a server says as text, one message a line:
 *
 *   R 0                                   S name=value          K                  Z I
 *   T name:oid name:oid                   D value|value|NULL    C tag              W, c, G, H
 *   E FATAL 08P01 message[ detail: ...][ hint: ...]             v 3.0 option option
 *   d w START +LENGTH end END             d k END[ reply]       d LENGTH (other)
 *
 * Everything waits at most RAW_CLIENT_SECONDS, then fails the test.
 */
#ifndef SUPPORT_RAW_CLIENT_H
#define SUPPORT_RAW_CLIENT_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_CLIENT_SECONDS 10
#define RAW_CLIENT_TEXT    8192

struct raw_client {
	int fd;
	char type; /* of the last message */
	uint8_t *body;
	size_t body_length;
	char text[RAW_CLIENT_TEXT];
};

void raw_client_open(struct raw_client *client, int fd);
void raw_client_close(struct raw_client *client);

void raw_client_send(struct raw_client *client, const void *bytes, size_t length);
/* A message with a type byte. */
void raw_client_message(struct raw_client *client, char type, const void *body, size_t length);
void raw_client_query(struct raw_client *client, const char *text);
/* parameters: "name=value;name=value"; ~ stands for = in a value. */
void raw_client_startup(struct raw_client *client, uint32_t version, const char *parameters);
void raw_client_status(
	struct raw_client *client, lsn_t write, lsn_t flush, lsn_t apply, bool reply);
void raw_client_feedback(
	struct raw_client *client, uint32_t xmin, uint32_t epoch, uint32_t catalog_xmin);

/* One byte, without a message around it; -1: closed. */
int raw_client_byte(struct raw_client *client);
/* The next message as text; "closed" when there is none and never will be. Valid until the next
 * call, as is what follows. */
const char *raw_client_next(struct raw_client *client);
/* All messages up to and with the first of this type, a line each. */
const char *raw_client_until(struct raw_client *client, char type);
/* Nothing comes within so many milliseconds. */
bool raw_client_is_quiet(struct raw_client *client, int milliseconds);

/* The last message was CopyData with WAL: where it starts, and its bytes. */
const uint8_t *raw_client_wal(
	const struct raw_client *client, lsn_t *start_out, size_t *length_out);

#endif
