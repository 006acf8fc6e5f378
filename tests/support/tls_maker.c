/*
 * tls_maker: everything is made anew for each test; P-256 keys take no time.
 */
#include "support/tls_maker.h"

#include "support/cmocka_all.h"

#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY 86400

void tls_maker_path(const struct tls_maker *maker, const char *name, char path_out[TLS_MAKER_PATH])
{
	snprintf(path_out, TLS_MAKER_PATH, "%s/%s", maker->directory, name);
}

static FILE *create(const struct tls_maker *maker, const char *name, const char *suffix)
{
	char path[TLS_MAKER_PATH];
	snprintf(path, sizeof(path), "%s/%s%s", maker->directory, name, suffix);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(chmod(path, 0600), 0);
	return file;
}

static void write_certificate(const struct tls_maker *maker, const char *name, X509 *certificate)
{
	FILE *file = create(maker, name, ".pem");
	assert_int_equal(PEM_write_X509(file, certificate), 1);
	fclose(file);
}

static void write_key(const struct tls_maker *maker, const char *name, EVP_PKEY *key)
{
	FILE *file = create(maker, name, ".key");
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *new_certificate(
	struct tls_maker *maker, EVP_PKEY *key, const char *common_name, int days)
{
	X509 *certificate = X509_new();
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++maker->serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * DAY);
	X509_gmtime_adj(X509_getm_notAfter(certificate), (long)days * DAY);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
		(const unsigned char *)common_name, -1, -1, 0);
	return certificate;
}

void tls_maker_init(struct tls_maker *maker)
{
	*maker = (struct tls_maker){.directory = "/tmp/walrelay_tls_XXXXXX"};
	assert_non_null(mkdtemp(maker->directory));
	maker->authority_key = EVP_EC_gen("P-256");
	maker->authority = new_certificate(maker, maker->authority_key, maker->directory, 100);
	X509_set_issuer_name(maker->authority, X509_get_subject_name(maker->authority));
	add_extension(maker->authority, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(maker->authority, NID_key_usage, "critical,keyCertSign,cRLSign");
	assert_true(X509_sign(maker->authority, maker->authority_key, EVP_sha256()) > 0);
	write_certificate(maker, "ca", maker->authority);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
	(void)status;
	(void)kind;
	(void)ftw;
	return remove(path);
}

void tls_maker_release(struct tls_maker *maker)
{
	nftw(maker->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	X509_free(maker->authority);
	EVP_PKEY_free(maker->authority_key);
}

void tls_maker_issue(struct tls_maker *maker, const char *name, const char *common_name,
	const char *alternative_names, int days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = new_certificate(maker, key, common_name, days);
	X509_set_issuer_name(certificate, X509_get_subject_name(maker->authority));
	if (alternative_names != NULL) {
		add_extension(certificate, NID_subject_alt_name, alternative_names);
	}
	assert_true(X509_sign(certificate, maker->authority_key, EVP_sha256()) > 0);
	write_certificate(maker, name, certificate);
	write_key(maker, name, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

X509 *tls_maker_read(const struct tls_maker *maker, const char *name)
{
	char path[TLS_MAKER_PATH];
	snprintf(path, sizeof(path), "%s/%s.pem", maker->directory, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	assert_non_null(certificate);
	fclose(file);
	return certificate;
}

void tls_maker_revoke(struct tls_maker *maker, const char *name)
{
	X509 *certificate = tls_maker_read(maker, name);
	X509_CRL *list = X509_CRL_new();
	X509_REVOKED *revoked = X509_REVOKED_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, 0), *then = X509_gmtime_adj(NULL, DAY);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(maker->authority));
	X509_CRL_set1_lastUpdate(list, now);
	X509_CRL_set1_nextUpdate(list, then);
	X509_REVOKED_set_serialNumber(revoked, X509_get_serialNumber(certificate));
	X509_REVOKED_set_revocationDate(revoked, now);
	X509_CRL_add0_revoked(list, revoked);
	assert_true(X509_CRL_sign(list, maker->authority_key, EVP_sha256()) > 0);
	FILE *file = create(maker, "ca", ".crl");
	assert_int_equal(PEM_write_X509_CRL(file, list), 1);
	fclose(file);
	ASN1_TIME_free(now);
	ASN1_TIME_free(then);
	X509_CRL_free(list);
	X509_free(certificate);
}

SSL *tls_client_new(const struct tls_maker *maker, int fd, const char *certificate)
{
	char path[TLS_MAKER_PATH];
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (certificate != NULL) {
		snprintf(path, sizeof(path), "%s/%s.pem", maker->directory, certificate);
		assert_int_equal(SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM), 1);
		snprintf(path, sizeof(path), "%s/%s.key", maker->directory, certificate);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM), 1);
	}
	SSL *client = SSL_new(context);
	SSL_CTX_free(context);
	assert_int_equal(SSL_set_fd(client, fd), 1);
	SSL_set_connect_state(client);
	return client;
}

void tls_client_free(SSL *client)
{
	SSL_free(client);
}

bool tls_client_connect(SSL *client)
{
	return SSL_do_handshake(client) == 1;
}
