/* Tests of observe/history: the ring, series that come and go, its bounds. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "observe/history.h"

#define START_US INT64_C(1767323045000000)

static int setup(void **state)
{
	*state = history_new();
	return 0;
}

static int teardown(void **state)
{
	struct history *history = *state;
	history_free(&history);
	history_free(&history);
	return 0;
}

static bool put(struct history *history, enum history_kind kind, const char *name, double value)
{
	const double values[HISTORY_VALUES] = {value, value + 0.5};
	return history_put(history, kind, name, values);
}

static const struct history_series *named(
	struct history *history, enum history_kind kind, const char *name)
{
	const struct history_series *series = NULL;
	while ((series = history_next(history, kind, series)) != NULL) {
		if (strcmp(history_name(series), name) == 0) {
			break;
		}
	}
	return series;
}

static void test_history__begins_empty(void **state)
{
	struct history *history = *state;
	assert_int_equal(history_count(history), 0);
	assert_null(history_next(history, HISTORY_STANDBY, NULL));
	assert_true(history_is_due(history, START_US));
}

static void test_history__is_due_once_an_interval(void **state)
{
	struct history *history = *state;
	history_begin(history, START_US);
	assert_false(history_is_due(history, START_US));
	assert_false(history_is_due(history, START_US + HISTORY_INTERVAL_US - 1));
	assert_true(history_is_due(history, START_US + HISTORY_INTERVAL_US));
	assert_true(history_is_due(history, START_US - 1));
}

static void test_history__keeps_what_was_put(void **state)
{
	struct history *history = *state;
	history_begin(history, START_US);
	assert_true(put(history, HISTORY_UPSTREAM, "upstream", 7));
	history_begin(history, START_US + HISTORY_INTERVAL_US);
	assert_true(put(history, HISTORY_STANDBY, "s1", 1));
	assert_true(put(history, HISTORY_DESTINATION, "s1", 2));
	assert_int_equal(history_count(history), 2);
	assert_int_equal(history_time(history, 0), START_US);
	assert_int_equal(history_time(history, 1), START_US + HISTORY_INTERVAL_US);
	const struct history_series *standby = named(history, HISTORY_STANDBY, "s1");
	assert_true(history_value(history, standby, 0, 0) == HISTORY_UNKNOWN);
	assert_true(history_value(history, standby, 1, 0) == 1);
	assert_true(history_value(history, standby, 1, 1) == 1.5);
	const struct history_series *upstream = history_next(history, HISTORY_UPSTREAM, NULL);
	assert_true(history_value(history, upstream, 0, 0) == 7);
	assert_true(history_value(history, upstream, 1, 0) == HISTORY_UNKNOWN);
	assert_null(history_next(history, HISTORY_UPSTREAM, upstream));
}

static void test_history__the_oldest_goes(void **state)
{
	struct history *history = *state;
	for (int i = 0; i < HISTORY_SAMPLES_MAX + 5; i++) {
		history_begin(history, START_US + i * HISTORY_INTERVAL_US);
		assert_true(put(history, HISTORY_STANDBY, "s1", i));
	}
	const struct history_series *series = named(history, HISTORY_STANDBY, "s1");
	assert_int_equal(history_count(history), HISTORY_SAMPLES_MAX);
	assert_int_equal(history_time(history, 0), START_US + 5 * HISTORY_INTERVAL_US);
	for (int i = 0; i < HISTORY_SAMPLES_MAX; i++) {
		assert_true(history_value(history, series, (size_t)i, 0) == i + 5);
	}
}

static void test_history__forgets_who_was_silent_for_an_hour(void **state)
{
	struct history *history = *state;
	history_begin(history, START_US);
	(void)put(history, HISTORY_STANDBY, "gone", 1);
	(void)put(history, HISTORY_STANDBY, "stays", 1);
	for (int i = 1; i < HISTORY_SAMPLES_MAX; i++) {
		history_begin(history, START_US + i * HISTORY_INTERVAL_US);
		(void)put(history, HISTORY_STANDBY, "stays", i);
	}
	assert_non_null(named(history, HISTORY_STANDBY, "gone"));
	history_begin(history, START_US + HISTORY_SAMPLES_MAX * HISTORY_INTERVAL_US);
	assert_null(named(history, HISTORY_STANDBY, "gone"));
	const struct history_series *stays = named(history, HISTORY_STANDBY, "stays");
	assert_non_null(stays);
	assert_true(history_value(history, stays, HISTORY_SAMPLES_MAX - 2, 0) ==
		    HISTORY_SAMPLES_MAX - 1);
}

static void fill(struct history *history)
{
	char name[16];
	history_begin(history, START_US);
	for (int i = 0; i < HISTORY_STANDBYS_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		assert_true(put(history, HISTORY_STANDBY, name, i));
	}
}

static void test_history__has_places_for_so_many_only(void **state)
{
	struct history *history = *state;
	fill(history);
	assert_false(put(history, HISTORY_STANDBY, "one too many", 1));
	assert_int_equal(history_left_out(history), 1);
	assert_true(put(history, HISTORY_DESTINATION, "another kind", 1));
	assert_true(put(history, HISTORY_STANDBY, "s0", 5));
	history_begin(history, START_US + HISTORY_INTERVAL_US);
	assert_int_equal(history_left_out(history), 0);
}

static void test_history__who_is_silent_makes_room(void **state)
{
	struct history *history = *state;
	char name[16];
	fill(history);
	for (int sample = 1; sample <= 2; sample++) {
		history_begin(history, START_US + sample * HISTORY_INTERVAL_US);
		for (int i = 0; i < HISTORY_STANDBYS_MAX; i++) {
			snprintf(name, sizeof(name), "s%d", i);
			if (i != 7) {
				assert_true(put(history, HISTORY_STANDBY, name, i));
			}
		}
	}
	assert_true(put(history, HISTORY_STANDBY, "new", 9));
	assert_null(named(history, HISTORY_STANDBY, "s7"));
	assert_non_null(named(history, HISTORY_STANDBY, "s6"));
	assert_non_null(named(history, HISTORY_STANDBY, "s63"));
	const struct history_series *series = named(history, HISTORY_STANDBY, "new");
	assert_true(history_value(history, series, 1, 0) == HISTORY_UNKNOWN);
	assert_true(history_value(history, series, 2, 0) == 9);
	assert_null(history_next(history, HISTORY_STANDBY, series));
}

static void test_history__a_long_name_is_cut_and_found_again(void **state)
{
	struct history *history = *state;
	char name[200];
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	history_begin(history, START_US);
	assert_true(put(history, HISTORY_STANDBY, name, 1));
	assert_true(put(history, HISTORY_STANDBY, name, 2));
	const struct history_series *series = history_next(history, HISTORY_STANDBY, NULL);
	assert_int_equal(strlen(history_name(series)), HISTORY_NAME_SIZE - 1);
	assert_null(history_next(history, HISTORY_STANDBY, series));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_history__begins_empty),
		TEST(test_history__is_due_once_an_interval),
		TEST(test_history__keeps_what_was_put),
		TEST(test_history__the_oldest_goes),
		TEST(test_history__forgets_who_was_silent_for_an_hour),
		TEST(test_history__has_places_for_so_many_only),
		TEST(test_history__who_is_silent_makes_room),
		TEST(test_history__a_long_name_is_cut_and_found_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
