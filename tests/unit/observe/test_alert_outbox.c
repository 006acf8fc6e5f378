/* Tests of observe/alert_outbox against a real HTTP server (libevent's) on the same loop. */
#include "support/cmocka_all.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/alert_outbox.h"
#include "support/run_until.h"

#define RECEIVED_MAX 64

struct rig {
	struct loop *loop;
	struct evhttp *server;
	int status; /* that it answers with */
	int requests;
	char received[RECEIVED_MAX][64]; /* "alert event id" of what was taken */
	int count;
	char authorization[128];
	struct alert_outbox *outbox;
	struct alert_delivery delivery;
	char url[64];
	int settled;
};

static void serve(struct evhttp_request *request, void *context)
{
	struct rig *rig = context;
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	const char *authorization =
		evhttp_find_header(evhttp_request_get_input_headers(request), "Authorization");
	json_t *root = json_loadb(
		(const char *)evbuffer_pullup(body, -1), evbuffer_get_length(body), 0, NULL);
	assert_non_null(root);
	rig->requests++;
	snprintf(rig->authorization, sizeof(rig->authorization), "%s",
		authorization != NULL ? authorization : "");
	if (rig->status == 200) {
		const char *id = json_string_value(json_object_get(root, "id"));
		snprintf(rig->received[rig->count++ % RECEIVED_MAX], sizeof(rig->received[0]),
			"%s %s %s", json_string_value(json_object_get(root, "alert")),
			json_string_value(json_object_get(root, "event")), strrchr(id, '.') + 1);
	}
	json_decref(root);
	evhttp_send_reply(request, rig->status, "", NULL);
}

static void on_settled(void *context)
{
	struct rig *rig = context;
	rig->settled++;
}

static void open_server(struct rig *rig, uint16_t port)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	rig->server = evhttp_new(loop_event_base(rig->loop));
	evhttp_set_gencb(rig->server, serve, rig);
	struct evhttp_bound_socket *bound =
		evhttp_bind_socket_with_handle(rig->server, "127.0.0.1", port);
	assert_non_null(bound);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address,
				 &length),
		0);
	snprintf(rig->url, sizeof(rig->url), "http://127.0.0.1:%u/hook", ntohs(address.sin_port));
}

static int setup(void **state)
{
	static struct rig rig;
	struct error err = {0};
	memset(&rig, 0, sizeof(rig));
	setenv("no_proxy", "127.0.0.1", 1);
	rig.status = 200;
	rig.loop = loop_new("test", &err);
	assert_non_null(rig.loop);
	open_server(&rig, 0);
	rig.outbox = alert_outbox_new(rig.loop, 100, on_settled, &rig, &err);
	assert_non_null(rig.outbox);
	rig.delivery = (struct alert_delivery){.relay_name = "r",
		.smtp_url = "",
		.mail_from = "",
		.mail_to = "",
		.smtp_user = "",
		.smtp_password = "",
		.webhook_url = rig.url,
		.webhook_token = "",
		.ca_file = ""};
	alert_outbox_configure(rig.outbox, &rig.delivery);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	alert_outbox_free(&rig->outbox);
	evhttp_free(rig->server);
	loop_free(&rig->loop);
	return 0;
}

static void add(struct rig *rig, enum alert_kind kind, enum alert_event event)
{
	const struct alert_news news = {
		.event = event, .kind = kind, .subject = "far", .text = "something"};
	alert_outbox_add(rig->outbox, &news);
}

/* As the owner does; returns how many rows there were. */
static size_t store(struct rig *rig, bool is_stored)
{
	struct alert_rows rows = {0};
	alert_outbox_collect(rig->outbox, &rows);
	size_t count = rows.message_count;
	assert_int_equal(count == 0, alert_outbox_is_stored(rig->outbox));
	alert_outbox_on_stored(rig->outbox, &rows, is_stored);
	alert_rows_release(&rows);
	return count;
}

static struct alert_channel_stats stats_of(struct rig *rig)
{
	struct alert_channel_stats stats;
	alert_outbox_read_stats(rig->outbox, ALERT_WEBHOOK, &stats);
	return stats;
}

static void turn(struct rig *rig)
{
	for (int i = 0; i < 20; i++) {
		event_base_loop(loop_event_base(rig->loop), EVLOOP_NONBLOCK);
	}
}

