/* Which lane carries what, and what of it goes again. */
#include "downstream/lane_queue.h"

#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

#define RAW    1000u
#define FROM   ((lsn_t)1 << 24)
#define SECOND INT64_C(1000000)
#define LANES  4u

/* Batches of RAW bytes; the n-th begins at FROM + n RAW. */
struct test {
	struct lane_queue queue;
	struct queue_lane lanes[LANES];
	lsn_t next;
};

static void set_up(struct test *test, unsigned lanes)
{
	lane_queue_init(&test->queue);
	test->next = FROM;
	for (unsigned i = 0; i < lanes; i++) {
		lane_queue_add_lane(&test->queue, &test->lanes[i], i, 0);
	}
}

static void tear_down(struct test *test)
{
	while (!TAILQ_EMPTY(&test->queue.lanes)) {
		lane_queue_remove_lane(&test->queue, TAILQ_FIRST(&test->queue.lanes));
	}
	lane_queue_release(&test->queue);
}

/* What the lane sends now; what has to go again before what is new. */
static lsn_t send_one(struct test *test, unsigned lane, int64_t now_us)
{
	static const uint8_t wal[RAW];
	struct queue_lane *queue_lane = &test->lanes[lane];
	struct encoded_batch *batch = lane_queue_take(&test->queue, queue_lane);
	if (batch == NULL) {
		const struct wal_data data = {
			.start_lsn = test->next, .wal = wal, .wal_length = RAW};
		batch = encoded_batch_new_plain(&data);
		lane_queue_add(&test->queue, queue_lane, batch);
		encoded_batch_unref(batch);
		test->next += RAW;
	}
	lsn_t start = batch->start;
	assert_true(lane_queue_note_sent(&test->queue, queue_lane, now_us));
	assert_false(lane_queue_note_sent(&test->queue, queue_lane, now_us));
	return start;
}

static void arrive(struct test *test, lsn_t lsn, unsigned lane, uint64_t messages, int64_t now_us)
{
	const struct link_arrived arrived = {
		.lsn = lsn, .count = 1, .lanes = {{.lane = lane, .messages = messages}}};
	lane_queue_arrived(&test->queue, &arrived, now_us);
}

static lsn_t nth(unsigned n)
{
	return FROM + (lsn_t)n * RAW;
}

static void test_lane_queue__what_has_come_is_forgotten(void **state)
{
	(void)state;
	struct test test;
	set_up(&test, 2);
	assert_int_equal(send_one(&test, 0, 0), nth(0));
	assert_int_equal(send_one(&test, 1, 0), nth(1));
	assert_int_equal(send_one(&test, 0, 0), nth(2));
	assert_int_equal(test.queue.bytes, 3 * (RAW + WAL_FRAME_HEADER_BYTES + LINK_CHECK_BYTES));
	/* It has come, but waits there. */
	arrive(&test, nth(0), 1, 1, 10);
	assert_int_equal(test.queue.count, 3);
	arrive(&test, nth(2), 0, 1, 20);
	assert_int_equal(test.queue.count, 1);
	arrive(&test, nth(3), 0, 2, 30);
	assert_int_equal(test.queue.count, 0);
	assert_int_equal(test.queue.bytes, 0);
	tear_down(&test);
}

static void test_lane_queue__only_what_was_lost_goes_again(void **state)
{
	(void)state;
	const struct link_lane_count lost = {.lane = 1, .messages = 2};
	struct test test;
	set_up(&test, 3);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(send_one(&test, i % 3, 0), nth(i));
	}
	/* Of 1, 4 and 7 the first two had come. */
	arrive(&test, nth(0), 1, 1, 10);
	lane_queue_lost(&test.queue, &lost, 20);
	assert_false(queue_lane_may_take(&test.lanes[1]));
	assert_int_equal(send_one(&test, 2, 30), nth(7));
	assert_int_equal(send_one(&test, 0, 30), nth(9));
	lane_queue_remove_lane(&test.queue, &test.lanes[1]);
	lane_queue_add_lane(&test.queue, &test.lanes[1], 7, 40);
	assert_int_equal(send_one(&test, 1, 40), nth(10));
	/* Its old number means nothing to the new one. */
	arrive(&test, nth(0), 1, 9, 50);
	assert_int_equal(test.lanes[1].arrived, 0);
	tear_down(&test);
}

static void test_lane_queue__what_came_damaged_goes_again(void **state)
{
	(void)state;
	struct test test;
	set_up(&test, 2);
	send_one(&test, 0, 0);
	send_one(&test, 1, 0);
	arrive(&test, nth(0), 0, 1, 10);
	assert_int_equal(send_one(&test, 1, 20), nth(0));
	assert_int_equal(send_one(&test, 1, 20), nth(2));
	tear_down(&test);
}

