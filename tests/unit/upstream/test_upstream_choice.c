/*
 * Whom to follow and from where: one table of pairs of histories.
 */
#include "upstream/upstream_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MB      (1u << 20)
#define SEGMENT (16u * MB)
#define OLDEST  (17u * MB)

/* A history in PostgreSQL's own format; NULL text with tli 0: nothing begun. */
struct side {
	tli_t tli;
	const char *text;
	lsn_t lsn;
};

struct choice_case {
	const char *name;
	struct side ours;
	struct side theirs;
	struct upstream_choice expected;
};

static const struct choice_case cases[] = {
	{"nothing begun", {0}, {3, "1\t0/2000000\tx\n2\t0/3000000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_FIRST_CONTACT, 3, 0, 0}},
	{"same timeline, server ahead", {1, "", 35 * MB}, {1, "", 80 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 32 * MB, 0}},
	{"same timeline, our end is a segment's start", {1, "", 48 * MB}, {1, "", 48 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 32 * MB, 0, 48 * MB}},
	{"same timeline, the server's end is a segment's start", {1, "", 50 * MB}, {1, "", 48 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 32 * MB, 0, 48 * MB}},
	{"same timeline, nothing held before our end", {1, "", 16 * MB}, {1, "", 48 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 16 * MB, 0}},
	{"same timeline, the server ends where we begin", {1, "", 48 * MB}, {1, "", 16 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 16 * MB, 0}},
	{"our timeline began at our end", {2, "1\t0/3000000\tx\n", 48 * MB},
		{2, "1\t0/3000000\tx\n", 60 * MB}, {UPSTREAM_CHOICE_CONTINUE, 2, 48 * MB, 0}},
	{"newer timeline, our end before its fork is a segment's start", {1, "", 48 * MB},
		{2, "1\t0/3800000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 32 * MB, 0, 48 * MB}},
	{"same timeline, server behind in our segment", {1, "", 40 * MB}, {1, "", 33 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 32 * MB, 0}},
	{"same timeline, server a segment behind", {1, "", 40 * MB}, {1, "", 31 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 16 * MB, 0}},
	{"same timeline, server behind what we hold", {1, "", 40 * MB}, {1, "", 15 * MB},
		{UPSTREAM_CHOICE_BEHIND, 1, 0, 0}},
	{"same later timeline", {2, "1\t0/2000000\tx\n", 35 * MB},
		{2, "1\t0/2000000\tx\n", 36 * MB}, {UPSTREAM_CHOICE_CONTINUE, 2, 32 * MB, 0}},
	{"same number, another fork", {2, "1\t0/2000000\tx\n", 35 * MB},
		{2, "1\t0/2100000\tx\n", 36 * MB}, {UPSTREAM_CHOICE_UNRELATED, 2, 0, 0}},
	{"newer timeline, we are before its fork", {1, "", 35 * MB},
		{2, "1\t0/3000000\tx\n", 80 * MB}, {UPSTREAM_CHOICE_CONTINUE, 1, 32 * MB, 0}},
	{"newer timeline, we are at its fork", {1, "", 48 * MB}, {2, "1\t0/3000000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_SWITCH, 2, 48 * MB, 48 * MB}},
	{"newer timeline, we are past its fork", {1, "", 60 * MB},
		{2, "1\t0/2800000\tx\n", 80 * MB}, {UPSTREAM_CHOICE_SWITCH, 2, 32 * MB, 40 * MB}},
	{"newer timeline, whose server is behind us", {1, "", 60 * MB},
		{2, "1\t0/2800000\tx\n", 41 * MB}, {UPSTREAM_CHOICE_SWITCH, 2, 32 * MB, 40 * MB}},
	{"two forks on, before the first", {1, "", 20 * MB},
		{3, "1\t0/2000000\tx\n2\t0/3000000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_CONTINUE, 1, 16 * MB, 0}},
	{"two forks on, past both: one at a time", {1, "", 60 * MB},
		{3, "1\t0/2000000\tx\n2\t0/3000000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_SWITCH, 2, 32 * MB, 32 * MB}},
	{"a fork on, timelines left out between", {1, "", 60 * MB},
		{7, "1\t0/2000000\tx\n", 80 * MB}, {UPSTREAM_CHOICE_SWITCH, 7, 32 * MB, 32 * MB}},
	{"a timeline without a byte", {2, "1\t0/2000000\tx\n", 32 * MB},
		{3, "1\t0/2000000\tx\n2\t0/2000000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_SWITCH, 3, 32 * MB, 32 * MB}},
	{"older timeline", {2, "1\t0/2000000\tx\n", 40 * MB}, {1, "", 80 * MB},
		{UPSTREAM_CHOICE_STALE, 1, 0, 0}},
	{"older timeline of another line", {3, "1\t0/2000000\tx\n", 40 * MB},
		{2, "1\t0/1800000\tx\n", 80 * MB}, {UPSTREAM_CHOICE_UNRELATED, 2, 0, 0}},
	{"newer timeline that left ours out", {2, "1\t0/2000000\tx\n", 40 * MB},
		{3, "1\t0/2000000\tx\n", 80 * MB}, {UPSTREAM_CHOICE_UNRELATED, 3, 0, 0}},
	{"newer timeline, ours forked elsewhere", {2, "1\t0/2000000\tx\n", 40 * MB},
		{3, "1\t0/1800000\tx\n2\t0/3000000\tx\n", 80 * MB},
		{UPSTREAM_CHOICE_UNRELATED, 3, 0, 0}},
};

static void parse(struct timeline_history *history, const struct side *side)
{
	struct error err;

	if (!timeline_history_parse(history, side->tli, side->text, strlen(side->text), &err)) {
		fail_msg("%s", err.message);
	}
}

static void check_case(const struct choice_case *c)
{
	struct timeline_history ours = {0};
	struct timeline_history theirs = {0};
	struct upstream_choice_input input = {.oldest_lsn = OLDEST,
		.received_lsn = c->ours.lsn,
		.theirs = &theirs,
		.server_lsn = c->theirs.lsn,
		.segment_bytes = SEGMENT};
	struct upstream_choice choice;

	parse(&theirs, &c->theirs);
	if (c->ours.tli != 0) {
		parse(&ours, &c->ours);
		input.ours = &ours;
	}
	choice = upstream_choose(&input);
	if (choice.kind != c->expected.kind || choice.tli != c->expected.tli ||
		choice.start_lsn != c->expected.start_lsn ||
		choice.fork_lsn != c->expected.fork_lsn ||
		choice.fallback_lsn != c->expected.fallback_lsn) {
		fail_msg("%s: kind %d, timeline %u, start " LSN_FORMAT ", fork " LSN_FORMAT
			 ", fallback " LSN_FORMAT,
			c->name, (int)choice.kind, choice.tli, LSN_ARGS(choice.start_lsn),
			LSN_ARGS(choice.fork_lsn), LSN_ARGS(choice.fallback_lsn));
	}
	timeline_history_release(&ours);
	timeline_history_release(&theirs);
}

static void test_upstream_choice__table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_case(&cases[i]);
	}
}

static void test_upstream_choice__a_switchpoint_belongs_to_what_it_begins(void **state)
{
	const struct side side = {3, "1\t0/2000000\tx\n2\t0/3000000\tx\n", 0};
	struct timeline_history history;

	(void)state;
	parse(&history, &side);
	assert_int_equal(upstream_timeline_of(&history, 1 * MB), 1);
	assert_int_equal(upstream_timeline_of(&history, 32 * MB - 1), 1);
	assert_int_equal(upstream_timeline_of(&history, 32 * MB), 2);
	assert_int_equal(upstream_timeline_of(&history, 48 * MB), 3);
	assert_int_equal(upstream_timeline_of(&history, 4000 * (lsn_t)MB), 3);
	timeline_history_release(&history);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upstream_choice__table),
		cmocka_unit_test(test_upstream_choice__a_switchpoint_belongs_to_what_it_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
