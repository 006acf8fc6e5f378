/* What little is new at the tip: who encodes it, and for whom. */
#include <sched.h>
#include <stdatomic.h>

#include "cmocka_all.h"
#include "encoder_rig.h"

/* Cut anywhere, as a server sends it. */
static void append_exactly(struct relay_fixture *fixture, size_t bytes)
{
	struct error err;
	if (fixture->maker->at < fixture->appended + bytes) {
		wal_maker_fill(fixture->maker, fixture->appended + bytes);
	}
	assert_true(wal_store_append(fixture->store, fixture->appended,
		wal_maker_bytes(fixture->maker, fixture->appended), bytes, &err));
	fixture->appended += bytes;
}

static void test_shared_encoder_at_once__little_at_the_tip_is_encoded_where_it_is_wanted(
	void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 2);
	struct reader reader;
	reader_open(&reader, ground.fixture, ground.encoder, ground.fixture->appended - 100);
	/* The first batch needs an encoder that stands there: that takes a worker. */
	assert_false(reader_try(&reader));
	reader_read_to_end(&reader);
	assert_false(did_the_last_job());
	/* Past the end of the frame, too. */
	for (int i = 0; i < 1100; i++) {
		append_exactly(ground.fixture, 500);
		while (reader.at < ground.fixture->appended) {
			assert_true(reader_try(&reader));
			assert_true(did_the_last_job());
		}
	}
	assert_int_equal(stats_of(&ground).frames, 2);
	assert_true(stats_of(&ground).at_once >= 1100);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder_at_once__more_than_little_goes_to_a_worker_and_back(void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 2);
	struct reader reader;
	reader_open(&reader, ground.fixture, ground.encoder, ground.fixture->appended - 100);
	reader_read_to_end(&reader);
	for (int i = 0; i < 5; i++) {
		append_exactly(ground.fixture, ENCODER_SMALL_BYTES + 1);
		assert_false(reader_try(&reader));
		reader_read_to_end(&reader);
		assert_false(did_the_last_job());
		append_exactly(ground.fixture, 200);
		assert_true(reader_try(&reader));
		assert_true(did_the_last_job());
	}
	assert_int_equal(stats_of(&ground).at_once, 5);
	reader_close(&reader);
	ground_free(&ground);
}

static void test_shared_encoder_at_once__what_is_encoded_at_once_is_for_all(void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 2);
	struct reader readers[3];
	lsn_t from = ground.fixture->appended - 100;
	for (int i = 0; i < 3; i++) {
		reader_open(&readers[i], ground.fixture, ground.encoder, from);
		reader_read_to_end(&readers[i]);
	}
	for (int round = 0; round < 50; round++) {
		append_exactly(ground.fixture, 300);
		for (int i = 0; i < 3; i++) {
			assert_true(reader_try(&readers[(round + i) % 3]));
		}
	}
	assert_int_equal(stats_of(&ground).raw_bytes, ground.fixture->appended - from);
	assert_int_equal(stats_of(&ground).at_once, 50);
	assert_int_equal(stats_of(&ground).cache_misses, 51);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(readers[i].at, ground.fixture->appended);
		reader_close(&readers[i]);
	}
	ground_free(&ground);
}

static void test_shared_encoder_at_once__what_fails_at_once_goes_plain(void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 2);
	struct encoded_batch *batch;
	struct reader reader;
	reader_open(&reader, ground.fixture, ground.encoder, ground.fixture->appended - 100);
	reader_read_to_end(&reader);
	lsn_t limit = link_batch_limit(reader.at);
	append_exactly(ground.fixture, 300);
	fail_next();
	assert_int_equal(
		encoder_seat_take(reader.seat, reader.at, ground.fixture->appended, &batch),
		ENCODER_PLAIN);
	assert_true(did_the_last_job());
	/* And so does what follows, up to the next frame. */
	assert_int_equal(
		encoder_seat_take(reader.seat, reader.at, ground.fixture->appended, &batch),
		ENCODER_PLAIN);
	relay_fixture_append(ground.fixture, limit - ground.fixture->appended + 300);
	reader.at = limit;
	reader_read_to_end(&reader);
	reader_close(&reader);
	ground_free(&ground);
}

struct follower {
	pthread_t thread;
	struct reader reader;
	_Atomic lsn_t *appended;
	_Atomic lsn_t at;
	lsn_t end;
};

static void *follow_the_tip(void *context)
{
	struct follower *follower = context;
	struct reader *reader = &follower->reader;
	struct timespec at = deadline();
	while (reader->at < follower->end) {
		struct encoded_batch *batch;
		lsn_t appended = atomic_load(follower->appended);
		atomic_store(&follower->at, reader->at);
		/* A batch takes what is there, which may be more than was known to be. */
		if (reader->at >= appended) {
			sched_yield();
			continue;
		}
		switch (encoder_seat_take(reader->seat, reader->at, appended, &batch)) {
		case ENCODER_BATCH: reader_take(reader, batch); break;
		case ENCODER_WAITS: assert_int_equal(sem_timedwait(&reader->rung, &at), 0); break;
		default: fail_msg("plain at " LSN_FORMAT, LSN_ARGS(reader->at));
		}
	}
	atomic_store(&follower->at, UINT64_MAX);
	return NULL;
}

/* Each encodes for the others, and workers do in between. */
static void test_shared_encoder_at_once__many_threads_at_the_tip_share_and_keep_the_order(
	void **state)
{
	(void)state;
	struct ground ground = ground_new(MB / 2, 2);
	lsn_t from = ground.fixture->appended - 100;
	_Atomic lsn_t appended = ground.fixture->appended;
	struct follower followers[4];
	lsn_t end = from + 100 + MB;
	wal_maker_fill(ground.fixture->maker, end + MB);
	for (int i = 0; i < 4; i++) {
		followers[i] = (struct follower){.appended = &appended, .end = end};
		reader_open(&followers[i].reader, ground.fixture, ground.encoder, from);
		assert_int_equal(
			pthread_create(&followers[i].thread, NULL, follow_the_tip, &followers[i]),
			0);
	}
	for (unsigned i = 0; atomic_load(&appended) < end; i++) {
		size_t bytes = i % 16 == 0 ? 40000 : 100 + i % 7 * 100;
		append_exactly(ground.fixture, bytes);
		atomic_store(&appended, ground.fixture->appended);
		for (int j = 0; j < 4 && i % 4 != 0; j++) {
			while (atomic_load(&followers[j].at) < atomic_load(&appended)) {
				sched_yield();
			}
		}
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(followers[i].thread, NULL);
	}
	/* They joined at one place. */
	assert_true(stats_of(&ground).raw_bytes <= atomic_load(&appended) - from);
	assert_true(stats_of(&ground).at_once > 0);
	for (int i = 0; i < 4; i++) {
		assert_true(followers[i].reader.at >= end);
		reader_close(&followers[i].reader);
	}
	ground_free(&ground);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_shared_encoder_at_once__little_at_the_tip_is_encoded_where_it_is_wanted),
		cmocka_unit_test(
			test_shared_encoder_at_once__more_than_little_goes_to_a_worker_and_back),
		cmocka_unit_test(test_shared_encoder_at_once__what_is_encoded_at_once_is_for_all),
		cmocka_unit_test(test_shared_encoder_at_once__what_fails_at_once_goes_plain),
		cmocka_unit_test(
			test_shared_encoder_at_once__many_threads_at_the_tip_share_and_keep_the_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
