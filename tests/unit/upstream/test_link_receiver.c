/*
 * link_receiver: batches made by a real encoder, and those that are not what was sent.
 */
#include "upstream/link_receiver.h"

#include "link_hub.h"

#include "support/cmocka_all.h"
#include "support/wal_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct rig {
	struct wal_fixture spool;
	struct link_hub hub;
	struct link_receiver *link;
	lsn_t at;         /* what comes next */
	uint8_t *payload; /* of take_wal() */
	struct server_copy copy;
	struct error err;
};

static void begin(struct rig *rig, lsn_t start, lsn_t held)
{
	struct error err;

	fixture_open(&rig->spool);
	assert_true(wal_store_begin(rig->spool.store, 1, start, HUB_SEGMENT, &err));
	if (start < held) {
		assert_true(wal_store_append(rig->spool.store, start,
			link_hub_bytes(&rig->hub, start), held - start, &err));
	}
}

static void follow(struct rig *rig, lsn_t start)
{
	const struct link_receiver_options options = {.store = rig->spool.store,
		.terms = {.version = 1},
		.segment_bytes = HUB_SEGMENT,
		.tli = 1,
		.start_lsn = start};

	link_receiver_free(&rig->link);
	rig->link = link_receiver_new(&options, &rig->err);
	assert_non_null(rig->link);
	rig->at = start;
}

static void rig_open(struct rig *rig, lsn_t start, lsn_t held)
{
	memset(rig, 0, sizeof(*rig));
	link_hub_open(&rig->hub, 3 * HUB_SEGMENT, HUB_START);
	begin(rig, start, held);
	follow(rig, lsn_segment_start(held, HUB_SEGMENT));
}

static void rig_close(struct rig *rig)
{
	link_receiver_free(&rig->link);
	free(rig->payload);
	fixture_close(&rig->spool);
	link_hub_close(&rig->hub);
}

static enum link_take take_bytes(struct rig *rig, const uint8_t *payload, size_t length)
{
	rig->err = (struct error){0};
	return link_receiver_take(rig->link, payload, length, rig->at, 1, &rig->copy, &rig->err);
}

static enum link_take take(struct rig *rig)
{
	return take_bytes(rig, rig->hub.payload, rig->hub.payload_length);
}

static enum link_take take_wal(struct rig *rig, lsn_t lsn, size_t length)
{
	const struct wal_data data = {.start_lsn = lsn,
		.server_end_lsn = lsn + length,
		.wal = link_hub_bytes(&rig->hub, lsn),
		.wal_length = length};

	free(rig->payload);
	rig->payload = malloc(WAL_DATA_HEADER_BYTES + length + LINK_CHECK_BYTES);
	assert_non_null(rig->payload);
	wal_data_header_encode(&data, rig->payload);
	memcpy(rig->payload + WAL_DATA_HEADER_BYTES, data.wal, length);
	link_check_encode(&data, rig->payload + WAL_DATA_HEADER_BYTES + length);
	return take_bytes(rig, rig->payload, WAL_DATA_HEADER_BYTES + length + LINK_CHECK_BYTES);
}

/* What was handed out is right and goes to the spool. */
static void append(struct rig *rig)
{
	const struct wal_data *wal = &rig->copy.wal;
	struct error err;

	assert_int_equal(rig->copy.kind, SERVER_COPY_WAL);
	assert_int_equal(wal->start_lsn, rig->at);
	assert_memory_equal(wal->wal, link_hub_bytes(&rig->hub, wal->start_lsn), wal->wal_length);
	if (!wal_store_append(rig->spool.store, wal->start_lsn, wal->wal, wal->wal_length, &err)) {
		fail_msg("%s", err.message);
	}
	rig->at += wal->wal_length;
}

static struct link_receiver_stats stats_of(struct rig *rig)
{
	struct link_receiver_stats stats;

	link_receiver_take_stats(rig->link, &stats);
	return stats;
}

static void test_link_receiver__decodes_against_the_spool(void **state)
{
	struct rig rig;
	struct link_receiver_stats stats;
	uint64_t referred = 0, bytes = 0, batches = 0;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	while (rig.at < link_hub_end(&rig.hub)) {
		link_hub_encode(&rig.hub, rig.at, 1000 + link_wal_random(rig.hub.wal, 100000));
		referred += rig.hub.stats.images_referred;
		bytes += rig.hub.payload_length - 1;
		batches++;
		assert_int_equal(take(&rig), LINK_TAKE_COPY);
		append(&rig);
		assert_int_equal(rig.copy.wal.server_end_lsn, rig.at);
	}
	assert_true(referred > 0);
	stats = stats_of(&rig);
	assert_int_equal(stats.batches, batches);
	assert_int_equal(stats.raw_bytes, link_hub_end(&rig.hub) - HUB_START);
	assert_int_equal(stats.batch_bytes, bytes);
	assert_int_equal(stats.plain_requests, 0);
	assert_int_equal(stats.passed_over_bytes, 0);
	assert_true(stats.decode_us > 0);
	assert_int_equal(stats_of(&rig).batches, 0);
	rig_close(&rig);
}

