/*
 * check: `walrelay check -c FILE`: what would be in force, or everything that is wrong.
 *
 * Standard output is a configuration file again (secrets masked); errors and warnings go to
 * standard error, one a line.
 */
#include "app/access.h"
#include "app/config.h"
#include "cli/check_rules.h"
#include "cli/commands.h"
#include "cli/config_file.h"

#include <getopt.h>
#include <stdio.h>
#include <time.h>

static void print_help(FILE *out)
{
	(void)fputs("usage: walrelay check -c FILE\n"
		    "\n"
		    "Read the configuration and everything it names, and print what would be in\n"
		    "force; or print every error, one a line, and exit 2.\n"
		    "\n"
		    "  -c FILE      the configuration file\n"
		    "  --offline    do not connect to the upstream\n"
		    "  --help       show this help\n",
		out);
}

static void check_all(const struct config *config, bool is_offline, struct config_report *report)
{
	struct access access = {0};

	if (access_load(config, report, &access)) {
		if (report->error_count == 0) {
			check_open_doors(config, &access, report);
		}
		access_release(&access);
	}
	if (config->relay.data_dir != NULL) {
		check_data_directory(config, report);
	}
	check_certificates(config, (int64_t)time(NULL), report);
	check_other_files(config, report);
	check_alerts(config, report);
	if (!is_offline && report->error_count == 0) {
		check_upstream(config, report);
	}
}

static int check(const char *path, bool is_offline)
{
	struct config_report report = {0};
	struct config *config = config_load_anyway(path, &config_file_conninfo, &report);
	bool ok;

	if (config != NULL) {
		check_all(config, is_offline, &report);
	}
	ok = report.error_count == 0;
	config_report_write(&report, stderr);
	if (ok) {
		config_write(config, stdout);
	}
	config_report_release(&report);
	config_free(&config);
	return ok ? CLI_DONE : CLI_FAILED;
}

int cli_check(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"offline", no_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	const char *path = NULL;
	bool is_offline = false;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c': path = optarg; break;
		case 'o': is_offline = true; break;
		case 'h': print_help(stdout); return CLI_DONE;
		default: print_help(stderr); return CLI_FAILED;
		}
	}
	if (path == NULL || optind < argc) {
		(void)fputs("walrelay check: give the configuration file with -c FILE\n", stderr);
		return CLI_FAILED;
	}
	return check(path, is_offline);
}
