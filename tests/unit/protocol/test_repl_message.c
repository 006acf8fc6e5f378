/*
 * repl_message: the payloads of CopyData, byte for byte, there and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/repl_message.h"

#include <string.h>

static const struct wal_data wal_data = {.start_lsn = 0x16B374D848,
	.server_end_lsn = 0x16B374E000,
	.sent_at = INT64_C(848361600000001),
	.wal = (const uint8_t *)"WAL",
	.wal_length = 3};

static void test_repl_message__round_trips_wal(void **state)
{
	(void)state;
	uint8_t payload[WAL_DATA_HEADER_BYTES + 3];
	assert_int_equal(wal_data_header_encode(&wal_data, payload), WAL_DATA_HEADER_BYTES);
	memcpy(payload + WAL_DATA_HEADER_BYTES, "WAL", 3);
	assert_memory_equal(payload, "w\0\0\0\26\263\164\330\110\0\0\0\26\263\164\340\0", 17);
	struct server_copy copy;
	const char *reason;
	assert_int_equal(server_copy_decode(payload, sizeof(payload), &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, SERVER_COPY_WAL);
	assert_int_equal(copy.wal.start_lsn, wal_data.start_lsn);
	assert_int_equal(copy.wal.server_end_lsn, wal_data.server_end_lsn);
	assert_int_equal(copy.wal.sent_at, wal_data.sent_at);
	assert_int_equal(copy.wal.wal_length, 3);
	assert_ptr_equal(copy.wal.wal, payload + WAL_DATA_HEADER_BYTES);
}

static void test_repl_message__frames_wal(void **state)
{
	(void)state;
	uint8_t frame[WAL_FRAME_HEADER_BYTES];
	uint8_t payload[WAL_DATA_HEADER_BYTES];
	assert_int_equal(wal_frame_header_encode(&wal_data, frame), WAL_FRAME_HEADER_BYTES);
	assert_memory_equal(frame, "d\0\0\0\40", 5);
	wal_data_header_encode(&wal_data, payload);
	assert_memory_equal(frame + 5, payload, sizeof(payload));

	struct wal_data largest = wal_data;
	largest.wal_length = WAL_DATA_BYTES_MAX;
	wal_frame_header_encode(&largest, frame);
	assert_memory_equal(frame, "d\0\2\0\35", 5);
}

static void test_repl_message__round_trips_keepalives(void **state)
{
	(void)state;
	struct keepalive keepalive = {
		.server_end_lsn = 0x1508180, .sent_at = -1, .reply_requested = true};
	uint8_t payload[KEEPALIVE_BYTES];
	assert_int_equal(keepalive_encode(&keepalive, payload), sizeof(payload));
	assert_memory_equal(payload, "k\0\0\0\0\1\120\201\200\377\377\377\377\377\377\377\377\1",
		sizeof(payload));
	struct server_copy copy;
	const char *reason;
	assert_int_equal(server_copy_decode(payload, sizeof(payload), &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, SERVER_COPY_KEEPALIVE);
	assert_int_equal(copy.keepalive.server_end_lsn, 0x1508180);
	assert_int_equal(copy.keepalive.sent_at, -1);
	assert_true(copy.keepalive.reply_requested);
}

static void test_repl_message__round_trips_standby_status(void **state)
{
	(void)state;
	struct standby_status status = {.write_lsn = 0x300000001,
		.flush_lsn = 0x200000002,
		.apply_lsn = 0x100000003,
		.sent_at = 4,
		.reply_requested = true};
	uint8_t payload[STANDBY_STATUS_BYTES];
	assert_int_equal(standby_status_encode(&status, payload), sizeof(payload));
	assert_memory_equal(payload,
		"r\0\0\0\3\0\0\0\1\0\0\0\2\0\0\0\2\0\0\0\1\0\0\0\3\0\0\0\0\0\0\0\4\1",
		sizeof(payload));
	struct client_copy copy;
	const char *reason;
	assert_int_equal(client_copy_decode(payload, sizeof(payload), &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, CLIENT_COPY_STATUS);
	assert_int_equal(copy.status.write_lsn, status.write_lsn);
	assert_int_equal(copy.status.flush_lsn, status.flush_lsn);
	assert_int_equal(copy.status.apply_lsn, status.apply_lsn);
	assert_int_equal(copy.status.sent_at, status.sent_at);
	assert_true(copy.status.reply_requested);
}

static const struct standby_feedback feedback = {
	.sent_at = 5, .xmin = 731, .xmin_epoch = 1, .catalog_xmin = 730, .catalog_xmin_epoch = 2};

static void test_repl_message__round_trips_feedback(void **state)
{
	(void)state;
	uint8_t payload[FEEDBACK_BYTES];
	assert_int_equal(standby_feedback_encode(&feedback, payload), sizeof(payload));
	assert_memory_equal(
		payload, "h\0\0\0\0\0\0\0\5\0\0\2\333\0\0\0\1\0\0\2\332\0\0\0\2", sizeof(payload));
	struct client_copy copy;
	const char *reason;
	assert_int_equal(client_copy_decode(payload, sizeof(payload), &copy, &reason), DECODE_OK);
	assert_int_equal(copy.kind, CLIENT_COPY_FEEDBACK);
	assert_memory_equal(&copy.feedback, &feedback, sizeof(feedback));
}

static void test_repl_message__reads_feedback_without_catalog_xmin(void **state)
{
	(void)state;
	uint8_t payload[FEEDBACK_BYTES];
	standby_feedback_encode(&feedback, payload);
	struct client_copy copy;
	const char *reason;
	assert_int_equal(client_copy_decode(payload, 17, &copy, &reason), DECODE_OK);
	assert_int_equal(copy.feedback.xmin, 731);
	assert_int_equal(copy.feedback.xmin_epoch, 1);
	assert_int_equal(copy.feedback.catalog_xmin, 0);
	assert_int_equal(copy.feedback.catalog_xmin_epoch, 0);
}

static void test_repl_message__every_prefix_wants_more(void **state)
{
	(void)state;
	uint8_t wal[WAL_DATA_HEADER_BYTES];
	uint8_t keepalive[KEEPALIVE_BYTES] = "k";
	uint8_t status[STANDBY_STATUS_BYTES] = "r";
	uint8_t catalog[FEEDBACK_BYTES] = "h";
	struct server_copy server;
	struct client_copy client;
	const char *reason;
	wal_data_header_encode(&wal_data, wal);
	for (size_t i = 0; i < sizeof(wal); i++) {
		assert_int_equal(server_copy_decode(wal, i, &server, &reason), DECODE_MORE);
	}
	assert_int_equal(server_copy_decode(wal, sizeof(wal), &server, &reason), DECODE_OK);
	assert_int_equal(server.wal.wal_length, 0);
	for (size_t i = 0; i < sizeof(keepalive); i++) {
		assert_int_equal(server_copy_decode(keepalive, i, &server, &reason), DECODE_MORE);
	}
	for (size_t i = 0; i < sizeof(status); i++) {
		assert_int_equal(client_copy_decode(status, i, &client, &reason), DECODE_MORE);
	}
	for (size_t i = 0; i < sizeof(catalog); i++) {
		assert_int_equal(client_copy_decode(catalog, i, &client, &reason),
			i == 17 ? DECODE_OK : DECODE_MORE);
	}
}

static void test_repl_message__refuses_other_messages(void **state)
{
	(void)state;
	struct server_copy server;
	struct client_copy client;
	for (int type = 0; type < 256; type++) {
		uint8_t payload[64] = {(uint8_t)type};
		const char *reason = NULL;
		if (type != 'w' && type != 'k') {
			assert_int_equal(
				server_copy_decode(payload, sizeof(payload), &server, &reason),
				DECODE_BAD);
			assert_non_null(reason);
		}
		reason = NULL;
		if (type != 'r' && type != 'h') {
			assert_int_equal(
				client_copy_decode(payload, sizeof(payload), &client, &reason),
				DECODE_BAD);
			assert_non_null(reason);
		}
	}
}

static void test_repl_message__bytes_after_the_end(void **state)
{
	(void)state;
	uint8_t keepalive[KEEPALIVE_BYTES + 1] = "k";
	uint8_t status[STANDBY_STATUS_BYTES + 1] = "r";
	struct server_copy server;
	struct client_copy client;
	const char *reason = NULL;
	assert_int_equal(
		server_copy_decode(keepalive, sizeof(keepalive), &server, &reason), DECODE_BAD);
	assert_string_equal(reason, "keepalive message is too long");
	assert_int_equal(client_copy_decode(status, sizeof(status), &client, &reason), DECODE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repl_message__round_trips_wal),
		cmocka_unit_test(test_repl_message__frames_wal),
		cmocka_unit_test(test_repl_message__round_trips_keepalives),
		cmocka_unit_test(test_repl_message__round_trips_standby_status),
		cmocka_unit_test(test_repl_message__round_trips_feedback),
		cmocka_unit_test(test_repl_message__reads_feedback_without_catalog_xmin),
		cmocka_unit_test(test_repl_message__every_prefix_wants_more),
		cmocka_unit_test(test_repl_message__refuses_other_messages),
		cmocka_unit_test(test_repl_message__bytes_after_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
