/* Tests of observe/standby_labels: plain where possible, different always. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "observe/standby_labels.h"

#define COUNT 8

static void test_standby_labels__are_plain_names_unless_they_could_be_mistaken(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t pid;
		const char *label;
	} cases[COUNT] = {
		{"paris", 1, "paris"},
		{"walreceiver", 12, "walreceiver#12"},
		{"", 4, "#4"},
		{"walreceiver", 3, "walreceiver#3"},
		{"walreceiver#12", 5, "walreceiver#12#5"},
		{"a#b", 6, "a#b"},
		{"a#", 7, "a#"},
		{"#", 8, "#"},
	};
	struct standby_stats standbys[COUNT] = {0};
	char labels[COUNT][STANDBY_LABEL_SIZE];
	for (size_t i = 0; i < COUNT; i++) {
		strcpy(standbys[i].application_name, cases[i].name);
		standbys[i].pid = cases[i].pid;
	}
	standby_labels_make(standbys, COUNT, labels);
	for (size_t i = 0; i < COUNT; i++) {
		assert_string_equal(labels[i], cases[i].label);
	}
}

static void test_standby_labels__the_longest_name_keeps_its_pid(void **state)
{
	(void)state;
	struct standby_stats standbys[2] = {{.pid = UINT32_MAX}, {.pid = UINT32_MAX - 1}};
	char labels[2][STANDBY_LABEL_SIZE];
	for (int i = 0; i < 2; i++) {
		memset(standbys[i].application_name, 'x', sizeof(standbys[i].application_name) - 1);
	}
	standby_labels_make(standbys, 2, labels);
	assert_non_null(strstr(labels[0], "x#4294967295"));
	assert_string_not_equal(labels[0], labels[1]);
}

static void test_standby_labels__nobody_needs_none(void **state)
{
	(void)state;
	char labels[1][STANDBY_LABEL_SIZE];
	standby_labels_make(NULL, 0, labels);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_standby_labels__are_plain_names_unless_they_could_be_mistaken),
		cmocka_unit_test(test_standby_labels__the_longest_name_keeps_its_pid),
		cmocka_unit_test(test_standby_labels__nobody_needs_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
