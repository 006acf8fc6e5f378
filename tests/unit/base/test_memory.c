/*
 * memory: copies with an end, and lists that grow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static void test_memory__copies_have_an_end(void **state)
{
	char *copy = memory_copy_bytes("abcdef", 3);

	(void)state;
	assert_string_equal(copy, "abc");
	free(copy);
	copy = memory_copy_text("");
	assert_string_equal(copy, "");
	free(copy);
}

static void test_memory__what_is_wiped_is_zero(void **state)
{
	char bytes[] = "secret!", *text = NULL;

	(void)state;
	memory_wipe(bytes, 6);
	assert_memory_equal(bytes, "\0\0\0\0\0\0!", 8);
	memory_wipe_text(&text);
	text = memory_copy_text("secret");
	memory_wipe_text(&text);
	assert_null(text);
}

static void test_memory__a_list_grows_by_zeroed_items(void **state)
{
	uint64_t *items = NULL;

	(void)state;
	for (size_t count = 0; count < 1000; count++) {
		items = memory_grow(items, count, sizeof(*items));
		assert_true(items[count] == 0);
		items[count] = count + 1;
	}
	for (size_t i = 0; i < 1000; i++) {
		assert_true(items[i] == i + 1);
	}
	free(items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory__copies_have_an_end),
		cmocka_unit_test(test_memory__what_is_wiped_is_zero),
		cmocka_unit_test(test_memory__a_list_grows_by_zeroed_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
