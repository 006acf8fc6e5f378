/* How hard it is compressed: who waits for whom, at times of the test's own choice. */
#include <sched.h>
#include <stdatomic.h>

#include "cmocka_all.h"
#include "encoder_rig.h"

static _Atomic int64_t clock_us = 1000000;

int64_t __wrap_encoder_now_us(void);

int64_t __wrap_encoder_now_us(void)
{
	return clock_us;
}

static bool is_made(struct ground *ground, lsn_t to)
{
	return FIXTURE_START + stats_of(ground).raw_bytes >= to;
}

/* Of frames begun since jobs were held up or let go last; false: there were none. */
static bool all_begun_at(int level)
{
	pthread_mutex_lock(&gate.lock);
	bool are = gate.begun_count > 0;
	for (unsigned i = 0; i < gate.begun_count; i++) {
		are = are && gate.levels[i] == level;
	}
	pthread_mutex_unlock(&gate.lock);
	return are;
}

static void await_made(struct ground *ground, lsn_t to)
{
	while (!is_made(ground, to)) {
		sched_yield();
	}
}

/* As a slow link takes it, some batches: that long after it was made. */
static void read_slowly(struct reader *reader, int batches)
{
	for (int i = 0; i < batches; i++) {
		assert_true(reader_try(reader));
		clock_us += 200000;
	}
}

static void read_frame_slowly(struct ground *ground, struct reader *reader)
{
	lsn_t limit = link_batch_limit(reader->at);
	assert_true(reader_try(reader));
	while (reader->at < limit) {
		await_made(ground, limit + 4 * MB);
		read_slowly(reader, 1);
	}
}

/* It waits for the first batch, and then never. */
static void begin_slowly(struct ground *ground, struct reader *reader)
{
	reader_open(reader, ground->fixture, ground->encoder, FIXTURE_START);
	assert_false(reader_try(reader));
	await_made(ground, FIXTURE_START + 5 * MB);
	read_frame_slowly(ground, reader);
	assert_int_equal(stats_of(ground).cache_misses, 1);
}

