/* Tests of protocol/backup_stream: payloads come out as they went in, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/backup_stream.h"
#include "protocol/wire.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_BYTES 32769
#define STREAM_MAX    (4u << 20)

struct stream {
	uint8_t bytes[STREAM_MAX];
	size_t length;
};

static struct stream stream;

static void take(void *context, const uint8_t *bytes, size_t length)
{
	struct stream *to = context;
	assert_true(length > 0 && to->length + length <= sizeof(to->bytes));
	memcpy(to->bytes + to->length, bytes, length);
	to->length += length;
}

/* Half of it is noise, half repeats. */
static void fill(uint8_t *payload, size_t length, unsigned number)
{
	uint32_t random = number * 2654435761u + 1;
	for (size_t i = 0; i < length; i++) {
		random = random * 1664525u + 1013904223u;
		payload[i] = i % 64 < 32 ? (uint8_t)(random >> 24) : (uint8_t)number;
	}
}

static size_t length_of(unsigned number)
{
	return number % 3 == 0 ? 1 + number : number % 3 == 1 ? PAYLOAD_BYTES : 9;
}

static void encode(struct backup_encoder *encoder, unsigned count, bool is_whole)
{
	static uint8_t payload[PAYLOAD_BYTES];
	backup_encoder_begin(encoder);
	stream.length = 0;
	for (unsigned i = 0; i < count; i++) {
		fill(payload, length_of(i), i);
		backup_encoder_write(encoder, payload, length_of(i));
	}
	if (is_whole) {
		backup_encoder_end(encoder);
	} else {
		backup_encoder_flush(encoder);
	}
	assert_false(backup_encoder_is_holding(encoder));
}

/* How many payloads came out, each as it went in. */
static unsigned decode(
	struct backup_decoder *decoder, size_t chunk_bytes, enum decode_result *result_out)
{
	static uint8_t expected[PAYLOAD_BYTES];
	unsigned count = 0;
	const char *reason = NULL;
	*result_out = DECODE_MORE;
	backup_decoder_begin(decoder);
	for (size_t at = 0; at < stream.length && *result_out != DECODE_BAD;) {
		size_t length = stream.length - at < chunk_bytes ? stream.length - at : chunk_bytes;
		backup_decoder_give(decoder, stream.bytes + at, length);
		at += length;
		const uint8_t *payload;
		size_t payload_length;
		while ((*result_out = backup_decoder_read(
				decoder, &payload, &payload_length, &reason)) == DECODE_OK) {
			fill(expected, length_of(count), count);
			assert_int_equal(payload_length, length_of(count));
			assert_memory_equal(payload, expected, payload_length);
			count++;
		}
	}
	assert_true(*result_out != DECODE_BAD || reason != NULL);
	return count;
}

static void test_backup_stream__gives_back_every_payload(void **state)
{
	(void)state;
	enum decode_result result;
	struct backup_encoder *encoder = backup_encoder_new(take, &stream);
	struct backup_decoder *decoder = backup_decoder_new();
	static const size_t chunks[] = {1, 7, 4096, STREAM_MAX};
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		encode(encoder, 60, true);
		assert_int_equal(decode(decoder, chunks[i], &result), 60);
		assert_int_equal(result, DECODE_MORE);
		assert_true(backup_decoder_is_whole(decoder));
	}
	encode(encoder, 60, false);
	assert_int_equal(decode(decoder, 100, &result), 60);
	assert_false(backup_decoder_is_whole(decoder));
	encode(encoder, 0, true);
	assert_int_equal(decode(decoder, 100, &result), 0);
	assert_true(backup_decoder_is_whole(decoder));
	backup_encoder_free(&encoder);
	backup_decoder_free(&decoder);
	assert_null(encoder);
	assert_null(decoder);
}

static void test_backup_stream__is_never_whole_when_cut(void **state)
{
	(void)state;
	enum decode_result result;
	struct backup_encoder *encoder = backup_encoder_new(take, &stream);
	struct backup_decoder *decoder = backup_decoder_new();
	encode(encoder, 8, true);
	for (size_t whole = stream.length; stream.length > 0; stream.length -= 1 + whole / 500) {
		if (stream.length < whole) {
			assert_true(decode(decoder, STREAM_MAX, &result) <= 8);
			assert_false(backup_decoder_is_whole(decoder));
		}
		if (stream.length < 1 + whole / 500) {
			break;
		}
	}
	backup_encoder_free(&encoder);
	backup_decoder_free(&decoder);
}

/* What comes out before the end may be wrong; what is whole is right. */
static bool is_right_when_whole(struct backup_decoder *decoder)
{
	static uint8_t expected[PAYLOAD_BYTES];
	unsigned count = 0;
	bool is_right = true;
	const uint8_t *payload;
	size_t length;
	const char *reason;
	backup_decoder_begin(decoder);
	backup_decoder_give(decoder, stream.bytes, stream.length);
	while (backup_decoder_read(decoder, &payload, &length, &reason) == DECODE_OK) {
		fill(expected, length_of(count), count);
		is_right = is_right && length == length_of(count) &&
			   memcmp(payload, expected, length) == 0;
		count++;
	}
	return !backup_decoder_is_whole(decoder) || (is_right && count == 3);
}

static void test_backup_stream__finds_a_flipped_bit(void **state)
{
	(void)state;
	struct backup_encoder *encoder = backup_encoder_new(take, &stream);
	struct backup_decoder *decoder = backup_decoder_new();
	encode(encoder, 3, true);
	for (size_t bit = 0; bit < stream.length * 8; bit += 1 + bit / 64) {
		stream.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(is_right_when_whole(decoder));
		stream.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	backup_encoder_free(&encoder);
	backup_decoder_free(&decoder);
}

static void test_backup_stream__zeros_come_out_piece_by_piece(void **state)
{
	(void)state;
	static uint8_t payload[BACKUP_PAYLOAD_MAX];
	struct backup_encoder *encoder = backup_encoder_new(take, &stream);
	struct backup_decoder *decoder = backup_decoder_new();
	backup_encoder_begin(encoder);
	stream.length = 0;
	for (int i = 0; i < 16; i++) {
		backup_encoder_write(encoder, payload, sizeof(payload));
	}
	backup_encoder_end(encoder);
	assert_true(stream.length < 16384);
	backup_decoder_begin(decoder);
	backup_decoder_give(decoder, stream.bytes, stream.length);
	const uint8_t *got;
	size_t length;
	const char *reason;
	for (int i = 0; i < 16; i++) {
		assert_int_equal(backup_decoder_read(decoder, &got, &length, &reason), DECODE_OK);
		assert_int_equal(length, sizeof(payload));
	}
	assert_int_equal(backup_decoder_read(decoder, &got, &length, &reason), DECODE_MORE);
	assert_true(backup_decoder_is_whole(decoder));
	backup_encoder_free(&encoder);
	backup_decoder_free(&decoder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backup_stream__gives_back_every_payload),
		cmocka_unit_test(test_backup_stream__is_never_whole_when_cut),
		cmocka_unit_test(test_backup_stream__finds_a_flipped_bit),
		cmocka_unit_test(test_backup_stream__zeros_come_out_piece_by_piece),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
