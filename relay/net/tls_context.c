/*
 * One SSL_CTX. Every file is tried, also after one that failed, so that all problems are reported
 * at once; what is read is what is used, so there is nothing to change between a check and its use.
 */
#include "net/tls_context.h"

#include "base/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Forward secrecy and authenticated encryption only; 1.3 has no others. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"
/* A chain of a few; nobody has shown yet that he may make us hold more. */
#define CLIENT_CHAIN_BYTES_MAX 32768
#define PROTOCOL_BYTES_MAX     32u

struct tls_context {
	atomic_uint references;
	SSL_CTX *native;
	unsigned char protocol[PROTOCOL_BYTES_MAX + 1]; /* its length, and it */
};

struct loading {
	const struct tls_options *options;
	SSL_CTX *native;
	tls_report *report;
	void *context;
	bool has_failed;
};

__attribute__((format(printf, 3, 4))) static void fail(
	struct loading *loading, enum tls_file file, const char *format, ...)
{
	char message[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	loading->has_failed = true;
	loading->report(loading->context, file, message);
	ERR_clear_error();
}

static const char *last_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	return reason != NULL ? reason : "unknown failure";
}

static FILE *open_file(struct loading *loading, enum tls_file file, const char *path)
{
	FILE *opened = fopen(path, "re");
	if (opened == NULL) {
		fail(loading, file, "could not read \"%s\": %s", path, strerror(errno));
	}
	return opened;
}

static int no_passphrase(char *buffer, int size, int is_writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)is_writing;
	(void)context;
	return 0;
}

/* --- our own --------------------------------------------------------------------------------- */

static void use_chain(struct loading *loading, FILE *file)
{
	X509 *issuer;
	while ((issuer = PEM_read_X509(file, NULL, no_passphrase, NULL)) != NULL) {
		if (SSL_CTX_add0_chain_cert(loading->native, issuer) != 1) {
			X509_free(issuer);
			break;
		}
	}
	ERR_clear_error();
}

static void use_certificate(struct loading *loading)
{
	const char *path = loading->options->certificate;
	FILE *file = open_file(loading, TLS_CERTIFICATE, path);
	if (file == NULL) {
		return;
	}
	X509 *certificate = PEM_read_X509_AUX(file, NULL, no_passphrase, NULL);
	if (certificate == NULL) {
		fail(loading, TLS_CERTIFICATE, "\"%s\" holds no certificate in PEM form", path);
	} else if (SSL_CTX_use_certificate(loading->native, certificate) != 1) {
		fail(loading, TLS_CERTIFICATE, "could not use the certificate in \"%s\": %s", path,
			last_reason());
	} else {
		use_chain(loading, file);
	}
	X509_free(certificate);
	(void)fclose(file);
}

/* As PostgreSQL: root's key may be readable by a group. */
static void check_mode(struct loading *loading, FILE *file, const char *path)
{
	struct stat status;
	if (fstat(fileno(file), &status) == 0 &&
		(status.st_mode & (status.st_uid == 0 ? 037 : 077)) != 0) {
		fail(loading, TLS_KEY,
			"\"%s\" has mode %04o and must be closed to others (chmod 0600)", path,
			status.st_mode & 07777);
	}
}

static void use_key(struct loading *loading)
{
	const char *path = loading->options->key;
	FILE *file = open_file(loading, TLS_KEY, path);
	if (file == NULL) {
		return;
	}
	/* No buffer of stdio's keeps what was the key. */
	setvbuf(file, NULL, _IONBF, 0);
	check_mode(loading, file, path);
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, no_passphrase, NULL);
	(void)fclose(file);
	if (key == NULL) {
		fail(loading, TLS_KEY,
			"\"%s\" holds no private key in PEM form without a passphrase", path);
	} else if (SSL_CTX_use_PrivateKey(loading->native, key) != 1 &&
		   SSL_CTX_get0_certificate(loading->native) != NULL) {
		fail(loading, TLS_KEY, "\"%s\" is not the key of the certificate in \"%s\"", path,
			loading->options->certificate);
	}
	EVP_PKEY_free(key);
}

