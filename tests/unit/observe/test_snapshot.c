/* Tests of observe/snapshot: what is read, what is made of text from outside, lag and retention. */
#include "support/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fake_readers.h"

static int setup(void **state)
{
	(void)state;
	fake_readers_reset();
	return 0;
}

static struct snapshot take(void)
{
	struct snapshot snapshot;
	struct snapshot_sources sources = {.relay_name = "r"};
	snapshot_take(&sources, &snapshot);
	return snapshot;
}

static void test_snapshot__holds_what_the_readers_say(void **state)
{
	(void)state;
	fake_readers.connection_count = 7;
	fake_readers_add_slot("sl", 0x2000000);
	int64_t before_us = (int64_t)time(NULL) * 1000000;
	struct snapshot snapshot = take();
	assert_true(snapshot.time_us >= before_us);
	assert_string_equal(snapshot.relay_name, "r");
	assert_int_equal(snapshot.upstream.reconnects, 3);
	assert_int_equal(snapshot.store.received_lsn, 0x3000100);
	assert_int_equal(snapshot.identity.segment_bytes, 16777216);
	assert_int_equal(snapshot.standby_count, 1);
	assert_string_equal(snapshot.standbys[0].application_name, "s1");
	assert_int_equal(snapshot.slot_count, 1);
	assert_string_equal(snapshot.slots[0].name, "sl");
	assert_int_equal(snapshot.connection_count, 7);
	assert_true(snapshot.process.open_fds > 0);
	snapshot_release(&snapshot);
	assert_null(snapshot.standbys);
}

static void test_snapshot__takes_standbys_that_come_while_it_asks(void **state)
{
	(void)state;
	for (uint32_t pid = 1; pid < 40; pid++) {
		fake_readers_add_standby("more", pid);
	}
	fake_readers.late_standbys = 10;
	struct snapshot snapshot = take();
	assert_int_equal(snapshot.standby_count, 40);
	snapshot_release(&snapshot);
	fake_readers.late_standbys = 30;
	snapshot = take();
	assert_true(snapshot.standby_count >= 10 && snapshot.standby_count <= 40);
	assert_string_equal(snapshot.standbys[snapshot.standby_count - 1].application_name, "more");
	snapshot_release(&snapshot);
}

static void test_snapshot__makes_text_printable_utf8(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *expected;
	} cases[] = {
		{"plain name-1", "plain name-1"},
		{"a\"b\\c", "a\"b\\c"},
		{"line\nbreak\x7f\x01", "line?break??"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xe2\x82\xac \xf0\x9f\x90\x98", "\xe2\x82\xac \xf0\x9f\x90\x98"},
		{"\xc2\x9b" "31m\xc2\x80\xc2\x9f\xc2\xa0", "??31m????\xc2\xa0"}, /* a terminal's orders */
		{"\xff\xfe", "??"},
		{"\xc0\xaf", "??"},           /* overlong */
		{"\xe0\x9f\xbf", "???"},      /* overlong */
		{"\xed\xa0\x80", "???"},      /* surrogate */
		{"\xf4\x90\x80\x80", "????"}, /* past the last character */
		{"\xf5\x80\x80\x80", "????"},
		{"cut \xe2\x82", "cut ??"},
		{"cut \xc3", "cut ?"},
		{"\xe2\x28\xa1", "?(?"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(fake_readers.standbys[0].application_name, 64, "%s", cases[i].name);
		snprintf(fake_readers.upstream.last_error, 64, "%s", cases[i].name);
		struct snapshot snapshot = take();
		assert_string_equal(snapshot.standbys[0].application_name, cases[i].expected);
		assert_string_equal(snapshot.upstream.last_error, cases[i].expected);
		snapshot_release(&snapshot);
	}
}

static void test_snapshot__lag_is_by_the_best_position_reported(void **state)
{
	(void)state;
	struct snapshot snapshot = {.store = {.oldest_lsn = 100, .received_lsn = 1000}};
	static const struct {
		lsn_t sent, write, flush, replay;
		uint64_t expected;
	} cases[] = {
		{900, 800, 700, 600, 400}, {900, 800, 700, 0, 300}, {900, 800, 0, 0, 200},
		{900, 0, 0, 0, 100}, {0, 0, 0, 0, 900}, {1000, 1000, 1000, 1000, 0},
		{2000, 2000, 2000, 2000, 0}, /* ahead of us after our crash */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct standby_stats standby = {
			.sent_lsn = cases[i].sent,
			.write_lsn = cases[i].write,
			.flush_lsn = cases[i].flush,
			.replay_lsn = cases[i].replay,
		};
		assert_int_equal(snapshot_lag_bytes(&snapshot, &standby), cases[i].expected);
	}
}

static void test_snapshot__a_slot_retains_from_its_restart_point(void **state)
{
	(void)state;
	struct snapshot snapshot = {.store = {.received_lsn = 1000}};
	struct slot_stats slot = {.restart_lsn = 600};
	assert_int_equal(snapshot_retained_bytes(&snapshot, &slot), 400);
	slot.lost = true;
	assert_int_equal(snapshot_retained_bytes(&snapshot, &slot), 0);
	slot = (struct slot_stats){.restart_lsn = LSN_INVALID};
	assert_int_equal(snapshot_retained_bytes(&snapshot, &slot), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_snapshot__holds_what_the_readers_say, setup),
		cmocka_unit_test_setup(
			test_snapshot__takes_standbys_that_come_while_it_asks, setup),
		cmocka_unit_test_setup(test_snapshot__makes_text_printable_utf8, setup),
		cmocka_unit_test(test_snapshot__lag_is_by_the_best_position_reported),
		cmocka_unit_test(test_snapshot__a_slot_retains_from_its_restart_point),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
