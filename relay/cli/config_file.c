/*
 * config_file: one way to read it for all commands.
 */
#include "cli/config_file.h"

#include <stdio.h>

#include "upstream/upstream.h"

const struct config_conninfo config_file_conninfo = {
	.is_valid = upstream_conninfo_is_valid,
	.masked = upstream_conninfo_masked,
};

struct config *config_file_load(const char *path, bool tells_warnings)
{
	struct config_report report = {0};
	struct config *config = config_load(path, &config_file_conninfo, &report);
	if (config == NULL || tells_warnings) {
		config_report_write(&report, stderr);
	}
	config_report_release(&report);
	return config;
}
