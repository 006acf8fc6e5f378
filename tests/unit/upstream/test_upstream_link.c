/*
 * Whole streams from a relay played by the test: what is agreed on, and what comes of a hub that
 * lies.
 */
#include "upstream_rig.h"

#include "link_hub.h"

#include "protocol/link_stream.h"
#include "support/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define TERMS " (link '1', abilities '', oldest '0/0', keep '0')"

static struct link_hub hub;

/* --- playing a hub -----------------------------------------------------------------------------
 */

static void play_to_offer(struct fake_server *server)
{
	play_identity(server, "15.18", link_hub_end(&hub));
	fake_answer(server, "SHOW walrelay.link", "1-3 tomorrow", "http://hub:9871/");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
}

static void play_to_link(struct fake_server *server)
{
	play_to_offer(server);
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1" TERMS);
	fake_send_copy_both(server);
	server->is_link = true;
}

static void send_batch(struct fake_server *server)
{
	fake_send(server, 'd', hub.payload, hub.payload_length);
}

static void send_wal(struct fake_server *server, lsn_t lsn, lsn_t end)
{
	fake_send_wal(server, lsn, link_hub_bytes(&hub, lsn), end - lsn);
}

static void send_batches(struct fake_server *server, lsn_t lsn)
{
	while (lsn < link_hub_end(&hub)) {
		lsn = link_hub_encode(&hub, lsn, 50000);
		send_batch(server);
	}
}

static void expect_request(struct fake_server *server, lsn_t lsn)
{
	struct link_client_copy copy = {.kind = LINK_CLIENT_STREAM};
	const char *reason = "";
	uint8_t body[64];

	while (!server->is_over && copy.kind != LINK_CLIENT_REQUEST) {
		size_t length = fake_expect(server, 'd', body, sizeof(body));

		fake_check(server,
			link_client_copy_decode(body, length, &copy, &reason) == DECODE_OK,
			"malformed: %s", reason);
	}
	fake_check(server, copy.request_lsn == lsn, "request for %llX",
		(unsigned long long)copy.request_lsn);
}

/* The last byte of a batch, so that nothing of its place is touched. */
static void send_damaged(struct fake_server *server)
{
	hub.payload[hub.payload_length - 1] ^= 1;
	send_batch(server);
}

static void link_rig_open(struct upstream_rig *rig, void (*play)(struct fake_server *server))
{
	rig_open(rig, play);
	link_hub_open(&hub, 3 * HUB_SEGMENT, HUB_START);
}

static void link_rig_follow(struct upstream_rig *rig)
{
	rig_follow(rig, (struct upstream_options){.wants_link = true});
}

static void link_rig_close(struct upstream_rig *rig)
{
	rig_close(rig);
	link_hub_close(&hub);
}

/* Received is all of it, and it is the hub's. */
static bool has_all(struct wal_fixture *spool)
{
	return wal_store_received(spool->store).lsn == link_hub_end(&hub);
}

static void check_spool(struct upstream_rig *rig)
{
	lsn_t end = wal_store_received(rig->spool.store).lsn;
	struct error err = {0};
	struct wal_cursor *cursor = wal_cursor_open(rig->spool.store, 1, HUB_START, false, &err);
	struct wal_span span;

	assert_non_null(cursor);
	while (wal_cursor_lsn(cursor) < end) {
		assert_int_equal(wal_cursor_peek(cursor, HUB_SEGMENT, &span, &err), WAL_READ_DATA);
		assert_memory_equal(span.bytes, link_hub_bytes(&hub, span.lsn), span.length);
		wal_cursor_advance(cursor, span.length);
	}
	wal_cursor_close(&cursor);
}

/* --- streams -----------------------------------------------------------------------------------
 */

static void play_batches(struct fake_server *server)
{
	play_to_link(server);
	send_batches(server, HUB_START);
	fake_expect_end(server);
}

