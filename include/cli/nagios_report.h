/*
 * nagios_report: from what a relay says of itself (/api/status) to what a Nagios plugin prints.
 * Pure.
 *
 * Source: the Monitoring Plugins Development Guidelines (plugin output, return codes, performance
 * data 'label'=value[UOM];[warn];[crit];[min];[max]; a label has neither = nor ', and a line one
 * |).
 */
#ifndef CLI_NAGIOS_REPORT_H
#define CLI_NAGIOS_REPORT_H

#include <jansson.h>
#include <stddef.h>

enum nagios_exit { NAGIOS_OK, NAGIOS_WARNING, NAGIOS_CRITICAL, NAGIOS_UNKNOWN };

#define NAGIOS_LINE_SIZE 8192

/* destination NULL: all of them, and whether the relay receives. The line has no line feed. */
enum nagios_exit nagios_report(
	const json_t *status, const char *destination, char line_out[NAGIOS_LINE_SIZE]);

#endif
