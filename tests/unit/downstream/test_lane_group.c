/* A link over several connections: who has room carries what comes next, and every byte arrives. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "protocol/link_batch.h"
#include "protocol/link_codec.h"
#include "protocol/link_terms.h"
#include "relay_fixture.h"

#define MB        ((uint64_t)1 << 20)
#define LANES_MAX 4u
#define KEPT_MAX  4096u

struct lane {
	struct raw_client client;
	uint32_t number;
	uint32_t epoch;
	uint64_t messages;
	bool is_open;
	bool is_silent; /* nothing is read from it */
};

struct kept {
	lsn_t start;
	size_t length;
	uint8_t *payload;
};

/* A relay at the far end. */
struct edge {
	struct relay_fixture *fixture;
	struct link_decoder *decoder;
	struct lane lanes[LANES_MAX];
	struct link_lane_plan plan;
	uint32_t last_number;
	uint32_t epoch;
	lsn_t at;
	struct kept kept[KEPT_MAX];
	unsigned kept_count;
	unsigned twice, plain;
	struct link_promise answered;
};

static struct relay_fixture *hub_new(unsigned sender_threads, unsigned lanes)
{
	const struct downstream_link link = {.is_offered = true,
		.level = 3,
		.congestion = "",
		.reference_bytes = 64 * MB,
		.lanes = lanes};
	const struct relay_fixture_options options = {
		.sender_threads = sender_threads, .link = &link};
	return relay_fixture_new(&options);
}

static size_t read_earlier(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	const struct edge *edge = context;
	if (lsn < FIXTURE_START || lsn >= edge->at) {
		return 0;
	}
	*bytes_out = wal_maker_bytes(edge->fixture->maker, lsn);
	return length < edge->at - lsn ? length : edge->at - lsn;
}

static void open_stream(struct edge *edge, struct lane *lane)
{
	struct link_start start = {
		.terms = {.version = 1}, .lane = lane->number, .lane_token = edge->plan.token};
	char options[LINK_START_TEXT_SIZE];
	char query[LINK_START_TEXT_SIZE + 64];
	relay_fixture_log_in(edge->fixture, &lane->client);
	snprintf(query, sizeof(query), "START_REPLICATION " LSN_FORMAT " TIMELINE %u %s",
		LSN_ARGS(edge->at), edge->fixture->maker->tli, link_start_format(&start, options));
	raw_client_query(&lane->client, query);
	assert_string_equal(raw_client_next(&lane->client), "W");
	lane->messages = 0;
	lane->epoch = 0;
	lane->is_open = true;
}

static void open_lane(struct edge *edge, unsigned i)
{
	edge->lanes[i].number = ++edge->last_number;
	open_stream(edge, &edge->lanes[i]);
}

static void say(struct edge *edge, const uint8_t *payload, size_t length)
{
	raw_client_message(&edge->lanes[0].client, 'd', payload, length);
}

static void tell(struct edge *edge)
{
	struct link_arrived arrived = {.lsn = edge->at};
	uint8_t payload[LINK_ARRIVED_BYTES];
	for (unsigned i = 0; i < LANES_MAX; i++) {
		if (edge->lanes[i].is_open) {
			arrived.lanes[arrived.count++] = (struct link_lane_count){
				.lane = edge->lanes[i].number, .messages = edge->lanes[i].messages};
		}
	}
	say(edge, payload, link_arrived_encode(&arrived, payload));
}

/* --- what comes --------------------------------------------------------------------------------
 */

static void append(struct edge *edge, lsn_t start, const uint8_t *bytes, size_t length)
{
	assert_int_equal(start, edge->at);
	assert_memory_equal(bytes, wal_maker_bytes(edge->fixture->maker, start), length);
	edge->at = start + length;
}

static void take(struct edge *edge, const uint8_t *payload, size_t length)
{
	struct link_server_copy copy;
	struct link_decoded decoded;
	const char *reason;
	assert_int_equal(link_server_copy_decode(payload, length, &copy, &reason), DECODE_OK);
	if (copy.kind == LINK_SERVER_STREAM) {
		edge->plain++;
		append(edge, copy.stream.wal.start_lsn, copy.stream.wal.wal,
			copy.stream.wal.wal_length);
		return;
	}
	assert_int_equal(
		link_decoder_decode(edge->decoder, copy.batch, copy.batch_length, &decoded),
		LINK_OK);
	append(edge, decoded.start, decoded.raw, decoded.length);
}