static void test_lane_queue__what_was_taken_and_not_sent_is_for_others(void **state)
{
	(void)state;
	const struct link_lane_count lost = {.lane = 1, .messages = 1};
	struct test test;
	set_up(&test, 3);
	send_one(&test, 1, 0);
	send_one(&test, 1, 0);
	lane_queue_lost(&test.queue, &lost, 0);
	assert_int_equal(lane_queue_take(&test.queue, &test.lanes[2])->start, nth(1));
	lane_queue_remove_lane(&test.queue, &test.lanes[2]);
	/* It never left over that lane, whatever its count says. */
	arrive(&test, nth(1), 2, 5, 10);
	assert_int_equal(test.queue.returned, 1);
	assert_int_equal(send_one(&test, 0, 10), nth(1));
	lane_queue_clear(&test.queue);
	assert_int_equal(test.queue.returned, 0);
	assert_false(lane_queue_note_sent(&test.queue, &test.lanes[0], 20));
	tear_down(&test);
}

static void test_lane_queue__a_lane_that_stalls_is_relieved(void **state)
{
	(void)state;
	struct test test;
	set_up(&test, 3);
	for (unsigned i = 0; i < 3; i++) {
		send_one(&test, i, 0);
	}
	/* Nothing moves: it is the path, and no lane of it. */
	assert_false(lane_queue_find_stalled(&test.queue, 100 * SECOND));
	arrive(&test, nth(1), 0, 1, SECOND / 10);
	arrive(&test, nth(1), 2, 1, SECOND / 10);
	assert_false(lane_queue_find_stalled(&test.queue, 3 * SECOND));
	assert_true(lane_queue_find_stalled(&test.queue, 5 * SECOND));
	assert_false(lane_queue_find_stalled(&test.queue, 5 * SECOND));
	assert_false(queue_lane_may_take(&test.lanes[1]));
	assert_int_equal(send_one(&test, 2, 5 * SECOND), nth(1));
	/* It comes after all, twice even; from now on it is known to take 5.1 s. */
	arrive(&test, nth(3), 1, 1, 5 * SECOND + SECOND / 10);
	assert_true(queue_lane_may_take(&test.lanes[1]));
	send_one(&test, 0, 6 * SECOND);
	send_one(&test, 1, 6 * SECOND);
	arrive(&test, nth(4), 0, 2, 7 * SECOND);
	assert_false(lane_queue_find_stalled(&test.queue, 9 * SECOND));
	tear_down(&test);
}

static void test_lane_queue__patience_is_by_how_long_it_takes(void **state)
{
	(void)state;
	struct test test;
	set_up(&test, 2);
	for (unsigned i = 0; i < 30; i++) {
		send_one(&test, 1, i * SECOND);
		arrive(&test, nth(i + 1), 1, i + 1, i * SECOND + SECOND / 2);
	}
	send_one(&test, 1, 40 * SECOND);
	assert_false(lane_queue_find_stalled(&test.queue, 42 * SECOND - 1));
	assert_true(lane_queue_find_stalled(&test.queue, 42 * SECOND + 1));
	/* The stream's own may go on all the same. */
	send_one(&test, 0, 43 * SECOND);
	arrive(&test, nth(30), 1, 31, 47 * SECOND);
	assert_true(lane_queue_find_stalled(&test.queue, 48 * SECOND));
	assert_true(queue_lane_may_take(&test.lanes[0]));
	tear_down(&test);
}

static void test_lane_queue__what_nobody_answers_for_goes_again(void **state)
{
	(void)state;
	struct test test;
	set_up(&test, 2);
	send_one(&test, 1, 0);
	lane_queue_remove_lane(&test.queue, &test.lanes[1]);
	assert_false(lane_queue_find_stalled(&test.queue, SECOND));
	assert_true(lane_queue_find_stalled(&test.queue, 5 * SECOND));
	assert_int_equal(send_one(&test, 0, 5 * SECOND), nth(0));
	tear_down(&test);
}

static void test_lane_queue__is_bounded(void **state)
{
	(void)state;
	struct test test;
	unsigned sent = 0;
	set_up(&test, 1);
	for (; lane_queue_has_room(&test.queue); sent++) {
		send_one(&test, 0, 0);
	}
	assert_int_equal(sent, LANE_QUEUE_BATCHES);
	arrive(&test, nth(1), 0, 1, 0);
	assert_true(lane_queue_has_room(&test.queue));
	tear_down(&test);
}

/* --- any course of events ----------------------------------------------------------------------
 */

