/* Streams to relays: batches for everybody, each byte the one that was asked for. */
#include "link_peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <xxhash.h>

#include "cmocka_all.h"

#define MB ((uint64_t)1 << 20)

static struct relay_fixture *hub_new(unsigned sender_threads)
{
	static const struct downstream_link link = {
		.is_offered = true, .level = 3, .congestion = "", .reference_bytes = 64 * MB};
	const struct relay_fixture_options options = {
		.sender_threads = sender_threads, .link = &link, .has_destinations = true};
	return relay_fixture_new(&options);
}

static struct shared_encoder_stats stats_of(struct relay_fixture *fixture)
{
	struct shared_encoder_stats stats;
	assert_true(downstream_read_link_stats(fixture->downstream, &stats));
	return stats;
}

static void test_link_sender__sends_every_byte_in_batches(void **state)
{
	(void)state;
	static const lsn_t offsets[] = {0, 8, 8192, 100000, FIXTURE_SEGMENT};
	struct relay_fixture *fixture = hub_new(1);
	lsn_t end = relay_fixture_append(fixture, 3 * FIXTURE_SEGMENT + 5000);
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		struct link_peer peer;
		link_peer_open(&peer, fixture, FIXTURE_START + offsets[i], NULL);
		link_peer_read_to(&peer, end);
		assert_int_equal(peer.plain_messages, 0);
		assert_true(peer.frames >= 3);
		for (int round = 0; round < 20; round++) {
			end = relay_fixture_append(fixture, round % 7 == 0 ? 60000 : 300);
			link_peer_read_to(&peer, end);
		}
		link_peer_close(&peer);
	}
	relay_fixture_free(fixture);
}

static void test_link_sender__everybody_at_the_tip_is_served_by_one_encoding(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(3);
	struct link_peer peers[16];
	lsn_t end = relay_fixture_append(fixture, 10000);
	for (int i = 0; i < 16; i++) {
		link_peer_open(&peers[i], fixture, FIXTURE_START, NULL);
		link_peer_read_to(&peers[i], end);
	}
	/* To where a frame begins for all of them. */
	end = relay_fixture_append(fixture, FIXTURE_SEGMENT + 5000);
	for (int i = 0; i < 16; i++) {
		link_peer_read_to(&peers[i], end);
	}
	uint64_t before = stats_of(fixture).raw_bytes;
	lsn_t began = end;
	for (int round = 0; round < 30; round++) {
		end = relay_fixture_append(fixture, 20000);
		for (int i = 0; i < 16; i++) {
			link_peer_read_to(&peers[i], end);
		}
	}
	assert_int_equal(stats_of(fixture).raw_bytes - before, end - began);
	for (int i = 0; i < 16; i++) {
		link_peer_close(&peers[i]);
	}
	relay_fixture_free(fixture);
}

static struct meter_kinds kinds_of(struct relay_fixture *fixture)
{
	const struct peer nobody = {.user = "", .application = ""};
	struct meter_kinds kinds;
	meter_read_kinds(
		destination_meter(destinations_match(fixture->destinations, &nobody)), &kinds);
	return kinds;
}

static uint64_t sum_of(const uint64_t *kinds)
{
	uint64_t sum = 0;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		sum += kinds[kind];
	}
	return sum;
}

