/* What the configuration names of who may come in: loaded together, every problem at its line. */
#include "config_helpers.h"

#include "app/access.h"
#include "support/cmocka_all.h"
#include "support/tls_maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct tls_maker maker;

static int set_up(void **state)
{
	(void)state;
	tls_maker_init(&maker);
	tls_maker_issue(&maker, "c", "relay", NULL, 10);
	assert_int_equal(chdir(maker.directory), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tls_maker_release(&maker);
	return 0;
}

static void write_text(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* The fourth line on; problems: what is found, the scratch directory left out. */
static void check_load(const char *lines, bool is_loaded, const char *problems)
{
	struct config_report report = {0};
	struct access access = {0};
	char text[1024], found[2048] = "";
	snprintf(text, sizeof(text),
		"[upstream]\nconninfo = host=x\n[relay]\nname = a\ndata_dir = d\n%s", lines);
	struct config *config =
		config_parse("w.ini", maker.directory, text, strlen(text), &fake_conninfo, &report);
	assert_non_null(config);
	assert_int_equal(access_load(config, &report, &access), is_loaded);
	for (size_t i = 0; i < report.count; i++) {
		char *line = config_problem_text(&report.problems[i]), *at = line;
		for (char *path; (path = strstr(at, maker.directory)) != NULL;
			at = path + strlen(maker.directory)) {
			strncat(found, at, (size_t)(path - at));
		}
		strcat(strcat(found, at), "\n");
		free(line);
	}
	assert_string_equal(found, problems);
	assert_int_equal(access.tls != NULL, is_loaded && strstr(lines, "tls_cert") != NULL);
	access_release(&access);
	config_report_release(&report);
	config_free(&config);
}

#define SERVED "tls_cert = c.pem\ntls_key = c.key\n"

static void test_access__loads_what_fits(void **state)
{
	(void)state;
	tls_maker_revoke(&maker, "c");
	write_text("hba", "hostssl all all all cert\n");
	check_load("", true, "");
	check_load(SERVED, true, "");
	check_load(SERVED "tls_client_ca = ca.pem\ntls_crl = ca.crl\nhba_file = hba\n", true, "");
}

static void test_access__says_every_problem(void **state)
{
	(void)state;
	tls_maker_issue(&maker, "d", "relay", NULL, 10);
	check_load("tls_cert = c.pem\ntls_key = d.key\n", false,
		"w.ini:7: \"tls_key\": \"/d.key\" is not the key of the certificate in "
		"\"/c.pem\"\n");
	check_load("tls_cert = c.key\ntls_key = no.key\ntls_client_ca = c.key\ntls_crl = ca.pem\n",
		false,
		"w.ini:6: \"tls_cert\": \"/c.key\" holds no certificate in PEM form\n"
		"w.ini:7: \"tls_key\": could not read \"/no.key\": No such file or directory\n"
		"w.ini:8: \"tls_client_ca\": \"/c.key\" holds no certificate in PEM form\n"
		"w.ini:9: \"tls_crl\": \"/ca.pem\" holds no revocation list in PEM form\n");
	assert_int_equal(chmod("c.key", 0644), 0);
	check_load(SERVED, false,
		"w.ini:7: \"tls_key\": \"/c.key\" has mode 0644 and must be closed to others "
		"(chmod 0600)\n");
}

static void test_access__rules_and_certificates_belong_together(void **state)
{
	(void)state;
	write_text("hba", "host all all all reject\nhostssl all all all scram-sha-256\n");
	check_load("hba_file = hba\n", true,
		"/hba:2: warning: hostssl cannot match because \"tls_cert\" is not set\n");
	write_text("hba", "hostssl all all all scram-sha-256 clientcert=verify-ca\n");
	check_load(SERVED "hba_file = hba\n", false,
		"/hba:1: client certificates can only be checked if \"tls_client_ca\" is set\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_access__##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads_what_fits),
		TEST(says_every_problem),
		TEST(rules_and_certificates_belong_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
