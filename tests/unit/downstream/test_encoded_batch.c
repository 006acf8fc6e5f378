/* Batches of several chains in one bounded cache. */
#include "downstream/encoded_batch.h"

#include "cmocka_all.h"
#include "protocol/link_batch.h"

#define RAW 1000u

static struct encoded_batch *batch_at(lsn_t start, size_t content)
{
	static uint8_t bytes[100000];
	struct link_batch_header header = {.version = LINK_VERSION,
		.flags = start % 2 == 0 ? LINK_BATCH_BEGINS_FRAME : 0,
		.start = start,
		.length = RAW};
	const struct link_batch_stats stats = {.raw_bytes = RAW,
		.batch_bytes = (uint32_t)(LINK_BATCH_HEADER_BYTES + content),
		.raw[LINK_KIND_HEAP] = RAW,
		.sent[LINK_KIND_HEAP] = (uint32_t)content};
	link_batch_header_put(&header, bytes);
	return encoded_batch_new(start, &stats, bytes, LINK_BATCH_HEADER_BYTES + content);
}

static void test_encoded_batch__is_a_message(void **state)
{
	(void)state;
	struct encoded_batch *batch = batch_at(4096, 100);
	assert_int_equal(batch->message_bytes, 6 + LINK_BATCH_HEADER_BYTES + 100);
	assert_int_equal(batch->message[0], 'd');
	assert_int_equal(batch->message[5], 'z');
	assert_true(batch->begins_frame);
	assert_int_equal(batch->raw_bytes, RAW);
	assert_int_equal(batch->stats.raw[LINK_KIND_HEAP], RAW);
	assert_int_equal(batch->stats.sent[LINK_KIND_HEAP], 100);
	encoded_batch_unref(encoded_batch_ref(batch));
	encoded_batch_unref(batch);
}

static void test_encoded_batch__wal_as_it_is_says_so(void **state)
{
	(void)state;
	static const uint8_t wal[RAW];
	const struct wal_data data = {.start_lsn = 4096, .wal = wal, .wal_length = RAW};
	struct encoded_batch *batch = encoded_batch_new_plain(&data);
	assert_non_null(batch);
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		bool is_plain = kind == LINK_KIND_PLAIN;
		assert_int_equal(batch->stats.raw[kind], is_plain ? RAW : 0);
		assert_int_equal(batch->stats.sent[kind], is_plain ? batch->message_bytes - 6 : 0);
	}
	encoded_batch_unref(batch);
}

static void test_encoded_batch__finds_what_begins_there(void **state)
{
	(void)state;
	struct batch_cache cache;
	struct batch_queue queue;
	batch_cache_init(&cache, 1 << 20);
	batch_queue_init(&queue, &cache);
	assert_null(batch_queue_find(&queue, RAW));
	for (unsigned i = 1; i <= 300; i++) {
		batch_queue_add(&queue, batch_at((lsn_t)i * RAW, 10));
	}
	for (unsigned i = 1; i <= 300; i++) {
		assert_int_equal(batch_queue_find(&queue, (lsn_t)i * RAW)->start, i * RAW);
		assert_null(batch_queue_find(&queue, (lsn_t)i * RAW + 1));
	}
	assert_null(batch_queue_find(&queue, 301 * RAW));
	batch_queue_clear(&queue);
	assert_int_equal(cache.bytes, 0);
	batch_queue_add(&queue, batch_at(7, 10));
	batch_queue_release(&queue);
	assert_int_equal(cache.bytes, 0);
}

static void test_encoded_batch__the_oldest_go_of_whatever_chain(void **state)
{
	(void)state;
	struct batch_cache cache;
	struct batch_queue queues[2];
	batch_cache_init(&cache, 100000);
	batch_queue_init(&queues[0], &cache);
	batch_queue_init(&queues[1], &cache);
	struct encoded_batch *held = encoded_batch_ref(batch_at(RAW, 1000));
	batch_queue_add(&queues[0], held);
	for (unsigned i = 1; i < 1000; i++) {
		batch_queue_add(&queues[1], batch_at((lsn_t)i * RAW, 1000));
		assert_true(cache.bytes <= 100000);
	}
	assert_int_equal(queues[0].count, 0);
	assert_in_range(queues[1].count, 80, 100);
	assert_non_null(batch_queue_find(&queues[1], 999 * RAW));
	assert_null(batch_queue_find(&queues[1], 800 * RAW));
	/* What waits in a socket's queue is still there. */
	assert_int_equal(held->start, RAW);
	encoded_batch_unref(held);
	batch_queue_release(&queues[0]);
	batch_queue_release(&queues[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoded_batch__is_a_message),
		cmocka_unit_test(test_encoded_batch__wal_as_it_is_says_so),
		cmocka_unit_test(test_encoded_batch__finds_what_begins_there),
		cmocka_unit_test(test_encoded_batch__the_oldest_go_of_whatever_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