static void test_shared_encoder_level__up_while_sockets_are_full_and_down_when_a_reader_waits(
	void **state)
{
	(void)state;
	struct ground ground = ground_new_auto(40 * MB, 2);
	struct reader reader;
	struct reader other;
	begin_slowly(&ground, &reader);
	for (int i = 0; i < 6; i++) {
		read_frame_slowly(&ground, &reader);
	}
	assert_int_equal(stats_of(&ground).level, 12);
	hold_below(0);
	read_frame_slowly(&ground, &reader);
	read_frame_slowly(&ground, &reader);
	assert_true(all_begun_at(12));
	hold_below(UINT64_MAX);
	while (reader_try(&reader)) {
	}
	assert_int_equal(stats_of(&ground).level, 9);
	/* So it is when somebody comes and finds the worker busy; but once, however often one asks.
	 */
	reader_open(&other, ground.fixture, ground.encoder, FIXTURE_START + 20 * MB);
	for (int i = 0; i < 3; i++) {
		assert_false(reader_try(&reader));
		assert_false(reader_try(&other));
		assert_int_equal(stats_of(&ground).level, 6);
	}
	hold_below(0);
	reader_read_to_end(&reader);
	reader_read_to_end(&other);
	assert_true(stats_of(&ground).level <= 6);
	reader_close(&other);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder_level__at_the_tip_as_little_as_ever(void **state)
{
	(void)state;
	struct ground ground = ground_new_auto(20 * MB, 2);
	struct reader far;
	struct reader tip;
	begin_slowly(&ground, &far);
	for (int i = 0; i < 6; i++) {
		read_frame_slowly(&ground, &far);
	}
	hold_below(0);
	reader_open(&tip, ground.fixture, ground.encoder, ground.fixture->appended - 1000);
	for (int i = 0; i < 20; i++) {
		reader_read_to_end(&tip);
		relay_fixture_append(ground.fixture, 3000);
	}
	assert_true(all_begun_at(3));
	/* It leaves that of those behind alone, until nobody is. */
	assert_int_equal(stats_of(&ground).level, 12);
	clock_us += 11000000;
	assert_int_equal(stats_of(&ground).level, 3);
	reader_close(&tip);
	reader_close(&far);
	ground_free(&ground);
}

/* What comes in bulk is made in bulk, and some of it is ready when it is wanted. */
static void test_shared_encoder_level__a_reader_that_keeps_up_has_no_slow_link(void **state)
{
	(void)state;
	struct ground ground = ground_new_auto(3 * MB / 2, 2);
	struct reader reader;
	reader_open(&reader, ground.fixture, ground.encoder, FIXTURE_START + MB);
	reader_read_to_end(&reader);
	for (int i = 0; i < 30; i++) {
		lsn_t limit = link_batch_limit(reader.at);
		relay_fixture_append(ground.fixture, MB);
		assert_false(reader_try(&reader));
		await_made(&ground, limit - MB);
		while (reader.at < limit) {
			read_slowly(&reader, 1);
		}
		reader_read_to_end(&reader);
	}
	assert_int_equal(stats_of(&ground).level, 3);
	reader_close(&reader);
	ground_free(&ground);
}

/* Two ask for the same, and the second finds it under way. */
static void wait_at_the_tip(struct ground *ground, struct reader tips[2])
{
	relay_fixture_append(ground->fixture, MB);
	hold_below(UINT64_MAX);
	assert_false(reader_try(&tips[0]));
	assert_false(reader_try(&tips[1]));
	hold_below(0);
	reader_read_to_end(&tips[0]);
	reader_read_to_end(&tips[1]);
}

static void test_shared_encoder_level__waits_at_the_tip_do_not_keep_it_down_elsewhere(void **state)
{
	(void)state;
	struct ground ground = ground_new_auto(20 * MB, 2);
	struct reader tips[2];
	struct reader far;
	reader_open(&far, ground.fixture, ground.encoder, FIXTURE_START);
	reader_read_to_end(&far);
	reader_close(&far);
	for (int i = 0; i < 2; i++) {
		reader_open(
			&tips[i], ground.fixture, ground.encoder, ground.fixture->appended - 1000);
		reader_read_to_end(&tips[i]);
	}
	/* Of what somebody has read before all is ready. */
	reader_open(&far, ground.fixture, ground.encoder, FIXTURE_START);
	for (int i = 0; i < 12; i++) {
		read_slowly(&far, 6);
		wait_at_the_tip(&ground, tips);
	}
	assert_int_equal(stats_of(&ground).level, 12);
	for (int i = 0; i < 2; i++) {
		reader_close(&tips[i]);
	}
	reader_close(&far);
	ground_free(&ground);
}

static void test_shared_encoder_level__stays_when_the_workers_have_no_time(void **state)
{
	(void)state;
	struct ground ground = ground_new_auto(20 * MB, 2);
	struct reader reader;
	begin_slowly(&ground, &reader);
	for (int i = 0; i < 10; i++) {
		/* While a frame is read the one that it asks for ahead is hardly begun. */
		lsn_t made = FIXTURE_START + stats_of(&ground).raw_bytes;
		uint64_t batches = stats_of(&ground).batches;
		hold_below(UINT64_MAX);
		assert_true(reader_try(&reader));
		await_begun(1);
		read_slowly(&reader, 3);
		let_through(1);
		while (stats_of(&ground).batches == batches) {
			sched_yield();
		}
		while (reader.at < made - 3 * MB) {
			read_slowly(&reader, 1);
		}
		hold_below(0);
		await_made(&ground, made + MB);
	}
	assert_int_equal(stats_of(&ground).cache_misses, 1);
	assert_int_equal(stats_of(&ground).level, 3);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder_level__one_that_was_chosen_stays(void **state)
{
	(void)state;
	struct ground ground = ground_new(20 * MB, 2);
	struct reader reader;
	begin_slowly(&ground, &reader);
	for (int i = 0; i < 6; i++) {
		read_frame_slowly(&ground, &reader);
	}
	assert_int_equal(stats_of(&ground).level, 1);
	assert_true(all_begun_at(1));
	reader_close(&reader);
	ground_free(&ground);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_shared_encoder_level__up_while_sockets_are_full_and_down_when_a_reader_waits),
		cmocka_unit_test(test_shared_encoder_level__at_the_tip_as_little_as_ever),
		cmocka_unit_test(
			test_shared_encoder_level__a_reader_that_keeps_up_has_no_slow_link),
		cmocka_unit_test(
			test_shared_encoder_level__waits_at_the_tip_do_not_keep_it_down_elsewhere),
		cmocka_unit_test(test_shared_encoder_level__stays_when_the_workers_have_no_time),
		cmocka_unit_test(test_shared_encoder_level__one_that_was_chosen_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
