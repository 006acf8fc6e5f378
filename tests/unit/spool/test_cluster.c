/*
 * cluster: what is pinned stays pinned over a restart, and what is repeated to clients too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/test_cluster.XXXXXX";
static char path[64];
static struct database *database;
static struct cluster *cluster;
static struct error err;

static const struct cluster_identity identity = {
	.system_identifier = UINT64_C(18446744073709551615), .segment_bytes = 16 << 20};

static const struct cluster_parameters parameters = {.server_version_num = 150018,
	.server_version = "15.18 (Debian 15.18-0+deb12u1)",
	.server_encoding = "UTF8",
	.time_zone = "Etc/UTC",
	.data_directory_mode = "0700",
	.integer_datetimes = "on",
	.in_hot_standby = "off",
	.default_transaction_read_only = "off",
	.wal_segment_size_text = "16MB"};

static void open_cluster(void)
{
	database = database_open(path, &err);
	assert_non_null(database);
	cluster = cluster_open(database, &err);
	assert_non_null(cluster);
}

static void reopen_cluster(void)
{
	cluster_close(&cluster);
	assert_null(cluster);
	database_close(&database);
	open_cluster();
}

static int set_up(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_cluster.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state.db", directory);
	memset(&err, 0, sizeof(err));
	open_cluster();
	return 0;
}

static int tear_down(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	(void)state;
	cluster_close(&cluster);
	database_close(&database);
	for (size_t i = 0; i < 3; i++) {
		char file[80];
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		unlink(file);
	}
	return rmdir(directory);
}

static void test_cluster__knows_nothing_at_first(void **state)
{
	(void)state;
	struct cluster_identity read;
	struct cluster_parameters read_parameters;
	assert_false(cluster_is_known(cluster));
	cluster_read_identity(cluster, &read);
	assert_int_equal(read.system_identifier, 0);
	cluster_read_parameters(cluster, &read_parameters);
	assert_int_equal(read_parameters.server_version_num, 0);
	assert_string_equal(read_parameters.server_version, "");
}

static void test_cluster__is_known_by_identity_and_parameters_both(void **state)
{
	(void)state;
	assert_true(cluster_pin_identity(cluster, &identity, &err));
	assert_false(cluster_is_known(cluster));
	cluster_set_parameters(cluster, &parameters);
	assert_true(cluster_is_known(cluster));
}

static void test_cluster__survives_a_restart(void **state)
{
	(void)state;
	struct cluster_identity read;
	struct cluster_parameters read_parameters;
	assert_true(cluster_pin_identity(cluster, &identity, &err));
	cluster_set_parameters(cluster, &parameters);
	reopen_cluster();
	assert_true(cluster_is_known(cluster));
	cluster_read_identity(cluster, &read);
	assert_true(read.system_identifier == identity.system_identifier);
	assert_int_equal(read.segment_bytes, identity.segment_bytes);
	cluster_read_parameters(cluster, &read_parameters);
	assert_memory_equal(&read_parameters, &parameters, sizeof(parameters));
}

static void test_cluster__pins_for_good(void **state)
{
	(void)state;
	struct cluster_identity other = identity;
	other.system_identifier--;
	assert_true(cluster_pin_identity(cluster, &identity, &err));
	assert_true(cluster_pin_identity(cluster, &identity, &err));
	for (int restarts = 0; restarts < 2; restarts++) {
		assert_false(cluster_pin_identity(cluster, &other, &err));
		assert_int_equal(err.kind, ERROR_CONFLICT);
		assert_string_equal(err.message, "database system identifier differs between the "
						 "upstream and the spool");
		assert_string_equal(err.detail,
			"The upstream's identifier is 18446744073709551614, the spool's "
			"identifier is 18446744073709551615.");
		reopen_cluster();
	}
}

static void test_cluster__refuses_another_segment_size(void **state)
{
	(void)state;
	struct cluster_identity other = identity;
	other.segment_bytes = 64 << 20;
	assert_true(cluster_pin_identity(cluster, &identity, &err));
	assert_false(cluster_pin_identity(cluster, &other, &err));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_string_equal(
		err.message, "WAL segment size differs between the upstream and the spool");
	assert_string_equal(
		err.detail, "The upstream's segments have 67108864 bytes, the spool's 16777216.");
}

static void test_cluster__refuses_an_identity_that_cannot_be(void **state)
{
	(void)state;
	struct cluster_identity no_identifier = {.segment_bytes = 16 << 20};
	struct cluster_identity no_segments = {.system_identifier = 1, .segment_bytes = 5000000};
	assert_false(cluster_pin_identity(cluster, &no_identifier, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_false(cluster_pin_identity(cluster, &no_segments, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_true(cluster_pin_identity(cluster, &identity, &err));
}

static void test_cluster__follows_the_upstreams_parameters(void **state)
{
	(void)state;
	struct cluster_parameters read;
	struct cluster_parameters promoted = parameters;
	strcpy(promoted.in_hot_standby, "on");
	promoted.server_version_num = 160014;
	cluster_set_parameters(cluster, &parameters);
	cluster_set_parameters(cluster, &promoted);
	cluster_read_parameters(cluster, &read);
	assert_string_equal(read.in_hot_standby, "on");
	reopen_cluster();
	cluster_read_parameters(cluster, &read);
	assert_memory_equal(&read, &promoted, sizeof(read));
}

static void test_cluster__forgets_only_when_reset(void **state)
{
	(void)state;
	struct cluster_identity other = {.system_identifier = 5, .segment_bytes = 1 << 20};
	assert_true(cluster_pin_identity(cluster, &identity, &err));
	cluster_set_parameters(cluster, &parameters);
	assert_true(cluster_reset(cluster, &err));
	assert_false(cluster_is_known(cluster));
	assert_true(cluster_pin_identity(cluster, &other, &err));
	reopen_cluster();
	struct cluster_identity read;
	cluster_read_identity(cluster, &read);
	assert_int_equal(read.system_identifier, 5);
	assert_false(cluster_is_known(cluster));
}

#define CLUSTER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLUSTER_TEST(test_cluster__knows_nothing_at_first),
		CLUSTER_TEST(test_cluster__is_known_by_identity_and_parameters_both),
		CLUSTER_TEST(test_cluster__survives_a_restart),
		CLUSTER_TEST(test_cluster__pins_for_good),
		CLUSTER_TEST(test_cluster__refuses_another_segment_size),
		CLUSTER_TEST(test_cluster__refuses_an_identity_that_cannot_be),
		CLUSTER_TEST(test_cluster__follows_the_upstreams_parameters),
		CLUSTER_TEST(test_cluster__forgets_only_when_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
