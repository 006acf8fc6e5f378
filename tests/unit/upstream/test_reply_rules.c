/*
 * When a status goes and what it claims, with time as an argument.
 */
#include "upstream/reply_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS     INT64_C(1000)
#define SECOND INT64_C(1000000)
#define T0     (100 * SECOND)

static const struct reply_limits limits = {10 * SECOND, 60 * SECOND};

/* A connection that asked from 1000, received to 5000 and told its first status at T0. */
static struct reply_rules streaming_rules(lsn_t flushed_lsn)
{
	struct reply_rules rules;
	struct reply_positions positions;

	reply_rules_begin(&rules, &limits, 1000, LSN_INVALID, T0);
	rules.stream_lsn = 5000;
	positions = reply_rules_positions(&rules, flushed_lsn, LSN_INVALID);
	reply_rules_sent(&rules, &positions, false, T0);
	return rules;
}

static struct reply_decision decide(struct reply_rules *rules, lsn_t flushed_lsn, int64_t now_us)
{
	struct reply_positions positions = reply_rules_positions(rules, flushed_lsn, LSN_INVALID);

	return reply_rules_decide(rules, &positions, now_us);
}

/* Tells what is due at now. */
static void send(struct reply_rules *rules, lsn_t flushed_lsn, int64_t now_us)
{
	struct reply_positions positions = reply_rules_positions(rules, flushed_lsn, LSN_INVALID);
	struct reply_decision decision = reply_rules_decide(rules, &positions, now_us);

	assert_true(decision.is_due);
	reply_rules_sent(rules, &positions, decision.wants_answer, now_us);
}

static void test_reply_rules__the_first_status_goes_at_once_and_asks(void **state)
{
	struct reply_rules rules;
	struct reply_decision decision;

	(void)state;
	reply_rules_begin(&rules, &limits, 1000, LSN_INVALID, T0);
	decision = decide(&rules, 0, T0);
	assert_true(decision.is_due);
	assert_true(decision.wants_answer);
}

static void test_reply_rules__claims_nothing_beyond_what_came(void **state)
{
	struct reply_rules rules;
	struct reply_positions positions;

	(void)state;
	reply_rules_begin(&rules, &limits, 1000, LSN_INVALID, T0);
	positions = reply_rules_positions(&rules, 9000, 8000);
	assert_int_equal(positions.write_lsn, 1000);
	assert_int_equal(positions.flush_lsn, 1000);
	assert_int_equal(positions.apply_lsn, 1000);
	rules.stream_lsn = 20000;
	positions = reply_rules_positions(&rules, 9000, 8000);
	assert_int_equal(positions.write_lsn, 20000);
	assert_int_equal(positions.flush_lsn, 9000);
	assert_int_equal(positions.apply_lsn, 8000);
}

static void test_reply_rules__an_empty_spool_has_flushed_nothing_known(void **state)
{
	struct reply_rules rules;
	struct reply_positions positions;

	(void)state;
	reply_rules_begin(&rules, &limits, 1000, LSN_INVALID, T0);
	positions = reply_rules_positions(&rules, LSN_INVALID, LSN_INVALID);
	assert_int_equal(positions.write_lsn, 1000);
	assert_int_equal(positions.flush_lsn, 0);
	assert_int_equal(positions.apply_lsn, 0);
}

static void test_reply_rules__flush_is_left_out_until_what_was_held_came_again(void **state)
{
	struct reply_rules rules;
	struct reply_positions positions;

	(void)state;
	reply_rules_begin(&rules, &limits, 1000, 5000, T0);
	rules.stream_lsn = 4999;
	positions = reply_rules_positions(&rules, 5000, 4000);
	assert_int_equal(positions.write_lsn, 4999);
	assert_int_equal(positions.flush_lsn, LSN_INVALID);
	assert_int_equal(positions.apply_lsn, LSN_INVALID);
	send(&rules, 5000, T0);
	assert_false(decide(&rules, 5000, T0 + 1 * MS).is_due);
	rules.stream_lsn = 5000;
	positions = reply_rules_positions(&rules, 5000, 4000);
	assert_int_equal(positions.flush_lsn, 5000);
	assert_int_equal(positions.apply_lsn, 4000);
	assert_true(decide(&rules, 5000, T0 + 1 * MS).is_due);
}

