/*
 * check_certificates: whether what TLS is served with is in date. That it is there and fits
 * together was found out by loading it.
 */
#include "cli/check_rules.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

/* Somebody should get a new one by then. */
#define WARN_DAYS 14

struct certificate_check {
	const struct config *config;
	struct config_report *report;
	int64_t now;
	const char *key;
	const char *path;
};

static void warn(const struct certificate_check *check, const char *what, const char *fault)
{
	config_report_warning(check->report, check->config->file,
		config_line(check->config, "relay", check->key), "the %s in \"%s\" (\"%s\") %s",
		what, check->path, check->key, fault);
}

static void check_end(const struct certificate_check *check, const char *what, const ASN1_TIME *end,
	int warn_days)
{
	time_t now = (time_t)check->now, soon = now + warn_days * 86400;
	char fault[64];

	if (X509_cmp_time(end, &now) < 0) {
		warn(check, what, "has expired");
	} else if (X509_cmp_time(end, &soon) < 0) {
		(void)snprintf(fault, sizeof(fault), "expires within %d days", warn_days);
		warn(check, what, fault);
	}
}

/* Every certificate of the file: the chain of ours, all authorities of the clients. */
static void check_certificate_file(const struct certificate_check *check)
{
	FILE *file = fopen(check->path, "re");
	X509 *certificate;

	while (file != NULL && (certificate = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
		time_t now = (time_t)check->now;

		if (X509_cmp_time(X509_get0_notBefore(certificate), &now) > 0) {
			warn(check, "certificate", "is not valid yet");
		}
		check_end(check, "certificate", X509_get0_notAfter(certificate), WARN_DAYS);
		X509_free(certificate);
	}
	if (file != NULL) {
		(void)fclose(file);
	}
}

/* With one that has expired every client certificate is refused. */
static void check_revocations(const struct certificate_check *check)
{
	FILE *file = fopen(check->path, "re");
	X509_CRL *list;

	while (file != NULL && (list = PEM_read_X509_CRL(file, NULL, NULL, NULL)) != NULL) {
		const ASN1_TIME *end = X509_CRL_get0_nextUpdate(list);

		if (end != NULL) {
			check_end(check, "revocation list", end, 0);
		}
		X509_CRL_free(list);
	}
	if (file != NULL) {
		(void)fclose(file);
	}
}

void check_certificates(const struct config *config, int64_t now, struct config_report *report)
{
	struct certificate_check check = {.config = config, .report = report, .now = now};
	const char *const keys[] = {"tls_cert", "tls_client_ca"};
	const char *const paths[] = {config->relay.tls_cert, config->relay.tls_client_ca};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		check.key = keys[i];
		check.path = paths[i];
		if (*check.path != '\0') {
			check_certificate_file(&check);
		}
	}
	check.key = "tls_crl";
	check.path = config->relay.tls_crl;
	if (*check.path != '\0') {
		check_revocations(&check);
	}
	ERR_clear_error();
}
