/*
 * status_alerts: an object an alert.
 */
#include "observe/status_alerts.h"

#include "observe/alert_text.h"
#include "observe/json_values.h"

json_t *status_alerts(const struct snapshot *snapshot)
{
	json_t *array = json_array();
	char time[ALERT_TIME_SIZE];
	for (size_t i = 0; i < snapshot->alert_count; i++) {
		const struct alert_entry *alert = &snapshot->alerts[i];
		json_t *object = json_object();
		json_put(object, "alert", json_string(alert_rule(alert->kind)->name));
		json_put(object, "severity", json_string(alert_severity(alert->kind)));
		json_put(object, "subject", json_string(alert->subject));
		json_put(object, "since", json_string(alert_text_time(alert->since_us, time)));
		json_put(object, "told_at", json_string(alert_text_time(alert->told_us, time)));
		json_put(object, "text", json_string(alert->text));
		json_put(object, "advice", json_string(alert_rule(alert->kind)->advice));
		json_array_append_new(array, object);
	}
	return array;
}

json_t *status_alert_channels(const struct snapshot *snapshot)
{
	json_t *channels = json_object();
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		const struct alert_channel_stats *stats = &snapshot->alert_channels[i];
		json_t *object = stats->is_configured ? json_object() : json_null();
		if (stats->is_configured) {
			json_put(object, "delivered", json_integer((json_int_t)stats->delivered));
			json_put(object, "failures", json_integer((json_int_t)stats->failures));
			json_put(object, "dropped", json_integer((json_int_t)stats->dropped));
			json_put(object, "pending", json_integer((json_int_t)stats->pending));
			json_put(object, "last_error", json_text(stats->last_error));
		}
		json_put(channels, alert_channel_name((enum alert_channel)i), object);
	}
	return channels;
}
