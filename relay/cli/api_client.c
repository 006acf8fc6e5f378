/*
 * api_client: one blocking request by libcurl; a relay is asked directly, whatever proxy the
 * environment names.
 */
#include "cli/api_client.h"

#include "app/config.h"
#include "base/memory.h"
#include "cli/config_file.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_BYTES_MAX (64u << 20)

struct answer {
	char *bytes;
	size_t length;
};

/* "0.0.0.0:9871, [::1]:9871" -> "127.0.0.1:9871" */
static bool first_address(const char *addresses, char *address_out, size_t size, struct error *err)
{
	size_t length = strcspn(addresses, ", \t");
	const char *host = addresses;
	if (length == 0) {
		return error_set(err, ERROR_NOT_FOUND, "\"http_listen\" is off");
	}
	if (*addresses == '/') {
		return error_set(err, ERROR_INVALID,
			"\"http_listen\" begins with a Unix socket, which is not asked");
	}
	size_t host_length = length;
	while (host_length > 0 && host[host_length - 1] != ':') {
		host_length--;
	}
	const char *port = addresses + host_length;
	if (strncmp(host, "0.0.0.0:", 8) == 0 || strncmp(host, "*:", 2) == 0) {
		snprintf(address_out, size, "127.0.0.1:%.*s", (int)(length - host_length), port);
	} else if (strncmp(host, "[::]:", 5) == 0) {
		snprintf(address_out, size, "[::1]:%.*s", (int)(length - host_length), port);
	} else {
		snprintf(address_out, size, "%.*s", (int)length, addresses);
	}
	return true;
}

bool api_url_of_config(const char *path, char url_out[API_URL_SIZE], struct error *err)
{
	char address[256];
	struct config *config = config_file_load(path, false);
	if (config == NULL) {
		return error_set(
			err, ERROR_INVALID, "configuration file \"%s\" contains errors", path);
	}
	bool ok = first_address(config->relay.http_listen, address, sizeof(address), err);
	config_free(&config);
	if (ok) {
		snprintf(url_out, API_URL_SIZE, "http://%s", address);
	}
	return ok;
}

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	size_t length = size * count;
	if (length > ANSWER_BYTES_MAX - answer->length) {
		return 0;
	}
	char *grown = realloc(answer->bytes, answer->length + length + 1);
	if (grown == NULL) {
		return 0;
	}
	memcpy(grown + answer->length, bytes, length);
	answer->bytes = grown;
	answer->length += length;
	return length;
}

static bool request(const char *url, long timeout_seconds, struct answer *answer, long *status_out,
	struct error *err)
{
	CURL *curl = curl_easy_init();
	char reason[CURL_ERROR_SIZE] = "";
	if (curl == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_seconds);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status_out);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ||
	       error_set(err, ERROR_SYSTEM, "could not ask the relay at \"%s\": %s", url,
		       reason[0] != '\0' ? reason : curl_easy_strerror(code));
}

json_t *api_get(const char *url, const char *path, long timeout_seconds, struct error *err)
{
	char whole[2 * API_URL_SIZE];
	struct answer answer = {0};
	long status = 0;
	json_t *object = NULL;
	size_t length = strlen(url);
	while (length > 0 && url[length - 1] == '/') {
		length--;
	}
	snprintf(whole, sizeof(whole), "%.*s%s", (int)length, url, path);
	if (!request(whole, timeout_seconds, &answer, &status, err)) {
		goto done;
	}
	object = json_loadb(answer.bytes != NULL ? answer.bytes : "", answer.length, 0, NULL);
	if (status != 200 || !json_is_object(object)) {
		const char *said = json_string_value(json_object_get(object, "error"));
		error_set(err, ERROR_INVALID, "the server at \"%s\" answers %ld%s%s", whole, status,
			said != NULL    ? ": "
			: status == 200 ? ", but as no relay does"
					: "",
			said != NULL ? said : "");
		json_decref(object);
		object = NULL;
	}
done:
	free(answer.bytes);
	return object;
}

void api_add_query(char *path, size_t size, const char *key, const char *value)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	size_t length = strlen(path);
	if (value == NULL) {
		return;
	}
	length += (size_t)snprintf(
		path + length, size - length, "%c%s=", strchr(path, '?') == NULL ? '?' : '&', key);
	for (; *value != '\0' && length + 4 < size; value++) {
		length += (size_t)snprintf(path + length, size - length,
			strchr(plain, *value) != NULL ? "%c" : "%%%02X", (unsigned char)*value);
	}
}
