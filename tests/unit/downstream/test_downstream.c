/* Many standbys together: fairness, memory, what they add up to, and how they are stopped. */
#include "relay_fixture.h"

#include "cmocka_all.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void stream(struct relay_fixture *fixture, struct raw_client *client, lsn_t from)
{
	char query[128];
	relay_fixture_log_in(fixture, client);
	snprintf(query, sizeof(query), "START_REPLICATION " LSN_FORMAT " TIMELINE 1",
		LSN_ARGS(from));
	raw_client_query(client, query);
	assert_string_equal(raw_client_next(client), "W");
}

/* Everything up to `to`, in order. */
static void read_to(struct raw_client *client, lsn_t from, lsn_t to)
{
	while (from < to) {
		lsn_t at;
		size_t length;
		if (strncmp(raw_client_next(client), "d k", 3) != 0) {
			raw_client_wal(client, &at, &length);
			assert_int_equal(at, from);
			from += length;
		}
	}
}

static void test_downstream__statistics_of_a_standby(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t end = relay_fixture_append(fixture, 50000);
	stream(fixture, &client, FIXTURE_START);
	read_to(&client, FIXTURE_START, end);
	WAIT_UNTIL(relay_fixture_standby(fixture).state == STANDBY_STREAMING);
	assert_int_equal(downstream_replayed_lsn(fixture->downstream, 1), LSN_INVALID);
	raw_client_status(&client, end, end - 100, end - 200, true);
	assert_non_null(strstr(raw_client_next(&client), "d k"));
	struct standby_stats stats = relay_fixture_standby(fixture);
	assert_string_equal(stats.user, "rep");
	assert_string_equal(stats.application_name, "standby1");
	assert_string_equal(stats.peer, "[local]");
	assert_string_equal(stats.slot, "");
	assert_string_equal(standby_state_name(stats.state), "streaming");
	assert_int_equal(stats.tli, 1);
	assert_int_equal(stats.sent_lsn, end);
	assert_int_equal(stats.write_lsn, end);
	assert_int_equal(stats.flush_lsn, end - 100);
	assert_int_equal(stats.replay_lsn, end - 200);
	assert_int_equal(stats.wal_bytes, end - FIXTURE_START);
	assert_true(stats.wire_sent_bytes > stats.wal_bytes);
	assert_true(stats.wire_received_bytes > 0);
	assert_true(stats.connected_at_us > 0);
	assert_true(stats.last_reply_at_us >= stats.connected_at_us);
	assert_int_equal(downstream_replayed_lsn(fixture->downstream, 1), end - 200);
	assert_int_equal(downstream_replayed_lsn(fixture->downstream, 2), LSN_INVALID);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream__adds_up_replay_and_feedback(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.sender_threads = 2};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client clients[3];
	uint64_t xmin, catalog_xmin;
	lsn_t end = relay_fixture_append(fixture, 5000);
	for (int i = 0; i < 3; i++) {
		stream(fixture, &clients[i], FIXTURE_START);
		read_to(&clients[i], FIXTURE_START, end);
		raw_client_feedback(&clients[i], i == 2 ? 0 : 700 + (uint32_t)i, 1, 0);
		raw_client_status(&clients[i], end, end, i == 2 ? 0 : end - (lsn_t)i, true);
		assert_non_null(strstr(raw_client_next(&clients[i]), "d k"));
	}
	assert_int_equal(downstream_list(fixture->downstream, NULL, 0), 3);
	assert_int_equal(downstream_replayed_lsn(fixture->downstream, 1), end - 1);
	downstream_oldest_xmin(fixture->downstream, &xmin, &catalog_xmin);
	assert_int_equal(xmin, UINT64_C(1) << 32 | 700);
	assert_int_equal(catalog_xmin, 0);
	raw_client_close(&clients[0]);
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 2);
	downstream_oldest_xmin(fixture->downstream, &xmin, &catalog_xmin);
	assert_int_equal(xmin, UINT64_C(1) << 32 | 701);
	raw_client_close(&clients[1]);
	WAIT_UNTIL(downstream_connection_count(fixture->downstream) == 1);
	downstream_oldest_xmin(fixture->downstream, &xmin, &catalog_xmin);
	assert_int_equal(xmin, 0);
	assert_int_equal(downstream_replayed_lsn(fixture->downstream, 1), LSN_INVALID);
	raw_client_close(&clients[2]);
	relay_fixture_free(fixture);
}

/* --- who is told that replay has moved ---------------------------------------------------------
 */

static atomic_uint rings;

