/* Commands that pass through to the upstream, against a provider made up here. */
#include "relay_fixture.h"

#include "cmocka_all.h"
#include "downstream/passthrough.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The provider: BASE_BACKUP sends `chunks` CopyData and finishes; UPLOAD_MANIFEST counts what the
 * client sends until its CopyDone. Runs on the session's loop; the test looks on by atomics. */
struct provider {
	unsigned chunks;
	bool fails;
	bool holds; /* what the client sends, now and then */
	atomic_int opened, closed, commands, resumed;
	atomic_size_t manifest_bytes;
};

struct handle {
	struct provider *provider;
	const struct passthrough_client *client;
	struct loop *loop;
	unsigned left;
	bool is_holding;
};

static void *provider_open(
	void *context, struct loop *loop, const struct passthrough_client *client)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	handle->loop = loop;
	handle->provider = context;
	handle->client = client;
	atomic_fetch_add(&handle->provider->opened, 1);
	return handle;
}

static void send_chunks(struct handle *handle)
{
	static const char chunk[32768];
	const struct passthrough_client *client = handle->client;
	while (handle->left > 0 && client->has_room(client->context)) {
		client->send(client->context, 'd', chunk, sizeof(chunk));
		handle->left--;
	}
	if (handle->left > 0) {
		return;
	}
	if (handle->provider->fails) {
		struct error err = {0};
		error_set(&err, ERROR_SYSTEM, "the upstream went away");
		error_sqlstate(&err, "08006");
		client->failed(client->context, &err);
		return;
	}
	client->send(client->context, 'c', "", 0);
	client->send(client->context, 'C', "BASE_BACKUP", 12);
	client->finished(client->context);
}

static void provider_command(void *context, const char *text)
{
	struct handle *handle = context;
	atomic_fetch_add(&handle->provider->commands, 1);
	if (strcmp(text, "UPLOAD_MANIFEST") == 0) {
		handle->client->send(handle->client->context, 'G', "\0\0\0", 3);
		return;
	}
	assert_string_equal(text, "BASE_BACKUP ( LABEL 'x',  PROGRESS)");
	handle->client->send(handle->client->context, 'H', "\0\0\0", 3);
	handle->left = handle->provider->chunks;
	send_chunks(handle);
}

static void let_go(void *context)
{
	struct handle *handle = context;
	handle->is_holding = false;
	handle->client->hold_input(handle->client->context, false);
}

static void provider_client_message(void *context, char type, const void *body, size_t length)
{
	struct handle *handle = context;
	const struct passthrough_client *client = handle->client;
	const char *bytes = body;
	for (size_t i = 0; type == 'd' && i < length; i++) {
		assert_int_equal(bytes[i], 'm');
	}
	atomic_fetch_add(&handle->provider->manifest_bytes, type == 'd' ? length : 0);
	assert_false(handle->is_holding);
	if (handle->provider->holds && type == 'd') {
		handle->is_holding = true;
		client->hold_input(client->context, true);
		loop_post(handle->loop, let_go, handle);
	}
	if (type == 'c') {
		client->send(client->context, 'C', "UPLOAD_MANIFEST", 16);
		client->finished(client->context);
	}
}

static void provider_resume(void *context)
{
	struct handle *handle = context;
	atomic_fetch_add(&handle->provider->resumed, 1);
	send_chunks(handle);
}

static void provider_close(void **context)
{
	struct handle *handle = *context;
	atomic_fetch_add(&handle->provider->closed, 1);
	free(handle);
	*context = NULL;
}

static struct relay_fixture *fixture_capped(struct provider *provider, uint64_t egress_cap_bytes)
{
	const struct passthrough passthrough = {.context = provider,
		.open = provider_open,
		.command = provider_command,
		.client_message = provider_client_message,
		.resume = provider_resume,
		.close = provider_close};
	const struct relay_fixture_options options = {
		.passthrough = &passthrough, .egress_cap_bytes = egress_cap_bytes};
	return relay_fixture_new(&options);
}

