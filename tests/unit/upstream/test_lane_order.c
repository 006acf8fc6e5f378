/* What comes over several lanes, in whatever order, comes out in the order of the WAL, and once. */
#include "upstream/lane_order.h"

#include "protocol/link_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FROM     ((lsn_t)8 << 20)
#define MESSAGES 400u
#define AHEAD    50u

static void put(struct lane_order *order, lsn_t start, lsn_t end)
{
	const lsn_t place[2] = {start, end};

	(void)!lane_order_put(order, start, (const uint8_t *)place, sizeof(place));
}

static void take_all(struct lane_order *order, lsn_t *next)
{
	struct lane_message *message;

	while ((message = lane_order_take(order, *next)) != NULL) {
		lsn_t place[2];

		assert_int_equal(message->length, sizeof(place));
		memcpy(place, message->payload, sizeof(place));
		assert_int_equal(place[0], *next);
		*next = place[1];
		free(message);
	}
}

/* Of those that may be under way any may come next, and some come twice. */
static void test_lane_order__any_order_comes_out_in_order(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		lsn_t bounds[MESSAGES + 1] = {FROM};
		bool has_come[MESSAGES] = {false};
		struct lane_order order;
		lsn_t next = FROM;
		unsigned first = 0;

		srand(seed);
		for (unsigned i = 0; i < MESSAGES; i++) {
			bounds[i + 1] = bounds[i] + 1 + (lsn_t)(rand() % (1 << 17));
		}
		lane_order_init(&order);
		while (first < MESSAGES) {
			unsigned i = first + (unsigned)rand() % AHEAD;

			if (i < MESSAGES) {
				put(&order, bounds[i], bounds[i + 1]);
				has_come[i] = true;
			}
			while (first < MESSAGES && has_come[first]) {
				first++;
			}
			take_all(&order, &next);
			assert_int_equal(next, bounds[first]);
		}
		assert_int_equal(order.bytes, 0);
		lane_order_clear(&order);
	}
}

static void test_lane_order__is_bounded(void **state)
{
	static uint8_t payload[100000];
	struct lane_order order;
	struct lane_message *message;
	lsn_t at = FROM;

	(void)state;
	lane_order_init(&order);
	assert_null(lane_order_take(&order, FROM));
	while (lane_order_put(&order, at, payload, sizeof(payload))) {
		/* Not twice. */
		assert_false(lane_order_put(&order, at, payload, sizeof(payload)));
		at += 1000;
	}
	assert_false(lane_order_has_room(&order, sizeof(payload)));
	assert_true(order.bytes <= LANE_ORDER_BYTES);
	assert_true(order.bytes > LANE_ORDER_BYTES - 2 * sizeof(payload));
	/* Nothing is out before what precedes it has come; what is late is dropped. */
	assert_null(lane_order_take(&order, FROM - 1));
	message = lane_order_take(&order, FROM + 3000);
	assert_non_null(message);
	assert_int_equal(message->length, sizeof(payload));
	free(message);
	assert_null(lane_order_take(&order, FROM + 3000));
	assert_true(lane_order_has_room(&order, 3 * sizeof(payload)));
	lane_order_clear(&order);
	assert_int_equal(order.bytes, 0);
	assert_null(lane_order_take(&order, FROM + 4000));
}

static void test_lane_order__knows_where_a_message_begins(void **state)
{
	static const uint8_t wal[30];
	const struct wal_data data = {
		.start_lsn = 1000, .server_end_lsn = 5000, .wal = wal, .wal_length = sizeof(wal)};
	const struct link_batch_header header = {
		.version = LINK_VERSION, .start = 4096, .length = 100};
	uint8_t payload[WAL_FRAME_HEADER_BYTES + sizeof(wal) + LINK_CHECK_BYTES] = {0};
	struct link_server_copy copy;
	const char *reason;
	size_t length = wal_data_header_encode(&data, payload) + sizeof(wal);
	lsn_t start = 7;

	(void)state;
	length += link_check_encode(&data, payload + length);
	assert_int_equal(link_server_copy_decode(payload, length, &copy, &reason), DECODE_OK);
	assert_true(lane_order_place_of(&copy, &start));
	assert_int_equal(start, 1000);
	payload[0] = 'z';
	link_batch_header_put(&header, payload + 1);
	length = 1 + LINK_BATCH_HEADER_BYTES;
	assert_int_equal(link_server_copy_decode(payload, length, &copy, &reason), DECODE_OK);
	assert_true(lane_order_place_of(&copy, &start));
	assert_int_equal(start, 4096);
	assert_int_equal(link_server_copy_decode(payload, length - 1, &copy, &reason), DECODE_OK);
	assert_false(lane_order_place_of(&copy, &start));
	assert_int_equal(start, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_order__any_order_comes_out_in_order),
		cmocka_unit_test(test_lane_order__is_bounded),
		cmocka_unit_test(test_lane_order__knows_where_a_message_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
