/*
 * The codec on made-up WAL: what comes out is what went in, however it is cut, joined and damaged.
 */
#include "protocol/link_codec.h"

#include "link_wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START     ((lsn_t)0x30 << 24)
#define BATCH_MAX 65536

struct link_pair {
	struct link_wal *wal;
	struct link_encoder *encoder;
	struct link_decoder *decoder;
	size_t batches, plain, need_plain, bad;
	uint64_t raw, wire, images_referred, images_left;
};

static struct link_encoder *new_encoder(struct link_wal *wal, uint64_t reach)
{
	struct link_encoder_options options = {.segment_bytes = wal->segment_bytes,
		.level = 3,
		.reach_bytes = reach,
		.index_bytes = 65536,
		.recompress = link_recompress_usable(link_recompress_versions()),
		.earlier = link_wal_source(wal)};
	struct link_encoder *encoder = link_encoder_new(&options);

	assert_non_null(encoder);
	return encoder;
}

static struct link_decoder *new_decoder(struct link_wal *wal)
{
	struct link_source source = link_wal_source(wal);
	struct link_decoder *decoder = link_decoder_new(wal->segment_bytes, &source);

	assert_non_null(decoder);
	return decoder;
}

static void pair_open(struct link_pair *pair, struct link_wal *wal, uint64_t reach)
{
	*pair = (struct link_pair){
		.wal = wal, .encoder = new_encoder(wal, reach), .decoder = new_decoder(wal)};
}

static void pair_close(struct link_pair *pair)
{
	link_encoder_free(&pair->encoder);
	link_decoder_free(&pair->decoder);
}

/* Encodes [at, at + *length), or less, into a copy that the caller frees. */
static uint8_t *encode_up_to(
	struct link_pair *pair, size_t at, size_t *length, size_t *batch_length_out)
{
	struct link_batch_stats stats;
	const uint8_t *batch;
	uint64_t sum = 0;
	uint8_t *copy;

	pair->wal->held_to = at;
	assert_true(link_encoder_encode(pair->encoder, pair->wal->start + at, pair->wal->bytes + at,
		*length, &batch, batch_length_out, &stats));
	assert_in_range(stats.raw_bytes, 1, *length);
	*length = stats.raw_bytes;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		sum += stats.raw[kind];
	}
	assert_int_equal(sum, *length);
	assert_int_equal(stats.batch_bytes, *batch_length_out);
	pair->batches++;
	pair->plain += stats.raw[LINK_KIND_PLAIN] != 0;
	pair->raw += *length;
	pair->wire += *batch_length_out;
	pair->images_referred += stats.images_referred;
	pair->images_left += stats.raw[LINK_KIND_IMAGE_COMPRESSED];
	copy = malloc(*batch_length_out);
	assert_non_null(copy);
	memcpy(copy, batch, *batch_length_out);
	return copy;
}

static uint8_t *encode(struct link_pair *pair, size_t at, size_t length, size_t *batch_length_out)
{
	size_t taken = length;
	uint8_t *batch = encode_up_to(pair, at, &taken, batch_length_out);

	assert_int_equal(taken, length);
	return batch;
}

static enum link_result decode(
	struct link_pair *pair, const uint8_t *batch, size_t batch_length, size_t at, size_t length)
{
	struct link_decoded decoded;
	enum link_result result = link_decoder_decode(pair->decoder, batch, batch_length, &decoded);

	if (result == LINK_OK) {
		assert_int_equal(decoded.start, pair->wal->start + at);
		assert_int_equal(decoded.length, length);
		assert_memory_equal(decoded.raw, pair->wal->bytes + at, length);
	} else {
		assert_non_null(decoded.reason);
		assert_null(decoded.raw);
	}
	pair->need_plain += result == LINK_NEED_PLAIN;
	pair->bad += result == LINK_BAD;
	return result;
}

static size_t next_length(struct link_pair *pair, size_t at, size_t to, size_t batch_bytes)
{
	lsn_t lsn = pair->wal->start + at;
	size_t length = batch_bytes != 0 ? batch_bytes : 1 + link_wal_random(pair->wal, BATCH_MAX);

	length = length < to - at ? length : to - at;
	return length < link_batch_limit(lsn) - lsn ? length : link_batch_limit(lsn) - lsn;
}

