/*
 * alert_mail: an alert as a message of RFC 5322: header lines that nothing from outside can add to
 * (RFC 2047 words for what is not plain), and a text in UTF-8, in base64 where it is not ASCII.
 */
#include "observe/alert_message.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "observe/alert_text.h"
#include "protocol/base64.h"

/* Of the text in one encoded word, of at most 75 characters with what stands around it. */
#define WORD_BYTES_MAX 42
/* Of what is encoded in one line of 76. */
#define LINE_BYTES 57

static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e) {
			return false;
		}
	}
	return true;
}

/* What begins like an encoded word would be taken for one. */
static bool needs_words(const char *text)
{
	return !is_plain(text) || strstr(text, "=?") != NULL;
}

static size_t word_length(const char *text)
{
	size_t length = 0;
	while (text[length] != '\0') {
		size_t next = utf8_character_length((const unsigned char *)text + length);
		/* What is no UTF-8 goes byte by byte. */
		next = next == 0 ? 1 : next;
		if (length + next > WORD_BYTES_MAX) {
			break;
		}
		length += next;
	}
	return length;
}

static void write_words(FILE *out, const char *text)
{
	char encoded[BASE64_SIZE(WORD_BYTES_MAX)];
	const char *between = "";
	while (*text != '\0') {
		size_t length = word_length(text);
		base64_encode(text, length, encoded);
		fprintf(out, "%s=?UTF-8?B?%s?=", between, encoded);
		between = "\r\n ";
		text += length;
	}
}

/* Folded before the blank that would come past 76 characters. */
static void write_folded(FILE *out, const char *text, size_t column)
{
	while (*text != '\0') {
		size_t blanks = strspn(text, " ");
		size_t length = blanks + strcspn(text + blanks, " ");
		if (blanks > 0 && text[blanks] != '\0' && column + length > 76) {
			fputs("\r\n", out);
			column = 0;
		}
		fwrite(text, 1, length, out);
		column += length;
		text += length;
	}
}

static void write_header(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%s: ", name);
	if (needs_words(text)) {
		write_words(out, text);
	} else {
		write_folded(out, text, strlen(name) + 2);
	}
	fputs("\r\n", out);
}

/* Bare addresses, as the configuration has them: no blanks, no brackets. Should a control character
 * have come by all the same, it does not stay. */
static void write_addresses(FILE *out, const char *name, const char *addresses)
{
	fprintf(out, "%s: ", name);
	for (const char *c = addresses; *c != '\0'; c++) {
		if (*c == ',') {
			fputs(",\r\n ", out);
		} else if ((unsigned char)*c > 0x20 && *c != 0x7f) {
			fputc(*c, out);
		}
	}
	fputs("\r\n", out);
}

static void write_date(FILE *out, int64_t unix_us)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm parts;
	time_t seconds = (time_t)(unix_us / 1000000);
	gmtime_r(&seconds, &parts);
	fprintf(out, "Date: %s, %02d %s %d %02d:%02d:%02d +0000\r\n", days[parts.tm_wday],
		parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
		parts.tm_min, parts.tm_sec);
}

static void write_subject_of_many(
	FILE *out, const struct alert_messages *messages, const char *relay_name)
{
	char subject[160];
	size_t critical = 0;
	for (size_t i = 0; i < messages->count; i++) {
		const struct alert_news *news = &messages->items[i]->news;
		critical += news->event != ALERT_RECOVERED && alert_rule(news->kind)->is_critical;
	}
	snprintf(subject, sizeof(subject), "[walrelay %s] %zu alerts, %zu critical", relay_name,
		messages->count, critical);
	write_header(out, "Subject", subject);
}

static void write_subject(FILE *out, const struct alert_news *news, const char *relay_name)
{
	char subject[ALERT_SUBJECT_SIZE + 160];
	const char *event =
		news->event == ALERT_RECOVERED ? "recovered"
		: news->event == ALERT_REPEATED
			? "still"
			: (alert_rule(news->kind)->is_critical ? "CRITICAL" : "WARNING");
	snprintf(subject, sizeof(subject), "[walrelay %s] %s: %s %s", relay_name, event,
		alert_rule(news->kind)->name, news->subject);
	alert_text_end_at_character(subject);
	write_header(out, "Subject", subject);
}

