/* Sessions of the console, against a provider made up here that echoes what it is asked. */
#include "relay_fixture.h"

#include "cmocka_all.h"
#include "downstream/console_service.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "wait" is answered when the test says so, "fill" with more than there is room for. The handle is
 * freed by close, or by what is under way. */
struct provider {
	atomic_int opened, closed, asked, resumed;
	atomic_bool may_answer;
	struct loop *loop;
	struct handle *waiting;
	atomic_bool has_waiting;
	atomic_bool has_stalled; /* there was no room */
	bool was_owner;
	char user[64];
};

struct handle {
	struct provider *provider;
	const struct console_client *client;
	bool is_busy;
	bool is_closed;
	unsigned left; /* of what is filled */
};

static void *provider_open(void *context, struct loop *loop, const struct console_peer *peer,
	const struct console_client *client)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	handle->provider = context;
	handle->client = client;
	handle->provider->loop = loop;
	handle->provider->was_owner = peer->is_owner;
	snprintf(handle->provider->user, sizeof(handle->provider->user), "%s", peer->user);
	atomic_fetch_add(&handle->provider->opened, 1);
	return handle;
}

static void answer(struct handle *handle, const char *tag)
{
	struct wire_writer writer;
	wire_writer_init(&writer);
	pg_write_command_complete(&writer, tag);
	pg_write_ready(&writer);
	handle->client->send(handle->client->context, &writer);
}

static void fill(struct handle *handle)
{
	static const uint8_t zeros[32768];
	while (handle->left > 0 && handle->client->has_room(handle->client->context)) {
		struct wire_writer writer;
		wire_writer_init(&writer);
		pg_write_copy_data(&writer, zeros, sizeof(zeros));
		handle->client->send(handle->client->context, &writer);
		handle->left--;
	}
	handle->is_busy = handle->left > 0;
	if (handle->is_busy) {
		atomic_store(&handle->provider->has_stalled, true);
	} else {
		answer(handle, "filled");
	}
}

static bool provider_message(void *context, const struct pg_message *message)
{
	struct handle *handle = context;
	const char *text = query_decode(message->body, message->body_length);
	if (message->type != 'Q') {
		return false;
	}
	atomic_fetch_add(&handle->provider->asked, 1);
	if (strcmp(text, "wait") == 0) {
		handle->is_busy = true;
		handle->provider->waiting = handle;
		atomic_store(&handle->provider->has_waiting, true);
	} else if (strcmp(text, "fill") == 0) {
		handle->left = 100;
		fill(handle);
	} else {
		answer(handle, text);
	}
	return true;
}

static bool provider_is_busy(const void *context)
{
	return ((const struct handle *)context)->is_busy;
}

static void provider_resume(void *context)
{
	struct handle *handle = context;
	if (handle->left > 0) {
		atomic_fetch_add(&handle->provider->resumed, 1);
		fill(handle);
		if (!handle->is_busy) {
			handle->client->on_idle(handle->client->context);
		}
	}
}

static bool provider_close(void **context)
{
	struct handle *handle = *context;
	bool is_waiting = handle->is_busy && handle->left == 0;
	*context = NULL;
	atomic_fetch_add(&handle->provider->closed, 1);
	handle->is_closed = true;
	if (!is_waiting) {
		free(handle);
	}
	return is_waiting;
}

/* On the session's loop: what was under way is done. */
static void finish_waiting(void *context)
{
	struct provider *provider = context;
	struct handle *handle = provider->waiting;
	const struct console_client *client = handle->client;
	handle->is_busy = false;
	if (handle->is_closed) {
		free(handle);
	} else {
		answer(handle, "waited");
	}
	client->on_idle(client->context);
}

struct console_test {
	struct provider provider;
	struct console_service service;
	struct relay_fixture *fixture;
	struct raw_client client;
};

static void begin(struct console_test *test)
{
	memset(test, 0, sizeof(*test));
	test->service = (struct console_service){
		.context = &test->provider,
		.open = provider_open,
		.message = provider_message,
		.is_busy = provider_is_busy,
		.resume = provider_resume,
		.close = provider_close,
	};
	const struct relay_fixture_options options = {.console = &test->service};
	test->fixture = relay_fixture_new(&options);
	relay_fixture_connect(test->fixture, &test->client);
	raw_client_startup(&test->client, 0x30000,
		"user=ops;database=walrelay;client_encoding=LATIN1;TimeZone=Europe/Berlin");
	const char *greeting = raw_client_until(&test->client, 'Z');
	assert_non_null(strstr(greeting, "S client_encoding=UTF8\n"));
	assert_non_null(strstr(greeting, "S TimeZone=UTC\n"));
	assert_non_null(strstr(greeting, "S server_version=15.18"));
}

static void finish(struct console_test *test)
{
	raw_client_close(&test->client);
	relay_fixture_free(test->fixture);
	assert_int_equal(atomic_load(&test->provider.opened), atomic_load(&test->provider.closed));
}

