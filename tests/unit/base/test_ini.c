/*
 * ini: the grammar, as tables of text and the items found in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ini.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Items as text, one a line: "LINE [section]", "LINE section/key=<value>", "LINE ! fault". */
static void print_item(void *context, const struct ini_item *item)
{
	FILE *out = context;

	switch (item->kind) {
	case INI_SECTION: (void)fprintf(out, "%u [%s]\n", item->line, item->section); break;
	case INI_ENTRY:
		(void)fprintf(out, "%u %s/%s=<%s>\n", item->line,
			item->section == NULL ? "-" : item->section, item->key, item->value);
		break;
	case INI_FAULT: (void)fprintf(out, "%u ! %s\n", item->line, item->fault); break;
	}
}

static char *items_of(const char *text, size_t length)
{
	/* On the heap without an end: reading past it is seen. */
	char *copy = malloc(length == 0 ? 1 : length);
	char *printed;
	size_t printed_length;
	FILE *out = open_memstream(&printed, &printed_length);

	memcpy(copy, text, length);
	ini_parse(copy, length, print_item, out);
	(void)fclose(out);
	free(copy);
	return printed;
}

struct example {
	const char *text;
	const char *items;
};

static void check(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char *items = items_of(examples[i].text, strlen(examples[i].text));

		if (strcmp(items, examples[i].items) != 0) {
			print_error("text: <%s>\n", examples[i].text);
		}
		assert_string_equal(items, examples[i].items);
		free(items);
	}
}

static void test_ini__reads_sections_and_entries(void **state)
{
	static const struct example examples[] = {
		{"", ""},
		{"\n\n", ""},
		{"[relay]\nname = hub\n", "1 [relay]\n2 relay/name=<hub>\n"},
		{"[relay]\r\nname=hub", "1 [relay]\n2 relay/name=<hub>\n"},
		{"\t[ destination us-west-2 ] \n\t a \t=\t b c\t\n",
			"1 [destination us-west-2]\n2 destination us-west-2/a=<b c>\n"},
		{"[a]\nx =\ny = \n", "1 [a]\n2 a/x=<>\n3 a/y=<>\n"},
		{"[a]\nc = host=db1,db2 port=5432\n", "1 [a]\n2 a/c=<host=db1,db2 port=5432>\n"},
		{"\xef\xbb\xbf[a]\n", "1 [a]\n"},
		{"x = 1\n[a]\n", "1 -/x=<1>\n2 [a]\n"},
		{"[a]\nx = 1\n[b]\nx = 2\n", "1 [a]\n2 a/x=<1>\n3 [b]\n4 b/x=<2>\n"},
		{"[a]\nn = gr\xc3\xbc\xc3\x9f\n", "1 [a]\n2 a/n=<gr\xc3\xbc\xc3\x9f>\n"},
	};

	(void)state;
	check(examples, sizeof(examples) / sizeof(examples[0]));
}

static void test_ini__drops_comments(void **state)
{
	static const struct example examples[] = {
		{"; one\n# two\n  ; three\n", ""},
		{"[a] ; comment\nx = 1 # comment ; more\n", "1 [a]\n2 a/x=<1>\n"},
		{"[a]\nx = 1;2#3\n", "1 [a]\n2 a/x=<1;2#3>\n"},
		{"[a]\nx = ; nothing\ny =;z\n", "1 [a]\n2 a/x=<>\n3 a/y=<;z>\n"},
		{"[a]\nx\t#=1\n", "1 [a]\n2 ! expected \"key = value\" or \"[section]\"\n"},
		{"[a ;b]\n", "1 [a ;b]\n"},
	};

	(void)state;
	check(examples, sizeof(examples) / sizeof(examples[0]));
}

