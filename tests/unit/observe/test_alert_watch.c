/* Tests of observe/alert_watch: who is missed, and how far behind in time somebody is. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "observe/alert_watch.h"
#include "observe/snapshot.h"

#define SECOND INT64_C(1000000)
#define DAY    (24 * 3600 * SECOND)
#define BEGIN  (INT64_C(1772000000) * SECOND)

static struct alert_watch watch;
static struct standby_stats standbys[4];
static struct slot_stats slots[4];
static struct snapshot snapshot;

static int setup(void **state)
{
	(void)state;
	memset(standbys, 0, sizeof(standbys));
	memset(slots, 0, sizeof(slots));
	snapshot = (struct snapshot){.standbys = standbys, .slots = slots};
	snapshot.store.received_lsn = 0x1000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	alert_watch_release(&watch);
	return 0;
}

static struct standby_stats *add_standby(const char *name, const char *peer)
{
	struct standby_stats *standby = &standbys[snapshot.standby_count++];
	snprintf(standby->application_name, sizeof(standby->application_name), "%s", name);
	snprintf(standby->peer, sizeof(standby->peer), "%s", peer);
	standby->destination = "west";
	standby->state = STANDBY_STREAMING;
	standby->flush_lsn = 0x1000000;
	standby->replay_lsn = 0x1000000;
	standby->replay_lag_us = -1;
	return standby;
}

static void add_slot(const char *name, bool temporary)
{
	struct slot_stats *slot = &slots[snapshot.slot_count++];
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	slot->temporary = temporary;
	slot->restart_lsn = 0x800000;
}

static bool look(int64_t seconds)
{
	return alert_watch_update(&watch, &snapshot, BEGIN + seconds * SECOND);
}

static void test_alert_watch__knows_a_standby_by_its_slot_or_its_host(void **state)
{
	(void)state;
	add_slot("s1", false);
	strcpy(add_standby("walreceiver", "10.0.0.7:4321")->slot, "s1");
	add_standby("far", "10.0.0.8:4321");
	add_standby("", "[2001:db8::1]:5000");
	assert_true(look(0));
	assert_int_equal(watch.count, 3);
	assert_string_equal(watch.standbys[0].name, "s1");
	assert_string_equal(watch.standbys[1].name, "far at 10.0.0.8");
	assert_string_equal(watch.standbys[2].name, "standby at [2001:db8::1]");
	/* Another port is the same standby. */
	strcpy(standbys[1].peer, "10.0.0.8:9999");
	assert_false(look(1));
	assert_int_equal(watch.count, 3);
	snapshot.standby_count = 0;
	assert_false(look(2));
	assert_int_equal(watch.count, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_false(watch.standbys[i].is_here);
		assert_int_equal(watch.standbys[i].seen_us, BEGIN + SECOND);
	}
}

static void test_alert_watch__does_not_count_on_passers_by(void **state)
{
	(void)state;
	add_slot("pg_basebackup_1", true);
	strcpy(add_standby("pg_basebackup", "10.0.0.7:1")->slot, "pg_basebackup_1");
	add_standby("pg_receivewal", "10.0.0.7:2")->replay_lsn = LSN_INVALID;
	add_standby("new", "10.0.0.7:3")->state = STANDBY_CATCHUP;
	standbys[2].replay_lsn = LSN_INVALID;
	add_standby("backup", "10.0.0.7:4")->state = STANDBY_BACKUP;
	assert_false(look(0));
	assert_int_equal(watch.count, 2);
	snapshot.standby_count = 0;
	assert_false(look(1));
	assert_int_equal(watch.count, 0);
}

static void test_alert_watch__counts_on_relays_that_replay_nothing(void **state)
{
	(void)state;
	struct standby_stats *edge = add_standby("edge", "10.0.0.7:1");
	edge->replay_lsn = LSN_INVALID;
	edge->is_link = true;
	assert_true(look(0));
	assert_true(watch.standbys[0].is_counted_on);
}

static void test_alert_watch__forgets_with_the_slot_or_after_a_week(void **state)
{
	(void)state;
	add_slot("s1", false);
	strcpy(add_standby("a", "10.0.0.7:1")->slot, "s1");
	add_standby("b", "10.0.0.7:2");
	assert_true(look(0));
	snapshot.standby_count = 0;
	assert_false(look(1));
	snapshot.slot_count = 0;
	assert_true(look(2));
	assert_int_equal(watch.count, 1);
	assert_false(alert_watch_update(&watch, &snapshot, BEGIN + 7 * DAY - 1));
	assert_true(alert_watch_update(&watch, &snapshot, BEGIN + 7 * DAY));
	assert_int_equal(watch.count, 0);
}

static void test_alert_watch__remembers_over_a_restart(void **state)
{
	(void)state;
	const struct alert_standby before = {.name = "far at 10.0.0.8",
		.destination = "west",
		.is_counted_on = true,
		.seen_us = BEGIN - 10 * SECOND};
	alert_watch_restore(&watch, &before);
	assert_false(look(0));
	assert_int_equal(watch.count, 1);
	assert_false(watch.standbys[0].is_here);
	add_standby("far", "10.0.0.8:1");
	assert_false(look(1));
	assert_true(watch.standbys[0].is_here);
}

static void test_alert_watch__time_goes_on_for_one_that_says_nothing(void **state)
{
	(void)state;
	struct standby_stats *standby = add_standby("far", "10.0.0.8:1");
	look(0);
	assert_int_equal(watch.standbys[0].lag_us, 0);
	snapshot.store.received_lsn += 0x1000;
	look(10);
	/* The mark lies where WAL ended when the standby was last at the end. */
	look(40);
	assert_int_equal(watch.standbys[0].lag_bytes, 0x1000);
	assert_int_equal(watch.standbys[0].lag_us, 30 * SECOND);
	snapshot.store.received_lsn += 0x1000;
	look(50);
	assert_int_equal(watch.standbys[0].lag_us, 40 * SECOND);
	/* It has passed the mark: what is left is younger. */
	standby->replay_lsn += 0x1000;
	look(51);
	assert_int_equal(watch.standbys[0].lag_us, 0);
	look(56);
	assert_int_equal(watch.standbys[0].lag_us, 5 * SECOND);
	/* Its own figure counts where it is more. */
	standby->replay_lag_us = 60 * SECOND;
	look(57);
	assert_int_equal(watch.standbys[0].lag_us, 60 * SECOND);
	standby->replay_lag_us = -1;
	/* A clock that steps back begins anew. */
	look(20);
	assert_int_equal(watch.standbys[0].lag_us, 0);
	look(25);
	assert_int_equal(watch.standbys[0].lag_us, 5 * SECOND);
	standby->replay_lsn = snapshot.store.received_lsn;
	look(26);
	assert_int_equal(watch.standbys[0].lag_us, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_alert_watch__knows_a_standby_by_its_slot_or_its_host),
		TEST(test_alert_watch__does_not_count_on_passers_by),
		TEST(test_alert_watch__counts_on_relays_that_replay_nothing),
		TEST(test_alert_watch__forgets_with_the_slot_or_after_a_week),
		TEST(test_alert_watch__remembers_over_a_restart),
		TEST(test_alert_watch__time_goes_on_for_one_that_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
