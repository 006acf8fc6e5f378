/* Tests of net/deadlines: what fires, when, and how often. */
#include "support/cmocka_all.h"

#include <string.h>

#include "net/loop.h"
#include "support/run_until.h"

enum reason { FIRST, SECOND, THIRD, REASONS };

struct fired {
	struct loop *loop;
	struct deadlines deadlines;
	char order[32];
	int64_t at_us[REASONS];
	bool was_set[REASONS];
	enum { NOTHING, SET_AGAIN, RELEASE } then;
};

static void on_deadline(void *context, int reason)
{
	struct fired *fired = context;
	size_t length = strlen(fired->order);
	fired->order[length] = (char)('1' + reason);
	fired->at_us[reason] = loop_refresh_now_us(fired->loop);
	fired->was_set[reason] = deadlines_is_set(&fired->deadlines, reason);
	if (fired->then == SET_AGAIN && length == 0) {
		deadlines_set(&fired->deadlines, reason, loop_now_us(fired->loop) + 1000);
	} else if (fired->then == RELEASE) {
		deadlines_release(&fired->deadlines);
	}
}

static int setup(void **state)
{
	static struct fired fired;
	struct error err = {0};
	memset(&fired, 0, sizeof(fired));
	fired.loop = loop_new("test", &err);
	if (fired.loop == NULL ||
		!deadlines_init(&fired.deadlines, fired.loop, REASONS, on_deadline, &fired, &err)) {
		return -1;
	}
	*state = &fired;
	return 0;
}

static int teardown(void **state)
{
	struct fired *fired = *state;
	deadlines_release(&fired->deadlines);
	loop_free(&fired->loop);
	return 0;
}

static void test_deadlines__fire_in_order_of_time_and_clear_themselves(void **state)
{
	struct fired *fired = *state;
	int64_t now_us = loop_now_us(fired->loop);
	deadlines_set(&fired->deadlines, FIRST, now_us + 30000);
	deadlines_set(&fired->deadlines, SECOND, now_us + 15000);
	deadlines_set(&fired->deadlines, THIRD, now_us + 1000);
	assert_true(deadlines_is_set(&fired->deadlines, THIRD));
	RUN_UNTIL(fired->loop, strlen(fired->order) == 3);
	assert_string_equal(fired->order, "321");
	assert_true(fired->at_us[FIRST] >= now_us + 30000);
	assert_true(fired->at_us[SECOND] >= now_us + 15000);
	assert_false(fired->was_set[FIRST] || fired->was_set[SECOND] || fired->was_set[THIRD]);
}

static void test_deadlines__fire_in_order_of_time_when_the_loop_is_late(void **state)
{
	struct fired *fired = *state;
	deadlines_set(&fired->deadlines, FIRST, 3);
	deadlines_set(&fired->deadlines, SECOND, 1);
	deadlines_set(&fired->deadlines, THIRD, 2);
	RUN_UNTIL(fired->loop, strlen(fired->order) == 3);
	assert_string_equal(fired->order, "231");
}

static void test_deadlines__one_pushed_back_does_not_fire_early(void **state)
{
	struct fired *fired = *state;
	int64_t now_us = loop_now_us(fired->loop);
	deadlines_set(&fired->deadlines, FIRST, now_us + 2000);
	deadlines_set(&fired->deadlines, FIRST, now_us + 40000);
	RUN_UNTIL(fired->loop, strlen(fired->order) == 1);
	assert_true(fired->at_us[FIRST] >= now_us + 40000);
}

static void test_deadlines__one_pulled_forward_fires_then(void **state)
{
	struct fired *fired = *state;
	int64_t now_us = loop_now_us(fired->loop);
	deadlines_set(&fired->deadlines, FIRST, now_us + 3600 * (int64_t)1000000);
	deadlines_set(&fired->deadlines, FIRST, now_us + 1000);
	RUN_UNTIL(fired->loop, strlen(fired->order) == 1);
}

static void test_deadlines__one_cleared_does_not_fire(void **state)
{
	struct fired *fired = *state;
	int64_t now_us = loop_now_us(fired->loop);
	deadlines_set(&fired->deadlines, FIRST, now_us + 1000);
	deadlines_set(&fired->deadlines, SECOND, now_us + 5000);
	deadlines_clear(&fired->deadlines, FIRST);
	assert_false(deadlines_is_set(&fired->deadlines, FIRST));
	RUN_UNTIL(fired->loop, strlen(fired->order) > 0);
	assert_string_equal(fired->order, "2");
}

static void test_deadlines__one_already_past_fires_from_the_loop(void **state)
{
	struct fired *fired = *state;
	deadlines_set(&fired->deadlines, FIRST, 1);
	assert_string_equal(fired->order, "");
	RUN_UNTIL(fired->loop, strlen(fired->order) == 1);
}

static void test_deadlines__may_be_set_again_when_they_fire(void **state)
{
	struct fired *fired = *state;
	fired->then = SET_AGAIN;
	deadlines_set(&fired->deadlines, FIRST, loop_now_us(fired->loop) + 1000);
	RUN_UNTIL(fired->loop, strlen(fired->order) == 2);
	assert_string_equal(fired->order, "11");
}

static void test_deadlines__may_be_released_when_one_fires(void **state)
{
	struct fired *fired = *state;
	fired->then = RELEASE;
	deadlines_set(&fired->deadlines, FIRST, 1);
	deadlines_set(&fired->deadlines, SECOND, 2);
	RUN_UNTIL(fired->loop, strlen(fired->order) > 0);
	RUN_TICKS(fired->loop, 2);
	assert_string_equal(fired->order, "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_deadlines__fire_in_order_of_time_and_clear_themselves, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__fire_in_order_of_time_when_the_loop_is_late, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__one_pushed_back_does_not_fire_early, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__one_pulled_forward_fires_then, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__one_cleared_does_not_fire, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__one_already_past_fires_from_the_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__may_be_set_again_when_they_fire, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_deadlines__may_be_released_when_one_fires, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
