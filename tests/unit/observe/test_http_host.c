/* Tests of observe/http_host. */
#include "support/cmocka_all.h"

#include <string.h>

#include "observe/http_host.h"

static void test_http_host__tells_our_names_from_others(void **state)
{
	static const struct {
		const char *host;
		bool is_ours;
	} cases[] = {
		{NULL, true},
		{"", true},
		{"127.0.0.1:9871", true},
		{"127.0.0.1", true},
		{"10.1.2.3:80", true},
		{"[::1]:9871", true},
		{"[::1]", true},
		{"localhost:9871", true},
		{"LOCALHOST.", true},
		{"relay.localhost:9871", true},
		{"hub:9871", true},
		{"db1.example.com", true},
		{"DB1.Example.com.:9871", true},
		{"status.example.org:444", true},
		{"evil.example.com", false},
		{"evil.example.com:9871", false},
		{"127.0.0.1.evil.example", false},
		{"localhost.evil.example:9871", false},
		{"[evil.example", false},
		{"xdb1.example.com", false},
		{"db1.example.com.evil", false},
		{".localhost", false},
		{"1.2.3", false},
		{":9871", false},
		{".", false},
		{"..", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (http_host_is_ours(cases[i].host, "db1.example.com",
			    "https://status.example.org:444/relay") != cases[i].is_ours) {
			fail_msg("\"%s\"", cases[i].host);
		}
	}
}

static void test_http_host__without_an_address_for_people(void **state)
{
	(void)state;
	assert_false(http_host_is_ours("status.example.org", "db1", ""));
	assert_false(http_host_is_ours("status.example.org", "db1", NULL));
	assert_false(http_host_is_ours("status.example.org", "db1", "status.example.org"));
}

static void test_http_host__refuses_what_is_longer_than_a_name(void **state)
{
	char host[400];
	(void)state;
	memset(host, 'a', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	assert_false(http_host_is_ours(host, "db1", NULL));
	host[0] = '[';
	assert_false(http_host_is_ours(host, "db1", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_host__tells_our_names_from_others),
		cmocka_unit_test(test_http_host__without_an_address_for_people),
		cmocka_unit_test(test_http_host__refuses_what_is_longer_than_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
