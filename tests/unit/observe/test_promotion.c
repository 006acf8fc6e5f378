/*
 * promotion: who has most, what each would lose, and when nothing is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_readers.h"
#include "observe/promotion.h"

#include <stdio.h>

static struct promotion_candidate candidates[FAKES_MAX];

static struct standby_stats standby(const char *name, lsn_t flush_lsn)
{
	struct standby_stats stats = {
		.state = STANDBY_STREAMING, .tli = 2, .flush_lsn = flush_lsn, .replay_lsn = 500};
	snprintf(stats.application_name, sizeof(stats.application_name), "%s", name);
	return stats;
}

/* Acknowledged up to 1000, received up to 1100, and 1200 is where the upstream ended. */
static struct snapshot snapshot_of(struct standby_stats *standbys, size_t count)
{
	return (struct snapshot){.upstream = {.state = UPSTREAM_WAITING, .server_end_lsn = 1200},
		.store = {.tli = 2, .flushed_lsn = 1000, .received_lsn = 1100},
		.standbys = standbys,
		.standby_count = count};
}

static void test_promotion__ranks_by_what_is_held(void **state)
{
	struct standby_stats standbys[] = {standby("receiver", 1100), standby("c", 900),
		standby("b", 1000), standby("a", 900), standby("replayed most", 900),
		standby("silent", LSN_INVALID), standby("old", 1100), standby("new", 1100),
		standby("edge", 1100)};
	static const struct {
		const char *name;
		enum promotion_kind kind;
		unsigned rank;
		uint64_t missing, would_lose;
		bool is_drained;
	} expected[] = {
		{"b", PROMOTION_STANDBY, 1, 0, 200, true},
		{"replayed most", PROMOTION_STANDBY, 2, 100, 300, false},
		{"a", PROMOTION_STANDBY, 3, 100, 300, false},
		{"c", PROMOTION_STANDBY, 4, 100, 300, false},
		{"old", PROMOTION_STANDBY, 5, 0, 100, false},
		{"edge", PROMOTION_RELAY, 0, 0, 100, true},
		{"receiver", PROMOTION_RECEIVER, 0, 0, 100, true},
		{"silent", PROMOTION_RECEIVER, 0, 1000, 1200, false},
	};
	size_t count = sizeof(expected) / sizeof(expected[0]);
	struct snapshot snapshot = snapshot_of(standbys, count + 1);
	(void)state;
	standbys[0].replay_lsn = LSN_INVALID;
	standbys[4].replay_lsn = 800;
	standbys[5].replay_lsn = LSN_INVALID;
	standbys[6].tli = 1;
	standbys[7].state = STANDBY_STARTUP;
	standbys[8].is_link = true;
	assert_int_equal(promotion_rank(&snapshot, candidates), count);
	for (size_t i = 0; i < count; i++) {
		const struct promotion_candidate *found = &candidates[i];
		assert_string_equal(found->standby->application_name, expected[i].name);
		assert_int_equal(found->kind, expected[i].kind);
		assert_int_equal(found->rank, expected[i].rank);
		assert_int_equal(found->missing_bytes, expected[i].missing);
		assert_int_equal(found->would_lose_bytes, expected[i].would_lose);
		assert_int_equal(found->is_drained, expected[i].is_drained);
		assert_int_equal(found->is_known, found->standby->flush_lsn != LSN_INVALID);
	}
}

static void test_promotion__is_drained_when_all_hold_all(void **state)
{
	struct standby_stats standbys[] = {standby("a", 1000), standby("b", 1100)};
	struct snapshot snapshot = snapshot_of(standbys, 2);
	(void)state;
	assert_true(promotion_is_drained(&snapshot));
	snapshot.upstream.state = UPSTREAM_STREAMING;
	assert_false(promotion_is_drained(&snapshot));
	snapshot.upstream.state = UPSTREAM_STOPPED;
	standbys[1].flush_lsn = 999;
	assert_false(promotion_is_drained(&snapshot));
	/* Who is on an older timeline, or does not say what it has flushed, holds nothing up. */
	standbys[1].tli = 1;
	assert_true(promotion_is_drained(&snapshot));
	standbys[1].tli = 2;
	standbys[1].flush_lsn = LSN_INVALID;
	assert_true(promotion_is_drained(&snapshot));
	standbys[0].tli = 1;
	assert_false(promotion_is_drained(&snapshot));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_promotion__ranks_by_what_is_held),
		cmocka_unit_test(test_promotion__is_drained_when_all_hold_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
