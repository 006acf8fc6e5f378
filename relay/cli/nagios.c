/*
 * walrelay nagios: a plugin for Nagios, Icinga and what else speaks their plugin interface.
 *
 * Whatever goes wrong is UNKNOWN, with its reason on standard output, where a checker looks; so is
 * --help, as the guidelines have it.
 */
#include "cli/nagios_report.h"

#include "cli/api_options.h"
#include "cli/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_USUAL 10
#define TIMEOUT_MAX   3600

enum { OPTION_DESTINATION = 0x100 };

static void print_help(void)
{
	puts("usage: walrelay nagios [-c FILE | --url URL] [--destination D] [-t SECONDS]\n"
	     "\n"
	     "A Nagios plugin: one line with performance data; exit 0 OK, 1 WARNING, 2 CRITICAL,\n"
	     "3 UNKNOWN.\n"
	     "\n"
	     "  -c FILE           the relay's configuration file, for its http_listen\n"
	     "  --url URL         where it is; default " API_URL_USUAL "\n"
	     "  --destination D   only this one; else all, and whether the relay receives\n"
	     "  -t, --timeout SECONDS   for the relay to answer; default 10\n"
	     "  -V, --version     show the version\n"
	     "  --help            show this help");
}

static int unknown(const char *reason)
{
	char line[600];
	snprintf(line, sizeof(line), "%s", reason);
	for (char *at = line; (at = strpbrk(at, "|\r\n")) != NULL;) {
		*at = ' ';
	}
	printf("WALRELAY UNKNOWN - %s\n", line);
	return NAGIOS_UNKNOWN;
}

int cli_nagios(int argc, char **argv)
{
	const char *destination = NULL, *timeout_text = NULL;
	bool wants_version = false, is_verbose = false;
	const struct api_option options[] = {
		{"destination", OPTION_DESTINATION, &destination, NULL},
		{"timeout", 't', &timeout_text, NULL},
		{"version", 'V', NULL, &wants_version},
		{"verbose", 'v', NULL, &is_verbose},
	};
	char url[API_URL_SIZE], line[NAGIOS_LINE_SIZE];
	struct error err = {0};
	enum api_options_result result = api_options_read(
		argc, argv, options, sizeof(options) / sizeof(options[0]), url, &err);
	if (result == API_OPTIONS_HELP || (result == API_OPTIONS_OK && wants_version)) {
		if (result == API_OPTIONS_HELP) {
			print_help();
		} else {
			puts("walrelay " WALRELAY_VERSION);
		}
		return NAGIOS_UNKNOWN;
	}
	if (result == API_OPTIONS_WRONG) {
		return unknown(err.message);
	}
	long timeout = timeout_text != NULL ? atol(timeout_text) : TIMEOUT_USUAL;
	if (timeout < 1 || timeout > TIMEOUT_MAX) {
		return unknown("the timeout is a number of seconds, 1 to 3600");
	}
	json_t *status = api_get(url, "/api/status", timeout, &err);
	if (status == NULL) {
		return unknown(err.message);
	}
	enum nagios_exit state = nagios_report(status, destination, line);
	json_decref(status);
	puts(line);
	return (int)state;
}