static struct relay_fixture *fixture_with(struct provider *provider)
{
	return fixture_capped(provider, 0);
}

static const char backup[] = "BASE_BACKUP ( LABEL 'x',  PROGRESS)";

static void test_downstream_session_backup__passes_through_and_the_session_goes_on(void **state)
{
	(void)state;
	struct provider provider = {.chunks = 2};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	for (int round = 1; round <= 3; round++) {
		raw_client_query(&client, backup);
		assert_string_equal(raw_client_until(&client, 'Z'),
			"H\nd 32768\nd 32768\nc\nC BASE_BACKUP\nZ I\n");
		raw_client_query(&client, "SHOW wal_segment_size");
		assert_string_equal(raw_client_until(&client, 'Z'),
			"T wal_segment_size:25\nD 1MB\nC SHOW\nZ I\n");
		assert_int_equal(provider.opened, round);
		assert_int_equal(provider.closed, round);
	}
	assert_int_equal(relay_fixture_standby(fixture).backup_bytes, 6 * 32768);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_backup__does_not_run_ahead_of_its_client(void **state)
{
	(void)state;
	struct provider provider = {.chunks = 1000};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, backup);
	WAIT_UNTIL(relay_fixture_standby(fixture).state == STANDBY_BACKUP);
	relay_fixture_pause();
	assert_true(relay_fixture_standby(fixture).backup_bytes < 3000000);
	assert_string_equal(raw_client_next(&client), "H");
	for (int i = 0; i < 1000; i++) {
		assert_string_equal(raw_client_next(&client), "d 32768");
	}
	assert_string_equal(raw_client_until(&client, 'Z'), "c\nC BASE_BACKUP\nZ I\n");
	assert_true(provider.resumed > 0);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_backup__under_a_cap_comes_whole_and_says_its_end_last(
	void **state)
{
	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		struct provider provider = {.chunks = 20, .fails = fails};
		struct relay_fixture *fixture = fixture_capped(&provider, 2000000);
		struct raw_client client;
		relay_fixture_log_in(fixture, &client);
		raw_client_query(&client, backup);
		assert_string_equal(raw_client_next(&client), "H");
		for (int i = 0; i < 20; i++) {
			assert_string_equal(raw_client_next(&client), "d 32768");
		}
		assert_string_equal(raw_client_until(&client, 'Z'),
			fails ? "E ERROR 08006 the upstream went away\nZ I\n"
			      : "c\nC BASE_BACKUP\nZ I\n");
		assert_true(provider.resumed > 10);
		raw_client_close(&client);
		relay_fixture_free(fixture);
	}
}

static void test_downstream_session_backup__may_go_while_it_waits_for_its_turn(void **state)
{
	(void)state;
	struct provider provider = {.chunks = 20};
	struct relay_fixture *fixture = fixture_capped(&provider, 1000);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, backup);
	WAIT_UNTIL(relay_fixture_standby(fixture).backup_bytes > 0);
	raw_client_close(&client);
	WAIT_UNTIL(provider.closed == 1);
	relay_fixture_free(fixture);
}

static void test_downstream_session_backup__that_fails_leaves_the_session_usable(void **state)
{
	(void)state;
	struct provider provider = {.chunks = 1, .fails = true};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, backup);
	assert_string_equal(raw_client_until(&client, 'Z'),
		"H\nd 32768\nE ERROR 08006 the upstream went away\nZ I\n");
	raw_client_query(&client, "SHOW wal_segment_size");
	raw_client_until(&client, 'Z');
	assert_int_equal(provider.closed, 1);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_backup__a_client_that_goes_takes_its_upstream_connection_along(
	void **state)
{
	(void)state;
	struct provider provider = {.chunks = 100000};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, backup);
	assert_string_equal(raw_client_next(&client), "H");
	raw_client_close(&client);
	WAIT_UNTIL(provider.closed == 1);
	relay_fixture_free(fixture);
}

