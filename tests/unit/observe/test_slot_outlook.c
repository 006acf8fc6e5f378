/* Tests of observe/slot_outlook: PostgreSQL's states, and what may still come, by table. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "observe/pace.h"
#include "observe/slot_outlook.h"

#define MB(n) ((uint64_t)(n) << 20)

static void test_slot_outlook__by_table(void **state)
{
	static const struct {
		const char *name;
		lsn_t lsn;
		uint64_t room_bytes;
		bool is_lost;
		double per_second;
		const char *expected; /* status, safe bytes, seconds; -: not known */
	} cases[] = {
		{"within retain_size", MB(990), MB(100), false, PACE_UNKNOWN, "reserved 94371840 -"},
		{"kept for it alone", MB(950), MB(100), false, PACE_UNKNOWN, "extended 52428800 -"},
		{"from where its segment begins", MB(950) + 5, MB(100), false, PACE_UNKNOWN,
			"extended 52428800 -"},
		{"at a pace", MB(950), MB(100), false, 1048576.0, "extended 52428800 50.0"},
		{"nothing is written", MB(950), MB(100), false, 0, "extended 52428800 -"},
		{"the last byte", MB(900) + 1, MB(100), false, 1048576.0, "unreserved 0 0.0"},
		{"long past it", MB(1), MB(100), false, PACE_UNKNOWN, "unreserved 0 -"},
		{"without bounds", MB(1), 0, false, 1048576.0, "extended - -"},
		{"ahead of us", MB(1001), MB(100), false, PACE_UNKNOWN, "reserved 105906176 -"},
		{"lost", MB(950), MB(100), true, 1048576.0, "lost 0 -"},
		{"nothing held yet", LSN_INVALID, MB(100), false, 1048576.0, "none - -"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct snapshot snapshot = {.identity = {.segment_bytes = MB(1)},
			.store = {.received_lsn = MB(1000),
				.retain_bytes = MB(16),
				.room_bytes = cases[i].room_bytes},
			.upstream_pace = {.wal_per_second = cases[i].per_second}};
		struct slot_outlook outlook;
		char found[80], bytes[24] = "-", seconds[24] = "-";
		slot_outlook_find(&snapshot, cases[i].lsn, cases[i].is_lost, &outlook);
		if (outlook.has_limit) {
			snprintf(bytes, sizeof(bytes), "%llu",
				(unsigned long long)outlook.safe_bytes);
		}
		if (outlook.safe_seconds >= 0) {
			snprintf(seconds, sizeof(seconds), "%.1f", outlook.safe_seconds);
		}
		const char *status = slot_wal_status_name(outlook.status);
		snprintf(found, sizeof(found), "%s %s %s", status == NULL ? "none" : status, bytes,
			seconds);
		if (strcmp(found, cases[i].expected) != 0) {
			fail_msg("%s: \"%s\", expected \"%s\"", cases[i].name, found,
				cases[i].expected);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slot_outlook__by_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
