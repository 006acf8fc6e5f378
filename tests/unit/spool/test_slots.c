/*
 * slots: who may create, drop and stream from them, and what is told otherwise.
 */
#include "slots_fixture.h"

#include <stdio.h>
#include <string.h>

static void test_slots__a_name_is_taken_at_once(void **state)
{
	(void)state;
	struct outcome first = OUTCOME;
	struct outcome second = OUTCOME;
	close_gate();
	assert_true(slots_create(slots, "s1", false, 7, 0x100, 1, on_done, &first, &err));
	assert_false(slots_create(slots, "s1", false, 8, 0, 0, on_done, &second, &err));
	assert_error("42710", "replication slot \"s1\" already exists");
	assert_false(slots_create(slots, "s1", true, 8, 0, 0, on_done, &second, &err));
	assert_error("42710", "replication slot \"s1\" already exists");
	assert_false(slots_acquire(slots, "s1", 8, &err));
	assert_error("55006", "replication slot \"s1\" is active for PID 7");
	assert_int_equal(stats_of("s1").restart_lsn, 0x100);
	assert_int_equal(first.calls, 0);
	open_gate();
	assert_true(wait_for(&first));
	assert_int_equal(second.calls, 0);
	assert_true(slots_acquire(slots, "s1", 8, &err));
}

static void test_slots__a_slot_being_dropped_is_in_use(void **state)
{
	(void)state;
	struct outcome outcome = OUTCOME;
	create("s1", 0x100);
	close_gate();
	assert_true(slots_drop(slots, "s1", 8, on_done, &outcome, &err));
	assert_false(slots_acquire(slots, "s1", 9, &err));
	assert_error("55006", "replication slot \"s1\" is active for PID 8");
	assert_false(drop("s1", 8));
	assert_false(slots_create(slots, "s1", false, 9, 0, 0, NULL, NULL, &err));
	assert_error("42710", "replication slot \"s1\" already exists");
	open_gate();
	assert_true(wait_for(&outcome));
	create("s1", 0x200);
	assert_int_equal(stats_of("s1").restart_lsn, 0x200);
}

static void test_slots__judges_names(void **state)
{
	static const char hint[] = "Replication slot names may only contain lower case letters, "
				   "numbers, and the underscore character.";
	(void)state;
	assert_false(slots_create(slots, "Bad-Name", false, 7, 0, 0, NULL, NULL, &err));
	assert_error("42602", "replication slot name \"Bad-Name\" contains invalid character");
	assert_string_equal(err.hint, hint);
	assert_false(slots_create(slots, "", false, 7, 0, 0, NULL, NULL, &err));
	assert_error("42602", "replication slot name \"\" is too short");
	char name[SLOT_NAME_SIZE + 1];
	memset(name, 'a', sizeof(name));
	name[SLOT_NAME_SIZE] = '\0';
	assert_false(slots_create(slots, name, true, 7, 0, 0, NULL, NULL, &err));
	assert_string_equal(err.sqlstate, "42622");
	name[SLOT_NAME_SIZE - 1] = '\0';
	create(name, 0);
}

static void test_slots__are_bounded(void **state)
{
	(void)state;
	for (int i = 0; i < SLOTS_MAX; i++) {
		char name[SLOT_NAME_SIZE];
		snprintf(name, sizeof(name), "t%d", i);
		assert_true(create_temporary(name, 9));
	}
	assert_false(create_temporary("one_more", 9));
	assert_error("53400", "all replication slots are in use");
	slots_drop_temporary(slots, 9);
	assert_int_equal(slots_list(slots, NULL, 0), 0);
}

static void test_slots__are_streamed_from_by_one(void **state)
{
	(void)state;
	create("s1", 0x100);
	assert_true(slots_acquire(slots, "s1", 8, &err));
	assert_int_equal(stats_of("s1").active_pid, 8);
	assert_false(slots_acquire(slots, "s1", 9, &err));
	assert_error("55006", "replication slot \"s1\" is active for PID 8");
	assert_false(drop("s1", 9));
	assert_error("55006", "replication slot \"s1\" is active for PID 8");
	slots_release(slots, "s1", 9);
	assert_int_equal(stats_of("s1").active_pid, 8);
	slots_release(slots, "s1", 8);
	assert_true(slots_acquire(slots, "s1", 9, &err));
}

static void test_slots__tell_what_does_not_exist(void **state)
{
	(void)state;
	struct slot_stats stats;
	assert_false(slots_acquire(slots, "x", 8, &err));
	assert_error("42704", "replication slot \"x\" does not exist");
	memset(&err, 0, sizeof(err));
	assert_false(drop("x", 8));
	assert_error("42704", "replication slot \"x\" does not exist");
	assert_false(slots_find(slots, "x", &stats));
	slots_release(slots, "x", 8);
	slots_confirm(slots, "x", 0x100, 1);
	slots_mark_lost(slots, "x");
}

