/*
 * The payloads relays send each other: what decodes encodes to the same bytes.
 */
#include "fuzz.h"

#include "protocol/link_stream.h"

#include <assert.h>
#include <string.h>

static void check_promise(const struct link_promise *promise, const uint8_t *bytes, size_t length)
{
	uint8_t again[LINK_PROMISE_BYTES];
	assert(link_promise_encode(promise, again) <= length);
	assert(memcmp(again, bytes, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct link_server_copy server;
	struct link_client_copy client;
	uint8_t request[LINK_REQUEST_BYTES];
	uint8_t lanes[LINK_LANES_BYTES];
	const char *reason = NULL;
	if (link_server_copy_decode(bytes, length, &server, &reason) == DECODE_OK) {
		if (server.kind == LINK_SERVER_BATCH) {
			assert(server.batch == bytes + 1);
			assert(server.batch_length == length - 1);
		} else if (server.kind == LINK_SERVER_PROMISE) {
			check_promise(&server.promise, bytes, length);
		} else if (server.kind == LINK_SERVER_LANES) {
			assert(link_lane_plan_encode(&server.lanes, lanes) <= length);
			assert(memcmp(lanes, bytes, sizeof(lanes)) == 0);
		}
	}
	if (link_client_copy_decode(bytes, length, &client, &reason) == DECODE_OK) {
		if (client.kind == LINK_CLIENT_REQUEST) {
			assert(link_request_encode(client.request_lsn, request) <= length);
			assert(memcmp(request, bytes, sizeof(request)) == 0);
		} else if (client.kind == LINK_CLIENT_PROMISE) {
			check_promise(&client.promise, bytes, length);
		}
	}
	return 0;
}