static void test_reply_rules__applied_never_goes_back_nor_past_flushed(void **state)
{
	struct reply_rules rules = streaming_rules(5000);

	(void)state;
	assert_int_equal(reply_rules_positions(&rules, 4000, 4500).apply_lsn, 4000);
	assert_int_equal(reply_rules_positions(&rules, 5000, 3000).apply_lsn, 4500);
	assert_int_equal(reply_rules_positions(&rules, 5000, LSN_INVALID).apply_lsn, 4500);
}

static void test_reply_rules__a_flush_that_moved_is_told_at_once(void **state)
{
	struct reply_rules rules = streaming_rules(3000);

	(void)state;
	assert_false(decide(&rules, 3000, T0 + 1 * MS).is_due);
	assert_true(decide(&rules, 4000, T0 + 1 * MS).is_due);
	assert_false(decide(&rules, 4000, T0 + 1 * MS).wants_answer);
}

static void test_reply_rules__an_apply_that_moved_is_told_at_once(void **state)
{
	struct reply_rules rules = streaming_rules(5000);
	struct reply_positions positions = reply_rules_positions(&rules, 5000, 4000);

	(void)state;
	assert_true(reply_rules_decide(&rules, &positions, T0 + 1 * MS).is_due);
}

static void test_reply_rules__the_status_interval_is_kept(void **state)
{
	struct reply_rules rules = streaming_rules(5000);

	(void)state;
	assert_int_equal(decide(&rules, 5000, T0 + 1 * MS).next_us, T0 + 10 * SECOND);
	assert_false(decide(&rules, 5000, T0 + 10 * SECOND - 1).is_due);
	assert_true(decide(&rules, 5000, T0 + 10 * SECOND).is_due);
}

static void test_reply_rules__no_interval_no_status(void **state)
{
	struct reply_rules rules = streaming_rules(5000);

	(void)state;
	rules.limits = (struct reply_limits){0, 0};
	assert_false(decide(&rules, 5000, T0 + 1000 * SECOND).is_due);
	assert_int_equal(decide(&rules, 5000, T0 + 1000 * SECOND).next_us, 0);
}

static void test_reply_rules__a_request_is_answered_at_once_when_all_is_flushed(void **state)
{
	struct reply_rules rules = streaming_rules(5000);

	(void)state;
	(void)reply_rules_heard(&rules, true, T0 + 3 * SECOND);
	assert_true(decide(&rules, 5000, T0 + 3 * SECOND).is_due);
	assert_false(decide(&rules, 5000, T0 + 3 * SECOND).wants_flush);
	send(&rules, 5000, T0 + 3 * SECOND);
	assert_false(decide(&rules, 5000, T0 + 3 * SECOND).is_due);
}

static void test_reply_rules__a_request_waits_for_the_flush(void **state)
{
	struct reply_rules rules = streaming_rules(3000);
	struct reply_decision decision;

	(void)state;
	(void)reply_rules_heard(&rules, true, T0 + 3 * SECOND);
	decision = decide(&rules, 3000, T0 + 3 * SECOND);
	assert_false(decision.is_due);
	assert_true(decision.wants_flush);
	assert_int_equal(decision.next_us, T0 + 3 * SECOND + 100 * MS);
	assert_true(decide(&rules, 5000, T0 + 3 * SECOND + 2 * MS).is_due);
}