/* batch_bytes 0: cut at random. */
static void pass(struct link_pair *pair, size_t from, size_t to, size_t batch_bytes)
{
	for (size_t at = from, length; at < to; at += length) {
		size_t batch_length;
		uint8_t *batch;

		length = next_length(pair, at, to, batch_bytes);
		batch = encode_up_to(pair, at, &length, &batch_length);
		decode(pair, batch, batch_length, at, length);
		free(batch);
	}
}

static void test_link_codec__gives_back_what_it_took_however_it_is_cut(void **state)
{
	static const struct {
		size_t wal_bytes, batch_bytes;
	} cases[] = {{60000, 1}, {200000, 7}, {1300000, 100}, {3 << 20, 8192}, {3 << 20, 32768},
		{3 << 20, 32760}, {5 << 20, 0}, {3 << 20, 1 << 20}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_wal *wal = link_wal_new(START, 1 << 21, 6 << 20, i + 1);
		struct link_pair pair;

		link_wal_fill(wal, cases[i].wal_bytes);
		pair_open(&pair, wal, 1 << 30);
		pass(&pair, 0, wal->length, cases[i].batch_bytes);
		assert_int_equal(pair.need_plain + pair.bad, 0);
		/* Until the first page header is past, nothing can be known. */
		assert_true(pair.plain <= WAL_PAGE_HEADER_LONG);
		pair_close(&pair);
		link_wal_free(wal);
	}
}

static struct link_encoder *new_encoder_to_records(struct link_wal *wal)
{
	struct link_encoder_options options = {.segment_bytes = wal->segment_bytes,
		.level = 3,
		.reach_bytes = 1 << 30,
		.index_bytes = 65536,
		.ends_at_records = true,
		.earlier = link_wal_source(wal)};
	struct link_encoder *encoder = link_encoder_new(&options);

	assert_non_null(encoder);
	return encoder;
}

static size_t behind_header(size_t at)
{
	return at % WAL_PAGE_BYTES == 0 ? at + WAL_PAGE_HEADER_SHORT : at;
}

/* Only the first batch of a frame then begins within a record, or one that is all of one record. */
static void test_link_codec__a_long_batch_ends_where_a_record_does(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 21, 6 << 20, 81);
	struct link_pair pair = {.wal = wal};
	size_t cut = 0, whole = 0;

	(void)state;
	link_wal_fill(wal, 5 << 20);
	pair.encoder = new_encoder_to_records(wal);
	pair.decoder = new_decoder(wal);
	for (size_t at = 0, length; at < wal->length; at += length) {
		size_t wanted = next_length(&pair, at, wal->length, 40000), batch_length;
		uint8_t *batch;

		length = wanted;
		batch = encode_up_to(&pair, at, &length, &batch_length);
		assert_int_equal(decode(&pair, batch, batch_length, at, length), LINK_OK);
		free(batch);
		cut += length < wanted;
		whole += length == wanted;
		if (length < wanted) {
			uint32_t total;

			assert_true(length >= wanted / 2);
			assert_int_equal((at + length) % 8, 0);
			memcpy(&total, wal->bytes + behind_header(at + length), 4);
			assert_true(total + 3 * WAL_PAGE_HEADER_LONG > wanted - length);
		}
	}
	/* At the ends of frames, and where the WAL ends. */
	assert_in_range(whole, 5, 5 + cut / 10);
	assert_true(cut > 100);
	pair_close(&pair);
	link_wal_free(wal);
}

/* Up to the end of a page that it begins in. */
static void add_page_end(struct link_wal *wal)
{
	struct wal_record_head head = {.rmgr = 1, .xid = 700, .main_id = WAL_ID_DATA_LONG};
	uint32_t room = (uint32_t)(WAL_PAGE_BYTES - (wal->length + 7) / 8 * 8 % WAL_PAGE_BYTES);

	if (room >= 512 && room < WAL_PAGE_BYTES) {
		head.main_length = room - wal_record_head_bytes(&head);
		link_wal_add(wal, &head, wal->payload);
	}
}

/* Where records begin behind the header of a page; 0 after the last. */
static size_t *fill_and_note_page_starts(struct link_wal *wal, size_t to)
{
	size_t *starts = calloc(to / WAL_PAGE_BYTES, sizeof(*starts));
	size_t count = 0;

	assert_non_null(starts);
	while (wal->length < to) {
		size_t at = link_wal_add_random(wal) - wal->start;

		if (at % WAL_PAGE_BYTES == WAL_PAGE_HEADER_SHORT && at < to) {
			starts[count++] = at;
		}
		add_page_end(wal);
	}
	return starts;
}