static void test_slots__temporary_ones_belong_to_their_session(void **state)
{
	(void)state;
	struct outcome outcome = OUTCOME;
	assert_true(slots_create(slots, "t1", true, 8, 0x100, 1, on_done, &outcome, &err));
	assert_int_equal(outcome.calls, 1);
	assert_true(outcome.ok);
	assert_true(create_temporary("t2", 8));
	assert_true(create_temporary("t3", 9));
	create("s1", 0x100);
	assert_true(stats_of("t1").temporary);
	assert_false(slots_acquire(slots, "t1", 9, &err));
	assert_error("55006", "replication slot \"t1\" is active for PID 8");
	assert_false(drop("t1", 9));
	assert_true(slots_acquire(slots, "t1", 8, &err));
	slots_release(slots, "t1", 8);
	assert_true(drop("t1", 8));
	slots_drop_temporary(slots, 8);
	struct slot_stats list[4];
	assert_int_equal(slots_list(slots, list, 4), 2);
	assert_string_equal(list[0].name, "s1");
	assert_string_equal(list[1].name, "t3");
}

static void test_slots__follow_what_is_confirmed(void **state)
{
	(void)state;
	create("s1", LSN_INVALID);
	slots_confirm(slots, "s1", 0x3000, 2);
	assert_int_equal(stats_of("s1").restart_lsn, 0x3000);
	assert_int_equal(stats_of("s1").restart_tli, 2);
	slots_confirm(slots, "s1", 0x2000, 2);
	assert_int_equal(stats_of("s1").restart_lsn, 0x2000);
	slots_confirm(slots, "s1", LSN_INVALID, 2);
	assert_int_equal(stats_of("s1").restart_lsn, 0x2000);
}

static void test_slots__a_lost_slot_holds_nothing(void **state)
{
	(void)state;
	create("s1", 0x100);
	slots_mark_lost(slots, "s1");
	assert_true(stats_of("s1").lost);
	assert_int_equal(stats_of("s1").restart_lsn, LSN_INVALID);
	slots_confirm(slots, "s1", 0x2000, 1);
	assert_int_equal(stats_of("s1").restart_lsn, LSN_INVALID);
	assert_false(slots_acquire(slots, "s1", 8, &err));
	assert_error("55000", "can no longer access replication slot \"s1\"");
	assert_string_equal(
		err.detail, "This replication slot has been invalidated due to \"wal_removed\".");
	assert_true(drop("s1", 8));
	create("s1", 0x300);
	assert_true(slots_acquire(slots, "s1", 8, &err));
}

static void assert_oldest(uint64_t xmin, uint64_t catalog_xmin)
{
	uint64_t held, catalog_held;
	slots_oldest_xmin(slots, &held, &catalog_held);
	assert_int_equal(held, xmin);
	assert_int_equal(catalog_held, catalog_xmin);
}

static void test_slots__hold_the_oldest_of_what_standbys_need(void **state)
{
	(void)state;
	create("s1", 0x100);
	create("s2", 0x100);
	assert_oldest(0, 0);
	slots_hold_xmin(slots, "s1", 900, 0);
	slots_hold_xmin(slots, "s2", 800, 700);
	slots_hold_xmin(slots, "nosuch", 5, 5);
	assert_oldest(800, 700);
	slots_hold_xmin(slots, "s2", UINT64_C(1) << 32 | 3, 0);
	assert_oldest(900, 0);
	slots_mark_lost(slots, "s1");
	slots_hold_xmin(slots, "s1", 900, 900);
	assert_oldest(UINT64_C(1) << 32 | 3, 0);
	assert_true(drop("s2", 8));
	assert_oldest(0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLOTS_TEST(test_slots__a_name_is_taken_at_once),
		SLOTS_TEST(test_slots__a_slot_being_dropped_is_in_use),
		SLOTS_TEST(test_slots__judges_names),
		SLOTS_TEST(test_slots__are_bounded),
		SLOTS_TEST(test_slots__are_streamed_from_by_one),
		SLOTS_TEST(test_slots__tell_what_does_not_exist),
		SLOTS_TEST(test_slots__temporary_ones_belong_to_their_session),
		SLOTS_TEST(test_slots__follow_what_is_confirmed),
		SLOTS_TEST(test_slots__a_lost_slot_holds_nothing),
		SLOTS_TEST(test_slots__hold_the_oldest_of_what_standbys_need),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