static void test_alert_outbox__sends_what_is_stored_once_and_in_order(void **state)
{
	struct rig *rig = *state;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RECOVERED);
	turn(rig);
	assert_int_equal(rig->requests, 0);
	assert_int_equal(store(rig, true), 2);
	RUN_UNTIL(rig->loop, rig->settled == 2);
	assert_string_equal(rig->received[0], "daily_limit_over raised 101");
	assert_string_equal(rig->received[1], "daily_limit_over recovered 102");
	struct alert_channel_stats stats = stats_of(rig);
	assert_int_equal(stats.delivered, 2);
	assert_int_equal(stats.pending, 0);
	/* What became of them is to be stored, once. */
	assert_int_equal(store(rig, false), 2);
	assert_int_equal(store(rig, true), 2);
	assert_int_equal(store(rig, true), 0);
	turn(rig);
	assert_int_equal(rig->requests, 2);
}

static void test_alert_outbox__what_is_not_stored_waits_behind_what_is(void **state)
{
	struct rig *rig = *state;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	assert_int_equal(store(rig, true), 1);
	assert_true(alert_outbox_is_stored(rig->outbox));
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RECOVERED);
	RUN_UNTIL(rig->loop, rig->settled == 1);
	turn(rig);
	assert_int_equal(rig->requests, 1);
	assert_int_equal(store(rig, true), 2);
	RUN_UNTIL(rig->loop, rig->settled == 2);
	assert_int_equal(rig->count, 2);
}

static void test_alert_outbox__sends_though_it_could_not_be_stored(void **state)
{
	struct rig *rig = *state;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	assert_int_equal(store(rig, false), 1);
	RUN_UNTIL(rig->loop, rig->settled == 1);
	assert_int_equal(rig->count, 1);
	assert_int_equal(store(rig, true), 1);
	assert_int_equal(store(rig, true), 0);
}

static void test_alert_outbox__delivered_while_its_row_is_written_is_stored_again(void **state)
{
	struct rig *rig = *state;
	struct alert_rows rows = {0};
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	(void)store(rig, false);
	alert_outbox_collect(rig->outbox, &rows);
	RUN_UNTIL(rig->loop, rig->settled == 1);
	alert_outbox_on_stored(rig->outbox, &rows, true);
	alert_rows_release(&rows);
	assert_int_equal(store(rig, true), 1);
	assert_int_equal(store(rig, true), 0);
	assert_int_equal(rig->requests, 1);
}

static void test_alert_outbox__waits_for_a_server_that_is_away(void **state)
{
	struct rig *rig = *state;
	uint16_t port = (uint16_t)atoi(strrchr(rig->url, ':') + 1);
	evhttp_free(rig->server);
	rig->server = NULL;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	add(rig, ALERT_SPOOL_FULL, ALERT_RAISED);
	(void)store(rig, true);
	RUN_UNTIL(rig->loop, stats_of(rig).failures == 2);
	struct alert_channel_stats stats = stats_of(rig);
	assert_int_equal(stats.pending, 2);
	assert_non_null(strstr(stats.last_error, "onnect"));
	open_server(rig, port);
	RUN_UNTIL(rig->loop, rig->settled == 2);
	assert_int_equal(rig->count, 2);
	assert_string_equal(rig->received[0], "daily_limit_over raised 101");
	stats = stats_of(rig);
	assert_int_equal(stats.pending, 0);
	assert_string_equal(stats.last_error, "");
}

static void test_alert_outbox__a_repetition_waits_for_what_it_repeats(void **state)
{
	struct rig *rig = *state;
	rig->status = 503;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_REPEATED);
	add(rig, ALERT_SPOOL_FULL, ALERT_REPEATED);
	assert_int_equal(store(rig, true), 2);
	RUN_UNTIL(rig->loop, stats_of(rig).failures == 1);
	assert_int_equal(stats_of(rig).pending, 2);
	assert_string_equal(stats_of(rig).last_error, "the server answered with status 503");
	/* A reload tries at once. */
	rig->status = 200;
	rig->delivery.webhook_token = "sesame";
	alert_outbox_configure(rig->outbox, &rig->delivery);
	RUN_UNTIL(rig->loop, rig->settled == 2);
	assert_string_equal(rig->authorization, "Bearer sesame");
}

