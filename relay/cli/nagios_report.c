/*
 * nagios_report: the worst of all findings is the state, and is told first.
 */
#include "cli/nagios_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/human.h"

#define TEXT_SIZE (NAGIOS_LINE_SIZE / 2)

struct report {
	enum nagios_exit state;
	char problems[TEXT_SIZE / 2];
	char standing[TEXT_SIZE / 2 - 64];
	char perfdata[TEXT_SIZE];
};

static void append(char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What does not fit whole is left out. */
static void append(char *text, size_t size, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;
	va_start(arguments, format);
	int added = vsnprintf(text + length, size - length, format, arguments);
	va_end(arguments);
	if (added < 0 || (size_t)added >= size - length) {
		text[length] = '\0';
	}
}

static void replace(char *text, const char *unwanted)
{
	for (text += strcspn(text, unwanted); *text != '\0'; text += strcspn(text, unwanted)) {
		*text = '_';
	}
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "";
}

static void find(struct report *report, enum nagios_exit state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void find(struct report *report, enum nagios_exit state, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	append(report->problems, sizeof(report->problems), "%s%s",
		report->problems[0] != '\0' ? ", " : "", text);
	if (state > report->state) {
		report->state = state;
	}
}

/* value: with unit and thresholds, behind the sign of equality. */
static void add_perfdata(
	struct report *report, const char *name, const char *what, const char *value)
{
	char label[256];
	snprintf(label, sizeof(label), "%s %s", name, what);
	replace(label, "='|\r\n");
	append(report->perfdata, sizeof(report->perfdata), " '%s'=%s", label, value);
}

static void add_bytes(struct report *report, const char *name, const char *what, uint64_t bytes,
	uint64_t warn, uint64_t limit)
{
	char value[96];
	if (limit != 0) {
		snprintf(value, sizeof(value), "%" PRIu64 "B;%" PRIu64 ";%" PRIu64 ";0", bytes,
			warn, limit);
	} else {
		snprintf(value, sizeof(value), "%" PRIu64 "B;;;0", bytes);
	}
	add_perfdata(report, name, what, value);
}

/* A counter, from which graphs make a rate. */
static void add_counter(struct report *report, const char *name, const char *what, uint64_t bytes)
{
	char value[96];
	snprintf(value, sizeof(value), "%" PRIu64 "c;;;0", bytes);
	add_perfdata(report, name, what, value);
}

static void judge_limits(struct report *report, const json_t *destination)
{
	const char *name = text_of(destination, "name");
	const char *rung = text_of(destination, "limit");
	const char *state = text_of(destination, "state");
	bool is_month = strcmp(text_of(destination, "limit_period"), "month") == 0;
	bool is_slowed = strcmp(state, "paused") == 0 || strcmp(state, "throttled") == 0;
	char used[HUMAN_SIZE], limit[HUMAN_SIZE];
	if (strcmp(rung, "ok") == 0) {
		if (is_slowed) {
			find(report, NAGIOS_WARNING, "%s is %s", name, state);
		}
		return;
	}
	find(report, strcmp(rung, "over") == 0 ? NAGIOS_CRITICAL : NAGIOS_WARNING,
		"%s has used %s of %s %s%s%s", name,
		human_bytes(number(destination, is_month ? "used_month_bytes" : "used_day_bytes"),
			used),
		human_bytes(
			number(destination, is_month ? "monthly_limit_bytes" : "daily_limit_bytes"),
			limit),
		is_month ? "this month" : "today", is_slowed ? ", " : "", is_slowed ? state : "");
}

static void take_destination(struct report *report, const json_t *destination)
{
	const char *name = text_of(destination, "name");
	uint64_t daily = number(destination, "daily_limit_bytes");
	uint64_t monthly = number(destination, "monthly_limit_bytes");
	double warn_at = json_number_value(json_object_get(destination, "warn_at"));
	uint64_t month = number(destination, "used_month_bytes");
	char used[HUMAN_SIZE];
	judge_limits(report, destination);
	append(report->standing, sizeof(report->standing), "%s%s %s this month",
		report->standing[0] != '\0' ? ", " : "", name, human_bytes(month, used));
	add_bytes(report, name, "day", number(destination, "used_day_bytes"),
		(uint64_t)((double)daily * warn_at), daily);
	add_bytes(report, name, "month", month, (uint64_t)((double)monthly * warn_at), monthly);
	add_bytes(report, name, "forecast", number(destination, "forecast_month_bytes"), 0, 0);
	add_counter(report, name, "billed", number(destination, "billed_bytes"));
}

static void take_upstream(struct report *report, const json_t *status)
{
	const json_t *upstream = json_object_get(status, "upstream");
	const json_t *standbys = json_object_get(status, "standbys");
	const char *state = text_of(upstream, "state");
	if (strcmp(state, "streaming") != 0) {
		const char *reason = text_of(upstream, "last_error");
		find(report, NAGIOS_CRITICAL, "upstream is %s%s%s", state,
			reason[0] != '\0' ? ": " : "", reason);
	}
	append(report->perfdata, sizeof(report->perfdata), " 'standbys'=%zu;;;0",
		json_array_size(standbys));
}

enum nagios_exit nagios_report(
	const json_t *status, const char *destination, char line_out[NAGIOS_LINE_SIZE])
{
	static const char *const states[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
	const json_t *destinations = json_object_get(status, "destinations");
	struct report report = {0};
	bool is_found = destination == NULL;
	if (destination == NULL) {
		take_upstream(&report, status);
	}
	for (size_t i = 0; i < json_array_size(destinations); i++) {
		const json_t *item = json_array_get(destinations, i);
		if (destination == NULL || strcmp(destination, text_of(item, "name")) == 0) {
			is_found = true;
			take_destination(&report, item);
		}
	}
	if (!is_found) {
		find(&report, NAGIOS_UNKNOWN, "there is no destination \"%s\"", destination);
	}
	replace(report.problems, "|\r\n");
	replace(report.standing, "|\r\n");
	snprintf(line_out, NAGIOS_LINE_SIZE, "WALRELAY %s - %s%s%s", states[report.state],
		report.problems[0] != '\0' ? report.problems : report.standing,
		report.perfdata[0] != '\0' ? " |" : "", report.perfdata);
	return report.state;
}
