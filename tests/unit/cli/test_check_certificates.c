/*
 * check_certificates: certificates made here, and what is said of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/check_rules.h"
#include "cli_helpers.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define NOW 1800000000
#define DAY 86400

static EVP_PKEY *key;

static void write_certificate(const char *name, int64_t from, int64_t to)
{
	X509 *certificate = X509_new();
	FILE *file = fopen(name, "w");

	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)from);
	ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)to);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	(void)fclose(file);
	X509_free(certificate);
}

static int set_up(void **state)
{
	(void)state;
	scratch_enter();
	if (key == NULL) {
		key = EVP_EC_gen("P-256");
	}
	write_certificate("c.pem", NOW - DAY, NOW + 365 * DAY);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_leave();
	return 0;
}

static void check_says(const char *problems)
{
	struct config *config = scratch_config(
		"[relay]\nname=a\ndata_dir=d\ntls_cert=c.pem\ntls_key=k.pem\ntls_client_ca=ca.pem\n"
		"[upstream]\nconninfo=host=x\n");
	struct config_report report = {0};
	char *found;

	check_certificates(config, NOW, &report);
	found = report_text(&report);
	assert_string_equal(found, problems);
	free(found);
	config_free(&config);
}

static void test_check_certificates__takes_what_fits(void **state)
{
	(void)state;
	write_certificate("ca.pem", NOW - DAY, NOW + 365 * DAY);
	check_says("");
}

static void test_check_certificates__knows_the_dates(void **state)
{
	(void)state;
	write_certificate("c.pem", NOW - 9 * DAY, NOW - DAY);
	write_certificate("ca.pem", NOW + DAY, NOW + 13 * DAY);
	check_says("w.ini:4: warning: the certificate in \"./c.pem\" (\"tls_cert\") has expired\n"
		   "w.ini:6: warning: the certificate in \"./ca.pem\" (\"tls_client_ca\") is not "
		   "valid yet\n"
		   "w.ini:6: warning: the certificate in \"./ca.pem\" (\"tls_client_ca\") expires "
		   "within 14 days\n");
}

static int free_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_check_certificates__takes_what_fits),
		TEST(test_check_certificates__knows_the_dates),
	};

	return cmocka_run_group_tests(tests, NULL, free_keys);
}
