/*
 * config_print: what check prints is a configuration again; what a reload cannot change is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/config.h"
#include "app/config_options.h"
#include "config_helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESTINATIONS                                                                               \
	"[destination us-west-2]\nmatch = address 10.2.0.0/16, user rep\n"                         \
	"rate_cap = 50Mbit/s\nrate_schedule = 08:00-18:00 mon-fri 20Mbit/s\n"                      \
	"monthly_limit = 500GB\nover_limit = throttle 1MB/s\n"                                     \
	"price_per_gb = 0 to 100GB, 0.09 to 10TB, 0.085\n"                                         \
	"[destination lan]\nmatch = 'application a ; b'\n"

static void test_config_print__writes_an_accepted_file(void **state)
{
	static const char *const texts[] = {MINIMAL,
		MINIMAL "slot =\n[egress]\nrate_cap = 200Mbit/s\n" DESTINATIONS,
		"[relay]\nname = ' ; \"quoted\" # '\ndata_dir = '/d ; e'\nhttp_listen =\n"
		"proxy_protocol = on\nproxy_from = ::/0\n"
		"[upstream]\nconninfo = host=a password=p\n"
		"[alerts]\nwebhook_url = https://u:p@h.example/x\nlag_time = 5min\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct config *config = parse_valid(texts[i]);
		char *first = written(config);
		struct config *again = parse_valid(first);
		char *second = written(again);

		assert_string_equal(first, second);
		free(second);
		free(first);
		config_free(&again);
		config_free(&config);
	}
}

static void test_config_print__shows_every_option_once(void **state)
{
	struct config *config = parse_valid(MINIMAL DESTINATIONS);
	char *text = written(config);
	size_t lines = 0, expected = 0;

	(void)state;
	for (size_t i = 0; i < config_option_count; i++) {
		expected += config_options[i].section == CONFIG_DESTINATION ? 2 : 1;
	}
	for (const char *at = text; (at = strstr(at, " =")) != NULL; at++) {
		lines++;
	}
	assert_int_equal(lines, expected);
	assert_memory_equal(text, "[relay]\nname = hub\nlisten = 0.0.0.0:6433\n", 41);
	assert_non_null(strstr(text, "\nhba_file =\n"));
	assert_non_null(strstr(text, "\n\n[destination us-west-2]\nmatch = address 10.2.0.0/16, "));
	assert_non_null(strstr(text, "\n\n[destination lan]\nmatch = \"application a ; b\"\n"));
	assert_non_null(strstr(text, "\nretain_size = 16GB\nretain_time = 1d\n"));
	free(text);
	config_free(&config);
}

static void test_config_print__masks_secrets(void **state)
{
	struct config *config = parse_valid(
		"[relay]\nname=a\ndata_dir=/d\n"
		"[upstream]\nconninfo = host=a password=topsecret\n"
		"[alerts]\nwebhook_url = https://h.example/topsecret?t=topsecret\n"
		"smtp_url = smtp://u:topsecret@m.example:587\nmail_from=a@b\nmail_to=c@d\n");
	char *text = written(config);

	(void)state;
	assert_null(strstr(text, "topsecret"));
	assert_non_null(strstr(text, "\nconninfo = host=a password=********\n"));
	assert_non_null(strstr(text, "\nsmtp_url = smtp://********@m.example:587\n"));
	/* Only what is shown is masked. */
	assert_string_equal(config->upstream.conninfo, "host=a password=topsecret");
	free(text);
	config_free(&config);
}

struct default_count {
	int defaults;
	int set;
};

static void count_default(
	void *context, const char *section, const char *key, const char *value, bool is_default)
{
	struct default_count *count = context;

	(void)section;
	(void)key;
	(void)value;
	count->defaults += is_default ? 1 : 0;
	count->set += is_default ? 0 : 1;
}

static void test_config_print__tells_defaults_from_what_was_set(void **state)
{
	/* Set to what is the default anyway. */
	struct config *config = parse_valid(MINIMAL "forward = received\n");
	struct default_count count = {0};

	(void)state;
	config_each(config, count_default, &count);
	assert_int_equal(count.set, 4);
	assert_true(count.defaults > 40);
	config_free(&config);
}

static void test_config_print__names_what_needs_a_restart(void **state)
{
	struct config *old = parse_valid(MINIMAL);
	struct config *next = parse_valid(
		"[relay]\nname = edge\nlisten = *:1\nmax_connections = 7\ndata_dir = /d\n"
		"[upstream]\nconninfo = host=db2\n[spool]\nmax_size = 64MB\n");
	struct config_report report = {0};
	char *text;

	(void)state;
	config_compare(old, next, &report);
	assert_int_equal(report.error_count, 0);
	assert_int_equal(report.count, 2);
	text = config_problem_text(&report.problems[0]);
	assert_string_equal(text, "w.ini:2: warning: \"name\" in [relay] takes effect with a "
				  "restart; until then it stays \"hub\"");
	free(text);
	assert_int_equal(report.problems[1].line, 3);
	config_report_release(&report);
	config_compare(old, old, &report);
	assert_int_equal(report.count, 0);
	config_free(&old);
	config_free(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_print__writes_an_accepted_file),
		cmocka_unit_test(test_config_print__shows_every_option_once),
		cmocka_unit_test(test_config_print__masks_secrets),
		cmocka_unit_test(test_config_print__tells_defaults_from_what_was_set),
		cmocka_unit_test(test_config_print__names_what_needs_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