#define BATCHES 300u
#define PIPE    64u

/* What is on its way over a lane, in order. */
struct pipe {
	lsn_t starts[PIPE];
	unsigned count;
	uint64_t messages;
	uint32_t number;
};

struct course {
	struct test test;
	struct pipe pipes[LANES];
	bool has_come[BATCHES];
	unsigned sent[BATCHES];
	unsigned lost[BATCHES]; /* how often it was lost */
	unsigned first;
	uint32_t last_number;
	int64_t now_us;
};

static void course_send(struct course *course, unsigned lane)
{
	struct pipe *pipe = &course->pipes[lane];
	if (pipe->count == PIPE ||
		(course->test.next >= nth(BATCHES) && course->test.queue.returned == 0)) {
		return;
	}
	lsn_t start = send_one(&course->test, lane, course->now_us);
	pipe->starts[pipe->count++] = start;
	course->sent[(start - FROM) / RAW]++;
}

static void course_receive(struct course *course, unsigned lane)
{
	struct pipe *pipe = &course->pipes[lane];
	if (pipe->count == 0) {
		return;
	}
	unsigned n = (unsigned)((pipe->starts[0] - FROM) / RAW);
	memmove(pipe->starts, pipe->starts + 1, --pipe->count * sizeof(pipe->starts[0]));
	pipe->messages++;
	/* Never twice. */
	assert_false(course->has_come[n]);
	course->has_come[n] = true;
	while (course->first < BATCHES && course->has_come[course->first]) {
		course->first++;
	}
}

static void course_tell(struct course *course)
{
	struct link_arrived arrived = {.lsn = nth(course->first), .count = LANES};
	for (unsigned i = 0; i < LANES; i++) {
		arrived.lanes[i] = (struct link_lane_count){
			.lane = course->pipes[i].number, .messages = course->pipes[i].messages};
	}
	lane_queue_arrived(&course->test.queue, &arrived, course->now_us);
}

static void course_lose(struct course *course, unsigned lane)
{
	struct pipe *pipe = &course->pipes[lane];
	const struct link_lane_count lost = {.lane = pipe->number, .messages = pipe->messages};
	for (unsigned i = 0; i < pipe->count; i++) {
		course->lost[(pipe->starts[i] - FROM) / RAW]++;
	}
	/* Either end may be the first to see it. */
	bool is_late = rand() % 2 == 0;
	if (!is_late) {
		lane_queue_lost(&course->test.queue, &lost, course->now_us);
	}
	lane_queue_remove_lane(&course->test.queue, &course->test.lanes[lane]);
	if (is_late) {
		lane_queue_lost(&course->test.queue, &lost, course->now_us);
	}
	*pipe = (struct pipe){.number = ++course->last_number};
	lane_queue_add_lane(
		&course->test.queue, &course->test.lanes[lane], pipe->number, course->now_us);
}

static void test_lane_queue__everything_comes_and_nothing_twice(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 300; seed++) {
		struct course course = {.last_number = LANES - 1};
		srand(seed);
		set_up(&course.test, LANES);
		for (unsigned i = 0; i < LANES; i++) {
			course.pipes[i].number = i;
		}
		for (unsigned steps = 0; course.first < BATCHES; steps++) {
			unsigned lane = (unsigned)rand() % LANES;
			unsigned what = (unsigned)rand() % 100;
			assert_true(steps < 1000000);
			course.now_us += 100;
			if (what < 48) {
				course_send(&course, lane);
			} else if (what < 90) {
				course_receive(&course, lane);
			} else if (what < 98) {
				course_tell(&course);
			} else if (lane > 0) {
				course_lose(&course, lane);
			}
		}
		course_tell(&course);
		assert_int_equal(course.test.queue.count, 0);
		for (unsigned i = 0; i < BATCHES; i++) {
			assert_int_equal(course.sent[i], 1 + course.lost[i]);
		}
		tear_down(&course.test);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_queue__what_has_come_is_forgotten),
		cmocka_unit_test(test_lane_queue__only_what_was_lost_goes_again),
		cmocka_unit_test(test_lane_queue__what_came_damaged_goes_again),
		cmocka_unit_test(test_lane_queue__what_was_taken_and_not_sent_is_for_others),
		cmocka_unit_test(test_lane_queue__a_lane_that_stalls_is_relieved),
		cmocka_unit_test(test_lane_queue__patience_is_by_how_long_it_takes),
		cmocka_unit_test(test_lane_queue__what_nobody_answers_for_goes_again),
		cmocka_unit_test(test_lane_queue__is_bounded),
		cmocka_unit_test(test_lane_queue__everything_comes_and_nothing_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