static void count_ring(void *context)
{
	(void)context;
	atomic_fetch_add(&rings, 1);
}

/* What the upstream's half does when it is rung. */
static lsn_t ask_replayed(struct relay_fixture *fixture)
{
	atomic_store(&rings, 0);
	return downstream_replayed_lsn(fixture->downstream, 1);
}

/* The client reports; when it is answered the second time, the first report is dealt with. */
static void report(struct raw_client *client, lsn_t end, lsn_t replayed)
{
	for (int i = 0; i < 2; i++) {
		raw_client_status(client, end, end, replayed, true);
		assert_non_null(strstr(raw_client_next(client), "d k"));
	}
}

static void test_downstream__rings_for_the_standby_that_holds_replay_back(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.on_replayed = count_ring};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client ahead, behind;
	lsn_t end = relay_fixture_append(fixture, 5000);
	stream(fixture, &ahead, FIXTURE_START);
	stream(fixture, &behind, FIXTURE_START);
	read_to(&ahead, FIXTURE_START, end);
	read_to(&behind, FIXTURE_START, end);
	report(&ahead, end, end - 100);
	report(&behind, end, end - 200);
	assert_int_equal(ask_replayed(fixture), end - 200);
	report(&ahead, end, end - 50);
	assert_int_equal(atomic_load(&rings), 0);
	report(&behind, end, end - 60);
	assert_int_equal(atomic_load(&rings), 1);
	assert_int_equal(ask_replayed(fixture), end - 60);
	raw_client_close(&behind);
	WAIT_UNTIL(atomic_load(&rings) > 0);
	assert_int_equal(ask_replayed(fixture), end - 50);
	raw_client_message(&ahead, 'c', "", 0);
	raw_client_until(&ahead, 'Z');
	assert_int_equal(atomic_load(&rings), 1);
	assert_int_equal(ask_replayed(fixture), LSN_INVALID);
	raw_client_close(&ahead);
	relay_fixture_free(fixture);
}

