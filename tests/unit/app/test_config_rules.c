/*
 * config_rules: options that need each other, and those that have no effect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/config_rules.h"
#include "config_helpers.h"

#define UPSTREAM "[upstream]\nconninfo = host=x\n"
#define RELAY    "[relay]\nname = a\ndata_dir = /d\n"

static void test_config_rules__wants_both_of_a_pair(void **state)
{
	(void)state;
	check_refused(UPSTREAM RELAY "tls_cert = c\n",
		"w.ini:6: \"tls_cert\" in [relay] needs \"tls_key\", which is not set\n");
	check_refused(UPSTREAM RELAY "tls_key = k\ntls_client_ca = a\n",
		"w.ini:6: \"tls_key\" in [relay] needs \"tls_cert\", which is not set\n"
		"w.ini:7: \"tls_client_ca\" in [relay] needs \"tls_cert\", which is not set\n");
	check_refused(UPSTREAM RELAY "[alerts]\nsmtp_user = u\n",
		"w.ini:7: \"smtp_user\" in [alerts] needs \"smtp_password_file\", which is not "
		"set\n");
	check_warned(UPSTREAM RELAY "tls_cert = c\ntls_key = k\ntls_client_ca = a\n", "");
}

static void test_config_rules__trusts_no_proxy_unnamed(void **state)
{
	(void)state;
	check_refused(UPSTREAM RELAY "proxy_protocol = on\n",
		"w.ini:6: \"proxy_protocol\" in [relay] needs \"proxy_from\", which is not set\n");
	check_warned(UPSTREAM RELAY "proxy_protocol = on\nproxy_from = 10.0.0.0/8\n", "");
	check_warned(UPSTREAM RELAY "proxy_from = 10.0.0.0/8\n", "");
}

static void test_config_rules__mail_needs_sender_and_recipient(void **state)
{
	(void)state;
	check_refused(UPSTREAM RELAY "[alerts]\nsmtp_url = smtp://m\n",
		"w.ini:7: \"smtp_url\" in [alerts] needs \"mail_from\", which is not set\n"
		"w.ini:7: \"smtp_url\" in [alerts] needs \"mail_to\", which is not set\n");
	check_refused(UPSTREAM RELAY "[alerts]\nsmtp_url = smtp://m\nmail_from = a@b,c@d\n"
				     "mail_to = a@b,c@d\n",
		"w.ini:8: invalid value \"a@b,c@d\" for \"mail_from\" in [alerts]: expected one "
		"mail address\n");
	check_refused(UPSTREAM RELAY "[alerts]\nmail_to = c@d\n",
		"w.ini:7: \"mail_to\" in [alerts] needs \"smtp_url\", which is not set\n");
	check_refused(UPSTREAM RELAY "[alerts]\nwebhook_token_file = t\n",
		"w.ini:7: \"webhook_token_file\" in [alerts] needs \"webhook_url\", which is not "
		"set\n");
}

static void test_config_rules__warns_of_what_has_no_effect(void **state)
{
	(void)state;
	check_warned(UPSTREAM RELAY "[spool]\nmax_size = 1GB\nretain_size = 2GB\n"
				    "[destination d]\nmatch = user u\nover_limit = pause\n",
		"w.ini:8: warning: \"retain_size\" is more than \"max_size\", which wins\n"
		"w.ini:11: warning: \"over_limit\" in [destination d] has no effect without "
		"\"daily_limit\" or \"monthly_limit\"\n");
	/* The default is not the operator's doing. */
	check_warned(UPSTREAM RELAY "[spool]\nmax_size = 64MB\n", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_rules__wants_both_of_a_pair),
		cmocka_unit_test(test_config_rules__trusts_no_proxy_unnamed),
		cmocka_unit_test(test_config_rules__mail_needs_sender_and_recipient),
		cmocka_unit_test(test_config_rules__warns_of_what_has_no_effect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
