/* Tests of observe/status_alerts: the JSON of alerts and channels. */
#include "support/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "observe/status_alerts.h"

static void check_text(json_t *value, const char *expected)
{
	char *text = json_dumps(value, JSON_COMPACT);
	assert_string_equal(text, expected);
	free(text);
	json_decref(value);
}

static void test_status_alerts__says_what_is_on(void **state)
{
	(void)state;
	struct alert_entry alert = {.kind = ALERT_SPOOL_FULL,
		.is_raised = true,
		.since_us = INT64_C(1772000000000000),
		.told_us = INT64_C(1772000060000000),
		.subject = "spool",
		.text = "the spool is full"};
	struct snapshot snapshot = {.alerts = &alert, .alert_count = 1};
	check_text(status_alerts(&snapshot),
		"[{\"alert\":\"spool_full\",\"severity\":\"critical\",\"subject\":\"spool\","
		"\"since\":\"2026-02-25T06:13:20Z\",\"told_at\":\"2026-02-25T06:14:20Z\","
		"\"text\":\"the spool is full\",\"advice\":\"Nothing is received until there is "
		"room; the upstream keeps the WAL meanwhile.\"}]");
	snapshot.alert_count = 0;
	check_text(status_alerts(&snapshot), "[]");
}

static void test_status_alerts__says_how_telling_goes(void **state)
{
	(void)state;
	struct snapshot snapshot = {.alert_count = 0};
	snapshot.alert_channels[ALERT_MAIL] = (struct alert_channel_stats){.is_configured = true,
		.delivered = 5,
		.failures = 4,
		.dropped = 3,
		.pending = 2,
		.last_error = "no"};
	check_text(status_alert_channels(&snapshot),
		"{\"mail\":{\"delivered\":5,\"failures\":4,\"dropped\":3,\"pending\":2,"
		"\"last_error\":\"no\"},\"webhook\":null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_alerts__says_what_is_on),
		cmocka_unit_test(test_status_alerts__says_how_telling_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
