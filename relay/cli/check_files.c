/*
 * check_files: directories and files the configuration names.
 */
#include "cli/check_rules.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned line_of(const struct config *config, const char *section, const char *key)
{
	return config_line(config, section, key);
}

static void check_parent(
	const struct config *config, const char *path, unsigned line, struct config_report *report)
{
	char copy[4096];
	const char *parent;

	(void)snprintf(copy, sizeof(copy), "%s", path);
	parent = dirname(copy);
	if (access(parent, W_OK | X_OK) != 0) {
		config_report_error(report, config->file, line,
			"directory \"%s\" does not exist and cannot be made in \"%s\": %s", path,
			parent, strerror(errno));
	}
}

void check_data_directory(const struct config *config, struct config_report *report)
{
	const char *path = config->relay.data_dir;
	unsigned line = line_of(config, "relay", "data_dir");
	struct stat status;

	if (stat(path, &status) != 0) {
		if (errno == ENOENT) {
			check_parent(config, path, line, report);
		} else {
			config_report_error(report, config->file, line,
				"could not look at data directory \"%s\": %s", path,
				strerror(errno));
		}
		return;
	}
	if (!S_ISDIR(status.st_mode)) {
		config_report_error(report, config->file, line, "\"%s\" is not a directory", path);
		return;
	}
	if ((status.st_mode & 077) != 0) {
		config_report_error(report, config->file, line,
			"data directory \"%s\" has mode %04o: it holds the database's contents and "
			"must be closed to others (chmod 0700)",
			path, status.st_mode & 07777);
	}
	/* Whoever is root may look after somebody else's. */
	if (geteuid() != 0 && status.st_uid != geteuid()) {
		config_report_error(report, config->file, line,
			"data directory \"%s\" belongs to user %u, not to user %u who would use it",
			path, status.st_uid, geteuid());
	}
}

static void check_readable(const struct config *config, const char *section, const char *key,
	const char *path, struct config_report *report)
{
	unsigned line = line_of(config, section, key);
	struct stat status;

	if (*path == '\0' || strstr(path, "://") != NULL) {
		return;
	}
	if (access(path, R_OK) != 0 || stat(path, &status) != 0) {
		config_report_error(report, config->file, line,
			"could not read \"%s\" (\"%s\"): %s", path, key, strerror(errno));
	} else if (!S_ISREG(status.st_mode)) {
		config_report_error(
			report, config->file, line, "\"%s\" (\"%s\") is not a file", path, key);
	}
}

void check_other_files(const struct config *config, struct config_report *report)
{
	const char *log_file = config->relay.log_file;

	check_readable(config, "egress", "ip_ranges", config->egress.ip_ranges, report);
	if (*log_file == '\0') {
		return;
	}
	if (access(log_file, W_OK) != 0) {
		if (errno == ENOENT) {
			check_parent(
				config, log_file, line_of(config, "relay", "log_file"), report);
		} else {
			config_report_error(report, config->file,
				line_of(config, "relay", "log_file"),
				"could not write \"%s\" (\"log_file\"): %s", log_file,
				strerror(errno));
		}
	}
}
