/* Tests of observe/alert_message and alert_mail: what goes out, letter by letter, and what cannot. */
#include "support/cmocka_all.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/alert_message.h"

#define SECOND INT64_C(1000000)
#define NOW    (INT64_C(1772000000) * SECOND) /* 2026-02-25 06:13:20 UTC, a Wednesday */

static struct alert_message message_of(enum alert_event event)
{
	return (struct alert_message){.id = 7,
		.news = {.event = event,
			.kind = ALERT_DAILY_LIMIT_OVER,
			.since_us = NOW - 300 * SECOND,
			.at_us = NOW,
			.subject = "far",
			.text = "destination \"far\" has used 8 GB",
			.figures = "\"used_bytes\": 8589934592"}};
}

static char *mail_of(const struct alert_message *message, const char *relay_name)
{
	const struct alert_mail_options options = {.relay_name = relay_name,
		.from = "relay@db.example",
		.to = "dba@db.example,ops@db.example",
		.now_us = NOW + 60 * SECOND};
	const struct alert_messages messages = {&message, 1};
	return alert_mail_format(&messages, &options);
}

static void test_alert_mail__says_who_what_since_when_and_what_to_do(void **state)
{
	(void)state;
	struct alert_message message = message_of(ALERT_RAISED);
	char *mail = mail_of(&message, "hub");
	assert_string_equal(mail,
		"Date: Wed, 25 Feb 2026 06:14:20 +0000\r\n"
		"From: relay@db.example\r\n"
		"To: dba@db.example,\r\n ops@db.example\r\n"
		"Subject: [walrelay hub] CRITICAL: daily_limit_over far\r\n"
		"Message-ID: <hub.1772000000000000.7@db.example>\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Content-Transfer-Encoding: 7bit\r\n"
		"Auto-Submitted: auto-generated\r\n"
		"X-Walrelay-Alert: daily_limit_over\r\n"
		"\r\n"
		"destination \"far\" has used 8 GB\r\n"
		"\r\n"
		"relay:     hub\r\n"
		"alert:     daily_limit_over, critical, raised\r\n"
		"subject:   far\r\n"
		"since:     2026-02-25T06:08:20Z\r\n"
		"told at:   2026-02-25T06:13:20Z\r\n"
		"used_bytes: 8589934592\r\n"
		"\r\n"
		"It ends with the day. Earlier: raise daily_limit or change over_limit, and "
		"reload.\r\n");
	free(mail);
}

static void test_alert_mail__a_recovery_asks_for_nothing(void **state)
{
	(void)state;
	struct alert_message message = message_of(ALERT_RECOVERED);
	char *mail = mail_of(&message, "hub");
	assert_non_null(strstr(mail, "Subject: [walrelay hub] recovered: daily_limit_over far\r\n"));
	assert_non_null(strstr(mail, "\r\nover after 5 min: destination \"far\" has used 8 GB\r\n"));
	assert_null(strstr(mail, "raise daily_limit"));
	free(mail);
	message = message_of(ALERT_REPEATED);
	mail = mail_of(&message, "hub");
	assert_non_null(strstr(mail, "Subject: [walrelay hub] still: daily_limit_over far\r\n"));
	assert_non_null(strstr(mail, "\r\nstill, after 5 min: destination"));
	free(mail);
}

static void test_alert_mail__is_7_bit_whatever_the_words_are(void **state)
{
	(void)state;
	struct alert_message message = message_of(ALERT_RAISED);
	strcpy(message.news.subject, "Zürich, Straße nach Köln, weit weg, und zurück: ÄÖÜäöüß");
	char *mail = mail_of(&message, "hüb");
	for (const char *c = mail; *c != '\0'; c++) {
		assert_true(*c == '\r' || *c == '\n' || (*c >= 0x20 && *c <= 0x7e));
	}
	assert_non_null(strstr(mail, "\r\nSubject: =?UTF-8?B?"));
	assert_non_null(strstr(mail, "?=\r\n =?UTF-8?B?"));
	assert_non_null(strstr(mail, "\r\nContent-Transfer-Encoding: base64\r\n"));
	assert_non_null(strstr(mail, "\r\nMessage-ID: <h__b.1772000000000000.7@db.example>\r\n"));
	const char *line = mail;
	while (*line != '\0') {
		const char *end = strstr(line, "\r\n");
		assert_non_null(end);
		assert_true(end - line <= 78);
		line = end + 2;
	}
	free(mail);
}

static void test_alert_mail__many_are_told_briefly(void **state)
{
	(void)state;
	struct alert_message first = message_of(ALERT_RAISED);
	struct alert_message second = message_of(ALERT_RECOVERED);
	second.id = 8;
	const struct alert_message *items[] = {&first, &second};
	const struct alert_messages messages = {items, 2};
	const struct alert_mail_options options = {
		.relay_name = "hub", .from = "a@b.example", .to = "c@d.example", .now_us = NOW};
	char *mail = alert_mail_format(&messages, &options);
	assert_non_null(strstr(mail, "\r\nSubject: [walrelay hub] 2 alerts, 1 critical\r\n"));
	assert_non_null(
		strstr(mail, "\r\nMessage-ID: <hub.1772000000000000.8.digest@b.example>\r\n"));
	assert_non_null(strstr(mail,
		"\r\n\r\n2 alerts of relay hub, the oldest first:\r\n"
		"\r\n2026-02-25T06:13:20Z  daily_limit_over, critical, raised\r\n"
		"  destination \"far\" has used 8 GB\r\n"
		"\r\n2026-02-25T06:13:20Z  daily_limit_over, critical, recovered\r\n"
		"  over after 5 min: destination \"far\" has used 8 GB\r\n"));
	free(mail);
}

