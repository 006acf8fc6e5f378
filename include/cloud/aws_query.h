/*
 * aws_query: one action of an AWS Query API: a signed form, sent again while that may help.
 *
 * Where a service is: the given URL, else AWS_ENDPOINT_URL_EC2 or AWS_ENDPOINT_URL_STS, else
 * AWS_ENDPOINT_URL, else the region's own. How often an action is tried at most: AWS_MAX_ATTEMPTS.
 */
#ifndef CLOUD_AWS_QUERY_H
#define CLOUD_AWS_QUERY_H

#include "base/error.h"
#include "cloud/aws_answer.h"
#include "cloud/aws_credentials.h"
#include "cloud/web_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define AWS_URL_SIZE 512

enum aws_service { AWS_EC2, AWS_STS };

struct aws_access {
	const char *region;
	const char *endpoint_url; /* NULL: as above */
	struct aws_credentials credentials;
};

/* The parameters of an action. */
struct aws_form {
	char *text;
	size_t length;
	FILE *out;
};
void aws_form_init(struct aws_form *form, enum aws_service service, const char *action);
void aws_form_add(struct aws_form *form, const char *key, const char *value);
void aws_form_release(struct aws_form *form);

struct aws_reply {
	enum aws_verdict verdict;
	struct web_answer answer;
	struct aws_fault fault; /* code "": there is none that AWS would write */
};

/* Once. err, with what to do, unless AWS_DONE; the reply is to be released. */
enum aws_verdict aws_query_try(const struct aws_access *access, enum aws_service service,
	struct aws_form *form, struct aws_reply *reply_out, struct error *err);
/* Of an action that does no harm when it is done twice: until it is refused or tried often enough.
 */
bool aws_query(const struct aws_access *access, enum aws_service service, struct aws_form *form,
	struct aws_reply *reply_out, struct error *err) MUST_CHECK;
void aws_reply_release(struct aws_reply *reply);

/* Waits before another try; false: another would not help, or it was tried often enough (tries: how
 * often, from 1 on), which is sooner where nobody was reached. */
bool aws_query_wait(enum aws_verdict verdict, unsigned tries);
/* Between half of it and all of 1, 2, 4 ... 20 seconds, by chance (0 to 255). Pure. */
long aws_query_pause_ms(unsigned tries, unsigned chance);
/* Where the service is; region: valid. */
void aws_query_url(enum aws_service service, const char *region, const char *endpoint_url,
	char url_out[AWS_URL_SIZE]);

#endif
