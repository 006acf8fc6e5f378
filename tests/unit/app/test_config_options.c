/*
 * config_options: the table itself: no key twice, defaults that parse, an order that is the
 * manual's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/config_options.h"
#include "config_helpers.h"

#include <stdlib.h>
#include <string.h>

static void test_config_options__has_no_key_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		assert_ptr_equal(config_option_find(option->section, option->key), option);
		assert_ptr_equal(config_option_nearest(option->section, option->key), option);
	}
	assert_null(config_option_find(CONFIG_RELAY, "conninfo"));
}

static void test_config_options__sections_stand_together(void **state)
{
	(void)state;
	for (size_t i = 1; i < config_option_count; i++) {
		assert_true(config_options[i].section >= config_options[i - 1].section);
	}
}

static void test_config_options__no_two_share_a_field(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_option_count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct config_option *a = &config_options[i], *b = &config_options[j];

			if ((a->section == CONFIG_DESTINATION) ==
				(b->section == CONFIG_DESTINATION)) {
				assert_true(a->offset >= b->offset + b->type->size ||
					    b->offset >= a->offset + a->type->size);
			}
		}
	}
}

static void test_config_options__defaults_and_requirements_agree(void **state)
{
	(void)state;
	for (size_t i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];
		bool is_required = (option->flags & CONFIG_REQUIRED) != 0;

		assert_int_equal(is_required, option->default_text == NULL);
	}
}

struct pieces {
	char text[128];
	size_t count;
	size_t count_max;
};

static bool take_piece(void *context, const char *piece, struct error *err)
{
	struct pieces *pieces = context;

	if (pieces->count == pieces->count_max) {
		return error_set(err, ERROR_FULL, "enough");
	}
	strcat(strcat(pieces->text, piece), "|");
	pieces->count++;
	return true;
}

static void test_config_options__splits_at_commas(void **state)
{
	struct pieces pieces = {.count_max = 3};
	struct error err;

	(void)state;
	assert_true(config_split(" a b ,c,\td ", take_piece, &pieces, &err));
	assert_string_equal(pieces.text, "a b|c|d|");
	assert_true(config_split("", take_piece, &pieces, &err));
	assert_false(config_split("e", take_piece, &pieces, &err));
	assert_string_equal(err.message, "enough");
	pieces = (struct pieces){.count_max = 3};
	assert_false(config_split("a,,b", take_piece, &pieces, &err));
	assert_false(config_split(" ", take_piece, &pieces, &err));
	assert_string_equal(err.message, "nothing stands beside a comma");
	assert_string_equal(pieces.text, "a|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_options__has_no_key_twice),
		cmocka_unit_test(test_config_options__sections_stand_together),
		cmocka_unit_test(test_config_options__no_two_share_a_field),
		cmocka_unit_test(test_config_options__defaults_and_requirements_agree),
		cmocka_unit_test(test_config_options__splits_at_commas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
