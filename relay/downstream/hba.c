/*
 * An array of rules in the order of the file. Parsing goes on behind a bad line, so that all of
 * them are reported at once.
 */
#include "downstream/hba.h"

#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct hba {
	atomic_uint references;
	char *file;
	size_t count;
	struct hba_rule **rules;
};

/* What a file is cut into: lines ending in a backslash go on in the next one. */
struct line_reader {
	const char *at;
	const char *end;
	unsigned number; /* of the line at `at` */
	char *joined;    /* room for the longest line */
	size_t length;
	unsigned first_number;
};

static bool next_line(struct line_reader *reader)
{
	bool goes_on = true;

	if (reader->at == reader->end) {
		return false;
	}
	reader->length = 0;
	reader->first_number = reader->number;
	while (goes_on && reader->at < reader->end) {
		const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
		const char *line_end = newline != NULL ? newline : reader->end;
		const char *text_end = line_end;

		while (text_end > reader->at && text_end[-1] == '\r') {
			text_end--;
		}
		goes_on = text_end > reader->at && text_end[-1] == '\\';
		text_end -= goes_on;
		memcpy(reader->joined + reader->length, reader->at,
			(size_t)(text_end - reader->at));
		reader->length += (size_t)(text_end - reader->at);
		reader->at = newline != NULL ? newline + 1 : reader->end;
		reader->number++;
	}
	return true;
}

static bool read_line(struct hba *hba, const struct line_reader *reader, struct error *err)
{
	struct hba_rule *rule;

	switch (hba_rule_parse(reader->joined, reader->length, reader->first_number, &rule, err)) {
	case HBA_LINE_EMPTY: return true;
	case HBA_LINE_BAD: return false;
	case HBA_LINE_RULE: break;
	}
	hba->rules = memory_grow(hba->rules, hba->count, sizeof(struct hba_rule *));
	hba->rules[hba->count++] = rule;
	return true;
}

static bool read_lines(
	struct hba *hba, struct line_reader *reader, access_report *report, void *context)
{
	bool ok = true;

	while (next_line(reader)) {
		struct error err = {0};

		if (!read_line(hba, reader, &err)) {
			report(context, hba->file, reader->first_number, err.message);
			ok = false;
		}
	}
	return ok;
}

struct hba *hba_parse(
	const char *file, const char *text, size_t length, access_report *report, void *context)
{
	struct line_reader reader = {.at = text, .end = text + length, .number = 1};
	struct hba *hba = memory_new(sizeof(*hba));
	bool ok;

	atomic_init(&hba->references, 1);
	hba->file = memory_copy_text(file);
	reader.joined = memory_new(length + 1);
	ok = read_lines(hba, &reader, report, context);
	free(reader.joined);
	if (ok && hba->count == 0) {
		report(context, file, 0, "contains no entries");
		ok = false;
	}
	if (!ok) {
		hba_unref(&hba);
	}
	return hba;
}

struct hba *hba_load(const char *path, access_report *report, void *context)
{
	struct error err = {0};
	struct hba *hba;
	size_t length;
	char *text;

	if (!access_file_read(path, false, &text, &length, &err)) {
		report(context, path, 0, err.message);
		return NULL;
	}
	hba = hba_parse(path, text, length, report, context);
	access_file_release(&text, length);
	return hba;
}

static void refuse_problem(void *context, const char *file, unsigned line, const char *message)
{
	(void)context;
	(void)file;
	(void)line;
	assert(message == NULL); /* the built-in rules have none */
}

struct hba *hba_default(void)
{
	static const char rules[] = "local all,replication all              trust\n"
				    "host  all,replication all 127.0.0.1/32 scram-sha-256\n"
				    "host  all,replication all ::1/128      scram-sha-256\n";

	return hba_parse("built-in rules", rules, strlen(rules), refuse_problem, NULL);
}

struct hba *hba_ref(struct hba *hba)
{
	atomic_fetch_add(&hba->references, 1);
	return hba;
}

void hba_unref(struct hba **hba)
{
	struct hba *rules = *hba;

	*hba = NULL;
	if (rules == NULL || atomic_fetch_sub(&rules->references, 1) > 1) {
		return;
	}
	for (size_t i = 0; i < rules->count; i++) {
		hba_rule_free(&rules->rules[i]);
	}
	free(rules->rules);
	free(rules->file);
	free(rules);
}

const struct hba_rule *hba_find(const struct hba *hba, const struct hba_connection *connection)
{
	for (size_t i = 0; i < hba->count; i++) {
		if (hba_rule_matches(hba->rules[i], connection)) {
			return hba->rules[i];
		}
	}
	return NULL;
}

const struct hba_rule *hba_first_for_certificates(const struct hba *hba)
{
	for (size_t i = 0; i < hba->count; i++) {
		if (hba_rule_client_cert(hba->rules[i]) != HBA_CLIENT_CERT_OFF) {
			return hba->rules[i];
		}
	}
	return NULL;
}

const struct hba_rule *hba_first_for_tls(const struct hba *hba)
{
	for (size_t i = 0; i < hba->count; i++) {
		if (hba_rule_is_for_tls(hba->rules[i])) {
			return hba->rules[i];
		}
	}
	return NULL;
}

const char *hba_file(const struct hba *hba)
{
	return hba->file;
}