static void test_link_receiver__hands_on_what_postgresql_sends(void **state)
{
	const struct keepalive keepalive = {.server_end_lsn = 77, .reply_requested = true};
	uint8_t payload[KEEPALIVE_BYTES];
	struct rig rig;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(take_bytes(&rig, payload, keepalive_encode(&keepalive, payload)),
			LINK_TAKE_COPY);
		assert_int_equal(rig.copy.kind, SERVER_COPY_KEEPALIVE);
		assert_int_equal(rig.copy.keepalive.server_end_lsn, 77);
		assert_true(rig.copy.keepalive.reply_requested);
	}
	assert_int_equal(take_wal(&rig, HUB_START, 5000), LINK_TAKE_COPY);
	append(&rig);
	/* A batch may follow where plain WAL ended. */
	link_hub_seek(&rig.hub, HUB_START, rig.at);
	link_hub_encode(&rig.hub, rig.at, 50000);
	assert_int_equal(take(&rig), LINK_TAKE_COPY);
	append(&rig);
	rig_close(&rig);
}

/* --- where it begins -------------------------------------------------------------------------- */

static void check_start(struct rig *rig, const char *expected)
{
	char text[LINK_START_TEXT_SIZE];

	assert_string_equal(link_receiver_format_start(rig->link, text), expected);
}

static void test_link_receiver__says_what_is_held(void **state)
{
	struct rig rig;
	char expected[LINK_START_TEXT_SIZE];
	lsn_t held = HUB_START + HUB_SEGMENT + 5000;
	uint64_t hash;

	(void)state;
	rig_open(&rig, HUB_START, held);
	hash = XXH64(link_hub_bytes(&rig.hub, HUB_START + HUB_SEGMENT), 5000, 0);
	snprintf(expected, sizeof(expected),
		"(link '1', abilities '', held '0/201388', held_hash '%016" PRIx64
		"', oldest '0/0', keep '0')",
		hash);
	check_start(&rig, expected);
	assert_true(link_receiver_joins_at(rig.link, rig.at, held));
	assert_false(link_receiver_joins_at(rig.link, rig.at, held + 1));
	assert_false(link_receiver_joins_at(rig.link, rig.at + 1, held));
	/* Our end is a segment's start: the one before it is compared. */
	follow(&rig, HUB_START);
	assert_false(link_receiver_joins_at(rig.link, rig.at, held));
	check_start(&rig, "(link '1', abilities '', oldest '0/0', keep '0')");
	rig_close(&rig);

	rig_open(&rig, HUB_START, HUB_START + HUB_SEGMENT);
	check_start(&rig, "(link '1', abilities '', oldest '0/0', keep '0')");
	assert_false(link_receiver_joins_at(rig.link, rig.at, rig.at));
	follow(&rig, HUB_START);
	assert_true(link_receiver_joins_at(rig.link, rig.at, HUB_START + HUB_SEGMENT));
	rig_close(&rig);
}

/* --- what is not as it was sent --------------------------------------------------------------- */

static void test_link_receiver__asks_for_what_it_cannot_decode(void **state)
{
	struct rig rig;
	lsn_t end;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	end = link_hub_encode(&rig.hub, HUB_START, 100000);
	rig.hub.payload[rig.hub.payload_length - 1] ^= 1;
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	assert_int_equal(link_receiver_request_lsn(rig.link), HUB_START);
	/* What was on its way: later batches, later WAL, nonsense. Keepalives count. */
	end = link_hub_encode(&rig.hub, end, 100000);
	assert_int_equal(take(&rig), LINK_TAKE_NOTHING);
	assert_int_equal(take_wal(&rig, end, 1000), LINK_TAKE_NOTHING);
	assert_int_equal(take_bytes(&rig, (const uint8_t *)"z", 1), LINK_TAKE_NOTHING);
	assert_int_equal(take_wal(&rig, HUB_START, 70000), LINK_TAKE_COPY);
	append(&rig);
	assert_int_equal(take_wal(&rig, rig.at, 70000), LINK_TAKE_COPY);
	append(&rig);
	/* And on with batches. */
	link_hub_seek(&rig.hub, HUB_START, rig.at);
	link_hub_encode(&rig.hub, rig.at, 50000);
	assert_int_equal(take(&rig), LINK_TAKE_COPY);
	append(&rig);
	assert_int_equal(stats_of(&rig).plain_requests, 1);
	rig_close(&rig);
}

