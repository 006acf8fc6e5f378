/*
 * acknowledge: stories of what is flushed here, what standbys have, and the time.
 */
#include "upstream/acknowledge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND  INT64_C(1000000)
#define TIMEOUT (10 * SECOND)
#define T0      (1000 * SECOND)

static const struct acknowledge_limits limits = {.standbys = 2, .timeout_us = TIMEOUT};

struct step {
	int64_t at_s; /* after T0 */
	lsn_t own;
	lsn_t standbys;
	lsn_t flush;
	int64_t next_s; /* 0: none */
	enum acknowledge_news news;
};

static void play(struct acknowledge *state, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct step *step = &steps[i];
		struct acknowledge_decision decision = acknowledge_decide(
			state, &limits, 1, step->own, step->standbys, T0 + step->at_s * SECOND);
		if (decision.flush_lsn != step->flush || decision.news != step->news ||
			decision.next_us != (step->next_s == 0 ? 0 : T0 + step->next_s * SECOND)) {
			fail_msg("step %zu: flush %lu, next %ld, news %d", i,
				(unsigned long)decision.flush_lsn,
				(long)((decision.next_us - T0) / SECOND), (int)decision.news);
		}
	}
}

#define PLAY(state, steps) play(state, steps, sizeof(steps) / sizeof((steps)[0]))

static void test_acknowledge__waits_for_standbys(void **state)
{
	static const struct step steps[] = {
		{0, 100, 100, 100, 0, 0},
		{1, 200, 100, 100, 11, 0},
		{2, 300, 150, 150, 11, 0},
		/* What came at 2 is the next to be waited for. */
		{3, 300, 200, 200, 12, 0},
		{4, 300, 300, 300, 0, 0},
		/* Further than we have flushed: not more than we have. */
		{5, 300, 400, 300, 0, 0},
		{6, 500, 400, 400, 16, 0},
	};
	struct acknowledge acknowledge = {0};
	(void)state;
	PLAY(&acknowledge, steps);
}

static void test_acknowledge__does_not_wait_for_ever(void **state)
{
	static const struct step steps[] = {
		{0, 100, 0, 0, 10, 0},
		{9, 200, 0, 0, 10, 0},
		{10, 300, 0, 300, 0, ACKNOWLEDGE_ALONE},
		{11, 400, 0, 400, 0, 0},
		/* They have to come after what was here then. */
		{12, 400, 250, 400, 0, 0},
		{13, 500, 300, 400, 21, ACKNOWLEDGE_TOGETHER},
		/* Not taken back. */
		{14, 500, 350, 400, 21, 0},
		{15, 600, 550, 550, 25, 0},
	};
	struct acknowledge acknowledge = {0};
	(void)state;
	PLAY(&acknowledge, steps);
}

/* A steady load: they are always a second behind. */
static void test_acknowledge__bears_standbys_that_are_always_behind(void **state)
{
	struct acknowledge acknowledge = {0};
	(void)state;
	for (int64_t second = 1; second < 100; second++) {
		struct acknowledge_decision decision = acknowledge_decide(&acknowledge, &limits, 1,
			(lsn_t)second * 100, (lsn_t)(second - 1) * 100, T0 + second * SECOND);
		assert_int_equal(decision.flush_lsn, (lsn_t)(second - 1) * 100);
		assert_int_equal(decision.news, ACKNOWLEDGE_NO_NEWS);
	}
}

/* No byte waits longer than the timeout, whenever it came. */
static void test_acknowledge__holds_no_byte_longer_than_the_timeout(void **state)
{
	struct acknowledge acknowledge = {0};
	(void)state;
	for (int64_t second = 1; second < 60; second++) {
		/* Standbys that go on, but ever more slowly. */
		lsn_t own = (lsn_t)second * 100;
		lsn_t standbys = second < 5 ? own - 50 : 450 + (lsn_t)second;
		struct acknowledge_decision decision = acknowledge_decide(
			&acknowledge, &limits, 1, own, standbys, T0 + second * SECOND);
		if (second > 10) {
			assert_true(decision.flush_lsn >= (lsn_t)(second - 10) * 100);
		}
	}
	assert_true(acknowledge.is_alone);
}

static void test_acknowledge__begins_anew_with_a_timeline(void **state)
{
	struct acknowledge acknowledge = {0};
	struct acknowledge_decision decision;
	(void)state;
	acknowledge_decide(&acknowledge, &limits, 1, 500, 500, T0);
	decision = acknowledge_decide(&acknowledge, &limits, 2, 450, 400, T0);
	assert_int_equal(decision.flush_lsn, 400);
	assert_int_equal(decision.next_us, T0 + TIMEOUT);
	/* What is not known of the new one cannot be told. */
	decision = acknowledge_decide(&acknowledge, &limits, 3, LSN_INVALID, LSN_INVALID, T0);
	assert_int_equal(decision.flush_lsn, LSN_INVALID);
	assert_int_equal(decision.next_us, 0);
}

static void test_acknowledge__needs_nobody_when_told_so(void **state)
{
	static const struct acknowledge_limits alone = {.standbys = 0, .timeout_us = TIMEOUT};
	struct acknowledge acknowledge = {0};
	struct acknowledge_decision decision;
	(void)state;
	acknowledge_decide(&acknowledge, &limits, 1, 500, 0, T0);
	acknowledge_decide(&acknowledge, &limits, 1, 500, 0, T0 + TIMEOUT);
	assert_true(acknowledge.is_alone);
	decision = acknowledge_decide(&acknowledge, &alone, 1, 700, 0, T0 + TIMEOUT);
	assert_int_equal(decision.flush_lsn, 700);
	assert_int_equal(decision.next_us, 0);
	assert_false(acknowledge.is_alone);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acknowledge__waits_for_standbys),
		cmocka_unit_test(test_acknowledge__does_not_wait_for_ever),
		cmocka_unit_test(test_acknowledge__bears_standbys_that_are_always_behind),
		cmocka_unit_test(test_acknowledge__holds_no_byte_longer_than_the_timeout),
		cmocka_unit_test(test_acknowledge__begins_anew_with_a_timeline),
		cmocka_unit_test(test_acknowledge__needs_nobody_when_told_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
