/*
 * relay_target: where a command finds the relay it speaks to over PostgreSQL's protocol: as the
 * user's conninfo says, or by the relay's own configuration.
 */
#ifndef CLI_RELAY_TARGET_H
#define CLI_RELAY_TARGET_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* A conninfo, malloc'ed. Exactly one of the two is given, or none: the usual port on this machine.
 * By a configuration it is the Unix socket when the relay has one, else its first address; with
 * as_admin the user is the first of admin_users, unless PGUSER says otherwise. */
char *relay_target_conninfo(
	const char *config_file, const char *conninfo, bool as_admin, struct error *err) MUST_CHECK;
/* Of a relay's `listen`, "host=... port=..."; for tests. */
bool relay_target_address(
	const char *listen, char *conninfo_out, size_t size, struct error *err) MUST_CHECK;

#endif