static void test_reply_rules__a_request_waits_no_longer_than_a_step(void **state)
{
	struct reply_rules rules = streaming_rules(3000);

	(void)state;
	(void)reply_rules_heard(&rules, true, T0 + 3 * SECOND);
	(void)reply_rules_heard(&rules, true, T0 + 3 * SECOND + 90 * MS);
	assert_false(decide(&rules, 3000, T0 + 3 * SECOND + 99 * MS).is_due);
	assert_true(decide(&rules, 3000, T0 + 3 * SECOND + 100 * MS).is_due);
}

/* A server that shuts down asks again on every reply that does not end it. */
static void test_reply_rules__does_not_chase_a_server_that_asks_over_and_over(void **state)
{
	struct reply_rules rules = streaming_rules(5000);
	int64_t now_us = T0 + 3 * SECOND;
	unsigned replies = 0;

	(void)state;
	while (now_us < T0 + 4 * SECOND) {
		(void)reply_rules_heard(&rules, true, now_us);
		if (decide(&rules, 5000, now_us).is_due) {
			send(&rules, 5000, now_us);
			replies++;
		}
		now_us += 1 * MS;
	}
	assert_in_range(replies, 2, 11);
}

static void test_reply_rules__asks_a_silent_server_then_gives_it_up(void **state)
{
	struct reply_rules rules = streaming_rules(5000);
	struct reply_decision decision;

	(void)state;
	rules.limits.status_interval_us = 0;
	assert_int_equal(decide(&rules, 5000, T0).next_us, T0 + 30 * SECOND);
	decision = decide(&rules, 5000, T0 + 30 * SECOND);
	assert_true(decision.is_due);
	assert_true(decision.wants_answer);
	send(&rules, 5000, T0 + 30 * SECOND);
	decision = decide(&rules, 5000, T0 + 31 * SECOND);
	assert_false(decision.is_due);
	assert_int_equal(decision.next_us, T0 + 60 * SECOND);
	assert_false(decide(&rules, 5000, T0 + 60 * SECOND - 1).has_timed_out);
	assert_true(decide(&rules, 5000, T0 + 60 * SECOND).has_timed_out);
}

static void test_reply_rules__an_answer_calms_the_timeout(void **state)
{
	struct reply_rules rules = streaming_rules(5000);

	(void)state;
	rules.limits.status_interval_us = 0;
	send(&rules, 5000, T0 + 30 * SECOND);
	(void)reply_rules_heard(&rules, false, T0 + 31 * SECOND);
	assert_false(decide(&rules, 5000, T0 + 60 * SECOND).is_due);
	assert_true(decide(&rules, 5000, T0 + 61 * SECOND).wants_answer);
	assert_false(decide(&rules, 5000, T0 + 61 * SECOND).has_timed_out);
}

/* The next look was set for the end of the timeout; it is due at half of it again. */
static void test_reply_rules__a_message_after_a_ping_needs_a_look(void **state)
{
	struct reply_rules rules = streaming_rules(5000);

	(void)state;
	assert_true(reply_rules_heard(&rules, true, T0));
	assert_false(reply_rules_heard(&rules, false, T0));
	rules.limits.status_interval_us = 0;
	send(&rules, 5000, T0 + 30 * SECOND);
	assert_true(reply_rules_heard(&rules, false, T0 + 31 * SECOND));
	assert_int_equal(decide(&rules, 5000, T0 + 31 * SECOND).next_us, T0 + 61 * SECOND);
	assert_false(reply_rules_heard(&rules, false, T0 + 32 * SECOND));
}

