/*
 * pin_cloud: what the actions of `walrelay pin` that need EC2 have in common.
 */
#ifndef CLI_PIN_CLOUD_H
#define CLI_PIN_CLOUD_H

#include "base/error.h"
#include "cli/pin_request.h"
#include "cloud/aws_query.h"

#include <libpq-fe.h>
#include <stdbool.h>

/* The tag that is one snapshot's alone: its value is the name of the first pin. */
#define PIN_TAG "walrelay:pin"

/* Of the request, else of the environment; NULL: of neither. */
const char *pin_region(const struct pin_request *request);
/* Credentials, and where to go with them; aws_credentials_release() them. */
bool pin_access(const struct pin_request *request, const char *region,
	struct aws_access *access_out, struct error *err) MUST_CHECK;
/* A pin of a snapshot in place of the one under which it was taken. The connection is made anew
 * when it is lost, for as long as a relay takes to start again. */
bool pin_replace(const struct pin_request *request, PGconn **connection, const char *old_name,
	const char *new_name, lsn_t lsn, const char *time, struct error *err) MUST_CHECK;

#endif
