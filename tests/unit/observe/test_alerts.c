/* Tests of observe/alerts with a real database, over restarts: what is on disk when, and that nothing
 * is told twice. */
#include "support/cmocka_all.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/database.h"
#include "base/sql.h"
#include "fake_readers.h"
#include "observe/alerts.h"
#include "support/run_until.h"

#define SECOND INT64_C(1000000)
#define NOW    (INT64_C(1772000000) * SECOND)
#define GB     (UINT64_C(1) << 30)

struct rig {
	char path[64];
	struct loop *loop;
	struct evhttp *server;
	int status;
	char received[2048]; /* "alert event subject\n" each */
	struct database *database;
	struct alerts *alerts;
	struct alerts_options options;
	char url[64];
	struct destination_stats *far;
};

static void serve(struct evhttp_request *request, void *context)
{
	struct rig *rig = context;
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	json_t *root = json_loadb(
		(const char *)evbuffer_pullup(body, -1), evbuffer_get_length(body), 0, NULL);
	size_t length = strlen(rig->received);
	assert_non_null(root);
	if (rig->status == 200) {
		snprintf(rig->received + length, sizeof(rig->received) - length, "%s %s %s\n",
			json_string_value(json_object_get(root, "alert")),
			json_string_value(json_object_get(root, "event")),
			json_string_value(json_object_get(root, "subject")));
	}
	json_decref(root);
	evhttp_send_reply(request, rig->status, "", NULL);
}

