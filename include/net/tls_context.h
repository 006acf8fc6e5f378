/*
 * tls_context: the certificates of this end and what it asks of clients, as read from their files.
 *
 * Immutable after loading; references are counted, on any thread. A reload loads another one, and
 * whoever shook hands by the old one keeps it. As PostgreSQL: no session is ever resumed (no
 * tickets, no cache), none renegotiated, nothing compressed; a client that shows a certificate
 * which does not verify is refused, one that shows none is let through to what the rules say.
 */
#ifndef NET_TLS_CONTEXT_H
#define NET_TLS_CONTEXT_H

#include <stdbool.h>

struct ssl_ctx_st;
struct tls_context;

enum tls_file { TLS_CERTIFICATE, TLS_KEY, TLS_CLIENT_CA, TLS_CRL };

struct tls_options {
	const char *certificate; /* PEM, with the chain behind it */
	const char *key;         /* PEM without a passphrase, closed to others */
	const char *client_ca;   /* PEM; "": clients are not asked for certificates */
	const char *crl;         /* PEM, revocations by those authorities; "": none are looked at */
	bool is_1_3_only;        /* else 1.2 and 1.3 */
	const char *protocol; /* what ALPN answers; a client that asks for others only is refused */
};

/* message names the file. */
typedef void tls_report(void *context, enum tls_file file, const char *message);

/* NULL after every problem has been reported. */
struct tls_context *tls_context_load(
	const struct tls_options *options, tls_report *report, void *context);
struct tls_context *tls_context_ref(struct tls_context *tls);
/* Accepts NULL, sets NULL. */
void tls_context_unref(struct tls_context **tls);

/* Borrowed; for transport_tls. */
struct ssl_ctx_st *tls_context_native(const struct tls_context *tls);

#endif
