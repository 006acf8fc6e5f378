/*
 * What a server's error means, in the words PostgreSQL 10 to 18 uses.
 */
#include "upstream/upstream_failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
	const char *sqlstate;
	const char *message;
	enum upstream_failure expected;
} cases[] = {
	{"58P01", "requested WAL segment 000000020000000000000001 has already been removed",
		UPSTREAM_FAILURE_GAP},
	{"XX000", "requested WAL segment 000000020000000000000001 has already been removed",
		UPSTREAM_FAILURE_GAP},
	{"XX000", "das angeforderte WAL-Segment 0000000200000000000000AB wurde schon entfernt",
		UPSTREAM_FAILURE_GAP},
	{"58P01", "could not open file \"pg_wal/00000009.history\": No such file or directory",
		UPSTREAM_FAILURE_LOST},
	{"XX000",
		"requested starting point FF/0 is ahead of the WAL flush position of this server "
		"0/1519910",
		UPSTREAM_FAILURE_BEHIND},
	{"XX000", "requested timeline 7 is not in this server's history", UPSTREAM_FAILURE_LOST},
	{"55000", "can no longer access replication slot \"x\"", UPSTREAM_FAILURE_GAP},
	{"55000", "can no longer get changes from replication slot \"x\"", UPSTREAM_FAILURE_GAP},
	{"55000", "cannot execute new commands while WAL sender is in stopping mode",
		UPSTREAM_FAILURE_LOST},
	{"42704", "replication slot \"x\" does not exist", UPSTREAM_FAILURE_NO_SLOT},
	{"55006", "replication slot \"x\" is active for PID 123", UPSTREAM_FAILURE_LOST},
	{"57P01", "terminating connection due to administrator command", UPSTREAM_FAILURE_LOST},
	{"53300", "000000020000000000000001", UPSTREAM_FAILURE_LOST},
	{NULL, "server closed the connection unexpectedly", UPSTREAM_FAILURE_LOST},
	{NULL, NULL, UPSTREAM_FAILURE_LOST},
};

static void test_upstream_failure__reads_server_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum upstream_failure failure =
			upstream_failure_of_server(cases[i].sqlstate, cases[i].message);

		if (failure != cases[i].expected) {
			fail_msg("%s: %s", cases[i].message, upstream_failure_rule(failure)->name);
		}
	}
}

static void test_upstream_failure__others_are_tried_before_it_stops(void **state)
{
	unsigned refusals = 0;
	(void)state;
	assert_int_equal(upstream_failure_judge(UPSTREAM_FAILURE_GAP, 0, &refusals)->state,
		UPSTREAM_STOPPED);
	refusals = 0;
	assert_int_equal(upstream_failure_judge(UPSTREAM_FAILURE_GAP, 1, &refusals)->state,
		UPSTREAM_STOPPED);
	refusals = 0;
	assert_int_equal(upstream_failure_judge(UPSTREAM_FAILURE_GAP, 2, &refusals)->state,
		UPSTREAM_WAITING);
	assert_int_equal(refusals, 1);
	/* One that is away for a moment is no refusal. */
	assert_int_equal(upstream_failure_judge(UPSTREAM_FAILURE_LOST, 2, &refusals)->state,
		UPSTREAM_WAITING);
	assert_int_equal(refusals, 1);
	const struct upstream_failure_rule *rule =
		upstream_failure_judge(UPSTREAM_FAILURE_DIVERGED, 2, &refusals);
	assert_int_equal(rule->state, UPSTREAM_STOPPED);
	assert_true(rule->has_diverged);
	assert_int_equal(refusals, 2);
}

static void test_upstream_failure__every_failure_has_a_state_to_wait_in(void **state)
{
	(void)state;
	for (int i = UPSTREAM_FAILURE_LOST; i <= UPSTREAM_FAILURE_FULL; i++) {
		const struct upstream_failure_rule *rule = upstream_failure_rule(i);

		assert_non_null(rule->name);
		assert_true(rule->state == UPSTREAM_WAITING || rule->state == UPSTREAM_FULL ||
			    rule->state == UPSTREAM_STOPPED);
		/* What cannot pass by itself must be heard. */
		assert_true(rule->state != UPSTREAM_STOPPED || rule->level == LOG_LEVEL_ERROR);
	}
	assert_true(upstream_failure_rule(UPSTREAM_FAILURE_GAP)->has_gap);
	assert_true(upstream_failure_rule(UPSTREAM_FAILURE_DIVERGED)->has_diverged);
}

static void test_upstream_failure__reads_errors_of_the_spool(void **state)
{
	const struct error diverged = {.kind = ERROR_DIVERGED};
	const struct error full = {.kind = ERROR_FULL};
	const struct error conflict = {.kind = ERROR_CONFLICT};
	const struct error invalid = {.kind = ERROR_INVALID};

	(void)state;
	assert_int_equal(upstream_failure_of_error(&diverged), UPSTREAM_FAILURE_DIVERGED);
	assert_int_equal(upstream_failure_of_error(&full), UPSTREAM_FAILURE_FULL);
	assert_int_equal(upstream_failure_of_error(&conflict), UPSTREAM_FAILURE_IDENTITY);
	assert_int_equal(upstream_failure_of_error(&invalid), UPSTREAM_FAILURE_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upstream_failure__reads_server_errors),
		cmocka_unit_test(test_upstream_failure__others_are_tried_before_it_stops),
		cmocka_unit_test(test_upstream_failure__every_failure_has_a_state_to_wait_in),
		cmocka_unit_test(test_upstream_failure__reads_errors_of_the_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