/* What a server that stops is told, when it asks as often as that. */
static void test_reply_rules__lets_go_a_server_that_ends_within_a_record(void **state)
{
	static const struct {
		const char *name;
		lsn_t flushed_lsn;
		lsn_t synced_lsn;
		lsn_t server_end_lsn;
		unsigned answers;
		bool expected;
	} cases[] = {
		{"asked for the first time", 4000, 5000, 5000, 0, false},
		{"asked again", 4000, 5000, 5000, 1, false},
		{"asked over and over", 4000, 5000, 5000, 2, true},
		{"nothing of the stream is proved", 0, 5000, 5000, 2, true},
		{"all is flushed", 5000, 5000, 5000, 2, false},
		{"not all is on disk", 4000, 4999, 5000, 2, false},
		{"there is more to come", 4000, 5000, 5001, 2, false},
		{"the server's end is not known", 4000, 5000, 0, 2, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply_rules rules = streaming_rules(cases[i].flushed_lsn);
		struct reply_positions positions =
			reply_rules_positions(&rules, cases[i].flushed_lsn, LSN_INVALID);
		int64_t now_us = T0;

		for (unsigned answer = 0; answer < cases[i].answers; answer++) {
			now_us += REPLY_STEP_US;
			(void)reply_rules_heard(&rules, true, now_us - REPLY_STEP_US);
			send(&rules, cases[i].flushed_lsn, now_us);
		}
		(void)reply_rules_heard(&rules, true, now_us);
		if (reply_rules_must_yield(&rules, &positions, cases[i].server_end_lsn,
			    cases[i].synced_lsn) != cases[i].expected) {
			fail_msg("%s", cases[i].name);
		}
	}
}

static void test_reply_rules__progress_ends_the_letting_go(void **state)
{
	struct reply_rules rules = streaming_rules(3000);
	struct reply_positions positions = reply_rules_positions(&rules, 3000, LSN_INVALID);
	struct reply_positions yielded = positions;

	(void)state;
	yielded.flush_lsn = LSN_INVALID;
	for (unsigned answer = 0; answer < 3; answer++) {
		(void)reply_rules_heard(&rules, true, T0);
		reply_rules_sent(&rules, &positions, false, T0 + REPLY_STEP_US);
	}
	/* Not asked: no answer. */
	assert_false(reply_rules_must_yield(&rules, &positions, 5000, 5000));
	(void)reply_rules_heard(&rules, true, T0);
	assert_true(reply_rules_must_yield(&rules, &positions, 5000, 5000));
	/* What was left out is not told anew by itself. */
	reply_rules_sent(&rules, &yielded, false, T0 + REPLY_STEP_US);
	assert_false(decide(&rules, 3000, T0 + REPLY_STEP_US + 1).is_due);
	(void)reply_rules_heard(&rules, true, T0);
	assert_true(reply_rules_must_yield(&rules, &positions, 5000, 5000));
	positions = reply_rules_positions(&rules, 4000, LSN_INVALID);
	assert_false(reply_rules_must_yield(&rules, &positions, 5000, 5000));
	reply_rules_sent(&rules, &positions, false, T0 + REPLY_STEP_US);
	(void)reply_rules_heard(&rules, true, T0);
	assert_false(reply_rules_must_yield(&rules, &positions, 5000, 5000));
	rules.stream_lsn = 6000;
	positions = reply_rules_positions(&rules, 4000, LSN_INVALID);
	assert_false(reply_rules_must_yield(&rules, &positions, 6000, 6000));
}

static void test_feedback_rules__holds_at_once_and_at_every_interval(void **state)
{
	struct feedback_rules rules;

	(void)state;
	feedback_rules_begin(&rules, 10 * SECOND, T0);
	assert_true(feedback_rules_is_due(&rules, 700, 0, T0));
	feedback_rules_sent(&rules, true, T0);
	assert_false(feedback_rules_is_due(&rules, 800, 0, T0 + 9 * SECOND));
	assert_true(feedback_rules_is_due(&rules, 800, 0, T0 + 10 * SECOND));
	assert_true(feedback_rules_is_due(&rules, 0, 800, T0 + 10 * SECOND));
}

static void test_feedback_rules__lets_go_once(void **state)
{
	struct feedback_rules rules;

	(void)state;
	feedback_rules_begin(&rules, 10 * SECOND, T0);
	feedback_rules_sent(&rules, true, T0);
	assert_true(feedback_rules_is_due(&rules, 0, 0, T0 + 10 * SECOND));
	feedback_rules_sent(&rules, false, T0 + 10 * SECOND);
	assert_false(feedback_rules_is_due(&rules, 0, 0, T0 + 20 * SECOND));
	assert_false(feedback_rules_is_due(&rules, 0, 0, T0 + 90 * SECOND));
	assert_true(feedback_rules_is_due(&rules, 700, 0, T0 + 20 * SECOND));
}

static void test_feedback_rules__frees_what_an_earlier_connection_held(void **state)
{
	struct feedback_rules rules;

	(void)state;
	feedback_rules_begin(&rules, 10 * SECOND, T0);
	assert_false(feedback_rules_is_due(&rules, 0, 0, T0));
	assert_true(feedback_rules_is_due(&rules, 0, 0, T0 + 10 * SECOND));
}

static void test_feedback_rules__looks_once_an_interval(void **state)
{
	struct feedback_rules rules;

	(void)state;
	feedback_rules_begin(&rules, 10 * SECOND, T0);
	/* A standby may come with the first status or the one after it. */
	assert_true(feedback_rules_may_look(&rules, T0));
	assert_true(feedback_rules_may_look(&rules, T0 + 1));
	feedback_rules_sent(&rules, true, T0 + 1);
	assert_false(feedback_rules_may_look(&rules, T0 + 10 * SECOND));
	assert_true(feedback_rules_may_look(&rules, T0 + 10 * SECOND + 1));
	feedback_rules_sent(&rules, false, T0 + 10 * SECOND + 1);
	/* Nothing to hold, nothing sent: the next look is an interval away all the same. */
	assert_true(feedback_rules_may_look(&rules, T0 + 25 * SECOND));
	assert_false(feedback_rules_may_look(&rules, T0 + 35 * SECOND - 1));
	assert_true(feedback_rules_may_look(&rules, T0 + 35 * SECOND));
}

static void test_feedback_rules__no_interval_no_feedback(void **state)
{
	struct feedback_rules rules;

	(void)state;
	feedback_rules_begin(&rules, 0, T0);
	assert_false(feedback_rules_may_look(&rules, T0 + 90 * SECOND));
	assert_false(feedback_rules_is_due(&rules, 700, 700, T0 + 90 * SECOND));
}

#define TEST(name) cmocka_unit_test(test_##name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reply_rules__the_first_status_goes_at_once_and_asks),
		TEST(reply_rules__claims_nothing_beyond_what_came),
		TEST(reply_rules__an_empty_spool_has_flushed_nothing_known),
		TEST(reply_rules__flush_is_left_out_until_what_was_held_came_again),
		TEST(reply_rules__applied_never_goes_back_nor_past_flushed),
		TEST(reply_rules__a_flush_that_moved_is_told_at_once),
		TEST(reply_rules__an_apply_that_moved_is_told_at_once),
		TEST(reply_rules__the_status_interval_is_kept),
		TEST(reply_rules__no_interval_no_status),
		TEST(reply_rules__a_request_is_answered_at_once_when_all_is_flushed),
		TEST(reply_rules__a_request_waits_for_the_flush),
		TEST(reply_rules__a_request_waits_no_longer_than_a_step),
		TEST(reply_rules__does_not_chase_a_server_that_asks_over_and_over),
		TEST(reply_rules__asks_a_silent_server_then_gives_it_up),
		TEST(reply_rules__an_answer_calms_the_timeout),
		TEST(reply_rules__a_message_after_a_ping_needs_a_look),
		TEST(reply_rules__lets_go_a_server_that_ends_within_a_record),
		TEST(reply_rules__progress_ends_the_letting_go),
		TEST(feedback_rules__holds_at_once_and_at_every_interval),
		TEST(feedback_rules__lets_go_once),
		TEST(feedback_rules__frees_what_an_earlier_connection_held),
		TEST(feedback_rules__looks_once_an_interval),
		TEST(feedback_rules__no_interval_no_feedback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
