/*
 * session_settings: startup parameters in, ParameterStatus out. Nothing here is believed: the names
 * are bounded, the values that are echoed are cut to what fits.
 */
#include "downstream/session_settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "downstream/console_service.h"
#include "downstream/setting_names.h"

#define OPTION_NAME_SIZE  128
#define OPTION_VALUE_SIZE 512

bool setting_time_parse(const char *text, int64_t *us_out)
{
	static const struct {
		const char *name;
		double us;
	} units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 60e6}, {"h", 3600e6},
		{"d", 86400e6}, {"", 1e3}};
	char *end;
	/* strtod would also take "inf", "nan" and hexadecimal. */
	const char *digits = text + strspn(text, " \t+");
	if (!isdigit((unsigned char)*digits) && *digits != '.') {
		return false;
	}
	double number = strtod(digits, &end);
	size_t blanks = strspn(end, " \t");
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t length = strlen(units[i].name);
		const char *unit = end + blanks;
		if (strncmp(unit, units[i].name, length) != 0 ||
			unit[length + strspn(unit + length, " \t")] != '\0') {
			continue;
		}
		double ms = number * units[i].us / 1e3 + 0.5;
		if (ms > INT32_MAX) {
			return false;
		}
		*us_out = (int64_t)ms * 1000;
		return true;
	}
	return false;
}

static void copy_name(char *out, size_t size, const char *value)
{
	snprintf(out, size, "%s", value);
}

