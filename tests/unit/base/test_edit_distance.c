/*
 * edit_distance: the distance of known pairs, and who is nearest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/edit_distance.h"

#include <string.h>

static void test_edit_distance__counts_edits(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		size_t distance;
	} examples[] = {{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"slot", "slot", 0},
		{"solt", "slot", 1}, {"kitten", "sitting", 3}, {"retain_sise", "retain_size", 1},
		{"ca", "abc", 3}, {"max_conections", "max_connections", 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		assert_int_equal(edit_distance(examples[i].a, examples[i].b), examples[i].distance);
		assert_int_equal(edit_distance(examples[i].b, examples[i].a), examples[i].distance);
	}
}

static void test_edit_distance__takes_names_of_any_length(void **state)
{
	char a[300], b[300];

	(void)state;
	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	assert_int_equal(edit_distance(a, b), EDIT_DISTANCE_NAME_MAX);
}

static void test_edit_distance__finds_the_nearest(void **state)
{
	static const char *const names[] = {"serve", "check", "user", "reset"};

	(void)state;
	assert_int_equal(edit_distance_nearest("chek", names, 4), 1);
	assert_int_equal(edit_distance_nearest("rest", names, 4), 3);
	assert_int_equal(edit_distance_nearest("uesr", names, 4), 2);
	assert_int_equal(edit_distance_nearest("", names, 4), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edit_distance__counts_edits),
		cmocka_unit_test(test_edit_distance__takes_names_of_any_length),
		cmocka_unit_test(test_edit_distance__finds_the_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