static void test_downstream_session_console__hands_messages_over(void **state)
{
	struct console_test test;
	(void)state;
	begin(&test);
	raw_client_query(&test.client, "one");
	raw_client_query(&test.client, "two");
	assert_string_equal(raw_client_until(&test.client, 'Z'), "C one\nZ I\n");
	assert_string_equal(raw_client_until(&test.client, 'Z'), "C two\nZ I\n");
	assert_string_equal(test.provider.user, "ops");
	/* It comes through a Unix socket, from the user that runs the test. */
	assert_true(test.provider.was_owner);
	assert_int_equal(downstream_list(test.fixture->downstream, NULL, 0), 0);
	assert_int_equal(downstream_connection_count(test.fixture->downstream), 1);
	raw_client_message(&test.client, 'w', "", 0);
	assert_string_equal(raw_client_next(&test.client),
		"E FATAL 08P01 invalid frontend message type 119");
	assert_string_equal(raw_client_next(&test.client), "closed");
	finish(&test);
}

static void test_downstream_session_console__holds_messages_while_it_is_busy(void **state)
{
	struct console_test test;
	(void)state;
	begin(&test);
	raw_client_query(&test.client, "wait");
	raw_client_query(&test.client, "after");
	WAIT_UNTIL(atomic_load(&test.provider.has_waiting));
	assert_true(raw_client_is_quiet(&test.client, 100));
	assert_int_equal(atomic_load(&test.provider.asked), 1);
	loop_post(test.provider.loop, finish_waiting, &test.provider);
	assert_string_equal(raw_client_until(&test.client, 'Z'), "C waited\nZ I\n");
	assert_string_equal(raw_client_until(&test.client, 'Z'), "C after\nZ I\n");
	finish(&test);
}

static void test_downstream_session_console__goes_on_when_there_is_room(void **state)
{
	struct console_test test;
	(void)state;
	begin(&test);
	raw_client_query(&test.client, "fill");
	WAIT_UNTIL(atomic_load(&test.provider.has_stalled));
	for (int i = 0; i < 100; i++) {
		assert_string_equal(raw_client_next(&test.client), "d 32768");
	}
	assert_string_equal(raw_client_until(&test.client, 'Z'), "C filled\nZ I\n");
	assert_true(atomic_load(&test.provider.resumed) > 0);
	finish(&test);
}

static void test_downstream_session_console__outlives_its_client_while_it_is_busy(void **state)
{
	struct console_test test;
	(void)state;
	begin(&test);
	raw_client_query(&test.client, "wait");
	WAIT_UNTIL(atomic_load(&test.provider.has_waiting));
	raw_client_close(&test.client);
	WAIT_UNTIL(atomic_load(&test.provider.closed) == 1);
	assert_int_equal(downstream_connection_count(test.fixture->downstream), 1);
	loop_post(test.provider.loop, finish_waiting, &test.provider);
	WAIT_UNTIL(downstream_connection_count(test.fixture->downstream) == 0);
	relay_fixture_free(test.fixture);
}

static void test_downstream_session_console__is_told_goodbye(void **state)
{
	struct console_test test;
	(void)state;
	begin(&test);
	raw_client_query(&test.client, "wait");
	WAIT_UNTIL(atomic_load(&test.provider.has_waiting));
	relay_fixture_begin_stop(test.fixture, 1000000);
	assert_string_equal(raw_client_next(&test.client),
		"E FATAL 57P01 terminating connection due to administrator command");
	/* The loop waits for what is under way. */
	assert_false(test.fixture->is_stopped);
	loop_post(test.provider.loop, finish_waiting, &test.provider);
	relay_fixture_wait_stopped(test.fixture);
	finish(&test);
}

static void test_downstream_session_console__kills_a_standby_and_no_console(void **state)
{
	struct console_test test;
	struct raw_client standby;
	(void)state;
	begin(&test);
	relay_fixture_log_in(test.fixture, &standby);
	uint32_t pid = relay_fixture_standby(test.fixture).pid;
	for (uint32_t other = pid - 2; other < pid + 3; other++) {
		if (other != pid) {
			downstream_kill(test.fixture->downstream, other);
		}
	}
	raw_client_query(&test.client, "alive");
	assert_string_equal(raw_client_until(&test.client, 'Z'), "C alive\nZ I\n");
	assert_true(raw_client_is_quiet(&standby, 100));
	downstream_kill(test.fixture->downstream, pid);
	assert_string_equal(raw_client_next(&standby),
		"E FATAL 57P01 terminating connection due to administrator command");
	raw_client_close(&standby);
	finish(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downstream_session_console__hands_messages_over),
		cmocka_unit_test(test_downstream_session_console__holds_messages_while_it_is_busy),
		cmocka_unit_test(test_downstream_session_console__goes_on_when_there_is_room),
		cmocka_unit_test(
			test_downstream_session_console__outlives_its_client_while_it_is_busy),
		cmocka_unit_test(test_downstream_session_console__is_told_goodbye),
		cmocka_unit_test(test_downstream_session_console__kills_a_standby_and_no_console),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
