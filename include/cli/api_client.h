/*
 * api_client: asks a running relay over HTTP, for the commands that show what it says of itself.
 */
#ifndef CLI_API_CLIENT_H
#define CLI_API_CLIENT_H

#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>

#define API_URL_USUAL "http://127.0.0.1:9871"
#define API_URL_SIZE  512

/* Where the relay of a configuration file is to be asked: at the first address of its http_listen,
 * at the loopback address where that is any. Faults of the file go to standard error. */
bool api_url_of_config(const char *path, char url_out[API_URL_SIZE], struct error *err) MUST_CHECK;

/* path: with the query; NULL and err on failure, also when the relay answers with one. The caller
 * owns the object. */
json_t *api_get(
	const char *url, const char *path, long timeout_seconds, struct error *err) MUST_CHECK;
/* Appends "&key=value" or "?key=value" to path, escaped; nothing for a NULL value. */
void api_add_query(char *path, size_t size, const char *key, const char *value);

#endif
