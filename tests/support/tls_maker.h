/*
 * tls_maker: an authority of a test's own, what it issues and what it takes back, as PEM files in a
 * scratch directory, and a client that shakes hands over a non-blocking socket.
 */
#ifndef SUPPORT_TLS_MAKER_H
#define SUPPORT_TLS_MAKER_H

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>

#define TLS_MAKER_PATH 128

struct tls_maker {
	char directory[64];
	EVP_PKEY *authority_key;
	X509 *authority; /* ca.pem */
	int serial;
};

void tls_maker_init(struct tls_maker *maker);
void tls_maker_release(struct tls_maker *maker);
void tls_maker_path(const struct tls_maker *maker, const char *name, char path_out[TLS_MAKER_PATH]);

/* NAME.pem and NAME.key, valid from now until so many days from now, which may lie in the past.
 * alternative_names: as in openssl.cnf; NULL: none. */
void tls_maker_issue(struct tls_maker *maker, const char *name, const char *common_name,
	const char *alternative_names, int days);
/* ca.crl with NAME.pem in it. */
void tls_maker_revoke(struct tls_maker *maker, const char *name);
X509 *tls_maker_read(const struct tls_maker *maker, const char *name);

/* A client's end over fd, which checks nobody. certificate: a NAME to show; NULL: none. */
SSL *tls_client_new(const struct tls_maker *maker, int fd, const char *certificate);
void tls_client_free(SSL *client);
/* Goes on with the handshake; true when it is done. */
bool tls_client_connect(SSL *client);

#endif
