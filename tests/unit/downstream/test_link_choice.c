/* Which chain, and how far back. */
#include "downstream/link_choice.h"

#include "cmocka_all.h"

#define MB ((uint64_t)1 << 20)
#define GB ((uint64_t)1 << 30)

static void test_link_choice__refers_to_what_was_promised(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct link_promise promise;
		lsn_t held_oldest, lsn;
		uint64_t reach_max, expected;
	} cases[] = {
		{"nothing is promised", {0, 0}, 0, 10 * GB, 2 * GB, 0},
		{"all of it", {1 * GB, 4 * GB}, 0, 10 * GB, 2 * GB, 2 * GB},
		{"less is kept than may be", {1 * GB, 700 * MB}, 0, 10 * GB, 2 * GB, 512 * MB},
		{"less is held than will be kept", {9 * GB, 4 * GB}, 0, 10 * GB, 2 * GB, 1 * GB},
		{"just not enough for a power", {9 * GB + 1, 4 * GB}, 0, 10 * GB, 2 * GB, 512 * MB},
		{"it begins where our WAL begins", {9 * GB, 2 * GB}, 9 * GB, 9 * GB + MB, 2 * GB,
			2 * GB},
		{"it begins before our WAL", {8 * GB, 2 * GB}, 9 * GB, 9 * GB + MB, 2 * GB, 2 * GB},
		{"too little to be worth it", {10 * GB - 15 * MB, GB}, 0, 10 * GB, 2 * GB, 0},
		{"it holds what is to come", {11 * GB, GB}, 12 * GB, 10 * GB, 2 * GB, 0},
		{"near the beginning of all WAL", {0, 2 * GB}, 0, 20 * MB, 2 * GB, 2 * GB},
		{"the limit is no power", {0, 8 * GB}, 0, 10 * GB, 3 * GB, 2 * GB},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t reach = link_reach_of(
			&cases[i].promise, cases[i].held_oldest, cases[i].lsn, cases[i].reach_max);
		if (reach != cases[i].expected) {
			fail_msg("%s: %llu MB", cases[i].name, (unsigned long long)(reach / MB));
		}
	}
}

#define GOES_ON   .goes_on = true
#define HAS_FRAME .has_frame = true
#define CAN_BEGIN .can_begin = true

static void test_link_choice__takes_the_chain_that_refers_furthest(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct link_option options[3];
		size_t count;
		uint64_t reach;
		size_t expected;
	} cases[] = {
		{"there is none", {{0}}, 0, GB, LINK_CHOICE_NONE},
		{"none is there", {{.reach = GB, .receivers = 3}}, 1, GB, LINK_CHOICE_NONE},
		{"it refers further than was promised", {{.reach = 2 * GB, HAS_FRAME}}, 1, GB,
			LINK_CHOICE_NONE},
		{"even the one it followed", {{.reach = 2 * GB, GOES_ON}, {0, CAN_BEGIN}}, 2, GB,
			1},
		{"the furthest", {{.reach = 64 * MB, GOES_ON}, {.reach = GB, HAS_FRAME}}, 2, GB, 1},
		{"not one that may, but has seen little",
			{{.reach = GB, .known_from = 10 * GB - MB, HAS_FRAME},
				{.reach = 64 * MB, GOES_ON}},
			2, GB, 1},
		{"the same: what is there already",
			{{.reach = GB, GOES_ON, .receivers = 2}, {.reach = GB, HAS_FRAME}}, 2, GB,
			1},
		{"the same: where more are",
			{{.reach = GB, GOES_ON, .receivers = 1},
				{.reach = GB, CAN_BEGIN, .receivers = 2}},
			2, GB, 1},
		{"the same in all: where it is",
			{{.reach = GB, CAN_BEGIN, .receivers = 1},
				{.reach = GB, GOES_ON, CAN_BEGIN, .receivers = 1}},
			2, GB, 1},
		{"a little more is not more",
			{{.reach = GB, .known_from = 10 * GB - 300 * MB, GOES_ON},
				{.reach = GB, .known_from = 10 * GB - 301 * MB, CAN_BEGIN}},
			2, GB, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t chosen =
			link_choose(cases[i].options, cases[i].count, cases[i].reach, 10 * GB + 8);
		if (chosen != cases[i].expected) {
			fail_msg("%s: %zu", cases[i].name, chosen);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_choice__refers_to_what_was_promised),
		cmocka_unit_test(test_link_choice__takes_the_chain_that_refers_furthest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
