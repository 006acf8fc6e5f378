/*
 * aws_query: libcurl signs; what is done about failures is decided by aws_judge().
 */
#include "cloud/aws_query.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CONNECT_TIMEOUT_MS 10000L
#define ANSWER_TIMEOUT_MS  60000L
#define PAUSE_FIRST_MS     1000L
#define PAUSE_MAX_MS       20000L
#define TRIES_USUAL        7
#define TRIES_AWAY         3
#define TRIES_MAX          100
#define TOKEN_NAME         "X-Amz-Security-Token: "

static const struct {
	const char *name;
	const char *version;
	const char *variable;
} services[] = {
	[AWS_EC2] = {"ec2", "2016-11-15", "AWS_ENDPOINT_URL_EC2"},
	[AWS_STS] = {"sts", "2011-06-15", "AWS_ENDPOINT_URL_STS"},
};

/* --- a form ------------------------------------------------------------------------------------
 */

static void put_escaped(FILE *out, const char *text)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
	for (; *text != '\0'; text++) {
		if (strchr(plain, *text) != NULL) {
			fputc(*text, out);
		} else {
			fprintf(out, "%%%02X", (unsigned char)*text);
		}
	}
}

void aws_form_add(struct aws_form *form, const char *key, const char *value)
{
	if (ftello(form->out) > 0) {
		fputc('&', form->out);
	}
	put_escaped(form->out, key);
	fputc('=', form->out);
	put_escaped(form->out, value);
}

void aws_form_init(struct aws_form *form, enum aws_service service, const char *action)
{
	*form = (struct aws_form){0};
	form->out = open_memstream(&form->text, &form->length);
	assert(form->out != NULL);
	aws_form_add(form, "Action", action);
	aws_form_add(form, "Version", services[service].version);
}

void aws_form_release(struct aws_form *form)
{
	fclose(form->out);
	free(form->text);
	*form = (struct aws_form){0};
}

/* --- where and when ----------------------------------------------------------------------------
 */

void aws_query_url(enum aws_service service, const char *region, const char *endpoint_url,
	char url_out[AWS_URL_SIZE])
{
	const char *candidates[] = {
		endpoint_url, getenv(services[service].variable), getenv("AWS_ENDPOINT_URL")};
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		if (candidates[i] != NULL && candidates[i][0] != '\0') {
			snprintf(url_out, AWS_URL_SIZE, "%s", candidates[i]);
			return;
		}
	}
	snprintf(url_out, AWS_URL_SIZE, "https://%s.%s.amazonaws.com%s/", services[service].name,
		region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

long aws_query_pause_ms(unsigned tries, unsigned chance)
{
	long pause = PAUSE_FIRST_MS;
	for (unsigned i = 1; i < tries && pause < PAUSE_MAX_MS; i++) {
		pause *= 2;
	}
	pause = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
	return pause / 2 + pause / 2 * (long)(chance & 0xff) / 0xff;
}

static unsigned tries_max(enum aws_verdict verdict)
{
	const char *text = getenv("AWS_MAX_ATTEMPTS");
	long tries = text != NULL ? strtol(text, NULL, 10) : 0;
	if (verdict == AWS_DONE || verdict == AWS_REFUSED) {
		return 0;
	}
	if (tries > 0 && tries <= TRIES_MAX) {
		return (unsigned)tries;
	}
	return verdict == AWS_AWAY ? TRIES_AWAY : TRIES_USUAL;
}

bool aws_query_wait(enum aws_verdict verdict, unsigned tries)
{
	unsigned char chance = 0;
	if (tries >= tries_max(verdict)) {
		return false;
	}
	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0) {
		chance = 0xff;
	}
	long pause = aws_query_pause_ms(tries, chance);
	struct timespec left = {pause / 1000, pause % 1000 * 1000000};
	while (nanosleep(&left, &left) != 0 && errno == EINTR) {
	}
	return true;
}

/* --- asking ------------------------------------------------------------------------------------
 */

void aws_reply_release(struct aws_reply *reply)
{
	web_answer_release(&reply->answer);
	*reply = (struct aws_reply){0};
}

static void say_refusal(const struct aws_reply *reply, struct error *err)
{
	const struct aws_fault *fault = &reply->fault;
	const char *advice = aws_advice(fault->code);
	if (fault->code[0] == '\0') {
		error_set(err, ERROR_SYSTEM, "the server answered with status %ld",
			reply->answer.status);
		return;
	}
	error_set(err, ERROR_DENIED, "%s: %s", fault->code, fault->message);
	if (advice != NULL) {
		error_hint(err, "%s", advice);
	}
}

static enum aws_verdict judge(enum web_result result, struct aws_reply *reply, struct error *err)
{
	switch (result) {
	case WEB_HOPELESS: return AWS_REFUSED;
	case WEB_NOT_SENT: return AWS_AWAY;
	case WEB_CUT: return AWS_UNSURE;
	case WEB_ANSWERED: break;
	}
	(void)aws_read_fault(reply->answer.bytes, reply->answer.length, &reply->fault);
	enum aws_verdict verdict = aws_judge(reply->answer.status, reply->fault.code);
	if (verdict != AWS_DONE) {
		say_refusal(reply, err);
	}
	return verdict;
}

enum aws_verdict aws_query_try(const struct aws_access *access, enum aws_service service,
	struct aws_form *form, struct aws_reply *reply_out, struct error *err)
{
	char url[AWS_URL_SIZE];
	char scope[64];
	const char *session_token = access->credentials.session_token;
	size_t size = sizeof(TOKEN_NAME) + (session_token != NULL ? strlen(session_token) : 0);
	char *token = memory_new(size);
	snprintf(token, size, TOKEN_NAME "%s", session_token != NULL ? session_token : "");
	aws_query_url(service, access->region, access->endpoint_url, url);
	snprintf(scope, sizeof(scope), "aws:amz:%s:%s", access->region, services[service].name);
	fflush(form->out);
	const struct web_request request = {
		.url = url,
		.body = form->text,
		.headers = {"Content-Type: application/x-www-form-urlencoded; charset=utf-8",
			session_token != NULL ? token : NULL},
		.sigv4 = scope,
		.user = access->credentials.access_key,
		.password = access->credentials.secret_key,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.timeout_ms = ANSWER_TIMEOUT_MS,
	};
	*reply_out = (struct aws_reply){0};
	enum web_result result = web_request_run(&request, &reply_out->answer, err);
	memory_wipe_text(&token);
	reply_out->verdict = judge(result, reply_out, err);
	if (reply_out->verdict != AWS_DONE) {
		error_wrap(err, "%s", services[service].name);
	}
	return reply_out->verdict;
}

bool aws_query(const struct aws_access *access, enum aws_service service, struct aws_form *form,
	struct aws_reply *reply_out, struct error *err)
{
	for (unsigned tries = 1;; tries++) {
		enum aws_verdict verdict = aws_query_try(access, service, form, reply_out, err);
		if (!aws_query_wait(verdict, tries)) {
			return verdict == AWS_DONE;
		}
		aws_reply_release(reply_out);
	}
}