bool session_settings_read_identity(const struct startup_packet *packet,
	struct session_settings *settings_out, struct error *err)
{
	struct session_settings settings = {.wal_sender_timeout_us = SETTING_TIMEOUT_UNSET};
	const char *replication = startup_parameter_find(packet, "replication");
	const char *user = startup_parameter_find(packet, "user");
	const char *database = startup_parameter_find(packet, "database");
	if (replication != NULL && !startup_replication_parse(replication, &settings.replication)) {
		error_set(err, ERROR_INVALID, "invalid value for parameter \"%s\": \"%.64s\"",
			"replication", replication);
		error_sqlstate(err, "22023");
		return error_hint(
			err, "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
	}
	if (user == NULL || *user == '\0') {
		error_set(err, ERROR_DENIED, "no PostgreSQL user name specified in startup packet");
		return error_sqlstate(err, "28000");
	}
	copy_name(settings.user, sizeof(settings.user), user);
	copy_name(settings.database, sizeof(settings.database),
		database != NULL && *database != '\0' ? database : user);
	*settings_out = settings;
	return true;
}

/* Names in logs and statistics: as PostgreSQL's clean_ascii. */
static void copy_printable(char *out, size_t size, const char *value)
{
	size_t length = 0;
	for (; value[length] != '\0' && length + 1 < size; length++) {
		char c = value[length];
		out[length] = c < 32 || c > 126 ? '?' : c;
	}
	out[length] = '\0';
}

static bool apply(
	struct session_settings *settings, const char *name, const char *value, struct error *err)
{
	if (!setting_is_known(name)) {
		error_set(err, ERROR_NOT_FOUND, "unrecognized configuration parameter \"%.127s\"",
			name);
		return error_sqlstate(err, "42704");
	}
	if (strcasecmp(name, "wal_sender_timeout") == 0 &&
		!setting_time_parse(value, &settings->wal_sender_timeout_us)) {
		error_set(err, ERROR_INVALID, "invalid value for parameter \"%s\": \"%.127s\"",
			"wal_sender_timeout", value);
		error_sqlstate(err, "22023");
		return error_hint(err, "Valid units for this parameter are \"us\", \"ms\", \"s\", "
				       "\"min\", \"h\", and \"d\".");
	}
	if (strcasecmp(name, "application_name") == 0) {
		copy_printable(
			settings->application_name, sizeof(settings->application_name), value);
	} else if (strcasecmp(name, "client_encoding") == 0) {
		copy_printable(settings->client_encoding, sizeof(settings->client_encoding), value);
	} else if (strcasecmp(name, "timezone") == 0) {
		copy_printable(settings->time_zone, sizeof(settings->time_zone), value);
	}
	return true;
}

static bool apply_options(struct session_settings *settings, const char *options, struct error *err)
{
	char name[OPTION_NAME_SIZE];
	char value[OPTION_VALUE_SIZE];
	size_t at = 0;
	enum decode_result result;
	while ((result = startup_option_next(
			options, &at, name, sizeof(name), value, sizeof(value))) == DECODE_OK) {
		if (!apply(settings, name, value, err)) {
			return false;
		}
	}
	if (result == DECODE_BAD) {
		error_set(err, ERROR_INVALID, "invalid command-line argument for server process");
		return error_sqlstate(err, "42601");
	}
	return true;
}

bool session_settings_read_rest(
	const struct startup_packet *packet, struct session_settings *settings, struct error *err)
{
	static const char *const not_settings[] = {"user", "database", "replication", "options"};
	const char *options = startup_parameter_find(packet, "options");
	const char *name;
	const char *value;
	size_t at = 0;
	/* Parameters of their own win over the same in "options", as in PostgreSQL. */
	if (options != NULL && !apply_options(settings, options, err)) {
		return false;
	}
	while (startup_parameter_next(packet, &at, &name, &value)) {
		bool is_setting = strncmp(name, "_pq_.", 5) != 0;
		for (size_t i = 0; i < sizeof(not_settings) / sizeof(not_settings[0]); i++) {
			is_setting = is_setting && strcmp(name, not_settings[i]) != 0;
		}
		if (is_setting && !apply(settings, name, value, err)) {
			return false;
		}
	}
	return true;
}

static const char *or_else(const char *value, const char *otherwise)
{
	return value[0] != '\0' ? value : otherwise;
}

void session_settings_write_parameters(const struct session_settings *settings,
	const struct cluster_parameters *cluster, struct wire_writer *writer)
{
	const char *in_recovery = or_else(cluster->in_hot_standby, "off");
	const char *read_only = or_else(cluster->default_transaction_read_only, "off");
	const char *time_zone = or_else(settings->time_zone, cluster->time_zone);
	const struct {
		const char *name;
		const char *value;
		int since_version;
	} parameters[] = {
		{"application_name", settings->application_name, 0},
		{"client_encoding", or_else(settings->client_encoding, "SQL_ASCII"), 0},
		{"DateStyle", "ISO, MDY", 0},
		{"default_transaction_read_only", read_only, 140000},
		{"in_hot_standby", in_recovery, 140000},
		{"integer_datetimes", or_else(cluster->integer_datetimes, "on"), 0},
		{"IntervalStyle", "postgres", 0},
		{"is_superuser", "off", 0},
		{"scram_iterations", "4096", 160000},
		{"search_path", "\"$user\", public", 180000},
		{"server_encoding", or_else(cluster->server_encoding, "SQL_ASCII"), 0},
		{"server_version", cluster->server_version, 0},
		{"session_authorization", settings->user, 0},
		{"standard_conforming_strings", "on", 0},
		{"TimeZone", time_zone, 0},
	};
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
		if (cluster->server_version_num >= parameters[i].since_version) {
			pg_write_parameter_status(writer, parameters[i].name, parameters[i].value);
		}
	}
}

void session_settings_for_console(
	struct session_settings *settings, struct cluster_parameters *cluster)
{
	copy_name(settings->client_encoding, sizeof(settings->client_encoding), "UTF8");
	copy_name(settings->time_zone, sizeof(settings->time_zone), "UTC");
	copy_name(cluster->server_encoding, sizeof(cluster->server_encoding), "UTF8");
	copy_name(cluster->time_zone, sizeof(cluster->time_zone), "UTC");
	copy_name(cluster->in_hot_standby, sizeof(cluster->in_hot_standby), "off");
	copy_name(cluster->default_transaction_read_only,
		sizeof(cluster->default_transaction_read_only), "off");
	if (cluster->server_version_num == 0) {
		cluster->server_version_num = CONSOLE_SERVER_VERSION_NUM;
		copy_name(cluster->server_version, sizeof(cluster->server_version),
			CONSOLE_SERVER_VERSION);
	}
}
