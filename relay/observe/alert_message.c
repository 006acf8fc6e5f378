/*
 * alert_message: the words all channels share, and the JSON of a web hook.
 */
#include "observe/alert_message.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "observe/alert_text.h"
#include "observe/json_values.h"

#define SECOND INT64_C(1000000)

static void duration_text(int64_t us, char *out, size_t size)
{
	int64_t seconds = us > 0 ? us / SECOND : 0;
	if (seconds < 120) {
		snprintf(out, size, "%" PRId64 " s", seconds);
	} else if (seconds < 7200) {
		snprintf(out, size, "%" PRId64 " min", seconds / 60);
	} else {
		snprintf(out, size, "%" PRId64 " h %" PRId64 " min", seconds / 3600,
			seconds % 3600 / 60);
	}
}

void alert_message_summary(const struct alert_news *news, char text_out[ALERT_TEXT_SIZE])
{
	char duration[32];
	duration_text(news->at_us - news->since_us, duration, sizeof(duration));
	if (news->event == ALERT_RECOVERED) {
		snprintf(text_out, ALERT_TEXT_SIZE, "over after %s: %s", duration, news->text);
	} else if (news->event == ALERT_REPEATED) {
		snprintf(text_out, ALERT_TEXT_SIZE, "still, after %s: %s", duration, news->text);
	} else {
		snprintf(text_out, ALERT_TEXT_SIZE, "%s", news->text);
	}
	alert_text_end_at_character(text_out);
}

void alert_text_end_at_character(char *text)
{
	char *at = text;
	size_t length;
	while (*at != '\0' && (length = utf8_character_length((unsigned char *)at)) != 0) {
		at += length;
	}
	*at = '\0';
}

char *alert_text_time(int64_t unix_us, char text_out[ALERT_TIME_SIZE])
{
	struct tm parts;
	time_t seconds = (time_t)(unix_us / SECOND);
	gmtime_r(&seconds, &parts);
	strftime(text_out, ALERT_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return text_out;
}

void alert_text_id(
	const struct alert_message *message, const char *relay_name, char text_out[ALERT_ID_SIZE])
{
	char name[64];
	size_t length = 0;
	for (const char *c = relay_name; *c != '\0' && length < sizeof(name) - 1; c++) {
		bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				(*c >= '0' && *c <= '9') || *c == '_' || *c == '-';
		name[length++] = is_plain ? *c : '_';
	}
	name[length] = '\0';
	snprintf(text_out, ALERT_ID_SIZE, "%s.%" PRId64 ".%" PRId64, name, message->news.at_us,
		message->id);
}

json_t *alert_text_figures(const struct alert_news *news)
{
	char text[ALERT_FIGURES_SIZE + 2];
	snprintf(text, sizeof(text), "{%s}", news->figures);
	json_t *figures = json_loads(text, 0, NULL);
	return figures != NULL ? figures : json_object();
}

char *alert_webhook_format(const struct alert_message *message, const char *relay_name)
{
	const struct alert_news *news = &message->news;
	char id[ALERT_ID_SIZE], time[ALERT_TIME_SIZE], summary[ALERT_TEXT_SIZE];
	char text[ALERT_TEXT_SIZE + 128];
	json_t *root = json_object();
	alert_text_id(message, relay_name, id);
	alert_message_summary(news, summary);
	/* What chat programs take and show. */
	snprintf(text, sizeof(text), "walrelay %s: %s", relay_name, summary);
	json_put(root, "id", json_string(id));
	json_put(root, "relay", json_string(relay_name));
	json_put(root, "version", json_string(WALRELAY_VERSION));
	json_put(root, "event", json_string(alert_event_name(news->event)));
	json_put(root, "alert", json_string(alert_rule(news->kind)->name));
	json_put(root, "severity", json_string(alert_severity(news->kind)));
	json_put(root, "subject", json_string(news->subject));
	json_put(root, "since", json_string(alert_text_time(news->since_us, time)));
	json_put(root, "at", json_string(alert_text_time(news->at_us, time)));
	json_put(root, "text", json_string(text));
	json_put(root, "summary", json_string(summary));
	json_put(root, "figures", alert_text_figures(news));
	json_put(root, "advice", json_string(alert_rule(news->kind)->advice));
	char *body = json_dumps(root, JSON_COMPACT);
	assert(body != NULL);
	json_decref(root);
	return body;
}
