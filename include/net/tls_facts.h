/*
 * tls_facts: what a finished handshake says of the two ends: whose certificate the client showed
 * and what binds a password exchange to ours.
 *
 * A client is whom its certificate names: the common name of its subject, and the DNS names and
 * mail addresses among its alternative names, each taken letter by letter. A name with a zero byte
 * in it is none.
 */
#ifndef NET_TLS_FACTS_H
#define NET_TLS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ssl_st;
struct x509_st;

/* EVP_MAX_MD_SIZE of OpenSSL. */
#define TLS_BINDING_BYTES_MAX 64

struct tls_names {
	char **texts;
	size_t count;
};

struct tls_facts {
	bool has_protocol;           /* the client asked for our ALPN protocol */
	bool has_client_certificate; /* and it was verified */
	struct tls_names names;      /* of that certificate */
	/* tls-server-end-point of RFC 5929: the digest of our certificate; length 0: its signature
	 * algorithm has none. */
	uint8_t binding[TLS_BINDING_BYTES_MAX];
	size_t binding_length;
	char version[16]; /* "TLSv1.3" */
	char cipher[48];  /* OpenSSL's name of it */
};

/* ssl is past its handshake. */
void tls_facts_read(struct tls_facts *facts_out, struct ssl_st *ssl);
void tls_facts_release(struct tls_facts *facts);

void tls_names_read(struct tls_names *names_out, struct x509_st *certificate);
void tls_names_release(struct tls_names *names);

#endif