static void test_downstream__rings_when_one_has_caught_up(void **state)
{
	(void)state;
	const struct relay_fixture_options options = {.on_replayed = count_ring};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	struct raw_client client;
	lsn_t end = relay_fixture_append(fixture, 4 * FIXTURE_SEGMENT);
	stream(fixture, &client, FIXTURE_START);
	raw_client_status(&client, FIXTURE_START + 8, FIXTURE_START + 8, FIXTURE_START + 8, false);
	WAIT_UNTIL(relay_fixture_standby(fixture).replay_lsn == FIXTURE_START + 8);
	assert_int_equal(ask_replayed(fixture), LSN_INVALID);
	read_to(&client, FIXTURE_START, end);
	/* A turn that leaves nothing waiting, and no further word from the client. */
	relay_fixture_append(fixture, 100);
	WAIT_UNTIL(atomic_load(&rings) > 0);
	assert_int_equal(ask_replayed(fixture), FIXTURE_START + 8);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream__a_standby_that_does_not_read_slows_nobody(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client stuck[4], client;
	lsn_t sent = relay_fixture_append(fixture, 8 * FIXTURE_SEGMENT);
	for (int i = 0; i < 4; i++) {
		stream(fixture, &stuck[i], FIXTURE_START);
	}
	stream(fixture, &client, sent);
	for (int i = 0; i < 30; i++) {
		lsn_t end = relay_fixture_append(fixture, 1000);
		read_to(&client, sent, end);
		sent = end;
	}
	for (int i = 0; i < 4; i++) {
		read_to(&stuck[i], FIXTURE_START, sent);
		raw_client_close(&stuck[i]);
	}
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_downstream__reply_requests_without_reading_pile_nothing_up(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t end = relay_fixture_append(fixture, 4 * FIXTURE_SEGMENT);
	stream(fixture, &client, FIXTURE_START);
	for (int i = 0; i < 50000; i++) {
		raw_client_status(&client, FIXTURE_START, FIXTURE_START, 0, true);
	}
	unsigned keepalives = 0;
	for (lsn_t at = FIXTURE_START; at < end || !raw_client_is_quiet(&client, 50);) {
		size_t length;
		if (strncmp(raw_client_next(&client), "d k", 3) == 0) {
			keepalives++;
			continue;
		}
		raw_client_wal(&client, &at, &length);
		at += length;
	}
	/* As many as there is room for, not one for each. */
	assert_in_range(keepalives, 1, 15000);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

/* --- stopping ----------------------------------------------------------------------------------
 */

static void expect_keepalive(struct raw_client *client, lsn_t lsn, bool reply_requested)
{
	char expected[128];
	snprintf(expected, sizeof(expected), "d k " LSN_FORMAT "%s", LSN_ARGS(lsn),
		reply_requested ? " reply" : "");
	assert_string_equal(raw_client_next(client), expected);
}

static void test_downstream__stops_when_everything_is_confirmed(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t end = relay_fixture_append(fixture, 3 * FIXTURE_SEGMENT);
	stream(fixture, &client, FIXTURE_START);
	relay_fixture_begin_stop(fixture, 20000000);
	read_to(&client, FIXTURE_START, end);
	expect_keepalive(&client, end, true);
	raw_client_status(&client, end, end - 1, 0, false);
	expect_keepalive(&client, end, true);
	raw_client_status(&client, end, end, 0, false);
	assert_string_equal(raw_client_next(&client), "C COPY 0");
	assert_string_equal(raw_client_next(&client), "closed");
	raw_client_close(&client);
	relay_fixture_wait_stopped(fixture);
	relay_fixture_free(fixture);
}

static void test_downstream__what_is_written_counts_where_flush_is_not_told(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t end = relay_fixture_append(fixture, 1000);
	stream(fixture, &client, FIXTURE_START);
	read_to(&client, FIXTURE_START, end);
	raw_client_status(&client, end, 0, 0, true);
	expect_keepalive(&client, end, false);
	relay_fixture_begin_stop(fixture, 20000000);
	assert_string_equal(raw_client_next(&client), "C COPY 0");
	assert_string_equal(raw_client_next(&client), "closed");
	raw_client_close(&client);
	relay_fixture_wait_stopped(fixture);
	relay_fixture_free(fixture);
}

static void test_downstream__asks_again_but_not_in_a_busy_loop(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	int asked = 0;
	lsn_t end = relay_fixture_append(fixture, 1000);
	stream(fixture, &client, FIXTURE_START);
	read_to(&client, FIXTURE_START, end);
	relay_fixture_begin_stop(fixture, 300000);
	while (strncmp(raw_client_next(&client), "d k", 3) == 0) {
		asked++;
		raw_client_status(&client, end, end - 8, 0, false);
	}
	/* One at once, then one every 50 ms at most. */
	assert_in_range(asked, 2, 8);
	raw_client_close(&client);
	relay_fixture_wait_stopped(fixture);
	relay_fixture_free(fixture);
}

static void test_downstream__stops_although_a_standby_stands_still(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client still, mute;
	relay_fixture_append(fixture, 8 * FIXTURE_SEGMENT);
	stream(fixture, &still, FIXTURE_START);
	stream(fixture, &mute, wal_store_received(fixture->store).lsn);
	relay_fixture_begin_stop(fixture, 100000);
	relay_fixture_wait_stopped(fixture);
	raw_client_close(&still);
	raw_client_close(&mute);
	relay_fixture_free(fixture);
}

static void test_downstream__what_comes_while_stopping_is_sent_too(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	lsn_t end = relay_fixture_append(fixture, 1000);
	stream(fixture, &client, FIXTURE_START);
	read_to(&client, FIXTURE_START, end);
	relay_fixture_begin_stop(fixture, 20000000);
	expect_keepalive(&client, end, true);
	lsn_t later = relay_fixture_append(fixture, 2000);
	read_to(&client, end, later);
	raw_client_status(&client, end, end, 0, false);
	expect_keepalive(&client, later, true);
	raw_client_status(&client, later, later, 0, false);
	assert_string_equal(raw_client_next(&client), "C COPY 0");
	raw_client_close(&client);
	relay_fixture_wait_stopped(fixture);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_downstream__statistics_of_a_standby),
		cmocka_unit_test(test_downstream__adds_up_replay_and_feedback),
		cmocka_unit_test(test_downstream__rings_for_the_standby_that_holds_replay_back),
		cmocka_unit_test(test_downstream__rings_when_one_has_caught_up),
		cmocka_unit_test(test_downstream__a_standby_that_does_not_read_slows_nobody),
		cmocka_unit_test(test_downstream__reply_requests_without_reading_pile_nothing_up),
		cmocka_unit_test(test_downstream__stops_when_everything_is_confirmed),
		cmocka_unit_test(test_downstream__what_is_written_counts_where_flush_is_not_told),
		cmocka_unit_test(test_downstream__asks_again_but_not_in_a_busy_loop),
		cmocka_unit_test(test_downstream__stops_although_a_standby_stands_still),
		cmocka_unit_test(test_downstream__what_comes_while_stopping_is_sent_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