/* A standby that has no more than a page's header is stuck. The first batch goes as it is: nothing
 * is known before a page was seen. */
static void test_link_codec__no_record_is_cut_from_the_header_before_it(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 21, 6 << 20, 82);
	struct link_pair pair = {.wal = wal};
	size_t *starts = fill_and_note_page_starts(wal, 5 << 20), *next = starts, cut = 0;

	(void)state;
	pair.encoder = new_encoder_to_records(wal);
	pair.decoder = new_decoder(wal);
	for (size_t at = 0, length; at < wal->length; at += length) {
		size_t batch_length, wanted;
		uint8_t *batch;

		while (*next != 0 && *next < at + 20000) {
			next++;
		}
		wanted = *next != 0 ? *next + 8 - at : wal->length - at;
		length = next_length(&pair, at, wal->length, wanted);
		wanted = length == wanted && at > 0 && *next != 0
				 ? *next - WAL_PAGE_HEADER_SHORT - at
				 : 0;
		batch = encode_up_to(&pair, at, &length, &batch_length);
		assert_int_equal(decode(&pair, batch, batch_length, at, length), LINK_OK);
		free(batch);
		if (wanted != 0) {
			assert_int_equal(length, wanted);
			cut++;
		}
	}
	assert_true(cut > 10);
	free(starts);
	pair_close(&pair);
	link_wal_free(wal);
}

static void test_link_codec__refers_to_earlier_images(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 6 << 20, 77);
	struct link_pair with, without;

	(void)state;
	link_wal_fill(wal, 5 << 20);
	pair_open(&with, wal, 1 << 30);
	pair_open(&without, wal, 0);
	pass(&with, 0, wal->length, 32768);
	pass(&without, 0, wal->length, 32768);
	assert_int_equal(with.need_plain + with.bad + without.need_plain + without.bad, 0);
	assert_true(with.images_referred > 500);
	assert_int_equal(without.images_referred, 0);
	assert_true(with.wire < without.wire * 3 / 4);
	pair_close(&with);
	pair_close(&without);
	link_wal_free(wal);
}

static void test_link_codec__refers_to_what_postgresql_compressed(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 6 << 20, 78);
	struct link_pair with, without;

	(void)state;
	wal->compresses = true;
	link_wal_fill(wal, 5 << 20);
	pair_open(&with, wal, 1 << 30);
	pair_open(&without, wal, 1 << 30);
	link_encoder_set_recompress(without.encoder, 0);
	pass(&with, 0, wal->length, 0);
	pass(&without, 0, wal->length, 0);
	assert_int_equal(with.need_plain + with.bad + without.need_plain + without.bad, 0);
	assert_true(with.images_referred > without.images_referred + 150);
	assert_true(with.images_left < without.images_left / 3);
	assert_true(with.wire < without.wire * 9 / 10);
	pair_close(&with);
	pair_close(&without);
	link_wal_free(wal);
}

/* Another version of a library: its images are read, but not made. */
static void test_link_codec__leaves_what_it_would_compress_otherwise(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 4 << 20, 79);
	struct link_pair pair;

	(void)state;
	wal->compresses = wal->compresses_otherwise = true;
	link_wal_fill(wal, 3 << 20);
	pair_open(&pair, wal, 1 << 30);
	pass(&pair, 0, wal->length, 0);
	assert_int_equal(pair.need_plain + pair.bad, 0);
	assert_true(pair.images_left > pair.raw / 2);
	assert_true(pair.images_referred > 50);
	pair_close(&pair);
	link_wal_free(wal);
}

/* As pages, images may be several times as long as the batch: what has no room stays as it is. */
static void test_link_codec__a_batch_has_room_for_only_so_many_pages(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 5 << 20, 80);
	struct link_pair pair;

	(void)state;
	wal->compresses = true;
	memset(wal->pages, 0, sizeof(wal->pages));
	while (wal->length < 4 << 20) {
		link_wal_add_image(wal, (uint32_t)link_wal_random(wal, LINK_WAL_PAGES));
	}
	pair_open(&pair, wal, 1 << 30);
	pass(&pair, 0, wal->length, LINK_FRAME_BYTES);
	assert_int_equal(pair.need_plain + pair.bad, 0);
	assert_true(pair.plain <= 1);
	assert_true(pair.images_left > 0);
	pair_close(&pair);
	link_wal_free(wal);
}