static void test_upstream_link__follows_a_relay_by_its_link(void **state)
{
	struct upstream_rig rig;
	struct upstream_stats stats;

	(void)state;
	link_rig_open(&rig, play_batches);
	link_rig_follow(&rig);
	fixture_wait(&rig.spool, has_all);
	rig_wait_wal_bytes(&rig, link_hub_end(&hub) - HUB_START);
	check_spool(&rig);
	stats = rig_stats(&rig);
	assert_int_equal(stats.state, UPSTREAM_STREAMING);
	assert_int_equal(stats.link_version, 1);
	assert_string_equal(stats.page_url, "http://hub:9871/");
	assert_int_equal(stats.wal_bytes, link_hub_end(&hub) - HUB_START);
	assert_int_equal(stats.link_raw_bytes, stats.wal_bytes);
	assert_true(stats.link_batches > 3 && stats.link_batch_bytes < stats.wire_bytes);
	assert_true(stats.wire_bytes < stats.wal_bytes / 2);
	assert_int_equal(stats.link_plain_requests, 0);
	assert_int_equal(stats.server_end_lsn, link_hub_end(&hub));
	link_rig_close(&rig);
}

static void play_postgresql(struct fake_server *server)
{
	play_identity(server, "15.18", link_hub_end(&hub));
	fake_refuse(server, "SHOW walrelay.link", "42704",
		"unrecognized configuration parameter \"walrelay.link\"");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	send_wal(server, HUB_START, link_hub_end(&hub));
	fake_expect_end(server);
}

static void play_other_version(struct fake_server *server)
{
	play_identity(server, "15.18", link_hub_end(&hub));
	fake_answer(server, "SHOW walrelay.link", "2-3 lanes");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	send_wal(server, HUB_START, link_hub_end(&hub));
	fake_expect_end(server);
}

static void play_refusal(struct fake_server *server)
{
	for (int i = 0; i < 2; i++) {
		play_to_offer(server);
		fake_expect_query(
			server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1" TERMS);
		fake_send_error(server, "0A000", "link version is not supported");
		fake_send_ready(server);
		fake_expect_end(server);
		fake_close(server);
	}
	play_identity(server, "15.18", link_hub_end(&hub));
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	send_wal(server, HUB_START, link_hub_end(&hub));
	fake_expect_end(server);
}

static void play_plain_within(struct fake_server *server)
{
	lsn_t lsn;

	play_to_link(server);
	send_wal(server, HUB_START, HUB_START + 5000);
	link_hub_seek(&hub, HUB_START, HUB_START + 5000);
	lsn = link_hub_encode(&hub, HUB_START + 5000, 300000);
	send_batch(server);
	send_wal(server, lsn, lsn + 200000);
	link_hub_seek(&hub, HUB_START, lsn + 200000);
	send_batches(server, lsn + 200000);
	fake_expect_end(server);
}

static void play_and_mend(struct fake_server *server)
{
	lsn_t bad, lsn;

	play_to_link(server);
	bad = link_hub_encode(&hub, HUB_START, 100000);
	send_batch(server);
	lsn = link_hub_encode(&hub, bad, 100000);
	send_damaged(server);
	link_hub_encode(&hub, lsn, 100000);
	send_batch(server);
	expect_request(server, bad);
	send_wal(server, bad, HUB_START + HUB_SEGMENT);
	link_hub_seek(&hub, HUB_START, HUB_START + HUB_SEGMENT);
	send_batches(server, HUB_START + HUB_SEGMENT);
	fake_expect_end(server);
}

static void test_upstream_link__ends_with_the_same_bytes_whatever_the_way(void **state)
{
	static const struct {
		void (*play)(struct fake_server *server);
		unsigned version;
		uint64_t requests;
	} cases[] = {
		{play_postgresql, 0, 0},
		{play_other_version, 0, 0},
		{play_refusal, 0, 0},
		{play_plain_within, 1, 0},
		{play_and_mend, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upstream_rig rig;

		link_rig_open(&rig, cases[i].play);
		link_rig_follow(&rig);
		fixture_wait(&rig.spool, has_all);
		rig_wait_state(&rig, UPSTREAM_STREAMING);
		check_spool(&rig);
		assert_int_equal(rig_stats(&rig).link_version, cases[i].version);
		assert_int_equal(rig_stats(&rig).link_plain_requests, cases[i].requests);
		link_rig_close(&rig);
	}
}

/* --- resuming ----------------------------------------------------------------------------------
 */

#define HELD (HUB_START + 300000)

static void hold(struct upstream_rig *rig)
{
	struct error err;

	assert_true(wal_store_begin(rig->spool.store, 1, HUB_START, HUB_SEGMENT, &err));
	assert_true(wal_store_append(rig->spool.store, HUB_START, link_hub_bytes(&hub, HUB_START),
		HELD - HUB_START, &err));
}

static void play_to_held(struct fake_server *server)
{
	char query[512];
	uint64_t hash = XXH64(link_hub_bytes(&hub, HUB_START), HELD - HUB_START, 0);

	play_to_offer(server);
	snprintf(query, sizeof(query),
		"START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1 (link '1', abilities '', held "
		"'0/1493E0', held_hash '%016" PRIx64 "', oldest '0/0', keep '0')",
		hash);
	fake_expect_query(server, query);
	fake_send_copy_both(server);
	server->is_link = true;
}

static void send_nothing_at(struct fake_server *server, lsn_t lsn)
{
	const struct wal_data data = {.start_lsn = lsn, .server_end_lsn = lsn};
	uint8_t payload[WAL_DATA_HEADER_BYTES + LINK_CHECK_BYTES];
	size_t length = wal_data_header_encode(&data, payload);

	length += link_check_encode(&data, payload + length);
	fake_send(server, 'd', payload, length);
}

static void play_resume(struct fake_server *server)
{
	struct standby_status status = {0};

	play_to_held(server);
	send_nothing_at(server, HELD);
	/* All of it is held, and compared: it may be told without a byte of WAL. */
	while (!server->is_over && status.write_lsn < HELD) {
		fake_expect_status(server, &status);
	}
	while (!server->is_over && status.flush_lsn == 0) {
		fake_send_keepalive(server, link_hub_end(&hub), true);
		fake_expect_status(server, &status);
	}
	link_hub_seek(&hub, HUB_START, HELD);
	send_batches(server, HELD);
	fake_expect_end(server);
}

static void play_resume_with_a_batch(struct fake_server *server)
{
	play_to_held(server);
	link_hub_seek(&hub, HUB_START, HELD);
	send_batches(server, HELD);
	fake_expect_end(server);
}

/* It could not compare. */
static void play_all_again(struct fake_server *server)
{
	play_to_held(server);
	send_batches(server, HUB_START);
	fake_expect_end(server);
}

static void test_upstream_link__resumes_to_the_byte(void **state)
{
	void (*const plays[])(struct fake_server * server) = {
		play_resume, play_resume_with_a_batch, play_all_again};

	(void)state;
	for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		struct upstream_rig rig;

		link_rig_open(&rig, plays[i]);
		hold(&rig);
		link_rig_follow(&rig);
		fixture_wait(&rig.spool, has_all);
		rig_wait_state(&rig, UPSTREAM_STREAMING);
		check_spool(&rig);
		link_rig_close(&rig);
	}
}

static void play_idle_resume(struct fake_server *server)
{
	play_to_held(server);
	send_nothing_at(server, HELD);
	fake_expect_end(server);
}

static void test_upstream_link__streams_though_nothing_comes(void **state)
{
	struct upstream_rig rig;

	(void)state;
	link_rig_open(&rig, play_idle_resume);
	hold(&rig);
	link_rig_follow(&rig);
	rig_wait_state(&rig, UPSTREAM_STREAMING);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, HELD);
	link_rig_close(&rig);
}

