/* Tests of observe/metrics_alerts: what is on, and channels that are there. */
#include "support/cmocka_all.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "observe/metrics_alerts.h"

static char *render(const struct snapshot *snapshot)
{
	struct evbuffer *out = evbuffer_new();
	metrics_write_alerts(snapshot, out);
	size_t length = evbuffer_get_length(out);
	char *text = calloc(1, length + 1);
	evbuffer_remove(out, text, length);
	evbuffer_free(out);
	return text;
}

static void test_metrics_alerts__a_sample_an_alert_and_a_channel(void **state)
{
	(void)state;
	struct alert_entry alerts[] = {
		{.kind = ALERT_DAILY_LIMIT_OVER, .is_raised = true, .subject = "f\"ar"},
		{.kind = ALERT_SPOOL_SHORT, .is_raised = true, .subject = "spool"},
	};
	struct snapshot snapshot = {.alerts = alerts, .alert_count = 2};
	snapshot.alert_channels[ALERT_WEBHOOK] = (struct alert_channel_stats){
		.is_configured = true, .delivered = 5, .failures = 4, .dropped = 3, .pending = 2};
	static const char *const lines[] = {
		"\nwalrelay_alerts{alert=\"daily_limit_over\",subject=\"f\\\"ar\",severity="
		"\"critical\"} 1\n",
		"\nwalrelay_alerts{alert=\"spool_short\",subject=\"spool\",severity=\"warning\"} "
		"1\n",
		"\nwalrelay_alert_deliveries_total{channel=\"webhook\"} 5\n",
		"\nwalrelay_alert_delivery_failures_total{channel=\"webhook\"} 4\n",
		"\nwalrelay_alert_dropped_total{channel=\"webhook\"} 3\n",
		"\nwalrelay_alert_pending{channel=\"webhook\"} 2\n",
	};
	char *text = render(&snapshot);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (strstr(text, lines[i]) == NULL) {
			fail_msg("no %s in\n%s", lines[i], text);
		}
	}
	assert_null(strstr(text, "channel=\"mail\""));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metrics_alerts__a_sample_an_alert_and_a_channel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
