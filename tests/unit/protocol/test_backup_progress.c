/* Tests of protocol/backup_progress. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/backup_progress.h"

static void test_backup_progress__adds_up_sizes_the_server_estimates(void **state)
{
	(void)state;
	struct backup_progress progress;
	backup_progress_begin(&progress);
	assert_string_equal(backup_phase_name(progress.phase), "waiting for checkpoint to finish");
	backup_progress_on_size(&progress, "100");
	backup_progress_on_size(&progress, NULL);
	backup_progress_on_size(&progress, "23");
	assert_int_equal(progress.total_bytes, 123 * 1024);
	backup_progress_on_size(&progress, "99999999999999999999999");
	assert_true(progress.total_bytes > 123 * 1024);
	assert_null(backup_phase_name(BACKUP_PHASE_NONE));
}

static void test_backup_progress__counts_what_servers_up_to_14_send(void **state)
{
	(void)state;
	struct backup_progress progress;
	backup_progress_begin(&progress);
	backup_progress_on_data(&progress, "PG_14_202107181/", 16);
	backup_progress_on_copy_done(&progress);
	backup_progress_on_data(&progress, "backup_label", 12);
	backup_progress_on_data(&progress, "p2345678", 9);
	backup_progress_on_data(&progress, "", 0);
	assert_int_equal(progress.done_bytes, 16 + 12 + 9);
	assert_string_equal(backup_phase_name(progress.phase), "streaming database files");
	backup_progress_on_copy_done(&progress);
	assert_string_equal(
		backup_phase_name(progress.phase), "waiting for wal archiving to finish");
}

static void test_backup_progress__counts_archives_of_servers_from_15_on(void **state)
{
	(void)state;
	struct backup_progress progress;
	backup_progress_begin(&progress);
	backup_progress_on_data(&progress, "nbase.tar\0\0", 11);
	backup_progress_on_data(&progress, "d1234567890", 11);
	backup_progress_on_data(&progress, "m", 1);
	backup_progress_on_data(&progress, "d123", 4);
	assert_int_equal(progress.done_bytes, 13);
}

static void test_backup_progress__believes_the_server_where_it_counts(void **state)
{
	(void)state;
	struct backup_progress progress;
	backup_progress_begin(&progress);
	backup_progress_on_data(&progress, "nbase.tar.zst\0\0", 15);
	backup_progress_on_data(&progress, "dxx", 3);
	backup_progress_on_data(&progress, "p\0\0\0\0\0\1\0\0", 9);
	backup_progress_on_data(&progress, "dxx", 3);
	assert_int_equal(progress.done_bytes, 65536);
	backup_progress_on_data(&progress, "p\0\0", 3);
	assert_int_equal(progress.done_bytes, 65536);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backup_progress__adds_up_sizes_the_server_estimates),
		cmocka_unit_test(test_backup_progress__counts_what_servers_up_to_14_send),
		cmocka_unit_test(test_backup_progress__counts_archives_of_servers_from_15_on),
		cmocka_unit_test(test_backup_progress__believes_the_server_where_it_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
