/*
 * config_report: the errors and warnings found in a configuration and in the files it names.
 *
 * In the order of their lines, each with its file. A warning never makes a configuration invalid.
 */
#ifndef APP_CONFIG_REPORT_H
#define APP_CONFIG_REPORT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config_problem {
	char *file;
	unsigned line; /* 0: the file as a whole */
	bool is_warning;
	char *message;
};

struct config_report {
	struct config_problem *problems;
	size_t count;
	size_t error_count;
};

/* A zeroed struct is an empty report. */
void config_report_release(struct config_report *report);
void config_report_error(struct config_report *report, const char *file, unsigned line,
	const char *format, ...) PRINTF_LIKE(4, 5);
void config_report_warning(struct config_report *report, const char *file, unsigned line,
	const char *format, ...) PRINTF_LIKE(4, 5);
/* By line; what concerns one line stays in the order in which it was found. */
void config_report_sort(struct config_report *report);
/* "FILE:LINE: message" or "FILE:LINE: warning: message", malloc'ed. */
char *config_problem_text(const struct config_problem *problem);
/* Each problem a line of the log. */
void config_report_log(const struct config_report *report);
/* Why the whole is refused, with the first error; SQLSTATE F0000. Returns false. */
bool config_report_refuse(const struct config_report *report, struct error *err);
/* One problem a line. */
void config_report_write(const struct config_report *report, FILE *out);

#endif
