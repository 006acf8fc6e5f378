/*
 * config_report: a growing list of problems.
 */
#include "app/config_report.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>

void config_report_release(struct config_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		free(report->problems[i].file);
		free(report->problems[i].message);
	}
	free(report->problems);
	*report = (struct config_report){0};
}

static void add(struct config_report *report, const char *file, unsigned line, bool is_warning,
	const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

static void add(struct config_report *report, const char *file, unsigned line, bool is_warning,
	const char *format, va_list arguments)
{
	struct config_problem *problem;

	report->problems = memory_grow(report->problems, report->count, sizeof(*problem));
	problem = &report->problems[report->count++];
	problem->file = memory_copy_text(file);
	problem->line = line;
	problem->is_warning = is_warning;
	if (vasprintf(&problem->message, format, arguments) < 0) {
		abort();
	}
	report->error_count += is_warning ? 0 : 1;
}

void config_report_error(
	struct config_report *report, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(report, file, line, false, format, arguments);
	va_end(arguments);
}

void config_report_warning(
	struct config_report *report, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(report, file, line, true, format, arguments);
	va_end(arguments);
}

void config_report_sort(struct config_report *report)
{
	/* Insertion: stable, and reports are short or in order already. */
	for (size_t i = 1; i < report->count; i++) {
		struct config_problem moving = report->problems[i];
		size_t at = i;

		while (at > 0 && report->problems[at - 1].line > moving.line) {
			report->problems[at] = report->problems[at - 1];
			at--;
		}
		report->problems[at] = moving;
	}
}

char *config_problem_text(const struct config_problem *problem)
{
	char *text;

	/* Editors and scripts that jump to a line count from 1. */
	if (asprintf(&text, "%s:%u: %s%s", problem->file, problem->line == 0 ? 1 : problem->line,
		    problem->is_warning ? "warning: " : "", problem->message) < 0) {
		abort();
	}
	return text;
}

void config_report_write(const struct config_report *report, FILE *out)
{
	for (size_t i = 0; i < report->count; i++) {
		char *text = config_problem_text(&report->problems[i]);

		(void)fprintf(out, "%s\n", text);
		free(text);
	}
}

void config_report_log(const struct config_report *report)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct config_problem *problem = &report->problems[i];
		char *text = config_problem_text(problem);

		log_write(problem->is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
			"configuration", "%s", text);
		free(text);
	}
}

bool config_report_refuse(const struct config_report *report, struct error *err)
{
	(void)error_set(
		err, ERROR_INVALID, "the new configuration has errors, the old one stays in force");
	for (size_t i = 0; i < report->count; i++) {
		if (!report->problems[i].is_warning) {
			char *text = config_problem_text(&report->problems[i]);

			(void)error_detail(err, "%s", text);
			free(text);
			break;
		}
	}
	(void)error_hint(err, "\"walrelay check\" and the log tell every error.");
	return error_sqlstate(err, "F0000");
}