/* None of these may add a line to the header, or end it. */
static void test_alert_mail__nothing_from_outside_adds_a_header(void **state)
{
	(void)state;
	static const char *const bad[] = {"far\r\nBcc: all@example", "far\nBcc: all@example",
		"far\rBcc: all@example", "far\r\n\r\nBcc: all@example",
		"=?UTF-8?B?DQpCY2M6IGFsbEBleGFtcGxl?=", "\x80\xff\r\nBcc: all@example"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct alert_message message = message_of(ALERT_RAISED);
		strcpy(message.news.subject, bad[i]);
		char *mail = mail_of(&message, bad[i]);
		char *body = strstr(mail, "\r\n\r\n");
		assert_non_null(body);
		*body = '\0';
		assert_null(strstr(mail, "\nBcc:"));
		assert_null(strstr(mail, "\rBcc:"));
		/* An encoded word that is none of ours. */
		assert_null(strstr(mail, "=?UTF-8?B?DQpC"));
		for (const char *c = mail; *c != '\0'; c++) {
			assert_true(*c != '\n' || (c > mail && c[-1] == '\r'));
		}
		assert_non_null(strstr(mail, "X-Walrelay-Alert: "));
		free(mail);
	}
}

static void test_alert_message__one_json_object_for_a_web_hook(void **state)
{
	(void)state;
	struct alert_message message = message_of(ALERT_RECOVERED);
	char *body = alert_webhook_format(&message, "hub \"one\"");
	json_t *root = json_loads(body, 0, NULL);
	static const char *const expected[][2] = {
		{"id", "hub__one_.1772000000000000.7"},
		{"relay", "hub \"one\""},
		{"version", WALRELAY_VERSION},
		{"event", "recovered"},
		{"alert", "daily_limit_over"},
		{"severity", "critical"},
		{"subject", "far"},
		{"since", "2026-02-25T06:08:20Z"},
		{"at", "2026-02-25T06:13:20Z"},
		{"summary", "over after 5 min: destination \"far\" has used 8 GB"},
		{"text", "walrelay hub \"one\": over after 5 min: destination \"far\" has used 8 GB"},
	};
	assert_non_null(root);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_string_equal(json_string_value(json_object_get(root, expected[i][0])),
			expected[i][1]);
	}
	json_t *figures = json_object_get(root, "figures");
	assert_int_equal(json_integer_value(json_object_get(figures, "used_bytes")), 8589934592);
	json_decref(root);
	free(body);
}

static void test_alert_message__names_read_back(void **state)
{
	(void)state;
	for (int i = 0; i < ALERT_KINDS; i++) {
		enum alert_kind kind = ALERT_KINDS;
		const struct alert_rule *rule = alert_rule((enum alert_kind)i);
		assert_true(alert_kind_find(rule->name, &kind));
		assert_int_equal(kind, i);
		assert_true(strlen(rule->advice) > 10);
	}
	enum alert_kind kind;
	enum alert_channel channel;
	assert_false(alert_kind_find("no_such", &kind));
	assert_false(alert_channel_find("pigeon", &channel));
	assert_true(alert_channel_find("webhook", &channel));
	assert_int_equal(channel, ALERT_WEBHOOK);
}

static void test_alert__cuts_at_a_character(void **state)
{
	(void)state;
	struct alert_conditions conditions = {0};
	char subject[2 * ALERT_SUBJECT_SIZE];
	memset(subject, 'x', sizeof(subject));
	memcpy(subject + ALERT_SUBJECT_SIZE - 2, "ü", 2);
	subject[sizeof(subject) - 1] = '\0';
	struct alert_condition *condition =
		alert_conditions_add(&conditions, ALERT_SPOOL_FULL, subject);
	assert_int_equal(strlen(condition->subject), ALERT_SUBJECT_SIZE - 2);
	alert_condition_figure(condition, "a", UINT64_MAX);
	alert_condition_figure(condition, "b", 0);
	assert_string_equal(condition->figures, "\"a\": 9223372036854775807, \"b\": 0");
	alert_conditions_release(&conditions);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alert_mail__says_who_what_since_when_and_what_to_do),
		cmocka_unit_test(test_alert_mail__a_recovery_asks_for_nothing),
		cmocka_unit_test(test_alert_mail__is_7_bit_whatever_the_words_are),
		cmocka_unit_test(test_alert_mail__many_are_told_briefly),
		cmocka_unit_test(test_alert_mail__nothing_from_outside_adds_a_header),
		cmocka_unit_test(test_alert_message__one_json_object_for_a_web_hook),
		cmocka_unit_test(test_alert_message__names_read_back),
		cmocka_unit_test(test_alert__cuts_at_a_character),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