static void test_link_sender__what_everybody_is_sent_is_counted_by_kind(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(2);
	struct link_peer peers[3];
	lsn_t end = relay_fixture_append(fixture, FIXTURE_SEGMENT + 5000);
	assert_int_equal(sum_of(kinds_of(fixture).wal_bytes), 0);
	for (int i = 0; i < 3; i++) {
		link_peer_open(&peers[i], fixture, FIXTURE_START, NULL);
		link_peer_read_to(&peers[i], end);
		assert_int_equal(peers[i].plain_messages, 0);
	}
	/* One encoding, which went to each of them. */
	struct shared_encoder_stats encoded = stats_of(fixture);
	struct meter_kinds kinds = kinds_of(fixture);
	assert_int_equal(encoded.raw_bytes, end - FIXTURE_START);
	assert_true(sum_of(encoded.sent) > 0);
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		assert_int_equal(kinds.wal_bytes[kind], 3 * encoded.raw[kind]);
		assert_int_equal(kinds.encoded_bytes[kind], 3 * encoded.sent[kind]);
	}
	/* And so did what one of them has plain. */
	link_peer_ask_plain(&peers[0], FIXTURE_START + 100);
	peers[0].at = FIXTURE_START + 100;
	peers[0].is_forgetful = true;
	link_peer_read_to(&peers[0], end);
	assert_true(peers[0].plain_messages > 0);
	uint64_t plain =
		kinds_of(fixture).wal_bytes[LINK_KIND_PLAIN] - kinds.wal_bytes[LINK_KIND_PLAIN];
	assert_true(plain >= FIXTURE_SEGMENT - 100);
	assert_true(kinds_of(fixture).encoded_bytes[LINK_KIND_PLAIN] > plain);
	for (int i = 0; i < 3; i++) {
		link_peer_close(&peers[i]);
	}
	relay_fixture_free(fixture);
}

