/*
 * relay_target: where a relay that listens there is reached.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/relay_target.h"
#include "cli_helpers.h"

#include <stdlib.h>

static void test_relay_target__reaches_what_listens(void **state)
{
	static const struct {
		const char *listen;
		const char *conninfo; /* NULL: nowhere */
	} cases[] = {
		{"0.0.0.0:6433", " host='127.0.0.1' port='6433'"},
		{"*:7000", " host='127.0.0.1' port='7000'"},
		{"[::]:7000", " host='::1' port='7000'"},
		{"[fd00::1]:7000, 10.0.0.1:6433", " host='fd00::1' port='7000'"},
		{"hub.example.com:7000", " host='hub.example.com' port='7000'"},
		{"/run/walrelay", " host='/run/walrelay' port='6433'"},
		{"0.0.0.0:7000,/run/it's", " host='/run/it\\'s' port='7000'"},
		{"", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char conninfo[256];
		struct error err = {0};
		bool ok = relay_target_address(cases[i].listen, conninfo, sizeof(conninfo), &err);
		assert_int_equal(ok, cases[i].conninfo != NULL);
		if (ok) {
			assert_string_equal(conninfo, cases[i].conninfo);
		} else {
			assert_string_equal(err.message, "\"listen\" names no address");
		}
	}
}

static void test_relay_target__is_one_of_two(void **state)
{
	struct error err = {0};
	char *conninfo;
	(void)state;
	assert_null(relay_target_conninfo("walrelay.ini", "host=a", false, &err));
	assert_string_equal(err.message, "give either -c FILE or -d CONNINFO");
	conninfo = relay_target_conninfo(NULL, "host=a user=b", true, &err);
	assert_string_equal(conninfo, "host=a user=b");
	free(conninfo);
	conninfo = relay_target_conninfo(NULL, NULL, false, &err);
	assert_string_equal(conninfo, "host=127.0.0.1 port=6433");
	free(conninfo);
}

static void test_relay_target__of_a_configuration(void **state)
{
	struct error err = {0};
	char *conninfo;
	(void)state;
	scratch_enter();
	unsetenv("PGUSER");
	scratch_write("w.ini",
		"[relay]\nname = r\ndata_dir = d\nlisten = 127.0.0.1:7001\nadmin_users = ops, dba\n"
		"[upstream]\nconninfo = host=a\n",
		0600);
	conninfo = relay_target_conninfo("w.ini", NULL, true, &err);
	assert_string_equal(conninfo, " host='127.0.0.1' port='7001' user='ops'");
	free(conninfo);
	conninfo = relay_target_conninfo("w.ini", NULL, false, &err);
	assert_string_equal(conninfo, " host='127.0.0.1' port='7001'");
	free(conninfo);
	scratch_leave();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_relay_target__reaches_what_listens),
		cmocka_unit_test(test_relay_target__is_one_of_two),
		cmocka_unit_test(test_relay_target__of_a_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