static void play_other_history(struct fake_server *server)
{
	uint8_t *bytes = malloc(HELD - HUB_START);

	play_to_held(server);
	memcpy(bytes, link_hub_bytes(&hub, HUB_START), HELD - HUB_START);
	bytes[200000] ^= 1;
	fake_send_wal(server, HUB_START, bytes, HELD - HUB_START);
	free(bytes);
	fake_expect_end(server);
}

static void test_upstream_link__finds_where_it_has_diverged(void **state)
{
	struct upstream_rig rig;

	(void)state;
	link_rig_open(&rig, play_other_history);
	rig.server.client_may_leave = true;
	hold(&rig);
	link_rig_follow(&rig);
	rig_wait_error(&rig, "upstream has diverged at 0/130D40 on timeline 1");
	rig_wait_state(&rig, UPSTREAM_STOPPED);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, HELD);
	check_spool(&rig);
	link_rig_close(&rig);
}

/* --- a hub that lies ---------------------------------------------------------------------------
 */

static void play_wrong_start(struct fake_server *server)
{
	play_to_link(server);
	link_hub_seek(&hub, HUB_START, HUB_START + HUB_SEGMENT);
	link_hub_encode(&hub, HUB_START + HUB_SEGMENT, 5000);
	/* Not the first, so that no records before it are asked for. */
	send_wal(server, HUB_START, HUB_START + 100000);
	send_batch(server);
	expect_request(server, HUB_START + 100000);
	fake_expect_end(server);
}

