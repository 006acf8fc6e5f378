/*
 * link_stream: the payloads of relays, byte for byte, there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/link_stream.h"

#include <string.h>

static const struct link_promise promise = {0x16B374D848, 0x80000001};
static const char promise_bytes[] = "p\0\0\0\26\263\164\330\110\0\0\0\0\200\0\0\1";

static void test_link_stream__round_trips_promises(void **state)
{
	(void)state;
	uint8_t payload[LINK_PROMISE_BYTES];
	struct link_server_copy server;
	struct link_client_copy client;
	const char *reason;

	assert_int_equal(link_promise_encode(&promise, payload), sizeof(payload));
	assert_memory_equal(payload, promise_bytes, sizeof(payload));
	assert_int_equal(
		link_server_copy_decode(payload, sizeof(payload), &server, &reason), DECODE_OK);
	assert_int_equal(server.kind, LINK_SERVER_PROMISE);
	assert_memory_equal(&server.promise, &promise, sizeof(promise));
	assert_int_equal(
		link_client_copy_decode(payload, sizeof(payload), &client, &reason), DECODE_OK);
	assert_int_equal(client.kind, LINK_CLIENT_PROMISE);
	assert_memory_equal(&client.promise, &promise, sizeof(promise));
}

static void test_link_stream__round_trips_requests(void **state)
{
	(void)state;
	uint8_t payload[LINK_REQUEST_BYTES];
	struct link_client_copy copy;
	const char *reason;

	assert_int_equal(link_request_encode(0x16B374D848, payload), sizeof(payload));
	assert_memory_equal(payload, "n\0\0\0\26\263\164\330\110", sizeof(payload));
	assert_int_equal(
		link_client_copy_decode(payload, sizeof(payload), &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, LINK_CLIENT_REQUEST);
	assert_int_equal(copy.request_lsn, 0x16B374D848);
}

static void test_link_stream__round_trips_lanes(void **state)
{
	(void)state;
	static const struct link_lane_plan plan = {8, 0x123456789ABCDEF0};
	uint8_t payload[LINK_LANES_BYTES];
	uint8_t wish[LINK_WISH_BYTES];
	uint8_t epoch[LINK_EPOCH_BYTES];
	struct link_server_copy server;
	struct link_client_copy client;
	const char *reason = NULL;

	assert_int_equal(link_lane_plan_encode(&plan, payload), sizeof(payload));
	assert_memory_equal(payload, "l\0\0\0\10\x12\x34\x56\x78\x9a\xbc\xde\xf0", sizeof(payload));
	assert_int_equal(
		link_server_copy_decode(payload, sizeof(payload), &server, &reason), DECODE_OK);
	assert_int_equal(server.kind, LINK_SERVER_LANES);
	assert_int_equal(server.lanes.count, 8);
	assert_true(server.lanes.token == plan.token);
	for (size_t i = 0; i < sizeof(payload); i++) {
		assert_int_equal(
			link_server_copy_decode(payload, i, &server, &reason), DECODE_MORE);
	}
	assert_int_equal(link_wish_encode(16, wish), sizeof(wish));
	assert_memory_equal(wish, "l\0\0\0\20", sizeof(wish));
	assert_int_equal(link_client_copy_decode(wish, sizeof(wish), &client, &reason), DECODE_OK);
	assert_int_equal(client.kind, LINK_CLIENT_WISH);
	assert_int_equal(client.wished_lanes, 16);
	assert_int_equal(link_epoch_encode(0x01020304, epoch), sizeof(epoch));
	assert_memory_equal(epoch, "e\1\2\3\4", sizeof(epoch));
	for (size_t i = 0; i < sizeof(epoch); i++) {
		assert_int_equal(link_server_copy_decode(epoch, i, &server, &reason), DECODE_MORE);
	}
	assert_int_equal(
		link_server_copy_decode(epoch, sizeof(epoch), &server, &reason), DECODE_OK);
	assert_int_equal(server.kind, LINK_SERVER_EPOCH);
	assert_int_equal(server.epoch, 0x01020304);
}

static void test_link_stream__round_trips_what_has_arrived(void **state)
{
	(void)state;
	static const struct link_arrived arrived = {.lsn = 0x16B3700000,
		.count = 2,
		.lanes = {{.lane = 0, .messages = 258}, {.lane = 4294967295, .messages = 1}}};
	uint8_t payload[LINK_ARRIVED_BYTES];
	uint8_t lost[LINK_LOST_BYTES];
	struct link_client_copy copy;
	const char *reason = NULL;

	assert_int_equal(link_arrived_encode(&arrived, payload), 37);
	assert_memory_equal(payload,
		"a\0\0\0\26\263\160\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\1\2\377\377\377\377\0\0\0\0\0"
		"\0\0\1",
		37);
	for (size_t i = 0; i < 37; i++) {
		assert_int_equal(link_client_copy_decode(payload, i, &copy, &reason), DECODE_MORE);
	}
	assert_int_equal(link_client_copy_decode(payload, 37, &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, LINK_CLIENT_ARRIVED);
	assert_int_equal(copy.arrived.lsn, arrived.lsn);
	assert_int_equal(copy.arrived.count, 2);
	assert_int_equal(copy.arrived.lanes[0].messages, 258);
	assert_int_equal(copy.arrived.lanes[1].lane, 4294967295);
	payload[12] = LINK_LANES_MAX + 1;
	assert_int_equal(link_client_copy_decode(payload, 37, &copy, &reason), DECODE_BAD);
	assert_string_equal(reason, "lanes of a link are out of range");

	assert_int_equal(link_lost_encode(&arrived.lanes[0], lost), sizeof(lost));
	assert_memory_equal(lost, "x\0\0\0\0\0\0\0\0\0\0\1\2", sizeof(lost));
	for (size_t i = 0; i < sizeof(lost); i++) {
		assert_int_equal(link_client_copy_decode(lost, i, &copy, &reason), DECODE_MORE);
	}
	assert_int_equal(link_client_copy_decode(lost, sizeof(lost), &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, LINK_CLIENT_LOST);
	assert_int_equal(copy.lost.lane, 0);
	assert_int_equal(copy.lost.messages, 258);
}

static void test_link_stream__refuses_lanes_that_cannot_be(void **state)
{
	(void)state;
	static const uint8_t counts[] = {0, 1, 17, 255};
	uint8_t payload[LINK_LANES_BYTES] = {'l'};
	struct link_server_copy server;
	struct link_client_copy client;
	const char *reason = NULL;

	for (size_t i = 0; i < sizeof(counts); i++) {
		payload[4] = counts[i];
		assert_int_equal(
			link_server_copy_decode(payload, sizeof(payload), &server, &reason),
			DECODE_BAD);
		assert_string_equal(reason, "lanes of a link are out of range");
		assert_int_equal(
			link_client_copy_decode(payload, LINK_WISH_BYTES, &client, &reason),
			DECODE_BAD);
	}
}

static void test_link_stream__hands_out_batches(void **state)
{
	(void)state;
	uint8_t frame[LINK_FRAME_HEADER_BYTES + 5] = {0};
	struct link_server_copy copy;
	const char *reason;

	assert_int_equal(link_frame_header_encode(5, frame), LINK_FRAME_HEADER_BYTES);
	assert_memory_equal(frame, "d\0\0\0\12z", LINK_FRAME_HEADER_BYTES);
	memcpy(frame + LINK_FRAME_HEADER_BYTES, "batch", 5);
	assert_int_equal(
		link_server_copy_decode(frame + 5, sizeof(frame) - 5, &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, LINK_SERVER_BATCH);
	assert_ptr_equal(copy.batch, frame + LINK_FRAME_HEADER_BYTES);
	assert_int_equal(copy.batch_length, 5);
	/* Whether it is a batch is for the codec to say. */
	assert_int_equal(link_server_copy_decode(frame + 5, 1, &copy, &reason), DECODE_OK);
	assert_int_equal(copy.batch_length, 0);
}

