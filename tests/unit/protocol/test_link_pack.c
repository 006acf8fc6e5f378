/*
 * link_pack: columns of many batches there and back, plain WAL between them, and damage.
 */
#include "protocol/link_pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM    65536u
#define PER_BIT 300u /* bytes of the batch of which every bit is flipped */

struct pair {
	struct link_packer *packer;
	struct link_unpacker *unpacker;
	struct link_columns columns;
	uint8_t *out, *joined, *back;
	uint32_t random;
};

static int set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	pair->packer = link_packer_new();
	pair->unpacker = link_unpacker_new();
	pair->out = malloc(link_pack_bound(ROOM));
	pair->joined = malloc(ROOM);
	pair->back = malloc(ROOM);
	assert_non_null(pair->packer);
	assert_non_null(pair->unpacker);
	assert_true(pair->out != NULL && pair->joined != NULL && pair->back != NULL);
	link_columns_init(&pair->columns);
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	link_packer_free(&pair->packer);
	link_unpacker_free(&pair->unpacker);
	link_columns_release(&pair->columns);
	free(pair->out);
	free(pair->joined);
	free(pair->back);
	free(pair);
	return 0;
}

static uint32_t below(struct pair *pair, uint32_t count)
{
	pair->random = pair->random * 1664525u + 1013904223u;
	return (pair->random >> 16) % count;
}

static size_t fill(struct pair *pair, bool has_long)
{
	size_t length;

	link_columns_reset(&pair->columns);
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		uint32_t count = below(pair, 3) == 0 ? 0 : below(pair, 200);

		if (!has_long && i >= LINK_COLUMN_DATA) {
			continue;
		}
		for (; count > 0; count--) {
			link_put_u8(&pair->columns, (enum link_column)i,
				(uint8_t)(below(pair, 4) == 0 ? below(pair, 256) : (uint32_t)i));
		}
	}
	length = link_columns_bytes(&pair->columns);
	assert_true(length <= ROOM);
	link_columns_join(&pair->columns, pair->joined);
	return length;
}

static size_t pack(struct pair *pair)
{
	size_t packed = 0, sum = 0;

	assert_true(link_packer_put(
		pair->packer, &pair->columns, pair->out, link_pack_bound(ROOM), &packed));
	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		sum += pair->columns.column[i].at;
	}
	assert_in_range(packed - sum, 0, 60);
	return packed;
}

static void test_link_pack__gives_back_the_columns(void **state)
{
	static const int levels[] = {-7, 1, 3, 6, 7, 9, 12, 13, 19, 3};
	struct pair *pair = *state;

	for (int batch = 0; batch < 200; batch++) {
		size_t length, packed, got = 0;

		if (batch % 20 == 0) {
			assert_true(link_packer_begin(pair->packer, levels[batch / 20]));
			link_unpacker_begin(pair->unpacker);
		}
		length = fill(pair, batch % 3 != 0);
		if (batch % 7 == 6) {
			assert_true(link_packer_put_plain(pair->packer, pair->joined, length,
				pair->out, link_pack_bound(ROOM), &packed));
			assert_true(link_unpacker_get_plain(
				pair->unpacker, pair->out, packed, pair->back, ROOM, &got));
		} else {
			packed = pack(pair);
			assert_true(link_unpacker_get(
				pair->unpacker, pair->out, packed, pair->back, ROOM, &got));
		}
		assert_int_equal(got, length);
		assert_memory_equal(pair->back, pair->joined, length);
	}
}

/* Whatever comes out of a damaged batch, it is no more than there is room for. */
static void test_link_pack__damage_stays_within_bounds(void **state)
{
	struct pair *pair = *state;
	size_t packed, right = 0, refused = 0;
	uint8_t *exact;

	assert_true(link_packer_begin(pair->packer, 3));
	fill(pair, true);
	packed = pack(pair);
	exact = malloc(packed);
	assert_non_null(exact);
	for (size_t bit = 0; bit < 8 * (packed < PER_BIT ? packed : PER_BIT); bit++) {
		size_t got = 0;

		memcpy(exact, pair->out, packed);
		exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
		link_unpacker_begin(pair->unpacker);
		if (link_unpacker_get(pair->unpacker, exact, packed, pair->back, ROOM, &got)) {
			assert_true(got <= ROOM);
			right++;
		} else {
			refused++;
		}
	}
	assert_true(right > 0 && refused > 0);
	free(exact);
}

static void test_link_pack__refuses_less_and_more(void **state)
{
	struct pair *pair = *state;
	size_t length, packed, got;

	assert_true(link_packer_begin(pair->packer, 3));
	length = fill(pair, true);
	packed = pack(pair);
	/* Too little room for what comes out. */
	for (size_t room = 0; room < length; room += 1 + length / 50) {
		link_unpacker_begin(pair->unpacker);
		assert_false(link_unpacker_get(
			pair->unpacker, pair->out, packed, pair->back, room, &got));
	}
	for (size_t count = 0; count + 8 < packed; count++) {
		uint8_t *exact = malloc(count + 1);

		assert_non_null(exact);
		memcpy(exact, pair->out, count);
		link_unpacker_begin(pair->unpacker);
		assert_false(
			link_unpacker_get(pair->unpacker, exact, count, pair->back, ROOM, &got));
		free(exact);
	}
	fill(pair, false);
	assert_true(link_packer_begin(pair->packer, 3));
	packed = pack(pair);
	pair->out[packed] = 0x55;
	link_unpacker_begin(pair->unpacker);
	assert_false(
		link_unpacker_get(pair->unpacker, pair->out, packed + 1, pair->back, ROOM, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_link_pack__gives_back_the_columns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_pack__damage_stays_within_bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_pack__refuses_less_and_more, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
