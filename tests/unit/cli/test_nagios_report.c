/*
 * nagios_report: a table of what relays say and what the plugin makes of it, and the published
 * rules of plugin output held against each line: states and exit codes, one line, one bar,
 * performance data as 'label'=value[UOM];[warn];[crit];[min];[max].
 */
#include "cli/nagios_report.h"

#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UPSTREAM(state) "\"upstream\": {\"state\": \"" state "\", \"last_error\": \"no | route\"}"
#define DESTINATION(name, state, rung, period, day, month)                                         \
	"{\"name\": \"" name "\", \"state\": \"" state "\", \"limit\": \"" rung                    \
	"\", \"limit_period\": \"" period "\", \"used_day_bytes\": " #day                          \
	", \"used_month_bytes\": " #month                                                          \
	", \"daily_limit_bytes\": 1048576, \"monthly_limit_bytes\": 10485760, \"warn_at\": 0.8, "  \
	"\"forecast_month_bytes\": 77, \"billed_bytes\": 5}"
#define STATUS(upstream, destinations)                                                             \
	"{" UPSTREAM(upstream) ", \"standbys\": [{}, {}], \"destinations\": [" destinations "]}"

#define FAR_OK DESTINATION("far", "ok", "ok", "month", 10, 20)

static const struct {
	const char *name;
	const char *status;
	const char *destination;
	enum nagios_exit state;
	const char *text; /* up to the bar */
} rows[] = {
	{"all well", STATUS("streaming", FAR_OK), NULL, NAGIOS_OK,
		"WALRELAY OK - far 20 B this month"},
	{"a warning by the day",
		STATUS("streaming",
			DESTINATION("far", "warning", "warning", "day", 943718, 943718)),
		NULL, NAGIOS_WARNING, "WALRELAY WARNING - far has used 922 kB of 1.00 MB today"},
	{"over, and nothing done",
		STATUS("streaming", DESTINATION("far", "warning", "over", "month", 0, 10485760)),
		"far", NAGIOS_CRITICAL,
		"WALRELAY CRITICAL - far has used 10.0 MB of 10.0 MB this month"},
	{"over and paused",
		STATUS("streaming", DESTINATION("far", "paused", "over", "day", 1048576, 0)), NULL,
		NAGIOS_CRITICAL,
		"WALRELAY CRITICAL - far has used 1.00 MB of 1.00 MB today, paused"},
	{"paused by hand", STATUS("streaming", DESTINATION("far", "paused", "ok", "day", 0, 0)),
		NULL, NAGIOS_WARNING, "WALRELAY WARNING - far is paused"},
	{"upstream away", STATUS("waiting", FAR_OK), NULL, NAGIOS_CRITICAL,
		"WALRELAY CRITICAL - upstream is waiting: no _ route"},
	{"upstream away, but only a destination asked for", STATUS("waiting", FAR_OK), "far",
		NAGIOS_OK, "WALRELAY OK - far 20 B this month"},
	{"the worst of two",
		STATUS("streaming",
			DESTINATION("a", "warning", "warning", "day", 9, 0) ", " DESTINATION(
				"b", "paused", "over", "day", 1048576, 0)),
		NULL, NAGIOS_CRITICAL,
		"WALRELAY CRITICAL - a has used 9 B of 1.00 MB today, b has used 1.00 MB of 1.00 "
		"MB today, paused"},
	{"no such destination", STATUS("streaming", FAR_OK), "near", NAGIOS_UNKNOWN,
		"WALRELAY UNKNOWN - there is no destination \"near\""},
	{"a name that would break the line",
		STATUS("streaming", DESTINATION("a='b|c\\n", "ok", "ok", "day", 1, 2)), NULL,
		NAGIOS_OK, "WALRELAY OK - a='b_c_ 2 B this month"},
};

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	int result = regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	if (result != 0) {
		fail_msg("\"%s\" does not match \"%s\"", text, pattern);
	}
}

/* Of the guidelines: https://www.monitoring-plugins.org/doc/guidelines.html#AEN201 */
static void assert_perfdata(char *perfdata)
{
	static const char pattern[] = "^'[^'=]+'=[0-9]+(B|c)?;[0-9]*;[0-9]*;[0-9]*$";
	char *end = NULL;
	while (*perfdata != '\0') {
		assert_int_equal(*perfdata, ' ');
		/* A label may hold blanks; its quotes say where it ends. */
		end = strchr(perfdata + 2, '\'');
		assert_non_null(end);
		end += strcspn(end, " ");
		char was = *end;
		*end = '\0';
		assert_matches(perfdata + 1, pattern);
		*end = was;
		perfdata = end;
	}
}

static void test_nagios_report__by_the_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char line[NAGIOS_LINE_SIZE];
		json_t *status = json_loads(rows[i].status, 0, NULL);
		assert_non_null(status);
		assert_int_equal(nagios_report(status, rows[i].destination, line), rows[i].state);
		json_decref(status);
		assert_null(strpbrk(line, "\r\n"));
		char *bar = strstr(line, " |");
		if (bar != NULL) {
			*bar = '\0';
			assert_null(strchr(bar + 2, '|'));
			assert_perfdata(bar + 2);
		}
		assert_string_equal(line, rows[i].text);
	}
}

static void test_nagios_report__thresholds_are_those_of_the_limits(void **state)
{
	(void)state;
	char line[NAGIOS_LINE_SIZE];
	json_t *status = json_loads(STATUS("streaming", FAR_OK), 0, NULL);
	assert_int_equal(nagios_report(status, NULL, line), NAGIOS_OK);
	json_decref(status);
	assert_string_equal(strchr(line, '|'),
		"| 'standbys'=2;;;0 'far day'=10B;838860;1048576;0 "
		"'far month'=20B;8388608;10485760;0 'far forecast'=77B;;;0 'far billed'=5c;;;0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nagios_report__by_the_rules),
		cmocka_unit_test(test_nagios_report__thresholds_are_those_of_the_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
