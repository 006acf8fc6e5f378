/*
 * Both ends of a link. The first byte says what the rest is: a batch for a decoder; the columns of
 * one, which are packed first; or WAL, which is cut, encoded, decoded and compared.
 */
#include "fuzz.h"

#include "protocol/link_batch.h"
#include "protocol/link_pack.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define START         ((lsn_t)3 << 20)
#define SEGMENT_BYTES (1u << 20)

/* Earlier WAL: the input over and over, with page headers nowhere. */
struct past {
	const uint8_t *bytes;
	size_t length;
};

static size_t read_past(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	struct past *past = context;
	size_t at = past->length == 0 ? 0 : (size_t)(lsn % past->length);

	if (past->length == 0 || lsn < START - SEGMENT_BYTES) {
		return 0;
	}
	*bytes_out = past->bytes + at;
	return length < past->length - at ? length : past->length - at;
}

/* Kept from input to input: a frame that begins resets them, and making them takes longer than
 * using them. */
static struct link_encoder *encoder;
static struct link_decoder *decoder;
static struct link_packer *packer;
static struct past past;

static void set_up(void)
{
	struct link_encoder_options options = {.segment_bytes = SEGMENT_BYTES,
		.level = 1,
		.reach_bytes = SEGMENT_BYTES,
		.index_bytes = 4096,
		.recompress = link_recompress_usable(link_recompress_versions()),
		.earlier = {.read = read_past, .context = &past}};

	encoder = link_encoder_new(&options);
	decoder = link_decoder_new(SEGMENT_BYTES, &options.earlier);
	packer = link_packer_new();
	assert(encoder != NULL && decoder != NULL && packer != NULL);
}

static void decode_any(const uint8_t *bytes, size_t length)
{
	struct link_decoded decoded;

	if (link_decoder_decode(decoder, bytes, length, &decoded) == LINK_OK) {
		assert(decoded.length > 0 && decoded.length <= LINK_FRAME_BYTES);
	} else {
		assert(decoded.reason != NULL && decoded.raw == NULL);
	}
}

/* The columns one after the other, each with its length before it. */
static void decode_content(const uint8_t *bytes, size_t length)
{
	struct link_batch_header header = {.version = LINK_VERSION,
		.flags = LINK_BATCH_BEGINS_FRAME,
		.start = START,
		.length = length < 2 ? 1 : 1u + (bytes[0] | (uint32_t)bytes[1] << 8)};
	static struct link_columns columns;
	size_t at = 2, room = LINK_BATCH_HEADER_BYTES + link_pack_bound(length);
	uint8_t *batch = malloc(room);
	size_t count;

	assert(batch != NULL && link_packer_begin(packer, 1));
	link_columns_reset(&columns);
	for (int i = 0; i < LINK_COLUMN_COUNT && at < length; i++) {
		size_t left = length - at - 1;

		count = bytes[at] < left ? bytes[at] : left;
		link_put_bytes(&columns, (enum link_column)i, bytes + at + 1, count);
		at += 1 + count;
	}
	link_batch_header_put(&header, batch);
	if (link_packer_put(packer, &columns, batch + LINK_BATCH_HEADER_BYTES,
		    room - LINK_BATCH_HEADER_BYTES, &count)) {
		decode_any(batch, LINK_BATCH_HEADER_BYTES + count);
	}
	free(batch);
}

static void there_and_back(const uint8_t *bytes, size_t length)
{
	size_t piece = length == 0 ? 1 : 1 + (size_t)bytes[0] * 16;

	link_encoder_purge(encoder, 0);
	for (size_t at = 0, count; at < length && at < SEGMENT_BYTES; at += count) {
		struct link_batch_stats stats;
		struct link_decoded decoded;
		const uint8_t *batch;
		size_t batch_length;

		count = piece < length - at ? piece : length - at;
		count = count < SEGMENT_BYTES - at ? count : SEGMENT_BYTES - at;
		assert(link_encoder_encode(
			encoder, START + at, bytes + at, count, &batch, &batch_length, &stats));
		assert(link_decoder_decode(decoder, batch, batch_length, &decoded) == LINK_OK);
		assert(decoded.length == count && memcmp(decoded.raw, bytes + at, count) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length == 0) {
		return 0;
	}
	if (encoder == NULL) {
		set_up();
	}
	past = (struct past){bytes + 1, length - 1};
	switch (bytes[0] % 3) {
	case 0: decode_any(bytes + 1, length - 1); break;
	case 1: decode_content(bytes + 1, length - 1); break;
	default: there_and_back(bytes + 1, length - 1); break;
	}
	return 0;
}
