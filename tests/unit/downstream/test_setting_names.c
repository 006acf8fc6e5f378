/* Which settings a client may name. */
#include "downstream/setting_names.h"

#include "cmocka_all.h"

static void check(const char *const *names, size_t count, bool is_known)
{
	for (size_t i = 0; i < count; i++) {
		if (setting_is_known(names[i]) != is_known) {
			fail_msg("\"%s\"", names[i]);
		}
	}
}

#define CHECK(is_known, ...)                                                                       \
	do {                                                                                       \
		static const char *const names[] = {__VA_ARGS__};                                  \
		check(names, sizeof(names) / sizeof(names[0]), is_known);                          \
	} while (0)

static void test_setting_names__knows_what_a_client_may_set(void **state)
{
	(void)state;
	CHECK(true, "allow_in_place_tablespaces", "application_name", "enable_async_append",
		"enable_partitionwise_join", "geqo_threshold", "jit_above_cost", "log_parser_stats",
		"session_authorization", "track_activities", "work_mem", "xmloption",
		"zero_damaged_pages");
	CHECK(true, "WORK_MEM", "DateStyle", "TimeZone", "TimeZone_Abbreviations");
}

static void test_setting_names__of_every_version(void **state)
{
	(void)state;
	CHECK(true, "operator_precedence_warning", "vacuum_cleanup_index_scale_factor");
	CHECK(true, "default_toast_compression", "idle_session_timeout", "track_wal_io_timing");
	CHECK(true, "force_parallel_mode", "recursive_worktable_factor");
	CHECK(true, "createrole_self_grant", "debug_parallel_query", "vacuum_buffer_usage_limit");
	CHECK(true, "io_combine_limit", "transaction_timeout");
	CHECK(true, "enable_self_join_elimination", "file_copy_method", "vacuum_truncate");
}

static void test_setting_names__refuses_what_a_client_cannot_set(void **state)
{
	(void)state;
	CHECK(false, "", "nosuch", "work_me", "work_memo", "max_connections", "wal_level",
		"server_version");
}

static void test_setting_names__custom_ones_as_postgres(void **state)
{
	(void)state;
	CHECK(true, "a.b", "myextension.setting", "a.b.c", "_a._b", "a1$.b2", "\xc3\xa4.b");
	CHECK(false, ".b", "a.", "a..b", "1a.b", "a.1b", "a.$b", "a.b-c", "a b.c", ".", "a.b.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_setting_names__knows_what_a_client_may_set),
		cmocka_unit_test(test_setting_names__of_every_version),
		cmocka_unit_test(test_setting_names__refuses_what_a_client_cannot_set),
		cmocka_unit_test(test_setting_names__custom_ones_as_postgres),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
