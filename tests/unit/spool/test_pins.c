/*
 * pins: names, what a restart finds, and how a pin ends.
 */
#include "slots_fixture.h"
#include "spool/pins.h"

#include <string.h>

#define HOUR_US INT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)
#define NOW_US  INT64_C(1700000000000000)

static struct pins *pins;

static int set_up(void **state)
{
	int result = set_up_slots(state);
	pins = pins_open(database, &err);
	return pins == NULL ? -1 : result;
}

static int tear_down(void **state)
{
	pins_close(&pins);
	return tear_down_slots(state);
}

static void restart(void)
{
	pins_close(&pins);
	assert_null(pins);
	close_slots();
	open_slots();
	pins = pins_open(database, &err);
	assert_non_null(pins);
}

static bool add(const char *name, lsn_t lsn, int64_t expires_us)
{
	struct outcome outcome = OUTCOME;
	if (!pins_add(pins, name, lsn, NOW_US, expires_us, on_done, &outcome, &err)) {
		assert_int_equal(outcome.calls, 0);
		return false;
	}
	return wait_for(&outcome);
}

static bool drop_pin(const char *name)
{
	struct outcome outcome = OUTCOME;
	if (!pins_drop(pins, name, on_done, &outcome, &err)) {
		assert_int_equal(outcome.calls, 0);
		return false;
	}
	return wait_for(&outcome);
}

static bool is_there(const char *name)
{
	struct pin_stats stats;
	return pins_find(pins, name, &stats);
}

static void test_pins__survive_a_restart(void **state)
{
	struct pin_stats list[4];
	(void)state;
	assert_true(add("snap-b", 0x1600000028, NOW_US + DAY_US));
	assert_true(add("Snap.a", 0x2000, PIN_FOREVER_US));
	assert_string_equal(query("SELECT lsn FROM pins WHERE name = 'snap-b'"), "16/28");
	pins_mark_lost(pins, "Snap.a");
	pins_mark_lost(pins, "Snap.a");
	pins_mark_lost(pins, "unknown");
	restart();
	assert_int_equal(pins_list(pins, list, 4), 2);
	assert_string_equal(list[0].name, "Snap.a");
	assert_true(list[0].lost);
	assert_int_equal(list[0].expires_us, PIN_FOREVER_US);
	assert_string_equal(list[1].name, "snap-b");
	assert_false(list[1].lost);
	assert_int_equal(list[1].lsn, 0x1600000028);
	assert_int_equal(list[1].created_us, NOW_US);
	assert_int_equal(list[1].expires_us, NOW_US + DAY_US);
	assert_int_equal(pins_list(pins, list, 1), 2);
}

static void test_pins__are_dropped_for_good(void **state)
{
	(void)state;
	assert_true(add("a", 0x100, 0));
	assert_true(drop_pin("a"));
	assert_false(is_there("a"));
	assert_false(drop_pin("a"));
	assert_error("42704", "pin \"a\" does not exist");
	restart();
	assert_false(is_there("a"));
	assert_true(add("a", 0x100, 0));
}

static void test_pins__refuse_what_is_wrong(void **state)
{
	char name[PIN_NAME_SIZE + 1];
	(void)state;
	memset(name, 'x', sizeof(name));
	name[PIN_NAME_SIZE] = '\0';
	assert_false(add(name, 0x100, 0));
	assert_string_equal(err.sqlstate, "42602");
	name[PIN_NAME_SIZE - 1] = '\0';
	assert_true(add(name, 0x100, 0));
	assert_false(add("", 0x100, 0));
	assert_error("42602", "pin name \"\" is too short");
	assert_false(add("a b", 0x100, 0));
	assert_error("42602", "pin name \"a b\" contains invalid character");
	assert_false(add("a", LSN_INVALID, 0));
	assert_error("22023", "a pin needs an LSN");
	assert_true(add("a", 0x100, 0));
	assert_false(add("a", 0x200, 0));
	assert_error("42710", "pin \"a\" already exists");
}

