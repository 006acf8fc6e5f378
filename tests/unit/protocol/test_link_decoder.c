/*
 * Batches that are not what was sent: nothing wrong is ever returned.
 */
#include "protocol/link_batch.h"

#include "link_wal.h"

#include "protocol/crc32c.h"
#include "protocol/link_pack.h"
#include "protocol/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START     ((lsn_t)0x30 << 24)
#define AT        ((size_t)1 << 20) /* the sample begins a frame */
#define BATCH_MAX 8192

/* A batch with records, copies from earlier images, and a page header. */
struct sample {
	struct link_wal *wal;
	size_t raw_length;
	uint8_t batch[BATCH_MAX];
	size_t length;
};

static int set_up_sample(void **state, bool compresses)
{
	struct sample *sample = calloc(1, sizeof(*sample));
	struct link_encoder_options options = {.segment_bytes = 1 << 20,
		.level = 3,
		.reach_bytes = 1 << 30,
		.index_bytes = 65536,
		.recompress = link_recompress_usable(link_recompress_versions())};
	struct link_encoder *encoder;
	struct link_batch_stats stats;
	const uint8_t *batch;

	assert_non_null(sample);
	sample->wal = link_wal_new(START, 1 << 20, 3 << 20, 99);
	sample->wal->compresses = compresses;
	/* Room for a whole image: one that is cut does not go as a page. */
	sample->raw_length = compresses ? 9000 : 3000;
	link_wal_fill(sample->wal, AT - 4000);
	link_wal_add_image(sample->wal, 1);
	link_wal_fill(sample->wal, AT + sample->raw_length);
	options.earlier = link_wal_source(sample->wal);
	encoder = link_encoder_new(&options);
	assert_non_null(encoder);
	link_encoder_note(encoder, START, sample->wal->bytes, AT);
	sample->wal->held_to = AT;
	assert_true(link_encoder_encode(encoder, START + AT, sample->wal->bytes + AT,
		sample->raw_length, &batch, &sample->length, &stats));
	assert_true(sample->length <= BATCH_MAX);
	assert_int_equal(stats.raw[LINK_KIND_PLAIN], 0);
	assert_int_not_equal(stats.raw[LINK_KIND_IMAGE_REFERRED], 0);
	memcpy(sample->batch, batch, sample->length);
	link_encoder_free(&encoder);
	*state = sample;
	return 0;
}

static int set_up(void **state)
{
	return set_up_sample(state, false);
}

static int set_up_compressed(void **state)
{
	return set_up_sample(state, true);
}

static int tear_down(void **state)
{
	struct sample *sample = *state;

	link_wal_free(sample->wal);
	free(sample);
	return 0;
}

static struct link_decoder *new_decoder(struct link_wal *wal)
{
	struct link_source source = link_wal_source(wal);
	struct link_decoder *decoder = link_decoder_new(wal->segment_bytes, &source);

	assert_non_null(decoder);
	return decoder;
}

/* Anything but the right bytes at the right place fails. */
static enum link_result decode(struct sample *sample, struct link_decoder *decoder, size_t length)
{
	struct link_decoded decoded;
	enum link_result result = link_decoder_decode(decoder, sample->batch, length, &decoded);

	if (result == LINK_OK) {
		assert_int_equal(decoded.start, START + AT);
		assert_int_equal(decoded.length, sample->raw_length);
		assert_memory_equal(decoded.raw, sample->wal->bytes + AT, sample->raw_length);
	} else {
		assert_non_null(decoded.reason);
		assert_null(decoded.raw);
		assert_int_equal(decoded.length, 0);
	}
	return result;
}

static void test_link_decoder__the_sample_is_whole(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);

	assert_int_equal(decode(sample, decoder, sample->length), LINK_OK);
	link_decoder_free(&decoder);
}

static void test_link_decoder__no_flipped_bit_gets_through(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);
	size_t harmless = 0;

	for (size_t bit = 0; bit < sample->length * 8; bit++) {
		sample->batch[bit / 8] ^= (uint8_t)(1 << bit % 8);
		harmless += decode(sample, decoder, sample->length) == LINK_OK;
		sample->batch[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* zstd's own header has a few bits that say nothing, such as the size of its window, and
	 * what is copied may stand in two places. */
	assert_true(harmless < 64);
	assert_int_equal(decode(sample, decoder, sample->length), LINK_OK);
	link_decoder_free(&decoder);
}

static void test_link_decoder__no_truncated_batch_gets_through(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);

	for (size_t length = 0; length < sample->length; length++) {
		uint8_t *exact = malloc(length + 1);
		struct link_decoded decoded;

		assert_non_null(exact);
		memcpy(exact, sample->batch, length);
		/* Without its last bytes a flushed block may still be whole; then it is right. */
		if (link_decoder_decode(decoder, exact, length, &decoded) == LINK_OK) {
			assert_memory_equal(
				decoded.raw, sample->wal->bytes + AT, sample->raw_length);
			assert_int_equal(decoded.length, sample->raw_length);
		}
		free(exact);
	}
	link_decoder_free(&decoder);
}

/* What a library of another version comes to is as if the page were another one. */
static void test_link_decoder__a_page_that_compresses_otherwise_is_asked_for_plain(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);
	size_t asked = 0;

	for (size_t at = 0; at < AT; at += 41) {
		struct link_decoded decoded;

		sample->wal->bytes[at] ^= 0x01;
		if (link_decoder_decode(decoder, sample->batch, sample->length, &decoded) ==
			LINK_NEED_PLAIN) {
			asked++;
		}
		assert_null(decoded.reason == NULL ? NULL : decoded.raw);
		sample->wal->bytes[at] ^= 0x01;
	}
	assert_true(asked > 0);
	link_decoder_free(&decoder);
}

