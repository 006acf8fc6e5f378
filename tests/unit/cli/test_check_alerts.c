/*
 * check_alerts: what could not be sent is said before it has to be, and no secret with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/check_rules.h"
#include "cli_helpers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ALERTS "[relay]\nname = a\ndata_dir = d\n[upstream]\nconninfo = host=x\n[alerts]\n"
#define MAIL   "smtp_url = smtp://m:587\nmail_from = a@b\nmail_to = c@d\nsmtp_user = u\n"

static void check_says(const char *text, const char *problems)
{
	struct config *config = scratch_config(text);
	struct config_report report = {0};
	char *found;

	check_alerts(config, &report);
	found = report_text(&report);
	assert_string_equal(found, problems);
	assert_null(strstr(found, "topsecret"));
	free(found);
	config_free(&config);
}

static void test_check_alerts__takes_what_is_well(void **state)
{
	(void)state;
	check_says(ALERTS, "");
	scratch_write("p", "topsecret\r\n", 0600);
	scratch_write("t", "topsecret", 0400);
	check_says(ALERTS MAIL "smtp_password_file = p\nwebhook_url = https://h.example:8443/x?y\n"
			       "webhook_token_file = t\n",
		"");
}

static void test_check_alerts__urls(void **state)
{
	(void)state;
	check_says(ALERTS "webhook_url = https://topsecret@h.example:port/topsecret\n",
		"w.ini:7: invalid URL for \"webhook_url\" in [alerts]: Port number was not a decimal "
		"number between 0 and 65535\n");
	check_says(ALERTS "smtp_url = smtp://[::1/topsecret\nmail_from = a@b\nmail_to = c@d\n",
		"w.ini:7: invalid URL for \"smtp_url\" in [alerts]: Bad IPv6 address\n");
}

static void test_check_alerts__passwords_and_tokens(void **state)
{
	static const struct {
		const char *text;
		unsigned mode;
		const char *fault;
	} cases[] = {
		{"topsecret", 0640,
			"it has mode 0640 and must be closed to others (chmod 0600)"},
		{"", 0600, "expected one line of text, and nothing else"},
		{"\n", 0600, "expected one line of text, and nothing else"},
		{"topsecret\nBcc: topsecret\n", 0600,
			"expected one line of text, and nothing else"},
		{"topsecret\ttopsecret", 0600, "expected one line of text, and nothing else"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[256];

		scratch_write("p", cases[i].text, cases[i].mode);
		(void)snprintf(expected, sizeof(expected),
			"w.ini:11: \"./p\" (\"smtp_password_file\"): %s\n", cases[i].fault);
		check_says(ALERTS MAIL "smtp_password_file = p\n", expected);
		(void)remove("p");
	}
	check_says(ALERTS MAIL "smtp_password_file = p\n",
		"w.ini:11: \"./p\" (\"smtp_password_file\"): could not open it: No such file or "
		"directory\n");
	assert_int_equal(mkdir("p", 0700), 0);
	check_says(ALERTS MAIL "smtp_password_file = p\n",
		"w.ini:11: \"./p\" (\"smtp_password_file\"): it is not a file\n");
	scratch_write("t", "topsecret\n", 0600);
	check_says(ALERTS "webhook_url = http://h.example/\nwebhook_token_file = t\n",
		"w.ini:8: warning: \"webhook_token_file\" goes over \"webhook_url\" in clear: use "
		"https\n");
}

static void test_check_alerts__authorities(void **state)
{
	(void)state;
	scratch_write("ca.pem", "no certificate\n", 0644);
	check_says(ALERTS "ca_file = ca.pem\n",
		"w.ini:7: \"./ca.pem\" (\"ca_file\") cannot be read or holds no certificate in "
		"PEM\n");
	check_says(ALERTS "ca_file = no.pem\n",
		"w.ini:7: \"./no.pem\" (\"ca_file\") cannot be read or holds no certificate in "
		"PEM\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_check_alerts__takes_what_is_well),
		TEST(test_check_alerts__urls),
		TEST(test_check_alerts__passwords_and_tokens),
		TEST(test_check_alerts__authorities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
