/*
 * pin_cloud: credentials for a request, and a pin that gets another name.
 */
#include "cli/pin_cloud.h"

#include "cli/relay_console.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECONNECTS        10
#define RECONNECT_SECONDS 2
#define STATE_EXISTS      "42710"

const char *pin_region(const struct pin_request *request)
{
	const char *candidates[] = {
		request->region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION")};
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		if (candidates[i] != NULL && candidates[i][0] != '\0') {
			return candidates[i];
		}
	}
	return NULL;
}

bool pin_access(const struct pin_request *request, const char *region,
	struct aws_access *access_out, struct error *err)
{
	struct aws_access access = {.region = region, .endpoint_url = request->endpoint_url};
	if (!aws_credentials_find(request->profile, &access.credentials, err)) {
		return false;
	}
	*access_out = access;
	return true;
}

/* False and ERROR_SYSTEM: it may have been done, and the relay is away. */
static bool replace_once(PGconn *connection, const char *old_name, const char *new_name, lsn_t lsn,
	const char *time, struct error *err)
{
	char statement[PIN_STATEMENT_SIZE];
	pin_statement(new_name, lsn, time, statement);
	if (!relay_console_run(connection, statement, NULL, err) &&
		strcmp(err->sqlstate, STATE_EXISTS) != 0) {
		return false;
	}
	pin_drop_statement(old_name, statement);
	return relay_console_run(connection, statement, NULL, err);
}

bool pin_replace(const struct pin_request *request, PGconn **connection, const char *old_name,
	const char *new_name, lsn_t lsn, const char *time, struct error *err)
{
	for (int tries = 0; tries < RECONNECTS; tries++) {
		if (*connection != NULL &&
			replace_once(*connection, old_name, new_name, lsn, time, err)) {
			return true;
		}
		if (*connection != NULL && err->kind == ERROR_DENIED) {
			return false;
		}
		PQfinish(*connection);
		sleep(tries > 0 ? RECONNECT_SECONDS : 0);
		*connection = relay_console_open(request->config_file, request->conninfo, err);
	}
	return false;
}
