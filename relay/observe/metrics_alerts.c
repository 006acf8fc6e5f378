/*
 * metrics_alerts: a sample an alert that is on, and a few a channel.
 */
#include "observe/metrics_alerts.h"

#include <event2/buffer.h>
#include <inttypes.h>

#include "observe/metrics_text.h"

static void write_channels(const struct snapshot *snapshot, struct evbuffer *out, const char *name,
	const char *type, size_t offset, const char *help)
{
	metrics_begin_family(out, name, type, help);
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		const struct alert_channel_stats *channel = &snapshot->alert_channels[i];
		const uint64_t *value = (const void *)((const char *)channel + offset);
		if (channel->is_configured) {
			evbuffer_add_printf(out, "%s{", name);
			metrics_write_label(
				out, "channel", alert_channel_name((enum alert_channel)i));
			evbuffer_add_printf(out, "} %" PRIu64 "\n", *value);
		}
	}
}

void metrics_write_alerts(const struct snapshot *snapshot, struct evbuffer *out)
{
	static const char name[] = "walrelay_alerts";
	metrics_begin_family(out, name, "gauge", "1 for each alert that is on.");
	for (size_t i = 0; i < snapshot->alert_count; i++) {
		const struct alert_entry *alert = &snapshot->alerts[i];
		evbuffer_add_printf(out, "%s{", name);
		metrics_write_label(out, "alert", alert_rule(alert->kind)->name);
		evbuffer_add(out, ",", 1);
		metrics_write_label(out, "subject", alert->subject);
		evbuffer_add(out, ",", 1);
		metrics_write_label(out, "severity", alert_severity(alert->kind));
		evbuffer_add(out, "} 1\n", 4);
	}
	write_channels(snapshot, out, "walrelay_alert_deliveries_total", "counter",
		offsetof(struct alert_channel_stats, delivered),
		"Alerts the other side has taken.");
	write_channels(snapshot, out, "walrelay_alert_delivery_failures_total", "counter",
		offsetof(struct alert_channel_stats, failures),
		"Tries to deliver an alert that came to nothing; it is tried again.");
	write_channels(snapshot, out, "walrelay_alert_dropped_total", "counter",
		offsetof(struct alert_channel_stats, dropped), "Alerts given up undelivered.");
	write_channels(snapshot, out, "walrelay_alert_pending", "gauge",
		offsetof(struct alert_channel_stats, pending), "Alerts that wait to be delivered.");
}