static void test_ini__keeps_what_is_quoted(void **state)
{
	static const struct example examples[] = {
		{"[a]\nx = ' b ; c # d '\n", "1 [a]\n2 a/x=< b ; c # d >\n"},
		{"[a]\nx = \"it's\"\ny = 'say \"so\"'\n",
			"1 [a]\n2 a/x=<it's>\n3 a/y=<say \"so\">\n"},
		{"[a]\nx = 'it''s' ; comment\ny = \"\"\"\"\n", "1 [a]\n2 a/x=<it's>\n3 a/y=<\">\n"},
		{"[a]\nx = ''\ny = ''''''\n", "1 [a]\n2 a/x=<>\n3 a/y=<''>\n"},
		{"[a]\nx = password='a b'\n", "1 [a]\n2 a/x=<password='a b'>\n"},
		{"[a]\nx = 'b' c\n", "1 [a]\n2 ! unexpected text after the closing quote\n"},
		{"[a]\nx = 'b'#c\n", "1 [a]\n2 ! unexpected text after the closing quote\n"},
		{"[a]\nx = 'b\ny = 2\n", "1 [a]\n2 ! missing closing quote\n3 a/y=<2>\n"},
		{"[a]\nx = 'b''", "1 [a]\n2 ! missing closing quote\n"},
		{"[a]\nx = '", "1 [a]\n2 ! missing closing quote\n"},
	};

	(void)state;
	check(examples, sizeof(examples) / sizeof(examples[0]));
}

static void test_ini__names_every_fault_and_goes_on(void **state)
{
	static const struct example examples[] = {
		{"[relay\nname = x\n[b]\ny = 1\n", "1 ! missing \"]\" after the section's name\n2 "
						   "-/name=<x>\n3 [b]\n4 b/y=<1>\n"},
		{"[]\n[ ]\n", "1 ! empty section name\n2 ! empty section name\n"},
		{"[a] b\n", "1 [a]\n1 ! unexpected text after \"]\"\n"},
		{"[a]\nname\n= 3\n", "1 [a]\n2 ! expected \"key = value\" or \"[section]\"\n"
				     "3 ! missing key before \"=\"\n"},
		{"[a]\nx = \x01y\nz = 1\x7f\n", "1 [a]\n2 ! control character at column 5\n"
						"3 ! control character at column 6\n"},
		{"[a]\nx = 1\ry\n", "1 [a]\n2 ! control character at column 6\n"},
	};

	(void)state;
	check(examples, sizeof(examples) / sizeof(examples[0]));
}

static void test_ini__refuses_a_nul_byte(void **state)
{
	static const char text[] = "[a]\nx = 1\0 2\ny = 3\n";
	char *items = items_of(text, sizeof(text) - 1);

	(void)state;
	assert_string_equal(items, "1 [a]\n2 ! NUL byte at column 6\n3 a/y=<3>\n");
	free(items);
}

static void test_ini__reads_lines_of_any_length(void **state)
{
	const int length = 1 << 20;
	char *text, *expected, *items;

	(void)state;
	assert_true(asprintf(&text, "[a]\nx = %0*d", length, 7) > length);
	assert_true(asprintf(&expected, "1 [a]\n2 a/x=<%0*d>\n", length, 7) > length);
	items = items_of(text, strlen(text));
	assert_true(strcmp(items, expected) == 0);
	free(items);
	free(expected);
	free(text);
}

static void test_ini__writes_values_that_read_back(void **state)
{
	static const char *const values[] = {"", "plain", "a b", " a", "a ", "; a", "a ; b", "a;b",
		"#", "'", "\"", "'a'", "\"a\"", "a'b\"c", " \"'; #", "host=x password='a b'", "\t"};

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char *text, *items, expected[128];
		size_t length;
		FILE *out = open_memstream(&text, &length);

		(void)fputs("[s]\nk = ", out);
		ini_write_value(values[i], out);
		(void)fputs(" ; comment\n", out);
		(void)fclose(out);
		items = items_of(text, length);
		(void)snprintf(expected, sizeof(expected), "1 [s]\n2 s/k=<%s>\n", values[i]);
		assert_string_equal(items, expected);
		free(items);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ini__reads_sections_and_entries),
		cmocka_unit_test(test_ini__drops_comments),
		cmocka_unit_test(test_ini__keeps_what_is_quoted),
		cmocka_unit_test(test_ini__names_every_fault_and_goes_on),
		cmocka_unit_test(test_ini__refuses_a_nul_byte),
		cmocka_unit_test(test_ini__reads_lines_of_any_length),
		cmocka_unit_test(test_ini__writes_values_that_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