static void test_link_codec__zero_tails_cost_next_to_nothing(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 22, 16 << 20, 5);
	struct link_pair pair;
	uint64_t before;

	(void)state;
	link_wal_fill(wal, 100000);
	link_wal_add_switch(wal);
	assert_int_equal(wal->length % (1 << 22), 0);
	link_wal_fill(wal, wal->length + 100000);
	pair_open(&pair, wal, 1 << 30);
	pass(&pair, 0, 131072, 0);
	before = pair.wire;
	pass(&pair, 131072, 1 << 22, 1 << 20);
	assert_true(pair.wire - before < 600);
	pass(&pair, 1 << 22, wal->length, 0);
	assert_int_equal(pair.need_plain + pair.bad, 0);
	assert_int_equal(pair.plain, 1);
	pair_close(&pair);
	link_wal_free(wal);
}

/* A newcomer that holds only WAL before a frame reads it from its start. */
static void test_link_codec__can_be_joined_wherever_a_frame_begins(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 10 << 20, 9);
	struct link_pair pair;

	(void)state;
	link_wal_fill(wal, 9 << 20);
	pair_open(&pair, wal, 1 << 30);
	for (size_t at = 0, length; at < wal->length; at += length) {
		size_t batch_length;
		uint8_t *batch;

		length = next_length(&pair, at, wal->length, 0);
		batch = encode(&pair, at, length, &batch_length);
		if (at % LINK_FRAME_BYTES == 0) {
			link_decoder_free(&pair.decoder);
			pair.decoder = new_decoder(wal);
		}
		assert_int_equal(decode(&pair, batch, batch_length, at, length), LINK_OK);
		free(batch);
	}
	pair_close(&pair);
	link_wal_free(wal);
}

static void test_link_codec__joins_nowhere_else(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 3 << 20, 10);
	struct link_pair pair;
	size_t batch_length;
	uint8_t *batch;

	(void)state;
	link_wal_fill(wal, 2 << 20);
	pair_open(&pair, wal, 1 << 30);
	batch = encode(&pair, 0, 30000, &batch_length);
	free(batch);
	batch = encode(&pair, 30000, 30000, &batch_length);
	assert_int_equal(decode(&pair, batch, batch_length, 30000, 30000), LINK_NEED_PLAIN);
	free(batch);
	pass(&pair, 60000, 1 << 20, 30000);
	assert_int_equal(pair.need_plain, pair.batches - 1);
	pass(&pair, 1 << 20, wal->length, 30000);
	assert_true(pair.need_plain < pair.batches - 1);
	pair_close(&pair);
	link_wal_free(wal);
}

/* Whatever the decoder lacks, it says so or is right; and when the encoder keeps to its reach, a
 * decoder that holds that much lacks nothing. */
static void test_link_codec__never_needs_more_than_its_reach(void **state)
{
	static const uint64_t reaches[] = {0, 20000, 300000, 2 << 20};

	(void)state;
	for (size_t i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++) {
		struct link_wal *wal = link_wal_new(START, 1 << 24, 6 << 20, 20 + i);
		struct link_pair pair;

		link_wal_fill(wal, 5 << 20);
		pair_open(&pair, wal, reaches[i]);
		for (size_t at = 0, length; at < wal->length; at += length) {
			size_t batch_length;
			uint8_t *batch;

			length = next_length(&pair, at, wal->length, 0);
			wal->held_from = 0;
			batch = encode(&pair, at, length, &batch_length);
			wal->held_from = at > reaches[i] ? at - (size_t)reaches[i] : 0;
			assert_int_equal(decode(&pair, batch, batch_length, at, length), LINK_OK);
			free(batch);
		}
		pair_close(&pair);
		link_wal_free(wal);
	}
}

static void test_link_codec__says_when_it_lacks_what_is_referred_to(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 6 << 20, 31);
	struct link_pair pair;

	(void)state;
	link_wal_fill(wal, 5 << 20);
	pair_open(&pair, wal, 1 << 30);
	for (size_t at = 0, length; at < wal->length; at += length) {
		size_t batch_length;
		uint8_t *batch;

		length = next_length(&pair, at, wal->length, 0);
		wal->held_from = 0;
		batch = encode(&pair, at, length, &batch_length);
		wal->held_from = at > 200000 ? at - 200000 : 0;
		decode(&pair, batch, batch_length, at, length);
		free(batch);
	}
	assert_true(pair.need_plain > 0);
	assert_int_equal(pair.bad, 0);
	pair_close(&pair);
	link_wal_free(wal);
}

