/*
 * certificate_dates: every certificate of the file counts: a chain is as good as its weakest link.
 */
#include "app/certificate_dates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <time.h>

static bool end_of(const X509 *certificate, int64_t *end_us_out)
{
	struct tm parts;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) {
		return false;
	}
	*end_us_out = (int64_t)timegm(&parts) * 1000000;
	return true;
}

bool certificate_dates_read(const char *path, int64_t *not_after_us_out)
{
	FILE *file = fopen(path, "re");
	X509 *certificate;
	int64_t first_us = INT64_MAX, end_us;
	while (file != NULL && (certificate = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
		if (end_of(certificate, &end_us) && end_us < first_us) {
			first_us = end_us;
		}
		X509_free(certificate);
	}
	if (file != NULL) {
		fclose(file);
	}
	ERR_clear_error();
	if (first_us == INT64_MAX) {
		return false;
	}
	*not_after_us_out = first_us;
	return true;
}
