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
	struct standby_stats stats = {.state = STANDBY_STREAMING, .tli = 2, .flush_lsn = flush_lsn};
	snprintf(stats.application_name, sizeof(stats.application_name), "%s", name);
	return stats;
}

static struct snapshot snapshot_of(struct standby_stats *standbys, size_t count)
{
	return (struct snapshot){.upstream = {.state = UPSTREAM_WAITING},
		.store = {.tli = 2, .flushed_lsn = 1000, .received_lsn = 1100},
		.standbys = standbys,
		.standby_count = count};
}

static void test_promotion__ranks_by_what_is_held(void **state)
{
	struct standby_stats standbys[] = {standby("c", 900), standby("b", 1050), standby("a", 900),
		standby("silent", LSN_INVALID), standby("old", 1100), standby("new", 1100)};
	struct snapshot snapshot = snapshot_of(standbys, 6);
	(void)state;
	standbys[4].tli = 1;
	standbys[5].state = STANDBY_STARTUP;
	assert_int_equal(promotion_rank(&snapshot, candidates), 4);
	assert_string_equal(candidates[0].standby->application_name, "b");
	assert_int_equal(candidates[0].lost_bytes, 0);
	assert_string_equal(candidates[1].standby->application_name, "a");
	assert_int_equal(candidates[1].held_lsn, 900);
	assert_int_equal(candidates[1].lost_bytes, 100);
	assert_string_equal(candidates[2].standby->application_name, "c");
	assert_string_equal(candidates[3].standby->application_name, "silent");
	assert_int_equal(candidates[3].lost_bytes, 1000);
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
	/* Who does not say what it has flushed cannot be promoted, and holds nothing up. */
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