static void test_downstream_session_backup__a_manifest_and_its_backup_share_a_connection(
	void **state)
{
	(void)state;
	struct provider provider = {.chunks = 1};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	char *manifest = malloc(1 << 20);
	memset(manifest, 'm', 1 << 20);
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, "UPLOAD_MANIFEST");
	assert_string_equal(raw_client_next(&client), "G");
	for (int i = 0; i < 5; i++) {
		raw_client_message(&client, 'd', manifest, 1 << 20);
	}
	raw_client_message(&client, 'd', manifest, 1);
	raw_client_message(&client, 'd', manifest, 0);
	raw_client_message(&client, 'c', "", 0);
	assert_string_equal(raw_client_until(&client, 'Z'), "C UPLOAD_MANIFEST\nZ I\n");
	assert_int_equal(provider.manifest_bytes, (5 << 20) + 1);
	raw_client_query(&client, backup);
	raw_client_until(&client, 'Z');
	assert_int_equal(provider.opened, 1);
	assert_int_equal(provider.commands, 2);
	raw_client_close(&client);
	relay_fixture_free(fixture);
	assert_int_equal(provider.closed, 1);
	free(manifest);
}

static void test_downstream_session_backup__a_manifest_comes_no_faster_than_it_is_taken(
	void **state)
{
	(void)state;
	struct provider provider = {.chunks = 1, .holds = true};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	char *manifest = malloc(1 << 20);
	memset(manifest, 'm', 1 << 20);
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, "UPLOAD_MANIFEST");
	assert_string_equal(raw_client_next(&client), "G");
	raw_client_message(&client, 'd', manifest, 1 << 20);
	raw_client_message(&client, 'c', "", 0);
	assert_string_equal(raw_client_until(&client, 'Z'), "C UPLOAD_MANIFEST\nZ I\n");
	assert_int_equal(provider.manifest_bytes, 1 << 20);
	raw_client_close(&client);
	relay_fixture_free(fixture);
	free(manifest);
}

static void test_downstream_session_backup__a_stop_ends_it(void **state)
{
	(void)state;
	struct provider provider = {.chunks = 100000};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, backup);
	assert_string_equal(raw_client_next(&client), "H");
	relay_fixture_begin_stop(fixture, 20000000);
	relay_fixture_wait_stopped(fixture);
	assert_int_equal(provider.closed, 1);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream_session_backup__the_next_query_waits_for_its_end(void **state)
{
	(void)state;
	struct provider provider = {.chunks = 200};
	struct relay_fixture *fixture = fixture_with(&provider);
	struct raw_client client;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, backup);
	raw_client_message(&client, 'd', "mm", 2);
	raw_client_message(&client, 'c', "", 0);
	raw_client_query(&client, "SHOW wal_segment_size");
	assert_non_null(strstr(raw_client_until(&client, 'Z'), "c\nC BASE_BACKUP\nZ I\n"));
	assert_string_equal(
		raw_client_until(&client, 'Z'), "T wal_segment_size:25\nD 1MB\nC SHOW\nZ I\n");
	assert_int_equal(provider.manifest_bytes, 0);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_downstream_session_backup__passes_through_and_the_session_goes_on),
		cmocka_unit_test(test_downstream_session_backup__does_not_run_ahead_of_its_client),
		cmocka_unit_test(
			test_downstream_session_backup__that_fails_leaves_the_session_usable),
		cmocka_unit_test(
			test_downstream_session_backup__under_a_cap_comes_whole_and_says_its_end_last),
		cmocka_unit_test(
			test_downstream_session_backup__may_go_while_it_waits_for_its_turn),
		cmocka_unit_test(
			test_downstream_session_backup__a_client_that_goes_takes_its_upstream_connection_along),
		cmocka_unit_test(
			test_downstream_session_backup__a_manifest_and_its_backup_share_a_connection),
		cmocka_unit_test(
			test_downstream_session_backup__a_manifest_comes_no_faster_than_it_is_taken),
		cmocka_unit_test(test_downstream_session_backup__a_stop_ends_it),
		cmocka_unit_test(test_downstream_session_backup__the_next_query_waits_for_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
