/*
 * ini: one pass over the bytes, line by line, with one buffer as long as the longest line for the
 * item's strings.
 */
#include "base/ini.h"

#include "base/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct span {
	const char *start;
	const char *end;
};

struct parser {
	ini_visit *visit;
	void *context;
	unsigned line;
	char *section; /* NULL: none yet, or faulty */
};

static void report_fault(struct parser *parser, const char *fault)
{
	struct ini_item item = {.kind = INI_FAULT, .line = parser->line, .fault = fault};

	parser->visit(parser->context, &item);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct span trim(struct span span)
{
	while (span.start < span.end && is_blank(*span.start)) {
		span.start++;
	}
	while (span.end > span.start && is_blank(span.end[-1])) {
		span.end--;
	}
	return span;
}

/* Cuts a comment off; quotes mean nothing here. Where span does not start a line, something stands
 * before it. */
static struct span without_comment(struct span span, bool starts_line)
{
	for (const char *at = span.start; at < span.end; at++) {
		bool may_start = (at == span.start && starts_line) || is_blank(at[-1]);

		if ((*at == ';' || *at == '#') && may_start) {
			span.end = at;
			break;
		}
	}
	return trim(span);
}

static bool has_control_character(struct span line, char fault[64])
{
	for (const char *at = line.start; at < line.end; at++) {
		unsigned char c = (unsigned char)*at;

		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			(void)snprintf(fault, 64,
				c == '\0' ? "NUL byte at column %td"
					  : "control character at column %td",
				at - line.start + 1);
			return true;
		}
	}
	return false;
}

static void parse_section(struct parser *parser, struct span line)
{
	const char *bracket = memchr(line.start, ']', (size_t)(line.end - line.start));
	struct ini_item item = {.kind = INI_SECTION, .line = parser->line};
	struct span name, rest;

	free(parser->section);
	parser->section = NULL;
	if (bracket == NULL) {
		report_fault(parser, "missing \"]\" after the section's name");
		return;
	}
	name = trim((struct span){line.start + 1, bracket});
	rest = (struct span){bracket + 1, line.end};
	if (name.start == name.end) {
		report_fault(parser, "empty section name");
		return;
	}
	parser->section = memory_copy_bytes(name.start, (size_t)(name.end - name.start));
	item.section = parser->section;
	parser->visit(parser->context, &item);
	rest = without_comment(rest, false);
	if (rest.start != rest.end) {
		report_fault(parser, "unexpected text after \"]\"");
	}
}

/* value begins with a quote. Returns what is wrong, NULL when nothing is. */
static const char *unquote(struct span value, char *out)
{
	char quote = *value.start;
	const char *at = value.start + 1;
	struct span rest;

	while (at < value.end && (*at != quote || (at + 1 < value.end && at[1] == quote))) {
		at += *at == quote ? 1 : 0;
		*out++ = *at++;
	}
	*out = '\0';
	if (at == value.end) {
		return "missing closing quote";
	}
	rest = (struct span){at + 1, value.end};
	rest = without_comment(rest, false);
	return rest.start == rest.end ? NULL : "unexpected text after the closing quote";
}

static const char *parse_value(struct span value, char *out)
{
	struct span content = trim(value);

	if (content.start < content.end && (*content.start == '\'' || *content.start == '"')) {
		return unquote(content, out);
	}
	/* Not of the trimmed span: the blank before it makes a comment. */
	content = without_comment(value, false);
	memcpy(out, content.start, (size_t)(content.end - content.start));
	out[content.end - content.start] = '\0';
	return NULL;
}

static void parse_entry(struct parser *parser, struct span line)
{
	struct ini_item item = {
		.kind = INI_ENTRY, .line = parser->line, .section = parser->section};
	struct span bare = without_comment(line, true);
	const char *equals = memchr(bare.start, '=', (size_t)(bare.end - bare.start));
	const char *fault;
	struct span name;
	char *key, *value;

	if (equals == NULL) {
		report_fault(parser, "expected \"key = value\" or \"[section]\"");
		return;
	}
	name = trim((struct span){bare.start, equals});
	if (name.start == name.end) {
		report_fault(parser, "missing key before \"=\"");
		return;
	}
	key = memory_copy_bytes(name.start, (size_t)(name.end - name.start));
	value = memory_new((size_t)(line.end - equals) + 1);
	fault = parse_value((struct span){equals + 1, line.end}, value);
	if (fault != NULL) {
		report_fault(parser, fault);
	} else {
		item.key = key;
		item.value = value;
		parser->visit(parser->context, &item);
	}
	memory_wipe(value, (size_t)(line.end - equals) + 1);
	free(value);
	free(key);
}

static void parse_line(struct parser *parser, struct span line)
{
	struct span content;
	char fault[64];

	if (line.end > line.start && line.end[-1] == '\r') {
		line.end--;
	}
	if (has_control_character(line, fault)) {
		report_fault(parser, fault);
		return;
	}
	content = without_comment(line, true);
	if (content.start == content.end) {
		return;
	}
	content.end = line.end;
	if (*content.start == '[') {
		parse_section(parser, content);
	} else {
		parse_entry(parser, content);
	}
}

void ini_parse(const char *text, size_t length, ini_visit *visit, void *context)
{
	struct parser parser = {.visit = visit, .context = context};
	const char *next = text, *end = text + length;

	/* Editors of some systems begin a text with this mark. */
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		next += 3;
	}
	while (next < end) {
		const char *newline = memchr(next, '\n', (size_t)(end - next));
		const char *line_end = newline == NULL ? end : newline;

		parser.line++;
		parse_line(&parser, (struct span){next, line_end});
		next = newline == NULL ? end : newline + 1;
	}
	free(parser.section);
}

static bool needs_quotes(const char *value)
{
	struct span whole = {value, value + strlen(value)};
	struct span bare = without_comment(whole, true);

	return bare.start != whole.start || bare.end != whole.end || *value == '\'' ||
	       *value == '"';
}

void ini_write_value(const char *value, FILE *out)
{
	if (!needs_quotes(value)) {
		(void)fputs(value, out);
		return;
	}
	(void)fputc('"', out);
	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '"') {
			(void)fputc('"', out);
		}
		(void)fputc(*at, out);
	}
	(void)fputc('"', out);
}
