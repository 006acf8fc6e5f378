/*
 * timeline_history: reads history files as PostgreSQL's readTimeLineHistory does, including what it
 * lets pass: anything after the switchpoint, blank lines, and a switchpoint before the one above
 * it (a recovery that stops before an inherited fork writes that). Timelines must grow.
 */
#include "spool/timeline_history.h"

#include "base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME_DIGITS 8

struct line {
	const char *text;
	size_t length;
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static size_t blank_length(const char *text, size_t length)
{
	size_t at = 0;
	while (at < length && is_blank(text[at])) {
		at++;
	}
	return at;
}

static struct line next_line(const char *text, size_t length, size_t *at)
{
	const char *start = text + *at;
	const char *end = memchr(start, '\n', length - *at);
	struct line line = {start, end ? (size_t)(end - start) : length - *at};
	*at += line.length + (end ? 1 : 0);
	return line;
}

static bool syntax_error(struct error *err, const struct line *line, const char *hint)
{
	error_set(err, ERROR_INVALID, "syntax error in history file: %.*s",
		line->length < 200 ? (int)line->length : 200, line->text);
	return error_hint(err, "%s", hint);
}

static bool invalid_data(struct error *err, tli_t tli, const char *hint)
{
	char name[TIMELINE_FILE_NAME_SIZE];
	error_set(err, ERROR_INVALID, "invalid data in history file \"%s\"",
		timeline_history_file_name(tli, name));
	return error_hint(err, "%s", hint);
}

/* The decimal number at *at; 0 is none, as no timeline has it. */
static tli_t tli_at(const struct line *line, size_t *at)
{
	uint64_t tli = 0;
	while (*at < line->length && line->text[*at] >= '0' && line->text[*at] <= '9') {
		tli = tli * 10 + (uint64_t)(line->text[*at] - '0');
		if (tli > UINT32_MAX) {
			return 0;
		}
		++*at;
	}
	return (tli_t)tli;
}

/* Everything up to the next blank. */
static bool switchpoint_at(const struct line *line, size_t *at, lsn_t *lsn_out)
{
	size_t start = *at;
	while (*at < line->length && !is_blank(line->text[*at])) {
		++*at;
	}
	return lsn_parse(line->text + start, *at - start, lsn_out) && *lsn_out != LSN_INVALID;
}

static void push_entry(struct timeline_history *history, tli_t tli, lsn_t end)
{
	lsn_t begin = history->count > 0 ? history->entries[history->count - 1].end : 0;
	history->entries = memory_grow(history->entries, history->count, sizeof(*history->entries));
	history->entries[history->count++] =
		(struct timeline_entry){.tli = tli, .begin = begin, .end = end};
}

static bool parse_line(struct timeline_history *history, tli_t file_tli, const struct line *line,
	struct error *err)
{
	size_t at = blank_length(line->text, line->length);
	if (at == line->length || line->text[at] == '#') {
		return true;
	}
	tli_t tli = tli_at(line, &at);
	if (tli == 0) {
		return syntax_error(err, line, "Expected a numeric timeline ID.");
	}
	at += blank_length(line->text + at, line->length - at);
	lsn_t switchpoint;
	if (!switchpoint_at(line, &at, &switchpoint)) {
		return syntax_error(err, line, "Expected a write-ahead log switchpoint location.");
	}
	if (history->count > 0 && tli <= timeline_history_current(history)) {
		return invalid_data(err, file_tli, "Timeline IDs must be in increasing sequence.");
	}
	push_entry(history, tli, switchpoint);
	return true;
}

bool timeline_history_parse(struct timeline_history *history_out, tli_t tli, const char *text,
	size_t length, struct error *err)
{
	assert(tli > 0);
	struct timeline_history history = {0};
	if (length > TIMELINE_HISTORY_BYTES_MAX) {
		return invalid_data(err, tli, "The file is too large.");
	}
	for (size_t at = 0; at < length;) {
		struct line line = next_line(text, length, &at);
		if (!parse_line(&history, tli, &line, err)) {
			timeline_history_release(&history);
			return false;
		}
	}
	if (history.count > 0 && timeline_history_current(&history) >= tli) {
		timeline_history_release(&history);
		return invalid_data(
			err, tli, "Timeline IDs must be less than child timeline's ID.");
	}
	push_entry(&history, tli, LSN_INVALID);
	*history_out = history;
	return true;
}

void timeline_history_release(struct timeline_history *history)
{
	free(history->entries);
	*history = (struct timeline_history){0};
}

void timeline_history_cut(struct timeline_history *history, tli_t tli)
{
	while (timeline_history_current(history) != tli) {
		history->count--;
		assert(history->count > 0);
	}
	history->entries[history->count - 1].end = LSN_INVALID;
}

bool timeline_history_copy(struct timeline_history *copy_out, const struct timeline_history *from)
{
	struct timeline_history copy = {0};
	if (from->count > 0) {
		size_t bytes = from->count * sizeof(*from->entries);
		copy.entries = malloc(bytes);
		if (!copy.entries) {
			return false;
		}
		memcpy(copy.entries, from->entries, bytes);
		copy.count = from->count;
	}
	*copy_out = copy;
	return true;
}

tli_t timeline_history_current(const struct timeline_history *history)
{
	assert(history->count > 0);
	return history->entries[history->count - 1].tli;
}

const struct timeline_entry *timeline_history_find(
	const struct timeline_history *history, tli_t tli)
{
	for (size_t i = 0; i < history->count; i++) {
		if (history->entries[i].tli == tli) {
			return &history->entries[i];
		}
	}
	return NULL;
}

const struct timeline_entry *timeline_history_next(
	const struct timeline_history *history, tli_t tli)
{
	const struct timeline_entry *entry = timeline_history_find(history, tli);
	if (!entry || entry == &history->entries[history->count - 1]) {
		return NULL;
	}
	return entry + 1;
}

bool timeline_history_is_ancestor(
	const struct timeline_history *ours, const struct timeline_history *theirs)
{
	if (ours->count == 0 || ours->count > theirs->count) {
		return false;
	}
	for (size_t i = 0; i < ours->count; i++) {
		if (ours->entries[i].tli != theirs->entries[i].tli ||
			ours->entries[i].begin != theirs->entries[i].begin) {
			return false;
		}
	}
	return true;
}

char *timeline_history_file_name(tli_t tli, char name_out[TIMELINE_FILE_NAME_SIZE])
{
	snprintf(name_out, TIMELINE_FILE_NAME_SIZE, "%08X.history", tli);
	return name_out;
}

bool timeline_history_file_name_parse(const char *name, tli_t *tli_out)
{
	if (strlen(name) != TIMELINE_FILE_NAME_SIZE - 1 ||
		strspn(name, "0123456789ABCDEF") != FILE_NAME_DIGITS ||
		strcmp(name + FILE_NAME_DIGITS, ".history") != 0) {
		return false;
	}
	tli_t tli = (tli_t)strtoul(name, NULL, 16);
	if (tli == 0) {
		return false;
	}
	*tli_out = tli;
	return true;
}