static void open_alerts(struct rig *rig)
{
	struct error err = {0};
	rig->loop = loop_new("test", &err);
	rig->server = evhttp_new(loop_event_base(rig->loop));
	evhttp_set_gencb(rig->server, serve, rig);
	struct evhttp_bound_socket *bound =
		evhttp_bind_socket_with_handle(rig->server, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	assert_int_equal(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address,
				 &length),
		0);
	snprintf(rig->url, sizeof(rig->url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	rig->database = database_open(rig->path, &err);
	assert_non_null(rig->database);
	rig->alerts = alerts_open(rig->loop, rig->database, &rig->options, &err);
	if (rig->alerts == NULL) {
		fail_msg("%s", err.message);
	}
}

static void close_alerts(struct rig *rig)
{
	alerts_close(&rig->alerts);
	database_close(&rig->database);
	evhttp_free(rig->server);
	loop_free(&rig->loop);
}

static int setup(void **state)
{
	static struct rig rig;
	memset(&rig, 0, sizeof(rig));
	setenv("no_proxy", "127.0.0.1", 1);
	fake_readers_reset();
	fake_readers.standby_count = 0;
	rig.status = 200;
	rig.far = fake_readers_add_destination("far");
	rig.far->daily_limit_bytes = 10 * GB;
	rig.far->warn_at_basis_points = 8000;
	strcpy(rig.path, "/tmp/test_alerts.XXXXXX");
	int fd = mkstemp(rig.path);
	assert_true(fd >= 0);
	close(fd);
	rig.options = (struct alerts_options){.repeat_every_us = 3600 * SECOND,
		.delivery = {.relay_name = "r",
			.smtp_url = "",
			.mail_from = "",
			.mail_to = "",
			.smtp_user = "",
			.smtp_password = "",
			.webhook_url = rig.url,
			.webhook_token = "",
			.ca_file = ""}};
	open_alerts(&rig);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char path[80];
	close_alerts(rig);
	unlink(rig->path);
	snprintf(path, sizeof(path), "%s-wal", rig->path);
	unlink(path);
	snprintf(path, sizeof(path), "%s-shm", rig->path);
	unlink(path);
	return 0;
}

static void look(struct rig *rig, int64_t seconds)
{
	struct snapshot snapshot;
	snapshot_take(&(struct snapshot_sources){.relay_name = "r"}, &snapshot);
	alerts_look(rig->alerts, &snapshot, NOW + seconds * SECOND);
	snapshot_release(&snapshot);
}

static void wait_received(struct rig *rig, const char *expected)
{
	RUN_UNTIL(rig->loop, strlen(rig->received) >= strlen(expected));
	assert_string_equal(rig->received, expected);
}

static bool take_text(void *context, const char *const *columns, struct error *err)
{
	char *text = context;
	(void)err;
	size_t length = strlen(text);
	snprintf(text + length, 512 - length, "%s ", columns[0]);
	return true;
}

struct question {
	const char *sql;
	char text[512];
};

static bool ask(struct sqlite3 *connection, void *context, struct error *err)
{
	struct question *question = context;
	return sql_run(connection, question->sql, NULL, 0, take_text, question->text, err);
}

static void check_rows(struct rig *rig, const char *sql, const char *expected)
{
	struct question question = {.sql = sql};
	struct error err = {0};
	assert_true(database_run(rig->database, ask, &question, &err));
	assert_string_equal(question.text, expected);
}

static uint64_t delivered(struct rig *rig)
{
	struct alert_entry *entries;
	size_t count;
	struct alert_channel_stats channels[ALERT_CHANNELS];
	alerts_read(rig->alerts, &entries, &count, channels);
	free(entries);
	return channels[ALERT_WEBHOOK].delivered;
}

static void test_alerts__each_rung_is_told_once(void **state)
{
	struct rig *rig = *state;
	look(rig, 0);
	rig->far->used.day_bytes = 8 * GB;
	look(rig, 1);
	look(rig, 2);
	rig->far->used.day_bytes = 10 * GB;
	look(rig, 3);
	rig->far->used.day_bytes = 0;
	look(rig, 4);
	look(rig, 5);
	wait_received(rig, "daily_limit_warning raised far\ndaily_limit_over raised far\n"
			   "daily_limit_over recovered far\n");
	RUN_UNTIL(rig->loop, delivered(rig) == 3);
	close_alerts(rig);
	open_alerts(rig);
	check_rows(rig, "SELECT outcome FROM alert_messages ORDER BY id",
		"delivered delivered delivered ");
	check_rows(rig, "SELECT alert FROM alerts", "");
}

static void test_alerts__a_restart_repeats_nothing(void **state)
{
	struct rig *rig = *state;
	rig->far->used.day_bytes = 10 * GB;
	look(rig, 0);
	wait_received(rig, "daily_limit_over raised far\n");
	RUN_UNTIL(rig->loop, delivered(rig) == 1);
	close_alerts(rig);
	open_alerts(rig);
	look(rig, 10);
	look(rig, 3599);
	rig->far->used.day_bytes = 0;
	look(rig, 3600);
	wait_received(rig, "daily_limit_over raised far\ndaily_limit_over recovered far\n");
}

static void test_alerts__what_was_not_delivered_is_after_a_restart(void **state)
{
	struct rig *rig = *state;
	struct alert_entry *entries;
	size_t count;
	struct alert_channel_stats channels[ALERT_CHANNELS];
	rig->status = 503;
	rig->far->used.day_bytes = 8 * GB;
	look(rig, 0);
	RUN_UNTIL(rig->loop,
		(alerts_read(rig->alerts, &entries, &count, channels), free(entries),
			channels[ALERT_WEBHOOK].failures > 0));
	/* In one transaction, before the first try. */
	check_rows(rig, "SELECT alert || ' ' || subject FROM alerts", "daily_limit_warning far ");
	check_rows(rig, "SELECT outcome FROM alert_messages", "pending ");
	rig->far->used.day_bytes = 10 * GB;
	look(rig, 1);
	close_alerts(rig);
	rig->status = 200;
	open_alerts(rig);
	look(rig, 2);
	wait_received(rig, "daily_limit_warning raised far\ndaily_limit_over raised far\n");
}

static void test_alerts__a_standby_that_is_missed_is_missed_after_a_restart(void **state)
{
	struct rig *rig = *state;
	fake_readers_add_standby("s1", 101);
	look(rig, 0);
	close_alerts(rig);
	open_alerts(rig);
	fake_readers.standby_count = 0;
	/* Away since the restart, whenever it was written down. */
	look(rig, 10 * 86400);
	look(rig, 10 * 86400 + 19);
	look(rig, 10 * 86400 + 20);
	wait_received(rig, "standby_gone raised s1 at 10.0.0.7\n");
	/* And known to be since then, after the next. */
	close_alerts(rig);
	open_alerts(rig);
	check_rows(rig, "SELECT seen_us - 1772000000000000 FROM alert_standbys", "864000000000 ");
	look(rig, 10 * 86400 + 21);
	fake_readers.standby_count = 1;
	look(rig, 10 * 86400 + 31);
	wait_received(rig, "standby_gone raised s1 at 10.0.0.7\n"
			   "standby_gone recovered s1 at 10.0.0.7\n");
}

static void test_alerts__without_anywhere_to_go_they_are_shown(void **state)
{
	struct rig *rig = *state;
	struct alert_entry *entries;
	size_t count;
	struct alert_channel_stats channels[ALERT_CHANNELS];
	rig->options.delivery.webhook_url = "";
	alerts_configure(rig->alerts, &rig->options);
	rig->far->used.day_bytes = 10 * GB;
	fake_readers.upstream.state = UPSTREAM_WAITING;
	look(rig, 0);
	alerts_read(rig->alerts, &entries, &count, channels);
	/* The upstream has not been away for long enough. */
	assert_int_equal(count, 1);
	assert_int_equal(entries[0].kind, ALERT_DAILY_LIMIT_OVER);
	assert_false(channels[ALERT_WEBHOOK].is_configured);
	free(entries);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_alerts__each_rung_is_told_once),
		TEST(test_alerts__a_restart_repeats_nothing),
		TEST(test_alerts__what_was_not_delivered_is_after_a_restart),
		TEST(test_alerts__a_standby_that_is_missed_is_missed_after_a_restart),
		TEST(test_alerts__without_anywhere_to_go_they_are_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
