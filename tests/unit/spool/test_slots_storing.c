/*
 * slots: what reaches the state database, when, and what a restart finds there.
 */
#include "slots_fixture.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define WRITE_GUARD_NS INT64_C(800000000)

static void test_slots__are_durable_before_done_is_called(void **state)
{
	(void)state;
	create("s1", 0x1600000028);
	assert_string_equal(query("SELECT restart_lsn FROM slots WHERE name = 's1'"), "16/28");
	assert_true(drop("s1", 9));
	assert_string_equal(query("SELECT count(*) FROM slots"), "0");
}

static void test_slots__survive_a_restart(void **state)
{
	(void)state;
	create("b", 0x2000);
	create("a", LSN_INVALID);
	assert_true(slots_acquire(slots, "b", 9, &err));
	assert_true(create_temporary("t", 9));
	close_slots();
	open_slots();
	struct slot_stats list[4];
	assert_int_equal(slots_list(slots, list, 4), 2);
	assert_string_equal(list[0].name, "a");
	assert_int_equal(list[0].restart_lsn, LSN_INVALID);
	assert_string_equal(list[1].name, "b");
	assert_int_equal(list[1].restart_lsn, 0x2000);
	assert_int_equal(list[1].restart_tli, 1);
	assert_int_equal(list[1].active_pid, 0);
	assert_false(list[1].temporary);
	assert_false(list[1].lost);
}

static void test_slots__call_done_on_the_databases_thread(void **state)
{
	(void)state;
	struct outcome outcome = OUTCOME;
	assert_true(slots_create(slots, "s1", false, 7, 0, 0, on_done, &outcome, &err));
	assert_true(wait_for(&outcome));
	assert_false(pthread_equal(outcome.thread, pthread_self()));
}

static void test_slots__a_failed_creation_leaves_nothing(void **state)
{
	(void)state;
	struct outcome outcome = OUTCOME;
	query("ALTER TABLE slots RENAME TO hidden");
	assert_true(slots_create(slots, "s1", false, 7, 0, 0, on_done, &outcome, &err));
	assert_false(wait_for(&outcome));
	struct slot_stats stats;
	assert_false(slots_find(slots, "s1", &stats));
	query("ALTER TABLE hidden RENAME TO slots");
	create("s1", 0);
}

static void test_slots__a_failed_drop_leaves_the_slot(void **state)
{
	(void)state;
	create("s1", 0x100);
	query("ALTER TABLE slots RENAME TO hidden");
	assert_false(drop("s1", 7));
	query("ALTER TABLE hidden RENAME TO slots");
	assert_true(slots_acquire(slots, "s1", 8, &err));
	slots_release(slots, "s1", 8);
	assert_true(drop("s1", 7));
}

static void test_slots__temporary_ones_never_touch_the_database(void **state)
{
	(void)state;
	count_updates();
	assert_true(create_temporary("t1", 8));
	/* A row of that name, which an update or a delete would hit. */
	query("INSERT INTO slots VALUES ('t1', '0/0', 1, 0)");
	slots_confirm(slots, "t1", 0x2000, 1);
	drain();
	slots_mark_lost(slots, "t1");
	drain();
	assert_true(drop("t1", 8));
	drain();
	assert_string_equal(query("SELECT count(*) FROM slots"), "1");
	assert_string_equal(query("SELECT count(*) FROM updates"), "0");
	assert_true(create_temporary("t2", 8));
	drain();
	assert_string_equal(query("SELECT count(*) FROM slots WHERE name = 't2'"), "0");
}

static void test_slots__are_written_behind_together(void **state)
{
	(void)state;
	create("s1", 0);
	create("s2", 0);
	count_updates();
	close_gate();
	for (lsn_t lsn = 1; lsn <= 1000; lsn++) {
		slots_confirm(slots, "s1", lsn, 1);
		slots_confirm(slots, "s2", lsn + 1, 1);
	}
	open_gate();
	drain();
	assert_string_equal(query("SELECT count(*) FROM updates WHERE name = 's1'"), "1");
	assert_string_equal(query("SELECT count(*) FROM updates WHERE name = 's2'"), "1");
	assert_string_equal(query("SELECT restart_lsn FROM slots WHERE name = 's1'"), "0/3E8");
	assert_string_equal(query("SELECT restart_lsn FROM slots WHERE name = 's2'"), "0/3E9");
}

static int64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void test_slots__are_written_at_most_once_a_second(void **state)
{
	(void)state;
	create("s1", 0);
	count_updates();
	int64_t start = monotonic_ns();
	slots_confirm(slots, "s1", 0x1000, 1);
	drain();
	slots_confirm(slots, "s1", 0x2000, 1);
	drain();
	/* On a machine so slow that the second has passed, nothing is shown. */
	if (monotonic_ns() - start < WRITE_GUARD_NS) {
		assert_string_equal(query("SELECT restart_lsn FROM slots"), "0/1000");
	}
	lsn_t lsn = 0x2000;
	while (strcmp(query("SELECT count(*) FROM updates"), "1") == 0) {
		assert_true(monotonic_ns() - start < DEADLINE_SECONDS * INT64_C(1000000000));
		slots_confirm(slots, "s1", ++lsn, 1);
		drain();
	}
	assert_true(monotonic_ns() - start > WRITE_GUARD_NS);
}

static void test_slots__are_stored_at_close(void **state)
{
	(void)state;
	create("s1", 0);
	slots_confirm(slots, "s1", 0x1000, 1);
	slots_confirm(slots, "s1", 0x2000, 3);
	close_slots();
	open_slots();
	assert_int_equal(stats_of("s1").restart_lsn, 0x2000);
	assert_int_equal(stats_of("s1").restart_tli, 3);
}

