/*
 * check_open_doors: which rules are worth a warning, and where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/check_rules.h"
#include "cli_helpers.h"
#include "downstream/hba.h"

#include <stdio.h>
#include <stdlib.h>

static void on_problem(void *context, const char *file, unsigned line, const char *message)
{
	(void)context;
	fail_msg("%s:%u: %s", file, line, message);
}

static void check_says(const char *listen, const char *hba, const char *problems)
{
	struct config_report report = {0};
	struct access access = {0};
	struct config *config;
	char text[256], *found;

	scratch_write("hba.conf", hba, 0600);
	(void)snprintf(text, sizeof(text),
		"[relay]\nname=a\ndata_dir=d\nhba_file=hba.conf\nlisten=%s\n"
		"[upstream]\nconninfo=host=x\n",
		listen);
	config = scratch_config(text);
	access.hba = hba_load(config->relay.hba_file, on_problem, NULL);
	assert_non_null(access.hba);
	check_open_doors(config, &access, &report);
	found = report_text(&report);
	assert_string_equal(found, problems);
	free(found);
	access_release(&access);
	config_free(&config);
}

#define WARNING(line, address)                                                                     \
	"./hba.conf:" line ": warning: this lets anybody in from anywhere without a password, "    \
	"while the relay listens on " address "\n"

static void test_check_open_doors__warns_of_trust_from_anywhere(void **state)
{
	(void)state;
	check_says("127.0.0.1:1,*:6433", "local all all trust\nhost replication all all trust\n",
		WARNING("2", "*:6433"));
	check_says("[::]:6433", "host walrelay all ::/0 trust\n", WARNING("1", "[::]:6433"));
	check_says("0.0.0.0:6433", "hostssl replication all 0.0.0.0/0 trust\n",
		WARNING("1", "0.0.0.0:6433"));
}

static void test_check_open_doors__is_silent_otherwise(void **state)
{
	static const char open[] = "host replication all all trust\n";

	(void)state;
	check_says("127.0.0.1:6433,[::1]:6433,localhost:6434,/run", open, "");
	check_says("*:6433", "host replication all 10.0.0.0/8 trust\n", "");
	check_says("*:6433", "host replication all all scram-sha-256\n", "");
	check_says("*:6433",
		"host all all all reject\nhost replication all all reject\n"
		"host replication all all trust\n",
		"");
	check_says("*:6433", "local replication all trust\n", "");
	check_says("*:6433", "hostssl replication all all trust clientcert=verify-full\n", "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_check_open_doors__warns_of_trust_from_anywhere),
		TEST(test_check_open_doors__is_silent_otherwise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