static void keep(struct edge *edge, lsn_t start, const uint8_t *payload, size_t length)
{
	for (unsigned i = 0; i < edge->kept_count; i++) {
		if (edge->kept[i].start == start) {
			edge->twice++;
			return;
		}
	}
	assert_true(edge->kept_count < KEPT_MAX);
	struct kept *kept = &edge->kept[edge->kept_count++];
	*kept = (struct kept){.start = start, .length = length, .payload = malloc(length)};
	memcpy(kept->payload, payload, length);
}

static void forget_kept(struct edge *edge, unsigned i)
{
	free(edge->kept[i].payload);
	edge->kept[i] = edge->kept[--edge->kept_count];
}

static void pump(struct edge *edge)
{
	unsigned i = 0;
	while (i < edge->kept_count) {
		if (edge->kept[i].start != edge->at) {
			i++;
			continue;
		}
		take(edge, edge->kept[i].payload, edge->kept[i].length);
		forget_kept(edge, i);
		i = 0;
	}
}

static void take_wal(struct edge *edge, struct lane *lane, lsn_t start)
{
	lane->messages++;
	if (lane->epoch != edge->epoch) {
		return;
	}
	if (start < edge->at) {
		edge->twice++;
		return;
	}
	keep(edge, start, lane->client.body, lane->client.body_length);
	pump(edge);
	tell(edge);
}

static char step(struct edge *edge, struct lane *lane)
{
	struct link_server_copy copy;
	struct link_batch_header header;
	const char *reason;
	raw_client_next(&lane->client);
	if (lane->client.type != 'd') {
		return lane->client.type;
	}
	assert_int_equal(link_server_copy_decode(
				 lane->client.body, lane->client.body_length, &copy, &reason),
		DECODE_OK);
	switch (copy.kind) {
	case LINK_SERVER_LANES: edge->plan = copy.lanes; break;
	case LINK_SERVER_EPOCH: lane->epoch = copy.epoch; break;
	case LINK_SERVER_PROMISE: edge->answered = copy.promise; break;
	case LINK_SERVER_BATCH:
		assert_null(link_batch_header_get(&header, copy.batch));
		take_wal(edge, lane, header.start);
		break;
	case LINK_SERVER_STREAM:
		if (copy.stream.kind == SERVER_COPY_WAL) {
			take_wal(edge, lane, copy.stream.wal.start_lsn);
		}
		break;
	}
	return (char)lane->client.body[0];
}

/* One message, of whichever lane has one. */
static void step_any(struct edge *edge)
{
	struct pollfd wanted[LANES_MAX];
	for (unsigned i = 0; i < LANES_MAX; i++) {
		bool is_read = edge->lanes[i].is_open && !edge->lanes[i].is_silent;
		wanted[i] = (struct pollfd){
			.fd = is_read ? edge->lanes[i].client.fd : -1, .events = POLLIN};
	}
	assert_true(poll(wanted, LANES_MAX, RAW_CLIENT_SECONDS * 1000) > 0);
	for (unsigned i = 0; i < LANES_MAX; i++) {
		if (wanted[i].revents != 0) {
			char type = step(edge, &edge->lanes[i]);
			assert_non_null(strchr("zwkple", type));
		}
	}
}