/* From the moment it is asked for until its row is gone. */
static void test_pins__hold_while_the_disk_is_slow(void **state)
{
	struct outcome added = OUTCOME;
	struct outcome dropped = OUTCOME;
	(void)state;
	close_gate();
	assert_true(pins_add(pins, "a", 0x100, NOW_US, 0, on_done, &added, &err));
	assert_true(is_there("a"));
	assert_false(pins_drop(pins, "a", NULL, NULL, &err));
	assert_error("55006", "pin \"a\" is being changed");
	open_gate();
	assert_true(wait_for(&added));
	close_gate();
	assert_true(pins_drop(pins, "a", on_done, &dropped, &err));
	assert_true(is_there("a"));
	open_gate();
	assert_true(wait_for(&dropped));
	assert_false(is_there("a"));
}

static void test_pins__a_failed_change_changes_nothing(void **state)
{
	(void)state;
	assert_true(add("a", 0x100, 0));
	query("ALTER TABLE pins RENAME TO hidden");
	assert_false(add("b", 0x100, 0));
	assert_false(is_there("b"));
	assert_false(drop_pin("a"));
	assert_true(is_there("a"));
	query("ALTER TABLE hidden RENAME TO pins");
	assert_true(drop_pin("a"));
}

static void test_pins__end_at_their_time(void **state)
{
	(void)state;
	assert_true(add("short", 0x100, NOW_US + HOUR_US));
	assert_true(add("long", 0x100, NOW_US + 30 * DAY_US));
	assert_true(add("endless", 0x100, PIN_FOREVER_US));
	pins_expire(pins, NOW_US + HOUR_US - 1);
	drain();
	assert_true(is_there("short"));
	pins_expire(pins, NOW_US + HOUR_US);
	drain();
	assert_false(is_there("short"));
	restart();
	assert_false(is_there("short"));
	assert_true(is_there("long"));
	pins_expire(pins, NOW_US + 3000 * DAY_US);
	drain();
	assert_false(is_there("long"));
	assert_true(is_there("endless"));
}

static void test_pins__are_warned_of_before_their_end(void **state)
{
	static const struct {
		int64_t lasts_us;
		int64_t before_us;
	} cases[] = {
		{10 * HOUR_US, HOUR_US},
		{10 * DAY_US, DAY_US},
		{300 * DAY_US, DAY_US},
		{100, 10},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pin_stats pin = {
			.created_us = NOW_US, .expires_us = NOW_US + cases[i].lasts_us};
		assert_int_equal(pins_warning_us(&pin), pin.expires_us - cases[i].before_us);
	}
}

static void test_pins__know_what_was_left_behind_by_their_names(void **state)
{
	static const struct {
		const char *name;
		bool is_left;
	} others[] = {{"lost-1-0-3000028", false}, {"lost-1-0-3000028-0-3000028", false},
		{"lost-1-0-3000028-0-4000000x", false}, {"lost-1-0-03000028-0-4000000", false},
		{"lost-2-0-3000028-1-0", true}};
	struct pin_stats stats;
	char name[PIN_NAME_SIZE];
	(void)state;
	pins_name_left(4294967295, UINT64_MAX - 1, UINT64_MAX, name);
	assert_string_equal(name, "lost-4294967295-FFFFFFFF-FFFFFFFE-FFFFFFFF-FFFFFFFF");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_true(add(others[i].name, 0x3000028, NOW_US + DAY_US));
		assert_true(pins_find(pins, others[i].name, &stats));
		assert_int_equal(stats.left_tli != 0, others[i].is_left);
	}
	restart();
	assert_true(pins_find(pins, "lost-2-0-3000028-1-0", &stats));
	assert_int_equal(stats.left_tli, 2);
	assert_int_equal(stats.left_end_lsn, 0x100000000);
}

int main(void)
{
#define PINS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		PINS_TEST(test_pins__survive_a_restart),
		PINS_TEST(test_pins__know_what_was_left_behind_by_their_names),
		PINS_TEST(test_pins__are_dropped_for_good),
		PINS_TEST(test_pins__refuse_what_is_wrong),
		PINS_TEST(test_pins__hold_while_the_disk_is_slow),
		PINS_TEST(test_pins__a_failed_change_changes_nothing),
		PINS_TEST(test_pins__end_at_their_time),
		PINS_TEST(test_pins__are_warned_of_before_their_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