static void test_link_receiver__refuses_the_same_twice(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	link_hub_encode(&rig.hub, HUB_START, 100000);
	rig.hub.payload[rig.hub.payload_length - 1] ^= 1;
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	assert_int_equal(take(&rig), LINK_TAKE_FAILED);
	assert_non_null(strstr(rig.err.message,
		"upstream sent WAL at 0/100000 twice that could not be decoded: "));
	rig_close(&rig);
}

static void test_link_receiver__takes_a_batch_for_an_answer(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	link_hub_encode(&rig.hub, HUB_START, 100000);
	rig.hub.payload[rig.hub.payload_length - 1] ^= 1;
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	rig.hub.payload[rig.hub.payload_length - 1] ^= 1;
	assert_int_equal(take(&rig), LINK_TAKE_COPY);
	append(&rig);
	rig_close(&rig);
}

static void test_link_receiver__does_not_wait_for_ever(void **state)
{
	struct rig rig;
	enum link_take taken;
	lsn_t end;
	int count = 0;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	end = link_hub_encode(&rig.hub, HUB_START, 1000);
	rig.hub.payload[rig.hub.payload_length - 1] ^= 1;
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	do {
		taken = take_wal(&rig, end, HUB_SEGMENT);
		count++;
	} while (taken == LINK_TAKE_NOTHING);
	assert_int_equal(taken, LINK_TAKE_FAILED);
	assert_int_equal(count, 65);
	assert_string_equal(rig.err.message, "upstream does not send plain what it was asked for");
	assert_non_null(strstr(rig.err.detail, "The WAL at 0/100000 could not be decoded: "));
	rig_close(&rig);
}

/* The edge began later than the hub thinks. */
static void test_link_receiver__asks_for_what_refers_past_what_is_held(void **state)
{
	struct rig rig;
	lsn_t start = HUB_START + 2 * HUB_SEGMENT;

	(void)state;
	rig_open(&rig, start, start);
	link_hub_seek(&rig.hub, HUB_START, start);
	link_hub_encode(&rig.hub, start, 200000);
	assert_true(rig.hub.stats.images_referred > 0);
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	assert_int_equal(link_receiver_request_lsn(rig.link), start);
	rig_close(&rig);
}

static void test_link_receiver__asks_from_where_what_is_held_ends(void **state)
{
	struct rig rig;
	lsn_t held = HUB_START + 100000;

	(void)state;
	rig_open(&rig, HUB_START, held);
	link_hub_seek(&rig.hub, HUB_START, held);
	link_hub_encode(&rig.hub, held, 100000);
	rig.hub.payload[rig.hub.payload_length - 1] ^= 1;
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	assert_int_equal(link_receiver_request_lsn(rig.link), held);
	assert_int_equal(take_wal(&rig, held, 1000), LINK_TAKE_COPY);
	assert_true(link_receiver_joins_at(rig.link, rig.at, rig.copy.wal.start_lsn));
	rig_close(&rig);

	/* Where a batch belongs whose header cannot be read is not known. */
	rig_open(&rig, HUB_START, held);
	link_hub_seek(&rig.hub, HUB_START, held);
	link_hub_encode(&rig.hub, held, 100000);
	rig.hub.payload[5] ^= 0x80;
	assert_int_equal(take(&rig), LINK_TAKE_REQUEST);
	assert_int_equal(link_receiver_request_lsn(rig.link), HUB_START);
	rig_close(&rig);
}

/* It is the caller who sees that a right batch does not follow. */
static void test_link_receiver__a_batch_from_the_future_does_not_follow(void **state)
{
	struct rig rig;
	lsn_t future = HUB_START + 50000;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	link_hub_seek(&rig.hub, future, future);
	link_hub_encode(&rig.hub, future, 10000);
	if (take(&rig) == LINK_TAKE_COPY) {
		assert_int_equal(rig.copy.wal.start_lsn, future);
	} else {
		assert_int_equal(link_receiver_request_lsn(rig.link), HUB_START);
	}
	rig_close(&rig);
}

/* Each damage to a receiver of its own. Every bit is tried where the decoder is tested. */
static void check_damaged(struct rig *rig, const uint8_t *payload, size_t length)
{
	enum link_take taken;

	follow(rig, rig->at);
	taken = take_bytes(rig, payload, length);
	if (taken == LINK_TAKE_COPY && rig->copy.kind == SERVER_COPY_WAL &&
		rig->copy.wal.start_lsn == rig->at && payload[0] == 'z') {
		assert_memory_equal(rig->copy.wal.wal, link_hub_bytes(&rig->hub, rig->at),
			rig->copy.wal.wal_length);
	}
}