static void read_to(struct edge *edge, lsn_t to)
{
	while (edge->at < to) {
		step_any(edge);
	}
	assert_int_equal(edge->at, to);
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static void edge_open(struct edge *edge, struct relay_fixture *fixture, unsigned lanes)
{
	const struct link_source source = {.read = read_earlier, .context = edge};
	uint8_t payload[LINK_WISH_BYTES];
	*edge = (struct edge){.fixture = fixture, .at = FIXTURE_START};
	edge->decoder = link_decoder_new(FIXTURE_SEGMENT, &source);
	open_stream(edge, &edge->lanes[0]);
	say(edge, payload, link_wish_encode(LANES_MAX, payload));
	while (edge->plan.count == 0) {
		char type = step(edge, &edge->lanes[0]);
		assert_non_null(strchr("zwkpl", type));
		/* What came before it is not counted. */
		edge->lanes[0].messages = 0;
	}
	assert_int_equal(edge->plan.count, LANES_MAX);
	for (unsigned i = 1; i < lanes; i++) {
		open_lane(edge, i);
	}
}

static void close_lane(struct lane *lane)
{
	if (lane->is_open) {
		raw_client_close(&lane->client);
		lane->is_open = false;
	}
}

static void lose_lane(struct edge *edge, unsigned i)
{
	const struct link_lane_count lost = {
		.lane = edge->lanes[i].number, .messages = edge->lanes[i].messages};
	uint8_t payload[LINK_LOST_BYTES];
	close_lane(&edge->lanes[i]);
	say(edge, payload, link_lost_encode(&lost, payload));
}

static void edge_close(struct edge *edge)
{
	for (unsigned i = 0; i < LANES_MAX; i++) {
		close_lane(&edge->lanes[i]);
	}
	while (edge->kept_count > 0) {
		forget_kept(edge, 0);
	}
	link_decoder_free(&edge->decoder);
}

static uint64_t encoded_bytes(struct relay_fixture *fixture)
{
	struct shared_encoder_stats stats;
	assert_true(downstream_read_link_stats(fixture->downstream, &stats));
	return stats.raw_bytes;
}

/* --- tests -------------------------------------------------------------------------------------
 */

static void test_lane_group__bring_every_byte_once(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(3, 0);
	struct edge edge;
	lsn_t end = relay_fixture_append(fixture, 2 * MB + 300000);
	edge_open(&edge, fixture, LANES_MAX);
	read_to(&edge, end);
	uint64_t before = encoded_bytes(fixture);
	for (int round = 0; round < 30; round++) {
		/* More than one socket holds, and less than a batch. */
		end = relay_fixture_append(fixture, round % 15 == 0 ? 8 * MB : 5000);
		read_to(&edge, end);
	}
	assert_int_equal(edge.twice, 0);
	assert_int_equal(edge.plain, 0);
	/* Nothing was encoded twice either. */
	assert_in_range(encoded_bytes(fixture) - before, 0, end - FIXTURE_START);
	assert_true(edge.lanes[1].messages > 0);
	edge_close(&edge);
	relay_fixture_free(fixture);
}

/* Whoever does not read keeps at most what its socket holds from the others, until they are given
 * it. */
static void test_lane_group__one_that_stalls_holds_nobody_up(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(2, 0);
	struct edge edge;
	lsn_t end = relay_fixture_append(fixture, MB);
	edge_open(&edge, fixture, 3);
	read_to(&edge, end);
	edge.lanes[1].is_silent = true;
	for (int round = 0; round < 2; round++) {
		end = relay_fixture_append(fixture, 8 * MB);
		read_to(&edge, end);
	}
	/* When it is read after all, what it brings is there already. */
	assert_int_equal(edge.twice, 0);
	edge.lanes[1].is_silent = false;
	while (!raw_client_is_quiet(&edge.lanes[1].client, 100)) {
		step(&edge, &edge.lanes[1]);
	}
	assert_true(edge.twice > 0);
	tell(&edge);
	read_to(&edge, relay_fixture_append(fixture, 5 * MB));
	edge_close(&edge);
	relay_fixture_free(fixture);
}

static void test_lane_group__what_a_lost_one_had_comes_over_others(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(3, 0);
	struct edge edge;
	lsn_t end = relay_fixture_append(fixture, MB);
	edge_open(&edge, fixture, LANES_MAX);
	for (int round = 0; round < 15; round++) {
		unsigned i = 1 + (unsigned)round % (LANES_MAX - 1);
		end = relay_fixture_append(fixture, 900000);
		for (int steps = 0; steps < 3 * round && edge.at < end; steps++) {
			step_any(&edge);
		}
		lose_lane(&edge, i);
		read_to(&edge, end);
		open_lane(&edge, i);
	}
	assert_int_equal(edge.twice, 0);
	edge_close(&edge);
	relay_fixture_free(fixture);
}

static void test_lane_group__all_go_back_to_what_is_asked_for_plain(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(2, 0);
	struct edge edge;
	lsn_t end = relay_fixture_append(fixture, MB);
	edge_open(&edge, fixture, 3);
	read_to(&edge, end);
	for (int round = 0; round < 10; round++) {
		uint8_t payload[LINK_REQUEST_BYTES];
		unsigned plain = edge.plain;
		end = relay_fixture_append(fixture, 3 * MB + 12345);
		for (int steps = 0; steps < 5 * round && edge.at < end; steps++) {
			step_any(&edge);
		}
		/* As if what comes there had been damaged. */
		lsn_t asked = edge.at - 1000;
		say(&edge, payload, link_request_encode(asked, payload));
		edge.at = asked;
		edge.epoch++;
		while (edge.kept_count > 0) {
			forget_kept(&edge, 0);
		}
		read_to(&edge, end);
		assert_true(edge.plain > plain);
	}
	edge_close(&edge);
	relay_fixture_free(fixture);
}

static void test_lane_group__a_promise_is_answered_when_all_before_it_has_come(void **state)
{
	(void)state;
	const struct link_promise promise = {.oldest_lsn = FIXTURE_START, .keep_bytes = MB};
	struct relay_fixture *fixture = hub_new(2, 0);
	uint8_t payload[LINK_PROMISE_BYTES];
	struct edge edge;
	lsn_t end = relay_fixture_append(fixture, MB);
	edge_open(&edge, fixture, 2);
	read_to(&edge, end);
	edge.lanes[1].is_silent = true;
	end = relay_fixture_append(fixture, 300000);
	read_to(&edge, end);
	say(&edge, payload, link_promise_encode(&promise, payload));
	tell(&edge);
	while (edge.answered.keep_bytes == 0) {
		step_any(&edge);
	}
	assert_int_equal(edge.answered.keep_bytes, MB);
	edge_close(&edge);
	relay_fixture_free(fixture);
}

static void test_lane_group__end_with_their_timeline(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1, 0);
	struct edge edge;
	lsn_t fork = relay_fixture_append(fixture, 500000);
	edge_open(&edge, fixture, 3);
	fork = relay_fixture_append(fixture, 5 * MB);
	read_to(&edge, fork);
	relay_fixture_promote(fixture, 2, fork);
	tell(&edge);
	while (step(&edge, &edge.lanes[0]) != 'c') {
	}
	edge_close(&edge);
	relay_fixture_free(fixture);
}

