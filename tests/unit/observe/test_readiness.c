/* Tests of observe/readiness: the reason by table. */
#include "support/cmocka_all.h"

#include <string.h>

#include "observe/readiness.h"

static void test_readiness__names_the_gravest_reason(void **state)
{
	(void)state;
	static const struct {
		enum upstream_state state;
		bool has_gap;
		bool has_diverged;
		bool is_full;
		const char *last_error;
		const char *full_reason;
		const char *reason; /* "": ready */
	} cases[] = {
		{UPSTREAM_STREAMING, false, false, false, "", "", ""},
		{UPSTREAM_STREAMING, false, false, false, "an old one", "", ""},
		{UPSTREAM_IDLE, false, false, false, "", "", "upstream is idle"},
		{UPSTREAM_CONNECTING, false, false, false, "", "", "upstream is connecting"},
		{UPSTREAM_WAITING, false, false, false, "connection refused", "",
			"upstream is waiting: connection refused"},
		{UPSTREAM_STOPPED, false, false, false, "system identifier 1 is not 2", "",
			"upstream is stopped: system identifier 1 is not 2"},
		{UPSTREAM_STOPPED, true, false, false, "0/3000000 is gone", "",
			"upstream no longer has the WAL that comes next: 0/3000000 is gone"},
		{UPSTREAM_STOPPED, true, true, true, "at 0/3000000", "min_free",
			"upstream has diverged: at 0/3000000"},
		{UPSTREAM_FULL, false, false, true, "", "less than min_free is free",
			"spool is full: less than min_free is free"},
		{UPSTREAM_STREAMING, false, false, true, "", "", "spool is full"},
		{UPSTREAM_FULL, false, false, false, "", "", "upstream is full"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char reason[READINESS_REASON_SIZE];
		struct snapshot snapshot = {.store.tli = 1};
		snapshot.upstream.state = cases[i].state;
		snapshot.upstream.has_gap = cases[i].has_gap;
		snapshot.upstream.has_diverged = cases[i].has_diverged;
		snapshot.store.is_full = cases[i].is_full;
		strcpy(snapshot.upstream.last_error, cases[i].last_error);
		strcpy(snapshot.store.full_reason, cases[i].full_reason);
		bool is_ready = readiness_check(&snapshot, reason);
		assert_string_equal(reason, cases[i].reason);
		assert_int_equal(is_ready, cases[i].reason[0] == '\0');
	}
}

static void test_readiness__wants_something_to_serve(void **state)
{
	(void)state;
	char reason[READINESS_REASON_SIZE];
	struct snapshot snapshot = {.upstream.state = UPSTREAM_STREAMING};
	assert_false(readiness_check(&snapshot, reason));
	assert_string_equal(reason, "nothing has been received yet");
	snapshot.store.tli = 1;
	assert_true(readiness_check(&snapshot, reason));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readiness__names_the_gravest_reason),
		cmocka_unit_test(test_readiness__wants_something_to_serve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
