/*
 * web_request: one easy handle a request.
 */
#include "cloud/web_request.h"

#include "base/memory.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static void init_library(void)
{
	curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, memory_free_wiped, memory_realloc_wiped,
		strdup, calloc);
}

/* --- a request ---------------------------------------------------------------------------------
 */

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct web_answer *answer = context;
	size_t length = size * count;
	if (length > WEB_ANSWER_BYTES_MAX - answer->length) {
		return 0;
	}
	char *grown = memory_realloc_wiped(answer->bytes, answer->length + length + 1);
	if (grown == NULL) {
		return 0;
	}
	memcpy(grown + answer->length, bytes, length);
	answer->bytes = grown;
	answer->length += length;
	grown[answer->length] = '\0';
	return length;
}

static const char *authorities(void)
{
	const char *path = getenv("AWS_CA_BUNDLE");
	if (path == NULL || path[0] == '\0') {
		path = getenv("SSL_CERT_FILE");
	}
	return path != NULL && path[0] != '\0' ? path : NULL;
}

static struct curl_slist *headers_of(const struct web_request *request)
{
	struct curl_slist *list = NULL;
	for (size_t i = 0; i < WEB_HEADERS_MAX && request->headers[i] != NULL; i++) {
		list = curl_slist_append(list, request->headers[i]);
	}
	return list;
}

static void set_options(CURL *curl, const struct web_request *request)
{
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "walrelay/" WALRELAY_VERSION);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms);
	if (authorities() != NULL) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, authorities());
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (request->is_direct) {
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	}
	if (request->body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
	}
	if (request->method != NULL) {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	}
	if (request->sigv4 != NULL) {
		curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, request->sigv4);
		curl_easy_setopt(curl, CURLOPT_USERNAME, request->user);
		curl_easy_setopt(curl, CURLOPT_PASSWORD, request->password);
	}
}

static enum web_result judge(CURLcode code)
{
	switch (code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE: return WEB_HOPELESS;
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR: return WEB_NOT_SENT;
	default: return WEB_CUT;
	}
}

enum web_result web_request_run(
	const struct web_request *request, struct web_answer *answer_out, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char reason[CURL_ERROR_SIZE] = "";
	pthread_once(&once, init_library);
	*answer_out = (struct web_answer){0};
	CURL *curl = curl_easy_init();
	if (curl == NULL) {
		error_set(err, ERROR_SYSTEM, "could not initialize libcurl");
		return WEB_NOT_SENT;
	}
	struct curl_slist *headers = headers_of(request);
	set_options(curl, request);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer_out);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer_out->status);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	if (code == CURLE_OK) {
		if (answer_out->bytes == NULL) {
			answer_out->bytes = memory_copy_text("");
		}
		return WEB_ANSWERED;
	}
	answer_out->status = 0;
	error_set(err, ERROR_SYSTEM, "%s", reason[0] != '\0' ? reason : curl_easy_strerror(code));
	return judge(code);
}

void web_answer_release(struct web_answer *answer)
{
	memory_free_wiped(answer->bytes);
	*answer = (struct web_answer){0};
}