static void test_lane_group__have_to_belong_to_a_link(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1, 0);
	struct raw_client client;
	struct edge edge;
	char query[256];
	relay_fixture_append(fixture, 1000);
	relay_fixture_log_in(fixture, &client);
	raw_client_query(&client, "START_REPLICATION 0/1000000 TIMELINE 1 "
				  "(link '1', lane '2', token '0123456789abcdef')");
	assert_string_equal(raw_client_next(&client),
		"E ERROR 22023 the lane belongs to no link of this relay");
	edge_open(&edge, fixture, 2);
	/* A number is used once. */
	assert_string_equal(raw_client_next(&client), "Z I");
	snprintf(query, sizeof(query),
		"START_REPLICATION 0/1000000 TIMELINE 1 (link '1', lane '1', token '%016llx')",
		(unsigned long long)edge.plan.token);
	raw_client_query(&client, query);
	assert_string_equal(raw_client_next(&client),
		"E ERROR 22023 the lane belongs to no link of this relay");
	/* What is the stream's to say is not a lane's. */
	raw_client_message(&edge.lanes[1].client, 'd', "n\0\0\0\0\1\0\0\0", 9);
	while (step(&edge, &edge.lanes[1]) != 'E') {
	}
	assert_string_equal(
		edge.lanes[1].client.text, "E ERROR 08P01 WAL is not shared here among lanes");
	/* With the stream's connection the link is gone. */
	uint64_t token = edge.plan.token;
	edge_close(&edge);
	WAIT_UNTIL(downstream_list(fixture->downstream, NULL, 0) == 1);
	assert_string_equal(raw_client_next(&client), "Z I");
	snprintf(query, sizeof(query),
		"START_REPLICATION 0/1000000 TIMELINE 1 (link '1', lane '3', token '%016llx')",
		(unsigned long long)token);
	raw_client_query(&client, query);
	assert_string_equal(raw_client_next(&client),
		"E ERROR 22023 the lane belongs to no link of this relay");
	raw_client_close(&client);
	relay_fixture_free(fixture);
}

static void test_lane_group__are_not_there_where_there_is_one(void **state)
{
	(void)state;
	struct relay_fixture *fixture = hub_new(1, 1);
	struct edge edge = {.fixture = fixture, .at = FIXTURE_START};
	uint8_t payload[LINK_WISH_BYTES];
	relay_fixture_append(fixture, 1000);
	open_stream(&edge, &edge.lanes[0]);
	say(&edge, payload, link_wish_encode(2, payload));
	while (raw_client_next(&edge.lanes[0].client) != NULL && edge.lanes[0].client.type != 'E') {
	}
	assert_string_equal(
		edge.lanes[0].client.text, "E ERROR 08P01 WAL is not shared here among lanes");
	close_lane(&edge.lanes[0]);
	relay_fixture_free(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lane_group__bring_every_byte_once),
		cmocka_unit_test(test_lane_group__one_that_stalls_holds_nobody_up),
		cmocka_unit_test(test_lane_group__what_a_lost_one_had_comes_over_others),
		cmocka_unit_test(test_lane_group__all_go_back_to_what_is_asked_for_plain),
		cmocka_unit_test(
			test_lane_group__a_promise_is_answered_when_all_before_it_has_come),
		cmocka_unit_test(test_lane_group__end_with_their_timeline),
		cmocka_unit_test(test_lane_group__have_to_belong_to_a_link),
		cmocka_unit_test(test_lane_group__are_not_there_where_there_is_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