static void play_held_that_is_not(struct fake_server *server)
{
	play_to_link(server);
	send_nothing_at(server, HUB_START + 8192);
	fake_expect_end(server);
}

static void play_again_from_held(struct fake_server *server)
{
	play_to_held(server);
	send_wal(server, HUB_START, HUB_START + 1000);
	send_wal(server, HELD, HELD + 1000);
	fake_expect_end(server);
}

static void play_twice_damaged(struct fake_server *server)
{
	play_to_link(server);
	link_hub_encode(&hub, HUB_START, 100000);
	send_damaged(server);
	expect_request(server, HUB_START);
	send_batch(server);
	fake_expect_end(server);
}

static void play_deaf(struct fake_server *server)
{
	lsn_t lsn;

	play_to_link(server);
	lsn = link_hub_encode(&hub, HUB_START, 100000);
	send_damaged(server);
	server->client_may_leave = true;
	while (!server->is_over) {
		send_wal(server, lsn, lsn + 100000);
	}
}

static void play_promise_out_of_range(struct fake_server *server)
{
	static const uint8_t promise[] = "p\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377";

	play_to_link(server);
	fake_send(server, 'd', promise, 17);
	fake_expect_end(server);
}

static void play_batch_without_terms(struct fake_server *server)
{
	play_identity(server, "15.18", link_hub_end(&hub));
	fake_answer(server, "SHOW walrelay.link", "word of tomorrow");
	fake_answer(server, "READ_REPLICATION_SLOT \"rig\"", "physical", "0/100028", "1");
	fake_expect_query(server, "START_REPLICATION SLOT \"rig\" 0/100000 TIMELINE 1");
	fake_send_copy_both(server);
	link_hub_encode(&hub, HUB_START, 100000);
	send_batch(server);
	fake_expect_end(server);
}

static void test_upstream_link__takes_nothing_from_a_hub_that_lies(void **state)
{
	static const struct {
		void (*play)(struct fake_server *server);
		bool is_held;
		const char *error;
	} cases[] = {
		{play_held_that_is_not, false,
			"upstream sent WAL at 0/102000 where 0/100000 comes next"},
		{play_again_from_held, true,
			"upstream sent WAL at 0/1493E0 where 0/1003E8 comes next"},
		{play_twice_damaged, false,
			"upstream sent WAL at 0/100000 twice that could not be decoded"},
		{play_deaf, false, "upstream does not send plain what it was asked for"},
		{play_promise_out_of_range, false,
			"upstream sent a malformed message: link promise is out of range"},
		{play_batch_without_terms, false,
			"upstream sent a malformed message: unknown message type in the "
			"replication stream"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct upstream_rig rig;

		link_rig_open(&rig, cases[i].play);
		if (cases[i].is_held) {
			hold(&rig);
		}
		link_rig_follow(&rig);
		rig_wait_error(&rig, cases[i].error);
		if (wal_store_received(rig.spool.store).tli != 0) {
			check_spool(&rig);
		}
		link_rig_close(&rig);
	}
}

/* A right batch of another place: what precedes its records is not held, or it does not follow. */
static void test_upstream_link__a_batch_out_of_place_is_asked_for_again(void **state)
{
	struct upstream_rig rig;

	(void)state;
	link_rig_open(&rig, play_wrong_start);
	rig.server.client_may_leave = true;
	link_rig_follow(&rig);
	rig_wait_wal_bytes(&rig, 100000);
	rig_wait_plain_requests(&rig, 1);
	check_spool(&rig);
	assert_int_equal(wal_store_received(rig.spool.store).lsn, HUB_START + 100000);
	link_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upstream_link__follows_a_relay_by_its_link),
		cmocka_unit_test(test_upstream_link__ends_with_the_same_bytes_whatever_the_way),
		cmocka_unit_test(test_upstream_link__resumes_to_the_byte),
		cmocka_unit_test(test_upstream_link__streams_though_nothing_comes),
		cmocka_unit_test(test_upstream_link__finds_where_it_has_diverged),
		cmocka_unit_test(test_upstream_link__takes_nothing_from_a_hub_that_lies),
		cmocka_unit_test(test_upstream_link__a_batch_out_of_place_is_asked_for_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