static void test_link_codec__what_is_not_understood_goes_as_it_is(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 6 << 20, 41);
	struct link_pair pair;
	size_t plain;

	(void)state;
	link_wal_fill(wal, 1 << 20);
	for (size_t at = 300000; at < 400000; at++) {
		wal->bytes[at] = (uint8_t)link_wal_random(wal, 256);
	}
	link_wal_fill(wal, 3 << 20);
	link_wal_abandon(wal);
	wal->tli = 2;
	wal->page_info = 0;
	link_wal_fill(wal, 4 << 20);
	wal->magic = 0xD1FF; /* a version of the future */
	link_wal_fill(wal, 5 << 20);
	pair_open(&pair, wal, 1 << 30);
	pass(&pair, 0, 3 << 20, 10000);
	assert_in_range(pair.plain, 11, 13); /* the damage, and the first */
	plain = pair.plain;
	pass(&pair, 3 << 20, 4 << 20, 10000);
	assert_int_equal(pair.plain, plain + 1);
	pass(&pair, 4 << 20, wal->length, 10000);
	assert_true(pair.plain > plain + 90);
	assert_int_equal(pair.need_plain + pair.bad, 0);
	pair_close(&pair);
	link_wal_free(wal);
}

static void test_link_codec__checksums_and_links_may_be_wrong(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 2 << 20, 43);
	struct link_pair pair;

	(void)state;
	link_wal_fill(wal, 500000);
	for (int i = 0; i < 20; i++) {
		lsn_t start = link_wal_add_random(wal);
		size_t at = (size_t)(start - wal->start);

		if (at % WAL_PAGE_BYTES + WAL_RECORD_HEADER <= WAL_PAGE_BYTES) {
			wal->bytes[at + (i % 2 == 0 ? WAL_RECORD_CRC_AT : WAL_RECORD_PREV_AT)] ^= 1;
		}
	}
	link_wal_fill(wal, 1 << 20);
	pair_open(&pair, wal, 1 << 30);
	pass(&pair, 0, wal->length, 20000);
	assert_int_equal(pair.need_plain + pair.bad, 0);
	assert_int_equal(pair.plain, 1);
	pair_close(&pair);
	link_wal_free(wal);
}

static void test_link_codec__a_noted_past_can_be_referred_to(void **state)
{
	struct link_wal *wal = link_wal_new(START, 1 << 24, 6 << 20, 51);
	struct link_pair pair;

	(void)state;
	link_wal_fill(wal, 5 << 20);
	pair_open(&pair, wal, 1 << 30);
	link_encoder_note(pair.encoder, wal->start, wal->bytes, 4 << 20);
	pass(&pair, 4 << 20, wal->length, 32768);
	assert_int_equal(pair.need_plain + pair.bad + pair.plain, 0);
	assert_true(pair.images_referred > 50);
	link_encoder_purge(pair.encoder, wal->start);
	pair.images_referred = 0;
	pass(&pair, 4 << 20, (4 << 20) + 32768, 32768);
	assert_int_equal(pair.images_referred, 0);
	pair_close(&pair);
	link_wal_free(wal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_codec__gives_back_what_it_took_however_it_is_cut),
		cmocka_unit_test(test_link_codec__a_long_batch_ends_where_a_record_does),
		cmocka_unit_test(test_link_codec__no_record_is_cut_from_the_header_before_it),
		cmocka_unit_test(test_link_codec__refers_to_earlier_images),
		cmocka_unit_test(test_link_codec__refers_to_what_postgresql_compressed),
		cmocka_unit_test(test_link_codec__leaves_what_it_would_compress_otherwise),
		cmocka_unit_test(test_link_codec__a_batch_has_room_for_only_so_many_pages),
		cmocka_unit_test(test_link_codec__zero_tails_cost_next_to_nothing),
		cmocka_unit_test(test_link_codec__can_be_joined_wherever_a_frame_begins),
		cmocka_unit_test(test_link_codec__joins_nowhere_else),
		cmocka_unit_test(test_link_codec__never_needs_more_than_its_reach),
		cmocka_unit_test(test_link_codec__says_when_it_lacks_what_is_referred_to),
		cmocka_unit_test(test_link_codec__what_is_not_understood_goes_as_it_is),
		cmocka_unit_test(test_link_codec__checksums_and_links_may_be_wrong),
		cmocka_unit_test(test_link_codec__a_noted_past_can_be_referred_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
