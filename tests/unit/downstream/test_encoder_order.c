/* Which batch is made next. */
#include "downstream/encoder_order.h"

#include "cmocka_all.h"

#define MB  ((lsn_t)1 << 20)
#define TIP (1000 * MB)

#define NEAR(at)  .position = TIP - (at), .end = TIP, .is_awaited = true
#define FAR(at)   .position = TIP - (at), .end = TIP, .is_awaited = true
#define AHEAD(at) .position = TIP - (at), .end = TIP
#define HAS_BEGUN .has_begun = true
#define TASKS_MAX 4

static void test_encoder_order__the_tip_comes_first_then_who_asked_first(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct encoder_task tasks[TASKS_MAX]; /* in the order of asking */
		size_t count, expected;
	} cases[] = {
		{"the tip before all others",
			{{FAR(500 * MB), HAS_BEGUN}, {FAR(100 * MB)}, {NEAR(100)}}, 3, 2},
		{"even when it has waited longer", {{NEAR(100)}, {FAR(500 * MB), HAS_BEGUN}}, 2, 0},
		{"at the tip the newest", {{NEAR(2 * MB)}, {NEAR(10)}, {NEAR(1 * MB)}}, 3, 1},
		{"16 MB behind are at the tip still", {{FAR(16 * MB + 1)}, {NEAR(16 * MB)}}, 2, 1},
		{"what nobody waits for is not", {{FAR(900 * MB)}, {AHEAD(1 * MB)}}, 2, 0},
		{"behind it the first that asked", {{FAR(900 * MB)}, {FAR(100 * MB)}}, 2, 0},
		{"what was begun is ended first", {{FAR(900 * MB)}, {AHEAD(100 * MB), HAS_BEGUN}},
			2, 1},
		{"who waits goes before what is made ahead", {{AHEAD(900 * MB)}, {FAR(100 * MB)}},
			2, 1},
		{"and those in the order of asking",
			{{AHEAD(900 * MB)}, {AHEAD(899 * MB)}, {AHEAD(100 * MB)}}, 3, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t best = 0;
		for (size_t j = 1; j < cases[i].count; j++) {
			if (encoder_task_overtakes(&cases[i].tasks[j], &cases[i].tasks[best])) {
				best = j;
			}
		}
		if (best != cases[i].expected) {
			fail_msg("%s: %zu", cases[i].name, best);
		}
	}
}

static void test_encoder_order__a_few_commits_at_the_tip_are_little(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct encoder_task task;
		bool expected;
	} cases[] = {
		{"one commit", {NEAR(100)}, true},
		{"as much as may be", {NEAR(2048)}, true},
		{"a byte more", {NEAR(2049)}, false},
		{"a batch", {NEAR(128 << 10)}, false},
		{"far behind", {FAR(100 * MB)}, false},
		{"whether its frame was begun or not", {NEAR(100), HAS_BEGUN}, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (encoder_task_is_small(&cases[i].task) != cases[i].expected) {
			fail_msg("%s", cases[i].name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoder_order__the_tip_comes_first_then_who_asked_first),
		cmocka_unit_test(test_encoder_order__a_few_commits_at_the_tip_are_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