static void test_alert_outbox__goes_on_where_it_stopped(void **state)
{
	struct rig *rig = *state;
	struct error err = {0};
	const struct alert_message message = {.id = 55,
		.channel = ALERT_WEBHOOK,
		.news = {.kind = ALERT_STANDBY_GONE, .subject = "far"}};
	alert_outbox_free(&rig->outbox);
	rig->outbox = alert_outbox_new(rig->loop, 57, on_settled, rig, &err);
	alert_outbox_restore(rig->outbox, &message);
	assert_true(alert_outbox_is_stored(rig->outbox));
	alert_outbox_configure(rig->outbox, &rig->delivery);
	add(rig, ALERT_STANDBY_GONE, ALERT_RECOVERED);
	(void)store(rig, true);
	RUN_UNTIL(rig->loop, rig->settled == 2);
	assert_string_equal(rig->received[0], "standby_gone raised 55");
	assert_string_equal(rig->received[1], "standby_gone recovered 58");
}

static void test_alert_outbox__gives_up_loudly_what_nobody_wants(void **state)
{
	struct rig *rig = *state;
	rig->status = 503;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	(void)store(rig, true);
	RUN_UNTIL(rig->loop, stats_of(rig).failures == 1);
	rig->delivery.webhook_url = "";
	alert_outbox_configure(rig->outbox, &rig->delivery);
	struct alert_channel_stats stats = stats_of(rig);
	assert_false(stats.is_configured);
	assert_int_equal(stats.dropped, 1);
	assert_int_equal(stats.pending, 0);
	assert_int_equal(rig->settled, 1);
	assert_int_equal(store(rig, true), 1);
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	assert_int_equal(store(rig, true), 0);
}

static void test_alert_outbox__never_gives_up_what_is_about_a_limit(void **state)
{
	struct rig *rig = *state;
	rig->status = 503;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	for (int i = 0; i < 1200; i++) {
		add(rig, ALERT_STANDBY_GONE, ALERT_RAISED);
	}
	assert_int_equal(stats_of(rig).pending, 1000);
	assert_int_equal(stats_of(rig).dropped, 201);
	struct alert_rows rows = {0};
	alert_outbox_collect(rig->outbox, &rows);
	assert_int_equal(rows.message_count, 1201);
	assert_int_equal(rows.messages[0].outcome, ALERT_PENDING);
	assert_int_equal(rows.messages[1].outcome, ALERT_DROPPED);
	alert_rows_release(&rows);
}

static void test_alert_outbox__a_message_nobody_takes_lets_others_pass(void **state)
{
	struct rig *rig = *state;
	struct alert_rows rows = {0};
	rig->status = 400;
	add(rig, ALERT_DAILY_LIMIT_OVER, ALERT_RAISED);
	add(rig, ALERT_SPOOL_FULL, ALERT_RAISED);
	(void)store(rig, true);
	for (uint64_t i = 1; i <= 8; i++) {
		RUN_UNTIL(rig->loop, stats_of(rig).failures == i);
		if (i < 8) {
			alert_outbox_configure(rig->outbox, &rig->delivery);
		}
	}
	rig->status = 200;
	alert_outbox_configure(rig->outbox, &rig->delivery);
	RUN_UNTIL(rig->loop, rig->settled == 2);
	assert_string_equal(rig->received[0], "spool_full raised 102");
	alert_outbox_collect(rig->outbox, &rows);
	assert_int_equal(rows.message_count, 2);
	alert_rows_release(&rows);
}

static void test_alert_backoff__doubles_up_to_a_minute_with_jitter(void **state)
{
	(void)state;
	static const struct {
		unsigned failures;
		int64_t whole_us;
	} cases[] = {{1, 1000000}, {2, 2000000}, {3, 4000000}, {6, 32000000}, {7, 60000000},
		{1000, 60000000}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(
			alert_backoff_us(cases[i].failures, 0), cases[i].whole_us / 2);
		assert_int_equal(
			alert_backoff_us(cases[i].failures, UINT32_MAX), cases[i].whole_us);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_alert_outbox__sends_what_is_stored_once_and_in_order),
		TEST(test_alert_outbox__what_is_not_stored_waits_behind_what_is),
		TEST(test_alert_outbox__sends_though_it_could_not_be_stored),
		TEST(test_alert_outbox__delivered_while_its_row_is_written_is_stored_again),
		TEST(test_alert_outbox__waits_for_a_server_that_is_away),
		TEST(test_alert_outbox__a_repetition_waits_for_what_it_repeats),
		TEST(test_alert_outbox__goes_on_where_it_stopped),
		TEST(test_alert_outbox__gives_up_loudly_what_nobody_wants),
		TEST(test_alert_outbox__never_gives_up_what_is_about_a_limit),
		TEST(test_alert_outbox__a_message_nobody_takes_lets_others_pass),
		cmocka_unit_test(test_alert_backoff__doubles_up_to_a_minute_with_jitter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
