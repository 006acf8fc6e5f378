/*
 * session_settings: what a client asked for in its startup packet, and what it is told back.
 *
 * A walsender accepts any setting (GUC) that exists and refuses others; only wal_sender_timeout
 * changes what the relay does, a few are echoed. Pure functions.
 * Source: PostgreSQL documentation, "Server Configuration" and "StartupMessage";
 * src/backend/utils/init/postinit.c process_startup_options.
 */
#ifndef DOWNSTREAM_SESSION_SETTINGS_H
#define DOWNSTREAM_SESSION_SETTINGS_H

#include "base/error.h"
#include "protocol/pg_message.h"
#include "spool/cluster.h"

#include <stdbool.h>
#include <stdint.h>

#define SETTING_TIMEOUT_UNSET INT64_C(-1)

struct session_settings {
	char user[PG_NAME_BYTES_MAX + 1];
	char database[PG_NAME_BYTES_MAX + 1];         /* the user's name when not given */
	char application_name[PG_NAME_BYTES_MAX + 1]; /* other than printable ASCII shown as "?" */
	char client_encoding[32];                     /* "": not asked */
	char time_zone[64];                           /* "": not asked */
	enum startup_replication replication;
	int64_t wal_sender_timeout_us; /* SETTING_TIMEOUT_UNSET: not asked */
};

/* Who and what for: user, database, replication. Errors carry the SQLSTATE of a FATAL that comes
 * before authentication. */
bool session_settings_read_identity(const struct startup_packet *packet,
	struct session_settings *settings_out, struct error *err) MUST_CHECK;
/* Everything else, "options" included. Errors carry the SQLSTATE of a FATAL that comes after
 * AuthenticationOk. */
bool session_settings_read_rest(const struct startup_packet *packet,
	struct session_settings *settings, struct error *err) MUST_CHECK;

/* The ParameterStatus messages of a physical walsender of the cluster's version. */
void session_settings_write_parameters(const struct session_settings *settings,
	const struct cluster_parameters *cluster, struct wire_writer *writer);

/* What holds in the console whatever was asked for: UTF8, ISO dates in UTC, orders are taken, and
 * the version of PostgreSQL that it speaks like where none is known yet. */
void session_settings_for_console(
	struct session_settings *settings, struct cluster_parameters *cluster);

/* "60s", "5000" (ms), "1min", "1.5 h", as PostgreSQL reads times whose unit is ms. */
bool setting_time_parse(const char *text, int64_t *us_out) MUST_CHECK;

#endif