/* --- the clients' ---------------------------------------------------------------------------- */

static void use_client_ca(struct loading *loading)
{
	const char *path = loading->options->client_ca;
	if (*path == '\0') {
		return;
	}
	FILE *file = open_file(loading, TLS_CLIENT_CA, path);
	if (file == NULL) {
		return;
	}
	(void)fclose(file);
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
	if (names == NULL || SSL_CTX_load_verify_file(loading->native, path) != 1) {
		fail(loading, TLS_CLIENT_CA, "\"%s\" holds no certificate in PEM form", path);
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return;
	}
	SSL_CTX_set_client_CA_list(loading->native, names);
	SSL_CTX_set_verify(loading->native, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
}

static void use_crl(struct loading *loading)
{
	const char *path = loading->options->crl;
	X509_STORE *store = SSL_CTX_get_cert_store(loading->native);
	unsigned count = 0;
	FILE *file = *path != '\0' ? open_file(loading, TLS_CRL, path) : NULL;
	if (file == NULL) {
		return;
	}
	X509_CRL *list;
	while ((list = PEM_read_X509_CRL(file, NULL, no_passphrase, NULL)) != NULL) {
		count += X509_STORE_add_crl(store, list) == 1;
		X509_CRL_free(list);
	}
	(void)fclose(file);
	ERR_clear_error();
	if (count == 0) {
		fail(loading, TLS_CRL, "\"%s\" holds no revocation list in PEM form", path);
	}
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

/* --- the whole ------------------------------------------------------------------------------- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
	const unsigned char *in, unsigned in_length, void *context)
{
	(void)ssl;
	const struct tls_context *tls = context;
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, out_length, tls->protocol, tls->protocol[0] + 1u, in,
		    in_length) != OPENSSL_NPN_NEGOTIATED) {
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void set_manners(SSL_CTX *native, const struct tls_options *options)
{
	SSL_CTX_set_min_proto_version(
		native, options->is_1_3_only ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(native, CIPHERS_1_2);
	SSL_CTX_set_options(
		native, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_num_tickets(native, 0);
	SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(native, CLIENT_CHAIN_BYTES_MAX);
	/* Many records a system call; and no message of theirs is followed by another unasked. */
	SSL_CTX_set_read_ahead(native, 1);
	SSL_CTX_clear_mode(native, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(native, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

struct tls_context *tls_context_load(
	const struct tls_options *options, tls_report *report, void *context)
{
	struct tls_context *tls = memory_new(sizeof(*tls));
	size_t protocol_length = strlen(options->protocol);
	ERR_clear_error();
	tls->native = SSL_CTX_new(TLS_server_method());
	if (tls->native == NULL || protocol_length > PROTOCOL_BYTES_MAX) {
		abort();
	}
	atomic_init(&tls->references, 1);
	tls->protocol[0] = (unsigned char)protocol_length;
	memcpy(tls->protocol + 1, options->protocol, protocol_length);
	struct loading loading = {
		.options = options, .native = tls->native, .report = report, .context = context};
	set_manners(tls->native, options);
	SSL_CTX_set_alpn_select_cb(tls->native, choose_protocol, tls);
	use_certificate(&loading);
	use_key(&loading);
	use_client_ca(&loading);
	use_crl(&loading);
	if (loading.has_failed) {
		tls_context_unref(&tls);
	}
	return tls;
}

struct tls_context *tls_context_ref(struct tls_context *tls)
{
	atomic_fetch_add(&tls->references, 1);
	return tls;
}

void tls_context_unref(struct tls_context **tls)
{
	struct tls_context *gone = *tls;
	*tls = NULL;
	if (gone != NULL && atomic_fetch_sub(&gone->references, 1) == 1) {
		SSL_CTX_free(gone->native);
		free(gone);
	}
}

struct ssl_ctx_st *tls_context_native(const struct tls_context *tls)
{
	return tls->native;
}
