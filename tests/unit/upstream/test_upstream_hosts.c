/* Tests of upstream/upstream_hosts: from libpq's lists to the order in which servers are tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/upstream_hosts.h"

#include <stdlib.h>
#include <string.h>

static void check_part(
	const struct upstream_hosts *hosts, enum upstream_hosts_part part, const char *expected)
{
	char *joined = upstream_hosts_join(hosts, part);
	assert_string_equal(joined, expected);
	free(joined);
}

static void test_upstream_hosts__are_taken_apart_and_put_together(void **state)
{
	static const struct {
		const char *names, *addresses, *ports;
		size_t count;
		const char *joined[3];
	} cases[] = {
		{"db1,db2", NULL, "5432,5433", 2, {"db1,db2", ",", "5432,5433"}},
		{"db1,db2,db3", "", "5432", 3, {"db1,db2,db3", ",,", "5432,5432,5432"}},
		{"db1,db2", NULL, NULL, 2, {"db1,db2", ",", ","}},
		{NULL, "10.0.0.1,10.0.0.2", "1,2", 2, {",", "10.0.0.1,10.0.0.2", "1,2"}},
		{"a,b", "10.0.0.1,", "1", 2, {"a,b", "10.0.0.1,", "1,1"}},
		{"db1", NULL, "5432", 1, {"db1", "", "5432"}},
		{NULL, NULL, NULL, 0, {"", "", ""}},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upstream_hosts hosts;
		upstream_hosts_parse(&hosts, cases[i].names, cases[i].addresses, cases[i].ports);
		assert_int_equal(hosts.count, cases[i].count);
		check_part(&hosts, UPSTREAM_HOSTS_NAME, cases[i].joined[0]);
		check_part(&hosts, UPSTREAM_HOSTS_ADDRESS, cases[i].joined[1]);
		check_part(&hosts, UPSTREAM_HOSTS_PORT, cases[i].joined[2]);
		upstream_hosts_release(&hosts);
	}
}

static void test_upstream_hosts__newer_timelines_first_and_the_refused_last(void **state)
{
	static const struct {
		tli_t timelines[4]; /* of a, b, c, d; 0: no answer */
		unsigned refusals;
		const char *expected;
	} cases[] = {
		{{1, 1, 1, 1}, 0, "a,b,c,d"},
		{{0, 1, 0, 1}, 0, "b,d,a,c"},
		{{1, 2, 1, 3}, 0, "d,b,a,c"},
		{{2, 1, 2, 0}, 0, "a,c,b,d"},
		{{2, 1, 2, 0}, 1, "c,b,a,d"},
		{{2, 1, 2, 0}, 2, "b,a,c,d"},
		{{2, 1, 2, 0}, 3, "a,c,b,d"},
		{{0, 0, 0, 0}, 7, "a,b,c,d"},
		{{0, 0, 9, 0}, 7, "c,a,b,d"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upstream_hosts hosts;
		upstream_hosts_parse(&hosts, "a,b,c,d", NULL, NULL);
		for (size_t n = 0; n < 4; n++) {
			hosts.items[n].tli = cases[i].timelines[n];
			hosts.items[n].has_answered = cases[i].timelines[n] != 0;
		}
		upstream_hosts_order(&hosts, cases[i].refusals);
		check_part(&hosts, UPSTREAM_HOSTS_NAME, cases[i].expected);
		upstream_hosts_release(&hosts);
	}
}

static void test_upstream_hosts__more_than_there_is_room_for(void **state)
{
	char names[512] = "";
	struct upstream_hosts hosts;
	(void)state;
	for (int i = 0; i < 100; i++) {
		strcat(names, i == 0 ? "db" : ",db");
	}
	upstream_hosts_parse(&hosts, names, NULL, "1");
	assert_int_equal(hosts.count, UPSTREAM_HOSTS_MAX);
	upstream_hosts_release(&hosts);
	upstream_hosts_release(&hosts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upstream_hosts__are_taken_apart_and_put_together),
		cmocka_unit_test(test_upstream_hosts__newer_timelines_first_and_the_refused_last),
		cmocka_unit_test(test_upstream_hosts__more_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
