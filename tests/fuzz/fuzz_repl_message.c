/*
 * The payloads of CopyData in both directions: what decodes encodes to the same bytes, but that any
 * byte but 0 asks for a reply.
 */
#include "fuzz.h"

#include "protocol/repl_message.h"

#include <assert.h>
#include <string.h>

static void check_server_copy(const struct server_copy *copy, const uint8_t *bytes, size_t length)
{
	uint8_t again[WAL_DATA_HEADER_BYTES];
	if (copy->kind == SERVER_COPY_WAL) {
		assert(wal_data_header_encode(&copy->wal, again) + copy->wal.wal_length == length);
		assert(memcmp(again, bytes, WAL_DATA_HEADER_BYTES) == 0);
		assert(copy->wal.wal == bytes + WAL_DATA_HEADER_BYTES);
	} else {
		assert(keepalive_encode(&copy->keepalive, again) == length);
		assert(memcmp(again, bytes, KEEPALIVE_BYTES - 1) == 0);
	}
}

static void check_client_copy(const struct client_copy *copy, const uint8_t *bytes, size_t length)
{
	uint8_t again[STANDBY_STATUS_BYTES];
	if (copy->kind == CLIENT_COPY_STATUS) {
		assert(standby_status_encode(&copy->status, again) <= length);
		assert(memcmp(again, bytes, STANDBY_STATUS_BYTES - 1) == 0);
	} else {
		size_t encoded = standby_feedback_encode(&copy->feedback, again);
		assert(memcmp(again, bytes, length < encoded ? length : encoded) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct server_copy server;
	struct client_copy client;
	const char *reason = NULL;
	if (server_copy_decode(bytes, length, &server, &reason) == DECODE_OK) {
		check_server_copy(&server, bytes, length);
	}
	if (client_copy_decode(bytes, length, &client, &reason) == DECODE_OK) {
		check_client_copy(&client, bytes, length);
	}
	return 0;
}
