/*
 * console_settings: a table; what is told in the startup packet's answers is told here too.
 */
#include "observe/console_settings.h"

#include <stdio.h>
#include <strings.h>

const char *console_setting_find(const char *name, const struct cluster_parameters *cluster,
	const struct console_peer *peer, char value_out[CONSOLE_SETTING_SIZE])
{
	bool is_known = cluster->server_version_num != 0;
	char version_num[16];
	snprintf(version_num, sizeof(version_num), "%d",
		is_known ? cluster->server_version_num : CONSOLE_SERVER_VERSION_NUM);
	const struct {
		const char *name;
		const char *value;
	} settings[] = {
		{"application_name", peer->application_name},
		{"client_encoding", "UTF8"},
		{"DateStyle", "ISO, MDY"},
		{"default_transaction_read_only", "off"},
		{"extra_float_digits", "1"},
		{"in_hot_standby", "off"},
		{"integer_datetimes", "on"},
		{"IntervalStyle", "postgres"},
		{"is_superuser", "off"},
		{"lc_messages", "C"},
		{"max_identifier_length", "63"},
		{"search_path", "\"$user\", public"},
		{"server_encoding", "UTF8"},
		{"server_version", is_known ? cluster->server_version : CONSOLE_SERVER_VERSION},
		{"server_version_num", version_num},
		{"session_authorization", peer->user},
		{"standard_conforming_strings", "on"},
		{"statement_timeout", "0"},
		{"TimeZone", "UTC"},
		{"transaction_isolation", "read committed"},
		{"transaction_read_only", "off"},
	};
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (strcasecmp(name, settings[i].name) == 0) {
			snprintf(value_out, CONSOLE_SETTING_SIZE, "%s", settings[i].value);
			return settings[i].name;
		}
	}
	return NULL;
}