static void test_slots__a_failed_write_is_made_good(void **state)
{
	(void)state;
	create("s1", 0);
	query("ALTER TABLE slots RENAME TO hidden");
	slots_confirm(slots, "s1", 0x1000, 1);
	drain();
	query("ALTER TABLE hidden RENAME TO slots");
	assert_string_equal(query("SELECT restart_lsn FROM slots"), "0/0");
	close_slots();
	open_slots();
	assert_int_equal(stats_of("s1").restart_lsn, 0x1000);
}

static void test_slots__finish_what_was_begun_at_close(void **state)
{
	(void)state;
	struct outcome created = OUTCOME;
	struct outcome dropped = OUTCOME;
	create("old", 0);
	assert_true(slots_create(slots, "new", false, 7, 0, 0, on_done, &created, &err));
	assert_true(slots_drop(slots, "old", 7, on_done, &dropped, &err));
	slots_close(&slots);
	assert_int_equal(created.calls, 1);
	assert_int_equal(dropped.calls, 1);
	database_close(&database);
	open_slots();
	struct slot_stats stats;
	assert_true(slots_find(slots, "new", &stats));
	assert_false(slots_find(slots, "old", &stats));
}

static void test_slots__a_loss_is_written_at_once(void **state)
{
	(void)state;
	create("s1", 0x100);
	slots_confirm(slots, "s1", 0x1000, 1);
	drain();
	slots_mark_lost(slots, "s1");
	drain();
	assert_string_equal(query("SELECT lost FROM slots"), "1");
	close_slots();
	open_slots();
	assert_true(stats_of("s1").lost);
}

static void test_slots__a_loss_during_creation_is_kept(void **state)
{
	(void)state;
	struct outcome outcome = OUTCOME;
	create("other", 0);
	close_gate();
	slots_confirm(slots, "other", 0x100, 1);
	assert_true(slots_create(slots, "s1", false, 7, 0x100, 1, on_done, &outcome, &err));
	slots_mark_lost(slots, "s1");
	open_gate();
	assert_true(wait_for(&outcome));
	close_slots();
	open_slots();
	assert_true(stats_of("s1").lost);
}

static void test_slots__refuse_a_row_that_makes_no_sense(void **state)
{
	(void)state;
	slots_close(&slots);
	query("INSERT INTO slots VALUES ('s1', 'nowhere', 1, 0)");
	assert_null(slots_open(database, &err));
	assert_string_equal(err.message,
		"could not load the replication slots: state database: slot \"s1\" with "
		"restart_lsn \"nowhere\" is invalid");
	query("DELETE FROM slots");
	slots = slots_open(database, &err);
	assert_non_null(slots);
}

#define THREADS       4
#define CONFIRMATIONS 2000

/* One standby's session: a temporary slot, confirmations on a durable one, looks at all. */
static void *stand_by(void *context)
{
	uint32_t pid = *(const uint32_t *)context;
	char name[SLOT_NAME_SIZE];
	char temporary[SLOT_NAME_SIZE];
	struct error thread_err;
	struct slot_stats list[2 * THREADS];
	snprintf(name, sizeof(name), "s%u", pid);
	snprintf(temporary, sizeof(temporary), "t%u", pid);
	bool is_well = slots_acquire(slots, name, pid, &thread_err) &&
		       slots_create(slots, temporary, true, pid, 1, 1, NULL, NULL, &thread_err);
	for (lsn_t lsn = 1; lsn <= CONFIRMATIONS; lsn++) {
		slots_confirm(slots, name, lsn * pid, 1);
		size_t count = slots_list(slots, list, 2 * THREADS);
		is_well = is_well && count >= THREADS && count <= 2 * THREADS;
	}
	slots_drop_temporary(slots, pid);
	slots_release(slots, name, pid);
	return is_well ? context : NULL;
}

static void test_slots__serve_many_threads(void **state)
{
	(void)state;
	pthread_t threads[THREADS];
	uint32_t pids[THREADS];
	char name[SLOT_NAME_SIZE];
	for (uint32_t i = 0; i < THREADS; i++) {
		pids[i] = i + 1;
		snprintf(name, sizeof(name), "s%u", pids[i]);
		create(name, 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, stand_by, &pids[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, &pids[i]);
	}
	close_slots();
	open_slots();
	assert_int_equal(slots_list(slots, NULL, 0), THREADS);
	for (uint32_t i = 0; i < THREADS; i++) {
		snprintf(name, sizeof(name), "s%u", pids[i]);
		assert_int_equal(stats_of(name).restart_lsn, CONFIRMATIONS * pids[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SLOTS_TEST(test_slots__are_durable_before_done_is_called),
		SLOTS_TEST(test_slots__survive_a_restart),
		SLOTS_TEST(test_slots__call_done_on_the_databases_thread),
		SLOTS_TEST(test_slots__a_failed_creation_leaves_nothing),
		SLOTS_TEST(test_slots__a_failed_drop_leaves_the_slot),
		SLOTS_TEST(test_slots__temporary_ones_never_touch_the_database),
		SLOTS_TEST(test_slots__are_written_behind_together),
		SLOTS_TEST(test_slots__are_written_at_most_once_a_second),
		SLOTS_TEST(test_slots__are_stored_at_close),
		SLOTS_TEST(test_slots__a_failed_write_is_made_good),
		SLOTS_TEST(test_slots__finish_what_was_begun_at_close),
		SLOTS_TEST(test_slots__a_loss_is_written_at_once),
		SLOTS_TEST(test_slots__a_loss_during_creation_is_kept),
		SLOTS_TEST(test_slots__refuse_a_row_that_makes_no_sense),
		SLOTS_TEST(test_slots__serve_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
