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
	uint8_t epoch[LINK_EPOCH_BYTES];
	uint8_t arrived[LINK_ARRIVED_BYTES];
	uint8_t lost[LINK_LOST_BYTES];
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
		} else if (server.kind == LINK_SERVER_EPOCH) {
			assert(link_epoch_encode(server.epoch, epoch) <= length);
			assert(memcmp(epoch, bytes, sizeof(epoch)) == 0);
		}
	}
	if (link_client_copy_decode(bytes, length, &client, &reason) == DECODE_OK) {
		if (client.kind == LINK_CLIENT_REQUEST) {
			assert(link_request_encode(client.request_lsn, request) <= length);
			assert(memcmp(request, bytes, sizeof(request)) == 0);
		} else if (client.kind == LINK_CLIENT_PROMISE) {
			check_promise(&client.promise, bytes, length);
		} else if (client.kind == LINK_CLIENT_ARRIVED) {
			size_t again = link_arrived_encode(&client.arrived, arrived);
			assert(again <= length && memcmp(arrived, bytes, again) == 0);
		} else if (client.kind == LINK_CLIENT_LOST) {
			assert(link_lost_encode(&client.lost, lost) <= length);
			assert(memcmp(lost, bytes, sizeof(lost)) == 0);
		}
	}
	return 0;
}
