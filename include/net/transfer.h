/*
 * transfer: requests to servers elsewhere, by HTTP and SMTP (libcurl), many at once on one loop.
 *
 * Names are resolved on threads of libcurl's own; nothing here waits. Certificates are verified
 * against the authorities a request names, else the system's, or those in the file that
 * SSL_CERT_FILE names, as OpenSSL has it. A mail server's password never goes there in clear. Its loop must not be one that serves
 * standbys: TLS handshakes take milliseconds. Errors name no path or query of a URL, which may hold
 * secrets.
 */
#ifndef NET_TRANSFER_H
#define NET_TRANSFER_H

#include "base/error.h"
#include "net/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transfer;

enum transfer_kind {
	TRANSFER_GET,  /* follows redirections */
	TRANSFER_POST, /* follows none */
	TRANSFER_MAIL,
};

/* All of it is copied. */
struct transfer_request {
	enum transfer_kind kind;
	const char *url;          /* http, https; smtp, smtps for mail */
	const char *user;         /* NULL: none */
	const char *password;     /* NULL: none; mail then goes over TLS or not at all */
	const char *bearer;       /* NULL: none; a token for HTTP's Authorization */
	const char *authorities;  /* PEM file whose authorities are believed, no others; NULL: see above */
	const char *content_type; /* TRANSFER_POST */
	const void *body;         /* of a mail: header and text, lines ending with CRLF */
	size_t body_length;
	const char *mail_from; /* bare addresses; mail_to is a list with commas */
	const char *mail_to;
	int64_t timeout_us;      /* of the whole; 0: none */
	size_t answer_bytes_max; /* a longer answer is a failure; 0: what comes is thrown away */
};

struct transfer_answer {
	bool ok;           /* an HTTP status of 2xx, or a mail that the server took over */
	long status;       /* HTTP's or SMTP's last; 0: none came */
	const void *bytes; /* of the answer; not ended by a 0; belongs to the call */
	size_t length;
	struct error err; /* when it is not ok */
};

/* On the loop, once for each request, never from inside transfer_submit(). */
typedef void transfer_done(void *context, const struct transfer_answer *answer);

/* On the loop's thread, or before it runs. */
struct transfer *transfer_open(struct loop *loop, struct error *err) MUST_CHECK;
/* On the loop's thread, but not from transfer_done, or when it no longer runs. What is under way is
 * broken off, and told so. Accepts NULL, sets NULL. */
void transfer_close(struct transfer **transfer);

/* On the loop's thread, or when it does not run yet. */
void transfer_submit(struct transfer *transfer, const struct transfer_request *request,
	transfer_done *done, void *context);

#endif
