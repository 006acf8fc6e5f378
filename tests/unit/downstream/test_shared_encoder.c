/* Seats: what is made once for all, what is made ahead, and who comes first. Jobs are held up where
 * a test wants to see their order. */
#include <stdlib.h>

#include "cmocka_all.h"
#include "encoder_rig.h"
#include "protocol/link_image_index.h"

/* Of the last index that was made. */
static size_t index_bytes;

struct link_image_index *__real_link_image_index_new(size_t bytes);
struct link_image_index *__wrap_link_image_index_new(size_t bytes);

struct link_image_index *__wrap_link_image_index_new(size_t bytes)
{
	index_bytes = bytes;
	return __real_link_image_index_new(bytes);
}

static void test_shared_encoder__sixteen_at_random_points_cost_hardly_more_than_one(void **state)
{
	(void)state;
	struct ground ground = ground_new(16 * MB, 3);
	struct reader readers[16];
	lsn_t oldest = UINT64_MAX;
	bool is_more = true;
	srand(1);
	for (int i = 0; i < 16; i++) {
		lsn_t from = FIXTURE_START + (lsn_t)(rand() % (12 << 20));
		oldest = lsn_min(oldest, from);
		reader_open(&readers[i], ground.fixture, ground.encoder, from);
	}
	while (is_more) {
		is_more = false;
		for (int i = 0; i < 16; i++) {
			if (readers[i].at < ground.fixture->appended) {
				reader_step(&readers[i]);
				is_more = true;
			}
		}
	}
	/* Each has to begin within a megabyte of its own. */
	uint64_t distinct = ground.fixture->appended - oldest;
	assert_in_range(stats_of(&ground).raw_bytes, distinct, distinct + 16 * MB);
	for (int i = 0; i < 16; i++) {
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder__what_two_want_at_once_is_made_once(void **state)
{
	(void)state;
	struct ground ground = ground_new(2 * MB, 4);
	struct reader readers[2];
	hold_below(UINT64_MAX);
	for (int i = 0; i < 2; i++) {
		reader_open(&readers[i], ground.fixture, ground.encoder, FIXTURE_START);
		assert_false(reader_try(&readers[i]));
	}
	await_begun(1);
	hold_below(0);
	for (int i = 0; i < 2; i++) {
		reader_read_to_end(&readers[i]);
	}
	assert_int_equal(stats_of(&ground).raw_bytes, ground.fixture->appended - FIXTURE_START);
	for (int i = 0; i < 2; i++) {
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder__shares_with_those_who_recompress_alike(void **state)
{
	(void)state;
	struct ground ground = ground_new(2 * MB, 3);
	const unsigned recompress[] = {0, LINK_RECOMPRESS_LZ4, LINK_RECOMPRESS_LZ4};
	for (int i = 0; i < 3; i++) {
		struct reader reader;
		reader_open_with(
			&reader, ground.fixture, ground.encoder, FIXTURE_START, recompress[i]);
		reader_read_to_end(&reader);
		reader_close(&reader);
	}
	assert_int_equal(
		stats_of(&ground).raw_bytes, 2 * (ground.fixture->appended - FIXTURE_START));
	ground_free(&ground);
}

static void test_shared_encoder__the_tip_is_served_while_all_others_stand_still(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 3);
	struct reader far[6];
	struct reader tip;
	hold_below(FIXTURE_START + 13 * MB);
	for (unsigned i = 0; i < 6; i++) {
		reader_open(&far[i], ground.fixture, ground.encoder, FIXTURE_START + 2 * i * MB);
		assert_false(reader_try(&far[i]));
	}
	await_begun(2);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 100000);
	for (int round = 0; round < 50; round++) {
		reader_read_to_end(&tip);
		relay_fixture_append(ground.fixture, 30000);
	}
	reader_read_to_end(&tip);
	/* Of those far behind no more than two workers have taken, though all of them ask. */
	for (unsigned i = 2; i < gate.begun_count; i++) {
		assert_true(gate.begun[i] >= FIXTURE_START + 13 * MB);
	}
	hold_below(0);
	for (int i = 0; i < 6; i++) {
		reader_read_to_end(&far[i]);
		reader_close(&far[i]);
	}
	reader_close(&tip);
	ground_free(&ground);
}

static void test_shared_encoder__one_far_behind_is_served_by_all_workers_but_one(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 4);
	struct reader reader;
	hold_below(UINT64_MAX);
	reader_open(&reader, ground.fixture, ground.encoder, FIXTURE_START + 1000);
	assert_false(reader_try(&reader));
	await_begun(3);
	/* Its own, and those behind it: who of three notes it first is chance. */
	unsigned seen = 0;
	for (unsigned i = 0; i < 3; i++) {
		seen |= 1u << (gate.begun[i] - FIXTURE_START) / MB;
	}
	assert_int_equal(seen, 7);
	hold_below(0);
	reader_read_to_end(&reader);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder__no_more_is_made_ahead_than_four_frames(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 2);
	struct reader reader;
	reader_open(&reader, ground.fixture, ground.encoder, FIXTURE_START);
	assert_false(reader_try(&reader));
	await_begun(5);
	/* One who comes later is served later, and so all that was asked for is done. */
	struct reader other;
	lsn_t from = ground.fixture->appended - 18 * MB - 8;
	reader_open(&other, ground.fixture, ground.encoder, from);
	reader_read_to_end(&other);
	for (unsigned i = 0; i < gate.begun_count; i++) {
		assert_true(gate.begun[i] < FIXTURE_START + 5 * MB || gate.begun[i] >= from);
	}
	reader_close(&other);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder__those_far_behind_take_turns(void **state)
{
	(void)state;
	struct ground ground = ground_new(38 * MB, 2);
	struct reader readers[3];
	lsn_t places[3] = {FIXTURE_START + 10 * MB, FIXTURE_START, FIXTURE_START + 5 * MB};
	hold_below(UINT64_MAX);
	for (unsigned i = 0; i < 3; i++) {
		reader_open(&readers[i], ground.fixture, ground.encoder, places[i]);
		assert_false(reader_try(&readers[i]));
	}
	await_begun(1);
	/* Frames are made to their end, 8 batches each; what is awaited goes before what is ahead.
	 */
	let_through(8);
	await_begun(2);
	let_through(8);
	await_begun(3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(gate.begun[i], places[i]);
	}
	hold_below(0);
	for (unsigned i = 0; i < 3; i++) {
		reader_read_to_end(&readers[i]);
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder__knows_what_was_there_before_it(void **state)
{
	(void)state;
	struct ground ground = ground_new(30 * MB, 2);
	struct shared_encoder_stats stats;
	struct reader tip;
	assert_int_equal(stats_of(&ground).noted_bytes, 0);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 100000);
	do {
		reader_read_to_end(&tip);
		relay_fixture_append(ground.fixture, 1000);
		stats = stats_of(&ground);
	} while (stats.noted_bytes < 30 * MB);
	/* Once, and then it learns from what is encoded; how much comes meanwhile is a matter of
	 * time. */
	reader_close(&tip);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 1000);
	reader_read_to_end(&tip);
	assert_in_range(stats_of(&ground).noted_bytes, 30 * MB, 60 * MB - 1);
	reader_close(&tip);
	ground_free(&ground);
}

/* More places than encoders: each stands within a frame of its own. */
static void test_shared_encoder__has_no_more_encoders_than_it_may(void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 3);
	struct reader readers[20];
	for (int i = 0; i < 20; i++) {
		relay_fixture_append(ground.fixture, 10000);
		reader_open(&readers[i], ground.fixture, ground.encoder,
			ground.fixture->appended - 5000 - (lsn_t)i * 8);
		reader_read_to_end(&readers[i]);
		assert_true(stats_of(&ground).encoders <= ENCODER_ENGINES_MAX);
	}
	relay_fixture_append(ground.fixture, 2 * MB);
	for (int i = 0; i < 20; i++) {
		reader_read_to_end(&readers[i]);
		assert_true(stats_of(&ground).encoders <= ENCODER_ENGINES_MAX);
		reader_close(&readers[i]);
	}
	assert_int_equal(stats_of(&ground).plain_requests, 0);
	ground_free(&ground);
}

/* As README states it. */
static void test_shared_encoder__finds_images_in_8_mb_for_each_gb_of_the_reference(void **state)
{
	static const struct {
		uint64_t reference_bytes;
		size_t index_bytes;
	} cases[] = {{0, 65536}, {MB, 65536}, {512 * MB, 4 * MB}, {1024 * MB, 8 * MB},
		{2048 * MB, 16 * MB}, {16384 * MB, 128 * MB}, {100 * 1024 * MB, 128 * MB}};
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err;
		const struct shared_encoder_options options = {.store = fixture->store,
			.level = 1,
			.reference_bytes = cases[i].reference_bytes,
			.workers = 2};
		struct shared_encoder *encoder = shared_encoder_new(&options, &err);
		assert_non_null(encoder);
		assert_int_equal(index_bytes, cases[i].index_bytes);
		shared_encoder_free(&encoder);
	}
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_shared_encoder__sixteen_at_random_points_cost_hardly_more_than_one),
		cmocka_unit_test(test_shared_encoder__what_two_want_at_once_is_made_once),
		cmocka_unit_test(test_shared_encoder__shares_with_those_who_recompress_alike),
		cmocka_unit_test(
			test_shared_encoder__the_tip_is_served_while_all_others_stand_still),
		cmocka_unit_test(
			test_shared_encoder__one_far_behind_is_served_by_all_workers_but_one),
		cmocka_unit_test(test_shared_encoder__no_more_is_made_ahead_than_four_frames),
		cmocka_unit_test(test_shared_encoder__those_far_behind_take_turns),
		cmocka_unit_test(test_shared_encoder__knows_what_was_there_before_it),
		cmocka_unit_test(test_shared_encoder__has_no_more_encoders_than_it_may),
		cmocka_unit_test(
			test_shared_encoder__finds_images_in_8_mb_for_each_gb_of_the_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
