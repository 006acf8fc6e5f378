/* How far back, and whose batches will do. */
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

static void test_link_choice__takes_what_is_about_as_small(void **state)
{
	(void)state;
	static const struct {
		uint64_t reach, wanted;
		bool fits, serves;
	} cases[] = {
		{0, 0, true, true},
		{16 * MB, 0, false, false},
		{0, 16 * MB, true, true},
		{0, 128 * MB, true, true},
		{0, 256 * MB, true, false},
		{32 * MB, 256 * MB, true, false},
		{64 * MB, 256 * MB, true, true},
		{256 * MB, 256 * MB, true, true},
		{512 * MB, 256 * MB, false, false},
		{256 * MB, 2 * GB, true, false},
		{512 * MB, 2 * GB, true, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (link_reach_fits(cases[i].reach, cases[i].wanted) != cases[i].fits ||
			link_reach_serves(cases[i].reach, cases[i].wanted) != cases[i].serves) {
			fail_msg("%llu MB for %llu MB", (unsigned long long)(cases[i].reach / MB),
				(unsigned long long)(cases[i].wanted / MB));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_choice__refers_to_what_was_promised),
		cmocka_unit_test(test_link_choice__takes_what_is_about_as_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
