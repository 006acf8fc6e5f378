/* The end of a file of certificates is that of the one which ends first. */
#include "app/certificate_dates.h"
#include "support/cmocka_all.h"
#include "support/tls_maker.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>

#define DAY_US (INT64_C(86400) * 1000000)

static struct tls_maker maker;

static int set_up(void **state)
{
	(void)state;
	tls_maker_init(&maker);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tls_maker_release(&maker);
	return 0;
}

static void append(const char *path, const char *name)
{
	X509 *certificate = tls_maker_read(&maker, name);
	FILE *file = fopen(path, "a");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
	X509_free(certificate);
}

static void check_days(const char *path, int days)
{
	int64_t end_us;
	int64_t now_us = (int64_t)time(NULL) * 1000000;
	assert_true(certificate_dates_read(path, &end_us));
	assert_true(end_us > now_us + (days - 1) * DAY_US);
	assert_true(end_us < now_us + (days + 1) * DAY_US);
}

static void test_certificate_dates__the_first_to_end_counts(void **state)
{
	(void)state;
	char path[TLS_MAKER_PATH];
	int64_t end_us = 7;
	tls_maker_issue(&maker, "long", "relay", NULL, 100);
	tls_maker_issue(&maker, "short", "relay", NULL, 20);
	tls_maker_issue(&maker, "over", "relay", NULL, -3);
	tls_maker_path(&maker, "chain.pem", path);
	assert_false(certificate_dates_read(path, &end_us));
	assert_int_equal(end_us, 7);
	append(path, "long");
	check_days(path, 100);
	append(path, "short");
	append(path, "long");
	check_days(path, 20);
	append(path, "over");
	check_days(path, -3);
	FILE *file = fopen(path, "w");
	fputs("nothing of the kind\n", file);
	fclose(file);
	assert_false(certificate_dates_read(path, &end_us));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_certificate_dates__the_first_to_end_counts, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