static void test_link_decoder__another_past_is_noticed(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);
	enum link_result result;

	for (size_t at = 0; at < AT; at++) {
		sample->wal->bytes[at] ^= 0x55;
	}
	result = decode(sample, decoder, sample->length);
	assert_int_not_equal(result, LINK_OK);
	link_decoder_free(&decoder);
}

static void test_link_decoder__nothing_held_is_told_from_damage(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);

	sample->wal->held_from = AT;
	assert_int_equal(decode(sample, decoder, sample->length), LINK_NEED_PLAIN);
	sample->wal->held_from = 0;
	assert_int_equal(decode(sample, decoder, sample->length), LINK_OK);
	link_decoder_free(&decoder);
}

/* The batch with one byte of a column another, its own checksum as it was. Returns its length. */
static size_t alter(struct sample *sample, enum link_column which, size_t at, uint8_t *batch_out)
{
	static uint8_t coded[LINK_CODED_MAX], packed[2 * LINK_CODED_MAX];
	struct link_packer *packer = link_packer_new();
	struct link_unpacker *unpacker = link_unpacker_new();
	struct link_columns columns;
	size_t length, count = 0;

	assert_true(packer != NULL && unpacker != NULL && link_packer_begin(packer, 1));
	link_unpacker_begin(unpacker);
	assert_true(link_unpacker_get(unpacker, sample->batch + LINK_BATCH_HEADER_BYTES,
		sample->length - LINK_BATCH_HEADER_BYTES, coded, sizeof(coded), &length));
	assert_true(link_columns_split(&columns, coded, length));
	if (at < columns.column[which].length) {
		columns.column[which].bytes[at] ^= 0x02;
		assert_true(link_packer_put(packer, &columns, packed, sizeof(packed), &count));
		assert_true(count <= BATCH_MAX);
		memcpy(batch_out, sample->batch, LINK_BATCH_HEADER_BYTES);
		memcpy(batch_out + LINK_BATCH_HEADER_BYTES, packed, count);
		count += LINK_BATCH_HEADER_BYTES;
	}
	link_packer_free(&packer);
	link_unpacker_free(&unpacker);
	return count;
}

/* The receiver computes the CRC of such a record to match: what is wrong in its header would not
 * show in a CRC of the whole. */
static void test_link_decoder__a_wrong_record_with_a_right_crc_is_noticed(void **state)
{
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);
	static uint8_t batch[2 * BATCH_MAX];
	struct link_decoded decoded;
	size_t tried = 0, wrong = 0;

	for (int which = 0; which < LINK_COLUMN_COUNT; which++) {
		for (size_t at = 0, length;
			(length = alter(sample, (enum link_column)which, at, batch)) != 0; at++) {
			tried++;
			if (link_decoder_decode(decoder, batch, length, &decoded) == LINK_OK) {
				assert_memory_equal(
					decoded.raw, sample->wal->bytes + AT, sample->raw_length);
				continue;
			}
			wrong += strcmp(decoded.reason, "batch with a wrong checksum") == 0;
		}
	}
	assert_true(tried > 40 && wrong > 10);
	link_decoder_free(&decoder);
}

/* As if a batch with right checksum had been made by something worse than chance. */
static void test_link_decoder__headers_are_refused_by_name(void **state)
{
	static const struct {
		const char *reason;
		uint8_t version, flags;
		lsn_t start;
		uint32_t length;
	} cases[] = {
		{"batch of another version", LINK_VERSION + 1, 0, START, 10},
		{"batch with unknown flags", LINK_VERSION, 0x08, START, 10},
		{"batch of an impossible length", LINK_VERSION, 1, START + 1, LINK_FRAME_BYTES},
		{"batch of an impossible length", LINK_VERSION, 1, START + LINK_FRAME_BYTES - 10,
			11},
		{"batch of an impossible place", LINK_VERSION, 1, UINT64_MAX - 20, 10},
		{"batch cannot be unpacked", LINK_VERSION, 1, START, 10},
	};
	struct sample *sample = *state;
	struct link_decoder *decoder = new_decoder(sample->wal);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct link_batch_header header = {.version = cases[i].version,
			.flags = cases[i].flags,
			.start = cases[i].start,
			.length = cases[i].length};
		uint8_t bytes[LINK_BATCH_HEADER_BYTES + 10] = {0};
		struct link_decoded decoded;

		link_batch_header_put(&header, bytes);
		assert_int_equal(
			link_decoder_decode(decoder, bytes, sizeof(bytes), &decoded), LINK_BAD);
		assert_string_equal(decoded.reason, cases[i].reason);
	}
	link_decoder_free(&decoder);
}

/* It is on the wire: other relays compute the same, by any library. */
static void test_link_decoder__the_check_is_this_and_no_other(void **state)
{
	struct link_batch_header header = {
		.version = 1, .flags = LINK_BATCH_IS_PLAIN, .start = 0x30000000, .length = 99};
	uint8_t raw[99];

	(void)state;
	for (size_t i = 0; i < sizeof(raw); i++) {
		raw[i] = (uint8_t)(i * 167 + (i >> 3));
	}
	assert_int_equal(link_batch_check(&header, raw), 0x7F78DB98B31FC976u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_link_decoder__the_sample_is_whole, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__no_flipped_bit_gets_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_link_decoder__no_flipped_bit_gets_through,
			set_up_compressed, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__no_truncated_batch_gets_through, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__a_page_that_compresses_otherwise_is_asked_for_plain,
			set_up_compressed, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__another_past_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__nothing_held_is_told_from_damage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__a_wrong_record_with_a_right_crc_is_noticed, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			test_link_decoder__headers_are_refused_by_name, set_up, tear_down),
		cmocka_unit_test(test_link_decoder__the_check_is_this_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