static void test_link_stream__hands_on_what_postgresql_sends(void **state)
{
	(void)state;
	const struct wal_data wal = {.start_lsn = 1, .server_end_lsn = 2, .sent_at = 3};
	const struct standby_status status = {.write_lsn = 4};
	uint8_t payload[STANDBY_STATUS_BYTES + LINK_CHECK_BYTES];
	struct link_server_copy server;
	struct link_client_copy client;
	const char *reason;
	size_t length = wal_data_header_encode(&wal, payload);

	length += link_check_encode(&wal, payload + length);
	assert_int_equal(link_server_copy_decode(payload, length, &server, &reason), DECODE_OK);
	assert_int_equal(server.kind, LINK_SERVER_STREAM);
	assert_int_equal(server.stream.kind, SERVER_COPY_WAL);
	assert_int_equal(server.stream.wal.start_lsn, 1);
	length = standby_status_encode(&status, payload);
	assert_int_equal(link_client_copy_decode(payload, length, &client, &reason), DECODE_OK);
	assert_int_equal(client.kind, LINK_CLIENT_STREAM);
	assert_int_equal(client.stream.kind, CLIENT_COPY_STATUS);
	assert_int_equal(client.stream.status.write_lsn, 4);
}

static void test_link_stream__no_flipped_bit_gets_through_plain(void **state)
{
	(void)state;
	static const uint8_t bytes[] = "what stands between two records is covered by none";
	const struct wal_data wal = {
		.start_lsn = 0x16B374D848, .wal = bytes, .wal_length = sizeof(bytes)};
	uint8_t frame[WAL_FRAME_HEADER_BYTES + sizeof(bytes) + LINK_CHECK_BYTES];
	uint8_t *payload = frame + 5;
	size_t length = sizeof(frame) - 5;
	struct link_server_copy copy;
	const char *reason;

	assert_int_equal(link_wal_header_encode(&wal, frame), WAL_FRAME_HEADER_BYTES);
	assert_int_equal(frame[4], sizeof(frame) - 1);
	memcpy(frame + WAL_FRAME_HEADER_BYTES, bytes, sizeof(bytes));
	link_check_encode(&wal, frame + WAL_FRAME_HEADER_BYTES + sizeof(bytes));
	assert_int_equal(link_server_copy_decode(payload, length, &copy, &reason), DECODE_OK);
	assert_int_equal(copy.stream.wal.wal_length, sizeof(bytes));
	assert_memory_equal(copy.stream.wal.wal, bytes, sizeof(bytes));
	/* The type, and then all but where WAL ends on the server and its clock. */
	for (size_t bit = 8; bit < length * 8; bit++) {
		if (bit == 72) {
			bit = (size_t)8 * WAL_DATA_HEADER_BYTES;
		}
		payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
			link_server_copy_decode(payload, length, &copy, &reason), DECODE_BAD);
		assert_string_equal(reason, "WAL with a wrong checksum");
		payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t cut = 1; cut < length; cut++) {
		assert_int_not_equal(
			link_server_copy_decode(payload, cut, &copy, &reason), DECODE_OK);
	}
}

