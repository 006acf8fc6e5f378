/*
 * check_rules: what `check` looks at besides the configuration's text: the files and directories it
 * names, and the upstream.
 *
 * Each adds what it finds to the report, at the line of the option concerned.
 */
#ifndef CLI_CHECK_RULES_H
#define CLI_CHECK_RULES_H

#include "app/access.h"
#include "app/config.h"
#include "app/config_report.h"

#include <stdint.h>

/* Exists, ours, closed to others; or can be made. */
void check_data_directory(const struct config *config, struct config_report *report);
/* Dates of certificates, authorities and revocations; now: seconds since 1970. */
void check_certificates(const struct config *config, int64_t now, struct config_report *report);
/* What else is named can be read, or written. */
void check_other_files(const struct config *config, struct config_report *report);
/* URLs, secrets and authorities of [alerts]. */
void check_alerts(const struct config *config, struct config_report *report);
/* Warns where anybody could come in from anywhere without a password. */
void check_open_doors(
	const struct config *config, const struct access *access, struct config_report *report);
/* Asks every server of the conninfo, three seconds each; what it finds are warnings. */
void check_upstream(const struct config *config, struct config_report *report);

#endif
