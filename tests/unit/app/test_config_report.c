/*
 * config_report: order and wording of what is reported.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/config_report.h"

#include <stdlib.h>

static void test_config_report__sorts_by_line_and_keeps_what_is_equal(void **state)
{
	struct config_report report = {0};
	char *text;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	(void)state;
	config_report_error(&report, "f", 7, "first of %d", 7);
	config_report_warning(&report, "f", 2, "a");
	config_report_error(&report, "f", 7, "second of 7");
	config_report_error(&report, "f", 2, "b");
	config_report_error(&report, "g", 0, "the whole");
	assert_int_equal(report.error_count, 4);
	config_report_sort(&report);
	config_report_write(&report, out);
	(void)fclose(out);
	assert_string_equal(text, "g:1: the whole\n"
				  "f:2: warning: a\n"
				  "f:2: b\n"
				  "f:7: first of 7\n"
				  "f:7: second of 7\n");
	free(text);
	config_report_release(&report);
	assert_int_equal(report.count, 0);
	config_report_release(&report);
}

static void test_config_report__refuses_with_the_first_error(void **state)
{
	struct config_report report = {0};
	struct error err = {0};

	(void)state;
	config_report_warning(&report, "f", 1, "never mind");
	config_report_error(&report, "f", 2, "this is wrong");
	config_report_error(&report, "f", 3, "this too");
	config_report_log(&report);
	assert_false(config_report_refuse(&report, &err));
	assert_string_equal(err.sqlstate, "F0000");
	assert_string_equal(err.detail, "f:2: this is wrong");
	config_report_release(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_report__sorts_by_line_and_keeps_what_is_equal),
		cmocka_unit_test(test_config_report__refuses_with_the_first_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
