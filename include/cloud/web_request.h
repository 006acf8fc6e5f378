/*
 * web_request: one HTTP request by libcurl that blocks until its answer is there, or none comes.
 *
 * For commands, not for the relay. Certificates are verified against AWS_CA_BUNDLE or SSL_CERT_FILE
 * where the environment names one, else against the system's. Redirections are not followed. The
 * first request of a process makes libcurl wipe all memory that it frees, so that no secret stays
 * behind in it; no other use of libcurl may come before.
 */
#ifndef CLOUD_WEB_REQUEST_H
#define CLOUD_WEB_REQUEST_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define WEB_HEADERS_MAX      4
#define WEB_ANSWER_BYTES_MAX (4u << 20)

struct web_request {
	const char *url;                      /* http or https */
	const char *method;                   /* NULL: GET, or POST where there is a body */
	const char *body;                     /* NULL: none */
	const char *headers[WEB_HEADERS_MAX]; /* "Name: value"; the first NULL ends them */
	const char *sigv4;                    /* CURLOPT_AWS_SIGV4; NULL: not signed */
	const char *user;                     /* with sigv4: the access key and its secret */
	const char *password;
	long connect_timeout_ms;
	long timeout_ms; /* of the whole */
	bool is_direct;  /* past any proxy of the environment */
};

struct web_answer {
	long status; /* 0: none came */
	char *bytes; /* never NULL when one came, and followed by a 0 byte */
	size_t length;
};

enum web_result {
	WEB_ANSWERED, /* whatever the status */
	WEB_HOPELESS, /* the URL, or who is there, is not to be trusted: so it will be again */
	WEB_NOT_SENT, /* nobody was reached */
	WEB_CUT,      /* it was sent, perhaps, and no answer came, or not all of it */
};

/* err unless WEB_ANSWERED. The answer is to be released after any result. */
enum web_result web_request_run(
	const struct web_request *request, struct web_answer *answer_out, struct error *err);
/* Wipes it. */
void web_answer_release(struct web_answer *answer);

#endif
