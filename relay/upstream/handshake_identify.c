/*
 * handshake_identify: who the server is, how it is set up, and that it is the one we know.
 */
#include "upstream/handshake_step.h"

#include "base/log.h"
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_OLDEST         100000
#define VERSION_DIRECTORY_MODE 110000
#define VERSION_SLOT_KEEP      130000

static int version(const struct upstream_handshake *handshake)
{
	return upstream_session_server_version(handshake->options.session);
}

static enum step_begin begin_identify(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->has_asked) {
		return STEP_DONE;
	}
	if (version(handshake) < VERSION_OLDEST) {
		error_set(err, ERROR_INVALID,
			"upstream runs PostgreSQL \"%s\"; 10 is the oldest supported",
			upstream_session_parameter(handshake->options.session, "server_version"));
		handshake_refuse(handshake, UPSTREAM_FAILURE_UNUSABLE);
		return STEP_FAILED;
	}
	return handshake_ask(handshake, err, "IDENTIFY_SYSTEM");
}

static bool parse_number(const char *text, uint64_t max, uint64_t *number_out)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || number > max) {
		return false;
	}
	*number_out = number;
	return true;
}

static bool take_identify(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	uint64_t tli;
	const char *lsn;

	if (PQntuples(rows) != 1 || PQnfields(rows) < 3) {
		return error_set(err, ERROR_INVALID,
			"upstream answered IDENTIFY_SYSTEM with %d rows of %d columns",
			PQntuples(rows), PQnfields(rows));
	}
	lsn = PQgetvalue(rows, 0, 2);
	if (!parse_number(
		    PQgetvalue(rows, 0, 0), UINT64_MAX, &handshake->identity.system_identifier) ||
		!parse_number(PQgetvalue(rows, 0, 1), UINT32_MAX, &tli) || tli == 0 ||
		!lsn_parse(lsn, strlen(lsn), &handshake->server_lsn)) {
		return error_set(err, ERROR_INVALID,
			"upstream answered IDENTIFY_SYSTEM with \"%s\", \"%s\", \"%s\"",
			PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 1), lsn);
	}
	handshake->server_tli = (tli_t)tli;
	return true;
}

const struct handshake_step handshake_identify_system = {
	.command = "IDENTIFY_SYSTEM",
	.begin = begin_identify,
	.on_rows = take_identify,
};

/* --- settings -------------------------------------------------------------------------------- */

static bool take_setting(const PGresult *rows, char *value_out, size_t size, struct error *err)
{
	if (PQntuples(rows) != 1 || PQnfields(rows) < 1 ||
		(size_t)PQgetlength(rows, 0, 0) >= size) {
		return error_set(err, ERROR_INVALID, "upstream answered SHOW with no usable value");
	}
	snprintf(value_out, size, "%s", PQgetvalue(rows, 0, 0));
	return true;
}

static enum step_begin begin_segment_size(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->has_asked || handshake->is_again) {
		return STEP_DONE;
	}
	return handshake_ask(handshake, err, "SHOW wal_segment_size");
}

static bool take_segment_size(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	char *text = handshake->parameters.wal_segment_size_text;
	uint64_t bytes;

	if (!take_setting(rows, text, sizeof(handshake->parameters.wal_segment_size_text), err)) {
		return false;
	}
	if (!units_parse_size(text, &bytes) || !wal_segment_bytes_is_valid(bytes)) {
		error_set(err, ERROR_INVALID, "upstream has a wal_segment_size of \"%s\"", text);
		return handshake_refuse(handshake, UPSTREAM_FAILURE_UNUSABLE);
	}
	handshake->identity.segment_bytes = (uint32_t)bytes;
	return true;
}

const struct handshake_step handshake_show_segment_size = {
	.command = "SHOW wal_segment_size",
	.begin = begin_segment_size,
	.on_rows = take_segment_size,
};

static enum step_begin begin_directory_mode(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->has_asked || handshake->is_again ||
		version(handshake) < VERSION_DIRECTORY_MODE) {
		return STEP_DONE;
	}
	return handshake_ask(handshake, err, "SHOW data_directory_mode");
}

static bool take_directory_mode(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	return take_setting(rows, handshake->parameters.data_directory_mode,
		sizeof(handshake->parameters.data_directory_mode), err);
}

static bool is_unknown_setting(
	struct upstream_handshake *handshake, const char *sqlstate, const char *message)
{
	(void)handshake;
	(void)message;
	return strcmp(sqlstate, "42704") == 0;
}

const struct handshake_step handshake_show_directory_mode = {
	.command = "SHOW data_directory_mode",
	.begin = begin_directory_mode,
	.on_rows = take_directory_mode,
	.on_error = is_unknown_setting,
};

static enum step_begin begin_slot_keep(struct upstream_handshake *handshake, struct error *err)
{
	if (handshake->has_asked || handshake->is_again || version(handshake) < VERSION_SLOT_KEEP) {
		return STEP_DONE;
	}
	return handshake_ask(handshake, err, "SHOW max_slot_wal_keep_size");
}

static bool take_slot_keep(
	struct upstream_handshake *handshake, const PGresult *rows, struct error *err)
{
	char text[32];
	uint64_t bytes;

	if (!take_setting(rows, text, sizeof(text), err)) {
		return false;
	}
	if (strcmp(text, "-1") == 0) {
		handshake->max_slot_wal_keep_bytes = -1;
	} else if (units_parse_size(text, &bytes) && bytes <= INT64_MAX) {
		handshake->max_slot_wal_keep_bytes = (int64_t)bytes;
	}
	return true;
}

const struct handshake_step handshake_show_slot_keep_size = {
	.command = "SHOW max_slot_wal_keep_size",
	.begin = begin_slot_keep,
	.on_rows = take_slot_keep,
	.on_error = is_unknown_setting,
};

/* --- pinning --------------------------------------------------------------------------------- */

#define COPY_PARAMETER(handshake, field)                                                           \
	snprintf((handshake)->parameters.field, sizeof((handshake)->parameters.field), "%s",       \
		upstream_session_parameter((handshake)->options.session, #field))

static void copy_parameters(struct upstream_handshake *handshake)
{
	struct cluster_parameters *parameters = &handshake->parameters;

	COPY_PARAMETER(handshake, server_version);
	COPY_PARAMETER(handshake, server_encoding);
	COPY_PARAMETER(handshake, integer_datetimes);
	COPY_PARAMETER(handshake, in_hot_standby);
	COPY_PARAMETER(handshake, default_transaction_read_only);
	snprintf(parameters->time_zone, sizeof(parameters->time_zone), "%s",
		upstream_session_parameter(handshake->options.session, "TimeZone"));
	parameters->server_version_num = version(handshake);
}

static enum step_begin begin_pin(struct upstream_handshake *handshake, struct error *err)
{
	if (!cluster_pin_identity(handshake->options.cluster, &handshake->identity, err)) {
		handshake_refuse(handshake, upstream_failure_of_error(err));
		return STEP_FAILED;
	}
	copy_parameters(handshake);
	cluster_set_parameters(handshake->options.cluster, &handshake->parameters);
	return STEP_DONE;
}

const struct handshake_step handshake_pin = {
	.command = "pin",
	.begin = begin_pin,
};
