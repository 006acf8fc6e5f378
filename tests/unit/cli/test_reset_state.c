/*
 * reset_state: what outlives a reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/database.h"
#include "cli/reset_state.h"
#include "cli/set_aside.h"
#include "cli_helpers.h"

#include <stdlib.h>
#include <string.h>

#define SUFFIX ".set-aside-20260102T030405Z"

static void make_state(void)
{
	static const struct slot_stats slots[] = {
		{.name = "s1", .restart_lsn = 0x1000000, .restart_tli = 1}, {.name = "s2"}};
	static const struct reset_state made = {.is_readable = true,
		.identity = {.system_identifier = 7123456789012345678u, .segment_bytes = 1u << 24},
		.slots = (struct slot_stats *)(uintptr_t)slots,
		.slot_count = 2};
	struct error err;

	if (!reset_state_write(scratch_path(), &made, true, &err)) {
		fail_msg("%s", err.message);
	}
}

static void test_reset_state__carries_slots_and_identity_over(void **state)
{
	struct reset_state before, after;
	struct error err = {0};

	(void)state;
	make_state();
	reset_state_read(scratch_path(), &before, &err);
	assert_true(before.is_readable);
	assert_true(before.identity.system_identifier == 7123456789012345678u);
	assert_int_equal(before.slot_count, 2);
	assert_true(set_aside(scratch_path(), SUFFIX, &err));
	assert_true(reset_state_write(scratch_path(), &before, true, &err));
	reset_state_read(scratch_path(), &after, &err);
	assert_true(after.identity.system_identifier == 7123456789012345678u);
	assert_int_equal(after.identity.segment_bytes, 1u << 24);
	assert_int_equal(after.slot_count, 2);
	assert_string_equal(after.slots[0].name, "s1");
	assert_string_equal(after.slots[1].name, "s2");
	/* A slot holds nothing of a spool that begins anew. */
	assert_true(after.slots[0].restart_lsn == LSN_INVALID);
	assert_false(after.slots[0].temporary);
	reset_state_release(&after);
	reset_state_release(&before);
}

static void test_reset_state__forgets_the_identity_when_asked(void **state)
{
	struct reset_state before, after;
	struct error err = {0};

	(void)state;
	make_state();
	reset_state_read(scratch_path(), &before, &err);
	assert_true(set_aside(scratch_path(), SUFFIX, &err));
	assert_true(reset_state_write(scratch_path(), &before, false, &err));
	reset_state_read(scratch_path(), &after, &err);
	assert_true(after.is_readable);
	assert_true(after.identity.system_identifier == 0);
	assert_int_equal(after.slot_count, 2);
	reset_state_release(&after);
	reset_state_release(&before);
}

static void test_reset_state__reads_nothing_from_what_is_no_state(void **state)
{
	struct reset_state read;
	struct error err = {0};

	(void)state;
	reset_state_read(scratch_path(), &read, &err);
	assert_false(read.is_readable);
	assert_non_null(strstr(err.message, "No such file or directory"));
	/* Looking made nothing. */
	assert_null(scratch_read("state.db"));
	reset_state_release(&read);
	scratch_write("state.db", "this is not a database at all, whatever its name says", 0600);
	reset_state_read(scratch_path(), &read, &err);
	assert_false(read.is_readable);
	assert_int_equal(read.slot_count, 0);
	reset_state_release(&read);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reset_state__carries_slots_and_identity_over),
		TEST(test_reset_state__forgets_the_identity_when_asked),
		TEST(test_reset_state__reads_nothing_from_what_is_no_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
