/*
 * xml_reader: events of whole texts as one line each, faults, and every beginning of a good text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cloud/xml_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "+name" opened, "-text" closed, "." the end, "!" bad. Of a copy without an end of its own. */
static char *events_of(const char *text, size_t length)
{
	char *copy = malloc(length > 0 ? length : 1);
	char *events = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&events, &size);
	struct xml_reader reader;
	enum xml_event event;
	assert_non_null(copy);
	memcpy(copy, text, length);
	xml_reader_init(&reader, copy, length);
	do {
		event = xml_reader_next(&reader);
		if (event == XML_OPENED) {
			fprintf(out, "+%.*s", (int)reader.open[reader.depth - 1].length,
				reader.open[reader.depth - 1].name);
		} else if (event == XML_CLOSED) {
			fprintf(out, "-%s", reader.text);
		} else {
			fputc(event == XML_END ? '.' : '!', out);
		}
	} while (event == XML_OPENED || event == XML_CLOSED);
	fclose(out);
	free(copy);
	return events;
}

static void test_xml_reader__tells_elements(void **state)
{
	static const struct {
		const char *text;
		const char *events;
	} cases[] = {
		{"<a/>", "+a-."},
		{"<a></a>", "+a-."},
		{" <?xml version=\"1.0\"?>\n<!-- <b> -->\n<a>x</a>\n", "+a-x."},
		{"<a xmlns=\"http://x/>y\" b='&lt;'>x</a >", "+a-x."},
		{"<a xmlns=\"http://x/>y\" b='\"'>x</a >", "+a-x."},
		{"<a><b>1</b>between<c/> \n</a>", "+a+b-1+c-- \n."},
		{"<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe9;&#x1F418;</a>",
			"+a-<&>\"'AB\xc3\xa9\xf0\x9f\x90\x98."},
		{"<a:b><c.d-e_1>x</c.d-e_1></a:b>", "+a:b+c.d-e_1-x-."},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *events = events_of(cases[i].text, strlen(cases[i].text));
		assert_string_equal(events, cases[i].events);
		free(events);
	}
}

static void test_xml_reader__refuses_what_services_do_not_write(void **state)
{
	static const char *const texts[] = {"", " ", "text", "<a>", "</a>", "<a></b>", "<a></ab>",
		"<ab></a>", "<a/><b/>", "<a/>x", "x<a/>", "<>x</>", "< a></a>",
		"<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "<a>&b;</a>", "<a><![CDATA[x]]></a>",
		"<a>&#0;</a>", "<a>&#xd800;</a>", "<a>&#x110000;</a>", "<a>&#;</a>", "<a>&#x;</a>",
		"<a>&#12a;</a>", "<a>&#99999999999999999999;</a>", "<a>&amp</a>", "<a>\x01</a>",
		"<a b=\"></a>", "<a></a", "<!-- <a/>", "<?xml <a/>"};
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *events = events_of(texts[i], strlen(texts[i]));
		assert_int_equal(events[strlen(events) - 1], '!');
		free(events);
	}
	char *events = events_of("<a>\0</a>", 8);
	assert_string_equal(events, "+a!");
	free(events);
}

static void test_xml_reader__every_beginning_is_bad(void **state)
{
	static const char text[] = "<?xml version=\"1.0\"?><a b='c'><d>&lt;</d><!-- e --><f/></a>";
	(void)state;
	for (size_t length = 0; length < sizeof(text) - 1; length++) {
		char *events = events_of(text, length);
		assert_int_equal(events[strlen(events) - 1], '!');
		free(events);
	}
}

static void test_xml_reader__is_bounded(void **state)
{
	char text[XML_TEXT_SIZE * 2];
	struct xml_reader reader;
	(void)state;
	for (size_t depth = XML_DEPTH_MAX; depth <= XML_DEPTH_MAX + 1; depth++) {
		char *at = text;
		for (size_t i = 0; i < 2 * depth; i++) {
			at += sprintf(at, i < depth ? "<a>" : "</a>");
		}
		char *events = events_of(text, strlen(text));
		assert_int_equal(
			events[strlen(events) - 1], depth <= XML_DEPTH_MAX ? '.' : '!');
		free(events);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "<a>", 3);
	memcpy(text + sizeof(text) - 4, "</a>", 4);
	xml_reader_init(&reader, text, sizeof(text));
	assert_int_equal(xml_reader_next(&reader), XML_OPENED);
	assert_int_equal(xml_reader_next(&reader), XML_CLOSED);
	assert_true(reader.is_cut);
	assert_int_equal(strlen(reader.text), XML_TEXT_SIZE - 1);
	assert_int_equal(xml_reader_next(&reader), XML_END);
}

static void test_xml_reader__knows_where_it_is(void **state)
{
	static const char text[] = "<a><b><c/></b></a>";
	struct xml_reader reader;
	(void)state;
	xml_reader_init(&reader, text, strlen(text));
	assert_false(xml_reader_is_at(&reader, ""));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(xml_reader_next(&reader), XML_OPENED);
	}
	assert_true(xml_reader_is_at(&reader, "a/b/c"));
	static const char *const others[] = {"a/b", "a/b/", "a/b/cd", "a/b/c/", "b/c", "a/c/b", ""};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_false(xml_reader_is_at(&reader, others[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xml_reader__tells_elements),
		cmocka_unit_test(test_xml_reader__refuses_what_services_do_not_write),
		cmocka_unit_test(test_xml_reader__every_beginning_is_bad),
		cmocka_unit_test(test_xml_reader__is_bounded),
		cmocka_unit_test(test_xml_reader__knows_where_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
