/*
 * xml_reader: a scanner with a stack of names, never past the end of the text.
 */
#include "cloud/xml_reader.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

void xml_reader_init(struct xml_reader *reader, const char *bytes, size_t length)
{
	memset(reader, 0, sizeof(*reader));
	reader->at = bytes;
	reader->end = bytes + length;
}

static bool starts_with(const struct xml_reader *reader, const char *what)
{
	size_t length = strlen(what);
	return (size_t)(reader->end - reader->at) >= length &&
	       memcmp(reader->at, what, length) == 0;
}

/* Moves behind the next such text. */
static bool skip_past(struct xml_reader *reader, const char *what)
{
	const char *found =
		memmem(reader->at, (size_t)(reader->end - reader->at), what, strlen(what));
	if (found == NULL) {
		return false;
	}
	reader->at = found + strlen(what);
	return true;
}

/* --- text --------------------------------------------------------------------------------------
 */

static void put(struct xml_reader *reader, const char *bytes, size_t length)
{
	if (reader->is_cut || length > sizeof(reader->text) - 1 - reader->text_length) {
		reader->is_cut = true;
		return;
	}
	memcpy(reader->text + reader->text_length, bytes, length);
	reader->text_length += length;
	reader->text[reader->text_length] = '\0';
}

static bool put_character(struct xml_reader *reader, unsigned long code)
{
	char bytes[4];
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
		return false;
	}
	if (code < 0x80) {
		bytes[0] = (char)code;
		put(reader, bytes, 1);
		return true;
	}
	size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = length - 1; i > 0; i--, code >>= 6) {
		bytes[i] = (char)(0x80 | (code & 0x3f));
	}
	bytes[0] = (char)(leads[length] | code);
	put(reader, bytes, length);
	return true;
}

static bool parse_number(const char *digits, size_t length, unsigned long *code_out)
{
	unsigned base = 10;
	unsigned long code = 0;
	if (length > 0 && digits[0] == 'x') {
		base = 16;
		digits++;
		length--;
	}
	if (length == 0 || length > 7) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		char c = digits[i];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
							: 16;
		if (digit >= base) {
			return false;
		}
		code = code * base + digit;
	}
	*code_out = code;
	return true;
}

static bool read_reference(struct xml_reader *reader)
{
	static const struct {
		const char *text;
		unsigned long code;
	} named[] = {
		{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		if (starts_with(reader, named[i].text)) {
			reader->at += strlen(named[i].text);
			return put_character(reader, named[i].code);
		}
	}
	const char *digits = reader->at + 2;
	unsigned long code;
	if (!starts_with(reader, "&#") || !skip_past(reader, ";")) {
		return false;
	}
	return parse_number(digits, (size_t)(reader->at - 1 - digits), &code) &&
	       put_character(reader, code);
}

/* Up to the next element; outside of the root there is nothing but blanks. */
static bool read_text(struct xml_reader *reader)
{
	while (reader->at < reader->end && *reader->at != '<') {
		char c = *reader->at;
		if (reader->depth == 0 && !is_blank(c)) {
			return false;
		}
		if (c == '&') {
			if (!read_reference(reader)) {
				return false;
			}
			continue;
		}
		if ((unsigned char)c < ' ' && !is_blank(c)) {
			return false;
		}
		if (reader->depth > 0) {
			put(reader, reader->at, 1);
		}
		reader->at++;
	}
	return true;
}

/* --- elements ----------------------------------------------------------------------------------
 */

static void forget_text(struct xml_reader *reader)
{
	reader->text_length = 0;
	reader->text[0] = '\0';
	reader->is_cut = false;
}

static size_t name_length(const struct xml_reader *reader)
{
	size_t length = 0;
	while (reader->at + length < reader->end && is_name(reader->at[length])) {
		length++;
	}
	return length;
}

/* Behind the ">" of a tag whose name is read; a ">" in an attribute's value is none. */
static bool skip_attributes(struct xml_reader *reader, bool *is_empty_out)
{
	char quote = '\0';
	for (; reader->at < reader->end; reader->at++) {
		char c = *reader->at;
		if (quote != '\0') {
			quote = c == quote ? '\0' : quote;
		} else if (c == '"' || c == '\'') {
			quote = c;
		} else if (c == '<') {
			return false;
		} else if (c == '>') {
			*is_empty_out = reader->at[-1] == '/';
			reader->at++;
			return true;
		}
	}
	return false;
}

static enum xml_event open_element(struct xml_reader *reader)
{
	reader->at++;
	size_t length = name_length(reader);
	if (length == 0 || reader->depth == XML_DEPTH_MAX ||
		(reader->depth == 0 && reader->has_root)) {
		return XML_BAD;
	}
	reader->open[reader->depth].name = reader->at;
	reader->open[reader->depth].length = length;
	reader->at += length;
	if (!skip_attributes(reader, &reader->is_empty)) {
		return XML_BAD;
	}
	reader->depth++;
	reader->has_root = true;
	forget_text(reader);
	return XML_OPENED;
}

static enum xml_event close_element(struct xml_reader *reader)
{
	reader->at += 2;
	size_t length = name_length(reader);
	if (reader->depth == 0 || length != reader->open[reader->depth - 1].length ||
		memcmp(reader->at, reader->open[reader->depth - 1].name, length) != 0) {
		return XML_BAD;
	}
	reader->at += length;
	while (reader->at < reader->end && is_blank(*reader->at)) {
		reader->at++;
	}
	if (reader->at == reader->end || *reader->at != '>') {
		return XML_BAD;
	}
	reader->at++;
	reader->is_closing = true;
	return XML_CLOSED;
}

enum xml_event xml_reader_next(struct xml_reader *reader)
{
	if (reader->is_closing) {
		reader->is_closing = false;
		reader->depth--;
		forget_text(reader);
	}
	if (reader->is_empty) {
		reader->is_empty = false;
		reader->is_closing = true;
		return XML_CLOSED;
	}
	for (;;) {
		if (!read_text(reader)) {
			return XML_BAD;
		}
		if (reader->at == reader->end) {
			return reader->depth == 0 && reader->has_root ? XML_END : XML_BAD;
		}
		if (starts_with(reader, "<?") || starts_with(reader, "<!--")) {
			if (!skip_past(reader, reader->at[1] == '?' ? "?>" : "-->")) {
				return XML_BAD;
			}
			continue;
		}
		return starts_with(reader, "</") ? close_element(reader) : open_element(reader);
	}
}

bool xml_reader_is_at(const struct xml_reader *reader, const char *path)
{
	for (unsigned i = 0; i < reader->depth; i++) {
		size_t length = reader->open[i].length;
		if (strncmp(path, reader->open[i].name, length) != 0) {
			return false;
		}
		path += length;
		if (i + 1 < reader->depth && *path++ != '/') {
			return false;
		}
	}
	return *path == '\0' && reader->depth > 0;
}