static void test_link_receiver__nothing_wrong_comes_of_flipped_bits_or_cuts(void **state)
{
	struct rig rig;
	struct link_hub *hub = &rig.hub;
	lsn_t at = HUB_START + HUB_SEGMENT;
	enum { SAMPLE = 2000 };

	(void)state;
	rig_open(&rig, HUB_START, at);
	link_hub_seek(hub, HUB_START, at);
	link_hub_encode(hub, at, SAMPLE);
	for (size_t bit = 8; bit < 8 * hub->payload_length; bit += 11) {
		hub->payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
		check_damaged(&rig, hub->payload, hub->payload_length);
		hub->payload[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t length = 1; length < hub->payload_length; length += 13) {
		check_damaged(&rig, hub->payload, length);
	}
	follow(&rig, at);
	assert_int_equal(take(&rig), LINK_TAKE_COPY);
	rig_close(&rig);
}

/* --- the promise ------------------------------------------------------------------------------ */

static void check_promise(struct rig *rig, uint64_t keep_bytes)
{
	struct link_promise promise;

	assert_true(link_receiver_next_promise(rig->link, &promise));
	assert_int_equal(promise.oldest_lsn, keep_bytes > 0 ? HUB_START : 0);
	assert_int_equal(promise.keep_bytes, keep_bytes);
	assert_false(link_receiver_next_promise(rig->link, &promise));
}

static void set_link_bytes(struct rig *rig, uint64_t link_bytes)
{
	struct wal_store_options limits = rig->spool.options;

	limits.link_bytes = link_bytes;
	wal_store_set_limits(rig->spool.store, &limits);
}

static void test_link_receiver__promises_what_the_spool_keeps(void **state)
{
	struct rig rig;
	struct link_promise promise;
	uint8_t payload[LINK_PROMISE_BYTES];

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	assert_false(link_receiver_next_promise(rig.link, &promise));
	set_link_bytes(&rig, 5000000);
	follow(&rig, HUB_START);
	check_start(&rig, "(link '1', abilities '', oldest '0/100000', keep '5000000')");
	assert_false(link_receiver_next_promise(rig.link, &promise));
	set_link_bytes(&rig, 7000000);
	check_promise(&rig, 7000000);
	set_link_bytes(&rig, 3000000);
	check_promise(&rig, 3000000);
	set_link_bytes(&rig, 0);
	check_promise(&rig, 0);
	/* The answers, in order; the spool's test shows what they allow. */
	for (uint64_t keep = 7000000; keep != UINT64_MAX; keep = keep > 0 ? 0 : UINT64_MAX) {
		promise = (struct link_promise){HUB_START, keep};
		assert_int_equal(take_bytes(&rig, payload, link_promise_encode(&promise, payload)),
			LINK_TAKE_NOTHING);
	}
	rig_close(&rig);
}

static void test_link_receiver__refuses_nonsense(void **state)
{
	static const uint8_t promise[] = "p\0\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377";
	struct rig rig;

	(void)state;
	rig_open(&rig, HUB_START, HUB_START);
	assert_int_equal(take_bytes(&rig, (const uint8_t *)"x", 1), LINK_TAKE_FAILED);
	assert_string_equal(rig.err.message,
		"upstream sent a malformed message: unknown message type in the replication "
		"stream");
	assert_int_equal(take_bytes(&rig, promise, 17), LINK_TAKE_FAILED);
	assert_string_equal(
		rig.err.message, "upstream sent a malformed message: link promise is out of range");
	assert_int_equal(take_bytes(&rig, promise, 5), LINK_TAKE_FAILED);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_receiver__decodes_against_the_spool),
		cmocka_unit_test(test_link_receiver__hands_on_what_postgresql_sends),
		cmocka_unit_test(test_link_receiver__says_what_is_held),
		cmocka_unit_test(test_link_receiver__asks_for_what_it_cannot_decode),
		cmocka_unit_test(test_link_receiver__refuses_the_same_twice),
		cmocka_unit_test(test_link_receiver__takes_a_batch_for_an_answer),
		cmocka_unit_test(test_link_receiver__does_not_wait_for_ever),
		cmocka_unit_test(test_link_receiver__asks_for_what_refers_past_what_is_held),
		cmocka_unit_test(test_link_receiver__asks_from_where_what_is_held_ends),
		cmocka_unit_test(test_link_receiver__a_batch_from_the_future_does_not_follow),
		cmocka_unit_test(test_link_receiver__nothing_wrong_comes_of_flipped_bits_or_cuts),
		cmocka_unit_test(test_link_receiver__promises_what_the_spool_keeps),
		cmocka_unit_test(test_link_receiver__refuses_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