static void test_link_sender__goes_on_where_the_receiver_ends(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	lsn_t end = relay_fixture_append(fixture, 900000);
	lsn_t held = FIXTURE_START + 654321;
	const uint8_t *bytes = wal_maker_bytes(fixture->maker, FIXTURE_START);
	const struct link_start start = {.has_held = true,
		.held_lsn = held,
		.held_hash = XXH64(bytes, held - FIXTURE_START, 0)};
	struct link_peer peer;
	link_peer_open(&peer, fixture, FIXTURE_START, &start);
	peer.at = held;
	link_peer_read_to(&peer, end);
	/* Of no length: where it begins is told though nothing may come for long. */
	assert_int_equal(peer.plain_messages, 1);
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

static void test_link_sender__says_where_it_begins_when_nothing_comes(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	lsn_t end = relay_fixture_append(fixture, 500000);
	const uint8_t *bytes = wal_maker_bytes(fixture->maker, FIXTURE_START);
	const struct link_start start = {.has_held = true,
		.held_lsn = end,
		.held_hash = XXH64(bytes, end - FIXTURE_START, 0)};
	struct link_peer peer;
	link_peer_open(&peer, fixture, FIXTURE_START, &start);
	peer.at = end;
	while (peer.plain_messages == 0) {
		assert_non_null(strchr("wk", link_peer_step(&peer)));
	}
	assert_int_equal(peer.at, end);
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

static void test_link_sender__what_differs_comes_plain_from_the_start(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	lsn_t end = relay_fixture_append(fixture, 900000);
	const struct link_start start = {
		.has_held = true, .held_lsn = FIXTURE_START + 654321, .held_hash = 0x12345678};
	struct link_peer peer;
	link_peer_open(&peer, fixture, FIXTURE_START, &start);
	link_peer_read_to(&peer, start.held_lsn);
	assert_true(peer.plain_messages > 0);
	assert_int_equal(peer.batches, 0);
	link_peer_read_to(&peer, end);
	assert_true(peer.batches > 0);
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

static void test_link_sender__a_receiver_ahead_is_sent_the_segment_when_it_is_there(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	lsn_t end = relay_fixture_append(fixture, 100000);
	const struct link_start start = {
		.has_held = true, .held_lsn = end + 100000, .held_hash = 0x12345678};
	struct link_peer peer;
	link_peer_open(&peer, fixture, FIXTURE_START, &start);
	link_peer_read_to(&peer, end);
	end = relay_fixture_append(fixture, 300000);
	link_peer_read_to(&peer, end);
	assert_int_equal(peer.plain_messages, 0);
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

static void test_link_sender__refuses_what_cannot_be(void **state)
{
	(void)state;
	static const struct {
		const char *options, *expected;
	} cases[] = {
		{"(link '1', held '0/FFFFFF', held_hash '0000000000000000')",
			"E ERROR 22023 what is held cannot end at 0/FFFFFF when it begins at "
			"0/1000000"},
		{"(link '99')", "E ERROR 0A000 "},
		{"(lonk '1')", "E ERROR 0A000 "},
	};
	struct relay_fixture *fixture = hub_new(1);
	struct raw_client client;
	char query[200];
	relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(query, sizeof(query), "START_REPLICATION 0/1000000 TIMELINE 1 %s",
			cases[i].options);
		raw_client_query(&client, query);
		const char *text = raw_client_next(&client);
		if (strncmp(text, cases[i].expected, strlen(cases[i].expected)) != 0) {
			fail_msg("%s: %s", cases[i].options, text);
		}
		raw_client_until(&client, 'Z');
	}
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_link_sender__is_not_there_when_it_is_not_offered(void **state)
{
	(void)state;
	struct relay_fixture *fixture = relay_fixture_new(NULL);
	struct raw_client client;
	relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, "SHOW walrelay.link");
	assert_string_equal(raw_client_next(&client),
		"E ERROR 42704 unrecognized configuration parameter \"walrelay.link\"");
	raw_client_until(&client, 'Z');
	raw_client_query(&client, "START_REPLICATION 0/1000000 TIMELINE 1 (link '1')");
	assert_string_equal(raw_client_next(&client), "E ERROR 42601 syntax error");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_link_sender__says_what_it_can(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	struct raw_client client;
	struct link_offer offer;
	struct link_terms terms;
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, "SHOW walrelay.link");
	assert_string_equal(raw_client_next(&client), "T walrelay.link:25");
	const char *row = raw_client_next(&client);
	link_offer_init(&offer);
	assert_int_equal(row[0], 'D');
	assert_true(link_offer_agree(&offer, row + 2, &terms));
	assert_int_equal(terms.version, 1);
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_link_sender__what_cannot_be_decoded_comes_again_plain(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	struct link_peer peer;
	lsn_t end = relay_fixture_append(fixture, 2 * FIXTURE_SEGMENT + 300000);
	link_peer_open(&peer, fixture, FIXTURE_START, NULL);
	link_peer_read_to(&peer, end);
	lsn_t again = FIXTURE_START + FIXTURE_SEGMENT + 4000;
	link_peer_ask_plain(&peer, again);
	peer.at = again;
	peer.is_forgetful = true;
	peer.batches = peer.frames = 0;
	link_peer_read_to(&peer, FIXTURE_START + 2 * FIXTURE_SEGMENT);
	assert_true(peer.plain_messages > 0);
	assert_int_equal(peer.batches, 0);
	link_peer_read_to(&peer, end);
	assert_true(peer.frames > 0);
	assert_int_equal(peer.needs_plain, 0);
	assert_int_equal(stats_of(fixture).plain_requests, 1);
	link_peer_ask_plain(&peer, end + 1);
	while (link_peer_step(&peer) != 'E') {
	}
	assert_non_null(strstr(peer.client.text, "E ERROR 08P01 WAL from 0/12"));
	assert_non_null(strstr(peer.client.text, " was not sent, and cannot be asked for again"));
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

static void test_link_sender__promises_come_back(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	struct link_peer peer;
	link_peer_open(&peer, fixture, FIXTURE_START, NULL);
	link_peer_promise(&peer, 4711, 815);
	while (link_peer_step(&peer) != 'p') {
	}
	assert_int_equal(peer.answered.oldest_lsn, 4711);
	assert_int_equal(peer.answered.keep_bytes, 815);
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

static void test_link_sender__ends_with_its_timeline(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	struct link_peer peers[3];
	lsn_t fork = relay_fixture_append(fixture, 500000);
	for (int i = 0; i < 3; i++) {
		link_peer_open(&peers[i], fixture, FIXTURE_START, NULL);
		link_peer_read_to(&peers[i], fork);
	}
	relay_fixture_promote(fixture, 2, fork);
	for (int i = 0; i < 3; i++) {
		while (link_peer_step(&peers[i]) != 'c') {
		}
		link_peer_close(&peers[i]);
		/* As far as the fork both are the same. */
		link_peer_open(&peers[i], fixture, FIXTURE_START, NULL);
		link_peer_read_to(&peers[i], fixture->appended);
	}
	lsn_t end = relay_fixture_append(fixture, 2 * FIXTURE_SEGMENT);
	for (int i = 0; i < 3; i++) {
		link_peer_read_to(&peers[i], end);
		link_peer_close(&peers[i]);
	}
	relay_fixture_free(fixture);
}

static void test_link_sender__who_never_reads_holds_nobody_up(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1);
	struct link_peer silent;
	struct link_peer peer;
	link_peer_open(&silent, fixture, FIXTURE_START, NULL);
	link_peer_open(&peer, fixture, FIXTURE_START, NULL);
	lsn_t end = FIXTURE_START;
	for (int round = 0; round < 40; round++) {
		end = relay_fixture_append(fixture, 200000);
		link_peer_read_to(&peer, end);
	}
	struct standby_stats stats[2];
	assert_int_equal(downstream_list(fixture->downstream, stats, 2), 2);
	lsn_t behind = lsn_min(stats[0].sent_lsn, stats[1].sent_lsn);
	/* What a socket pair holds, and a batch. */
	assert_true(behind < FIXTURE_START + 2 * MB);
	link_peer_close(&peer);
	link_peer_close(&silent);
	relay_fixture_free(fixture);
}

static void tuning_of(int fd, char congestion_out[32], int *unsent_max_out)
{
	socklen_t length = 31, int_length = sizeof(int);
	memset(congestion_out, 0, 32);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion_out, &length), 0);
	assert_int_equal(
		getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_max_out, &int_length), 0);
}

/* A standby's socket is as it came, a link's has the congestion control of the configuration. */
static void test_link_sender__the_kernel_is_asked_for_a_short_queue(void **state)
{
	(void)state;
	static const struct downstream_link link = {
		.is_offered = true, .level = 3, .congestion = "reno", .reference_bytes = 64 * MB};
	const struct relay_fixture_options options = {.link = &link, .is_tcp = true};
	struct relay_fixture *fixture = relay_fixture_new(&options);
	lsn_t end = relay_fixture_append(fixture, 100000);
	char congestion[32], congestion_before[32];
	int unsent_max, unsent_max_before;
	struct raw_client standby;
	struct link_peer peer;
	relay_fixture_log_in(fixture, &standby);
	tuning_of(fixture->accepted_fd, congestion_before, &unsent_max_before);
	raw_client_query(&standby, "START_REPLICATION 0/1000000 TIMELINE 1");
	assert_string_equal(raw_client_next(&standby), "W");
	raw_client_until(&standby, 'd');
	tuning_of(fixture->accepted_fd, congestion, &unsent_max);
	assert_string_equal(congestion, congestion_before);
	assert_int_equal(unsent_max, unsent_max_before);
	raw_client_close(&standby);
	link_peer_open(&peer, fixture, FIXTURE_START, NULL);
	link_peer_read_to(&peer, end);
	tuning_of(fixture->accepted_fd, congestion, &unsent_max);
	assert_string_equal(congestion, "reno");
	assert_int_equal(unsent_max, 32768);
	link_peer_close(&peer);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_sender__sends_every_byte_in_batches),
		cmocka_unit_test(test_link_sender__everybody_at_the_tip_is_served_by_one_encoding),
		cmocka_unit_test(test_link_sender__what_everybody_is_sent_is_counted_by_kind),
		cmocka_unit_test(test_link_sender__goes_on_where_the_receiver_ends),
		cmocka_unit_test(test_link_sender__says_where_it_begins_when_nothing_comes),
		cmocka_unit_test(test_link_sender__what_differs_comes_plain_from_the_start),
		cmocka_unit_test(
			test_link_sender__a_receiver_ahead_is_sent_the_segment_when_it_is_there),
		cmocka_unit_test(test_link_sender__refuses_what_cannot_be),
		cmocka_unit_test(test_link_sender__is_not_there_when_it_is_not_offered),
		cmocka_unit_test(test_link_sender__says_what_it_can),
		cmocka_unit_test(test_link_sender__what_cannot_be_decoded_comes_again_plain),
		cmocka_unit_test(test_link_sender__promises_come_back),
		cmocka_unit_test(test_link_sender__ends_with_its_timeline),
		cmocka_unit_test(test_link_sender__who_never_reads_holds_nobody_up),
		cmocka_unit_test(test_link_sender__the_kernel_is_asked_for_a_short_queue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