static void test_link_stream__every_prefix_wants_more(void **state)
{
	(void)state;
	uint8_t payload[LINK_PROMISE_BYTES];
	struct link_server_copy server;
	struct link_client_copy client;
	const char *reason;

	link_promise_encode(&promise, payload);
	for (size_t i = 0; i < LINK_PROMISE_BYTES; i++) {
		assert_int_equal(
			link_server_copy_decode(payload, i, &server, &reason), DECODE_MORE);
		assert_int_equal(
			link_client_copy_decode(payload, i, &client, &reason), DECODE_MORE);
	}
	link_request_encode(1, payload);
	for (size_t i = 0; i < LINK_REQUEST_BYTES; i++) {
		assert_int_equal(
			link_client_copy_decode(payload, i, &client, &reason), DECODE_MORE);
	}
}

static void test_link_stream__passes_over_bytes_after_the_end(void **state)
{
	(void)state;
	uint8_t payload[LINK_PROMISE_BYTES + 3] = {0};
	struct link_client_copy client;
	const char *reason;

	link_promise_encode(&promise, payload);
	assert_int_equal(
		link_client_copy_decode(payload, sizeof(payload), &client, &reason), DECODE_OK);
	payload[0] = 'n';
	assert_int_equal(
		link_client_copy_decode(payload, sizeof(payload), &client, &reason), DECODE_OK);
}

static void test_link_stream__refuses_what_is_out_of_range(void **state)
{
	(void)state;
	uint8_t payload[LINK_PROMISE_BYTES];
	const struct link_promise most = {UINT64_MAX, LINK_KEEP_BYTES_MAX};
	struct link_server_copy server;
	struct link_client_copy client;
	const char *reason = NULL;

	link_promise_encode(&most, payload);
	assert_int_equal(
		link_server_copy_decode(payload, sizeof(payload), &server, &reason), DECODE_OK);
	payload[LINK_PROMISE_BYTES - 1]++;
	assert_int_equal(
		link_server_copy_decode(payload, sizeof(payload), &server, &reason), DECODE_BAD);
	assert_string_equal(reason, "link promise is out of range");
	reason = NULL;
	assert_int_equal(
		link_client_copy_decode(payload, sizeof(payload), &client, &reason), DECODE_BAD);
	assert_string_equal(reason, "link promise is out of range");
}

static void test_link_stream__refuses_other_messages(void **state)
{
	(void)state;
	struct link_server_copy server;
	struct link_client_copy client;

	for (int type = 0; type < 256; type++) {
		uint8_t payload[64] = {(uint8_t)type};
		const char *reason = NULL;

		if (strchr("wkzpe", type) == NULL || type == 0) {
			assert_int_equal(
				link_server_copy_decode(payload, sizeof(payload), &server, &reason),
				DECODE_BAD);
			assert_non_null(reason);
		}
		reason = NULL;
		if (strchr("rhpnax", type) == NULL || type == 0) {
			assert_int_equal(
				link_client_copy_decode(payload, sizeof(payload), &client, &reason),
				DECODE_BAD);
			assert_non_null(reason);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_stream__round_trips_promises),
		cmocka_unit_test(test_link_stream__round_trips_requests),
		cmocka_unit_test(test_link_stream__round_trips_lanes),
		cmocka_unit_test(test_link_stream__round_trips_what_has_arrived),
		cmocka_unit_test(test_link_stream__refuses_lanes_that_cannot_be),
		cmocka_unit_test(test_link_stream__hands_out_batches),
		cmocka_unit_test(test_link_stream__hands_on_what_postgresql_sends),
		cmocka_unit_test(test_link_stream__no_flipped_bit_gets_through_plain),
		cmocka_unit_test(test_link_stream__every_prefix_wants_more),
		cmocka_unit_test(test_link_stream__passes_over_bytes_after_the_end),
		cmocka_unit_test(test_link_stream__refuses_what_is_out_of_range),
		cmocka_unit_test(test_link_stream__refuses_other_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