static void write_news(FILE *out, const struct alert_news *news, const char *relay_name)
{
	char time[ALERT_TIME_SIZE], summary[ALERT_TEXT_SIZE];
	json_t *figures = alert_text_figures(news);
	const char *key;
	json_t *value;
	alert_message_summary(news, summary);
	fprintf(out, "%s\n\n", summary);
	fprintf(out, "relay:     %s\n", relay_name);
	fprintf(out, "alert:     %s, %s, %s\n", alert_rule(news->kind)->name,
		alert_severity(news->kind), alert_event_name(news->event));
	fprintf(out, "subject:   %s\n", news->subject);
	fprintf(out, "since:     %s\n", alert_text_time(news->since_us, time));
	fprintf(out, "told at:   %s\n", alert_text_time(news->at_us, time));
	json_object_foreach(figures, key, value)
	{
		fprintf(out, "%s: %lld\n", key, (long long)json_integer_value(value));
	}
	if (news->event != ALERT_RECOVERED) {
		fprintf(out, "\n%s\n", alert_rule(news->kind)->advice);
	}
	json_decref(figures);
}

static void write_briefly(FILE *out, const struct alert_messages *messages, const char *relay_name)
{
	fprintf(out, "%zu alerts of relay %s, the oldest first:\n", messages->count, relay_name);
	for (size_t i = 0; i < messages->count; i++) {
		const struct alert_news *news = &messages->items[i]->news;
		char time[ALERT_TIME_SIZE], summary[ALERT_TEXT_SIZE];
		alert_message_summary(news, summary);
		fprintf(out, "\n%s  %s, %s, %s\n  %s\n", alert_text_time(news->at_us, time),
			alert_rule(news->kind)->name, alert_severity(news->kind),
			alert_event_name(news->event), summary);
	}
}

/* malloc'ed, with LF. */
static char *format_text(const struct alert_messages *messages, const char *relay_name)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	if (messages->count == 1) {
		write_news(out, &messages->items[0]->news, relay_name);
	} else {
		write_briefly(out, messages, relay_name);
	}
	fclose(out);
	return text;
}

static void write_encoded(FILE *out, const char *text)
{
	char encoded[BASE64_SIZE(LINE_BYTES)];
	size_t left = strlen(text);
	while (left > 0) {
		size_t length = left < LINE_BYTES ? left : LINE_BYTES;
		base64_encode(text, length, encoded);
		fprintf(out, "%s\r\n", encoded);
		text += length;
		left -= length;
	}
}

static void write_lines(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n') {
			fputc('\r', out);
		}
		fputc(*text, out);
	}
}

static bool is_ascii(const char *text)
{
	while (*text == '\n' || (*text >= 0x20 && *text <= 0x7e)) {
		text++;
	}
	return *text == '\0';
}

char *alert_mail_format(
	const struct alert_messages *messages, const struct alert_mail_options *options)
{
	const struct alert_message *last = messages->items[messages->count - 1];
	char id[ALERT_ID_SIZE];
	char *mail = NULL;
	size_t length;
	FILE *out = open_memstream(&mail, &length);
	char *text = format_text(messages, options->relay_name);
	const char *at = strrchr(options->from, '@');
	bool is_7bit = is_ascii(text);
	alert_text_id(last, options->relay_name, id);
	write_date(out, options->now_us);
	write_addresses(out, "From", options->from);
	write_addresses(out, "To", options->to);
	if (messages->count == 1) {
		write_subject(out, &last->news, options->relay_name);
	} else {
		write_subject_of_many(out, messages, options->relay_name);
	}
	fprintf(out, "Message-ID: <%s%s@", id, messages->count == 1 ? "" : ".digest");
	for (const char *c = at != NULL ? at + 1 : "localhost"; *c != '\0'; c++) {
		fputc((unsigned char)*c > 0x20 && *c < 0x7f && *c != '>' ? *c : '_', out);
	}
	fputs(">\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n", out);
	fprintf(out, "Content-Transfer-Encoding: %s\r\n", is_7bit ? "7bit" : "base64");
	fputs("Auto-Submitted: auto-generated\r\n", out);
	write_header(out, "X-Walrelay-Alert",
		messages->count == 1 ? alert_rule(last->news.kind)->name : "digest");
	fputs("\r\n", out);
	if (is_7bit) {
		write_lines(out, text);
	} else {
		write_encoded(out, text);
	}
	free(text);
	fclose(out);
	return mail;
}
