/* What comes over several lanes, in whatever order, comes out in the order of the WAL. */
#include "upstream/lane_order.h"

#include "protocol/link_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FRAME  ((lsn_t)LINK_FRAME_BYTES)
#define FROM   (8 * FRAME)
#define FRAMES 40

/* Messages of a lane: its frames, each in some parts. */
struct source {
	lsn_t at;
	lsn_t end;
};

static lsn_t put_next(struct lane_order *order, unsigned lane, struct source *source)
{
	lsn_t start = source->at;
	lsn_t rest = FRAME - start % FRAME;
	lsn_t length = 1 + (lsn_t)(rand() % (1 << 19));
	lsn_t message[2] = {start, 0};

	length = length < rest ? length : rest;
	message[1] = start + length;
	lane_order_put(order, lane, (const uint8_t *)message, sizeof(message));
	source->at = link_division_next(&order->division, lane, start + length);
	return length;
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

/* Lanes in any interleaving; those whose turn is over may be far ahead of those whose is not. */
static void test_lane_order__any_order_comes_out_in_order(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 300; seed++) {
		struct source sources[LINK_LANES_MAX];
		struct lane_order order;
		unsigned count;
		lsn_t next = FROM - 2 * FRAME;
		lsn_t end = FROM + FRAMES * FRAME;
		bool is_more = true;

		srand(seed);
		count = 2 + (unsigned)rand() % (LINK_LANES_MAX - 1);
		lane_order_init(&order);
		order.division = (struct link_division){.from = FROM, .count = count};
		for (unsigned i = 0; i < count; i++) {
			sources[i].at = link_division_next(&order.division, i, next);
		}
		while (is_more) {
			unsigned lane = (unsigned)rand() % count;
			unsigned burst = (unsigned)rand() % 20;

			for (; burst > 0 && sources[lane].at < end; burst--) {
				put_next(&order, lane, &sources[lane]);
			}
			take_all(&order, &next);
			is_more = false;
			for (unsigned i = 0; i < count; i++) {
				is_more = is_more || sources[i].at < end;
			}
		}
		assert_int_equal(next, end);
		for (unsigned i = 0; i < count; i++) {
			assert_true(lane_order_is_empty(&order, i));
			assert_true(lane_order_has_room(&order, i));
		}
		lane_order_release(&order);
	}
}

/* A lane that is behind holds up the others at the bound, and then nobody. */
static void test_lane_order__a_lane_is_full_at_its_bound(void **state)
{
	static uint8_t payload[100000];
	struct lane_order order;
	struct lane_message *message;
	unsigned count = 0;

	(void)state;
	lane_order_init(&order);
	order.division = (struct link_division){.from = FROM, .count = 2};
	assert_null(lane_order_take(&order, FROM));
	while (!lane_order_is_full(&order, 1)) {
		lane_order_put(&order, 1, payload, sizeof(payload));
		count++;
	}
	assert_int_equal(count, LANE_ORDER_BYTES / sizeof(payload) + 1);
	assert_false(lane_order_has_room(&order, 1));
	assert_true(lane_order_has_room(&order, 0));
	/* Nothing of it is out before the other has brought its frame. */
	assert_null(lane_order_take(&order, FROM));
	assert_null(lane_order_take(&order, FROM + FRAME - 1));
	for (unsigned i = 0; !lane_order_has_room(&order, 1); i++) {
		message = lane_order_take(&order, FROM + FRAME + i);
		assert_non_null(message);
		assert_int_equal(message->length, sizeof(payload));
		free(message);
	}
	assert_false(lane_order_is_empty(&order, 1));
	lane_order_release(&order);
	assert_true(lane_order_is_empty(&order, 1));
}

static void test_lane_order__knows_where_a_message_ends(void **state)
{
	const struct wal_data data = {.start_lsn = 1000, .server_end_lsn = 5000};
	const struct link_batch_header header = {
		.version = LINK_VERSION, .start = 4096, .length = 100};
	uint8_t payload[WAL_FRAME_HEADER_BYTES + 30] = {0};
	struct link_server_copy copy;
	const char *reason;
	size_t length = wal_data_header_encode(&data, payload) + 30;

	(void)state;
	assert_int_equal(link_server_copy_decode(payload, length, &copy, &reason), DECODE_OK);
	assert_int_equal(lane_order_end_of(&copy, 7), 1030);
	payload[0] = 'z';
	link_batch_header_put(&header, payload + 1);
	length = 1 + LINK_BATCH_HEADER_BYTES;
	assert_int_equal(link_server_copy_decode(payload, length, &copy, &reason), DECODE_OK);
	assert_int_equal(lane_order_end_of(&copy, 7), 4196);
	assert_int_equal(link_server_copy_decode(payload, length - 1, &copy, &reason), DECODE_OK);
	assert_int_equal(lane_order_end_of(&copy, 7), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_order__any_order_comes_out_in_order),
		cmocka_unit_test(test_lane_order__a_lane_is_full_at_its_bound),
		cmocka_unit_test(test_lane_order__knows_where_a_message_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
