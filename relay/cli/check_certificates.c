/*
 * check_certificates: that what TLS would be served with is there, fits together and is in date.
 */
#include "cli/check_rules.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Somebody should get a new one by then. */
#define WARN_DAYS 14

struct certificate_check {
	const struct config *config;
	struct config_report *report;
	int64_t now;
};

static unsigned line_of(const struct certificate_check *check, const char *key)
{
	return config_line(check->config, "relay", key);
}

static FILE *open_file(const struct certificate_check *check, const char *key, const char *path)
{
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		config_report_error(check->report, check->config->file, line_of(check, key),
			"could not read \"%s\" (\"%s\"): %s", path, key, strerror(errno));
	}
	return file;
}

/* The first certificate of the file; NULL: reported. */
static X509 *read_certificate(
	const struct certificate_check *check, const char *key, const char *path)
{
	FILE *file = open_file(check, key, path);
	X509 *certificate;

	if (file == NULL) {
		return NULL;
	}
	certificate = PEM_read_X509(file, NULL, NULL, NULL);
	(void)fclose(file);
	if (certificate == NULL) {
		config_report_error(check->report, check->config->file, line_of(check, key),
			"\"%s\" (\"%s\") holds no certificate in PEM form", path, key);
	}
	return certificate;
}

static int no_passphrase(char *buffer, int size, int is_writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)is_writing;
	(void)context;
	return 0;
}

static EVP_PKEY *read_key(const struct certificate_check *check, const char *path)
{
	FILE *file = open_file(check, "tls_key", path);
	struct stat status;
	EVP_PKEY *key;

	if (file == NULL) {
		return NULL;
	}
	/* As PostgreSQL: root's key may be readable by a group. */
	if (fstat(fileno(file), &status) == 0 &&
		(status.st_mode & (status.st_uid == 0 ? 037 : 077)) != 0) {
		config_report_error(check->report, check->config->file, line_of(check, "tls_key"),
			"\"%s\" (\"tls_key\") has mode %04o and must be closed to others (chmod "
			"0600)",
			path, status.st_mode & 07777);
	}
	key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	(void)fclose(file);
	if (key == NULL) {
		config_report_error(check->report, check->config->file, line_of(check, "tls_key"),
			"\"%s\" (\"tls_key\") holds no private key in PEM form without a "
			"passphrase",
			path);
	}
	return key;
}

static void check_dates(const struct certificate_check *check, const char *key, const char *path,
	const X509 *certificate)
{
	time_t now = (time_t)check->now, soon = now + WARN_DAYS * 86400;
	unsigned line = line_of(check, key);

	if (X509_cmp_time(X509_get0_notBefore(certificate), &now) > 0) {
		config_report_warning(check->report, check->config->file, line,
			"the certificate in \"%s\" (\"%s\") is not valid yet", path, key);
	}
	if (X509_cmp_time(X509_get0_notAfter(certificate), &now) < 0) {
		config_report_warning(check->report, check->config->file, line,
			"the certificate in \"%s\" (\"%s\") has expired", path, key);
	} else if (X509_cmp_time(X509_get0_notAfter(certificate), &soon) < 0) {
		config_report_warning(check->report, check->config->file, line,
			"the certificate in \"%s\" (\"%s\") expires within %d days", path, key,
			WARN_DAYS);
	}
}

static void check_server(const struct certificate_check *check)
{
	const struct config_relay *relay = &check->config->relay;
	X509 *certificate = read_certificate(check, "tls_cert", relay->tls_cert);
	EVP_PKEY *key = *relay->tls_key == '\0' ? NULL : read_key(check, relay->tls_key);

	if (certificate != NULL) {
		check_dates(check, "tls_cert", relay->tls_cert, certificate);
		if (key != NULL && X509_check_private_key(certificate, key) != 1) {
			config_report_error(check->report, check->config->file,
				line_of(check, "tls_key"),
				"\"%s\" (\"tls_key\") is not the key of the certificate in \"%s\"",
				relay->tls_key, relay->tls_cert);
		}
	}
	EVP_PKEY_free(key);
	X509_free(certificate);
}

void check_certificates(const struct config *config, int64_t now, struct config_report *report)
{
	struct certificate_check check = {.config = config, .report = report, .now = now};
	const char *authority = config->relay.tls_client_ca;

	if (*config->relay.tls_cert != '\0') {
		check_server(&check);
	}
	if (*authority != '\0') {
		X509 *certificate = read_certificate(&check, "tls_client_ca", authority);

		if (certificate != NULL) {
			check_dates(&check, "tls_client_ca", authority, certificate);
		}
		X509_free(certificate);
	}
	ERR_clear_error();
}
