/* What is known of a standby, and what many of them add up to. */
#include "downstream/standby_progress.h"

#include "cmocka_all.h"

static void report(struct standby_progress *progress, lsn_t write, lsn_t flush, lsn_t apply)
{
	const struct standby_status status = {
		.write_lsn = write, .flush_lsn = flush, .apply_lsn = apply};
	const int64_t lag_us[LAG_STAGES] = {3, 4, 5};
	standby_progress_on_status(progress, &status, 77, lag_us);
}

static void test_standby_progress__positions_never_go_back(void **state)
{
	(void)state;
	struct standby_progress progress;
	struct standby_stats stats = {0};
	standby_progress_init(&progress);
	standby_progress_begin_stream(&progress, 1, 0x1000);
	report(&progress, 0x5000, 0x5000, 0x5000);
	report(&progress, 0x2000, 0x5000, 0);
	standby_progress_read(&progress, &stats);
	assert_int_equal(stats.write_lsn, 0x5000);
	assert_int_equal(stats.flush_lsn, 0x5000);
	assert_int_equal(stats.replay_lsn, 0x5000);
	assert_int_equal(stats.last_reply_at_us, 77);
	assert_int_equal(stats.write_lag_us, 3);
	assert_int_equal(stats.flush_lag_us, 4);
	assert_int_equal(stats.replay_lag_us, 5);
}

static void test_standby_progress__a_new_stream_begins_anew(void **state)
{
	(void)state;
	struct standby_progress progress;
	struct standby_stats stats = {0};
	standby_progress_init(&progress);
	standby_progress_begin_stream(&progress, 1, 0x1000);
	report(&progress, 0x5000, 0x5000, 0x5000);
	standby_progress_end_stream(&progress);
	standby_progress_begin_stream(&progress, 2, 0x3000);
	standby_progress_read(&progress, &stats);
	assert_int_equal(stats.state, STANDBY_CATCHUP);
	assert_int_equal(stats.tli, 2);
	assert_int_equal(stats.sent_lsn, 0x3000);
	assert_int_equal(stats.write_lsn, LSN_INVALID);
	assert_int_equal(stats.write_lag_us, -1);
	assert_int_equal(stats.flush_lag_us, -1);
	assert_int_equal(stats.replay_lag_us, -1);
}

static void test_standby_progress__replayed_counts_once_caught_up(void **state)
{
	(void)state;
	struct standby_progress progress;
	standby_progress_init(&progress);
	standby_progress_begin_stream(&progress, 3, 0x1000);
	report(&progress, 0x5000, 0x5000, 0x4000);
	assert_int_equal(standby_progress_replayed(&progress, 3), LSN_INVALID);
	progress_set(progress.state, STANDBY_STREAMING);
	assert_int_equal(standby_progress_replayed(&progress, 3), 0x4000);
	assert_int_equal(standby_progress_replayed(&progress, 2), LSN_INVALID);
	progress_set(progress.state, STANDBY_STOPPING);
	assert_int_equal(standby_progress_replayed(&progress, 3), 0x4000);
	standby_progress_end_stream(&progress);
	assert_int_equal(standby_progress_replayed(&progress, 3), LSN_INVALID);
}

static void test_standby_progress__feedback_ends_with_its_stream(void **state)
{
	(void)state;
	struct standby_progress progress;
	const struct standby_feedback feedback = {
		.xmin = 700, .xmin_epoch = 1, .catalog_xmin = 600};
	standby_progress_init(&progress);
	standby_progress_begin_stream(&progress, 1, 0x1000);
	standby_progress_on_feedback(&progress, &feedback);
	assert_int_equal(progress_get(progress.xmin), UINT64_C(1) << 32 | 700);
	assert_int_equal(progress_get(progress.catalog_xmin), 600);
	standby_progress_end_stream(&progress);
	assert_int_equal(progress_get(progress.xmin), 0);
	assert_int_equal(progress_get(progress.catalog_xmin), 0);
}

static void test_standby_progress__feedback_only_normal_transaction_ids_hold_back(void **state)
{
	(void)state;
	assert_int_equal(feedback_full_xid(0, 9), 0);
	assert_int_equal(feedback_full_xid(2, 9), 0);
	assert_int_equal(feedback_full_xid(3, 0), 3);
	assert_int_equal(feedback_full_xid(UINT32_MAX, 7), UINT64_C(7) << 32 | UINT32_MAX);
}

static void test_standby_progress__feedback_none_is_no_minimum(void **state)
{
	(void)state;
	static const struct {
		uint64_t a, b, older;
	} rows[] = {
		{0, 0, 0},
		{0, 5, 5},
		{5, 0, 5},
		{5, 6, 5},
		{UINT64_C(1) << 32 | 3, UINT32_MAX, UINT32_MAX},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(feedback_older(rows[i].a, rows[i].b), rows[i].older);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standby_progress__positions_never_go_back),
		cmocka_unit_test(test_standby_progress__a_new_stream_begins_anew),
		cmocka_unit_test(test_standby_progress__replayed_counts_once_caught_up),
		cmocka_unit_test(test_standby_progress__feedback_ends_with_its_stream),
		cmocka_unit_test(
			test_standby_progress__feedback_only_normal_transaction_ids_hold_back),
		cmocka_unit_test(test_standby_progress__feedback_none_is_no_minimum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
