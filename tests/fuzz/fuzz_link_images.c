/*
 * Images that refer to earlier ones. The first byte says what the input is: changes to pages, whose
 * images are encoded, decoded and compared; changes to the columns of a batch that is right, which
 * are packed and decoded; changes to such a batch itself; or what pglz is to read.
 */
#include "fuzz.h"

#include "link_wal.h"
#include "protocol/link_batch.h"
#include "protocol/link_pack.h"
#include "protocol/pglz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define START         ((lsn_t)3 << 20)
#define SEGMENT_BYTES (1u << 20)
#define PAST_BYTES    (384u * 1024)
#define BATCH_BYTES   (32u * 1024)
#define IMAGES_MAX    5u

/* WAL that is held, the batch that comes after it, and what is in that. */
struct base {
	struct link_wal *wal;
	lsn_t end_lsn; /* of what is held */
	struct link_batch_header header;
	uint8_t *batch;
	size_t batch_length;
	uint8_t *coded;
	size_t coded_length;
};

static struct base bases[4];
#define BASES (sizeof(bases) / sizeof(bases[0]))

static struct link_wal *held;        /* the base's that is in use */
static struct link_encoder *encoder; /* has seen what the first base holds */
static struct link_decoder *decoder;
static struct link_packer *packer;

static size_t read_held(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	(void)context;
	struct link_source source = link_wal_source(held);

	return source.read(source.context, lsn, length, bytes_out);
}

static struct link_encoder *new_encoder(void)
{
	struct link_encoder_options options = {.segment_bytes = SEGMENT_BYTES,
		.level = 1,
		.reach_bytes = SEGMENT_BYTES,
		.index_bytes = 1u << 16,
		.recompress = link_recompress_usable(link_recompress_versions()),
		.earlier = {.read = read_held}};
	struct link_encoder *made = link_encoder_new(&options);

	assert(made != NULL);
	return made;
}

static void note_past(struct link_encoder *to, const struct base *base)
{
	size_t length = (size_t)(base->end_lsn - START);

	for (size_t at = 0, count; at < length; at += count) {
		count = length - at < BATCH_BYTES ? length - at : BATCH_BYTES;
		link_encoder_note(to, START + at, base->wal->bytes + at, count);
	}
}

static void unpack(struct base *base)
{
	struct link_unpacker *unpacker = link_unpacker_new();
	bool ok;

	base->coded = malloc(LINK_CODED_MAX);
	assert(unpacker != NULL && base->coded != NULL);
	link_unpacker_begin(unpacker);
	ok = link_batch_header_get(&base->header, base->batch) == NULL &&
	     link_unpacker_get(unpacker, base->batch + LINK_BATCH_HEADER_BYTES,
		     base->batch_length - LINK_BATCH_HEADER_BYTES, base->coded, LINK_CODED_MAX,
		     &base->coded_length);
	assert(ok);
	link_unpacker_free(&unpacker);
}

static void make_base(struct base *base, uint64_t number)
{
	static const uint16_t magics[] = {0xD110, 0xD113, 0xD116, 0xD118};
	struct link_encoder *own;
	struct link_batch_stats stats;
	const uint8_t *batch;

	base->wal = link_wal_new(START, SEGMENT_BYTES, SEGMENT_BYTES, number + 1);
	base->wal->magic = magics[number % 4];
	base->wal->compresses = number % 2 == 0;
	held = base->wal;
	link_wal_fill(base->wal, PAST_BYTES);
	base->end_lsn = link_wal_end(base->wal);
	own = new_encoder();
	note_past(own, base);
	link_wal_fill(base->wal, base->wal->length + BATCH_BYTES);
	bool ok =
		link_encoder_encode(own, base->end_lsn, base->wal->bytes + (base->end_lsn - START),
			BATCH_BYTES, &batch, &base->batch_length, &stats);
	assert(ok && stats.images_referred > 0);
	base->batch = malloc(base->batch_length);
	assert(base->batch != NULL);
	memcpy(base->batch, batch, base->batch_length);
	base->wal->held_to = (size_t)(base->end_lsn - START);
	unpack(base);
	link_encoder_free(&own);
}

static void set_up(void)
{
	const struct link_source source = {.read = read_held};

	for (size_t i = 0; i < BASES; i++) {
		make_base(&bases[i], i);
	}
	held = bases[0].wal;
	encoder = new_encoder();
	note_past(encoder, &bases[0]);
	decoder = link_decoder_new(SEGMENT_BYTES, &source);
	packer = link_packer_new();
	assert(decoder != NULL && packer != NULL);
}

static void decode_any(const uint8_t *batch, size_t length)
{
	uint8_t *exact = malloc(length);
	struct link_decoded decoded;

	assert(exact != NULL);
	memcpy(exact, batch, length);
	if (link_decoder_decode(decoder, exact, length, &decoded) != LINK_OK) {
		assert(decoded.reason != NULL && decoded.raw == NULL);
	}
	free(exact);
}

/* Four bytes each: where, and what is added there. */
static void edit(uint8_t *out, size_t out_length, const uint8_t *bytes, size_t length)
{
	for (; length >= 4; bytes += 4, length -= 4) {
		uint32_t at = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];

		out[at % out_length] = (uint8_t)(out[at % out_length] + bytes[3]);
	}
}

static void decode_edited_batch(const struct base *base, const uint8_t *bytes, size_t length)
{
	uint8_t *batch = malloc(base->batch_length);

	assert(batch != NULL);
	memcpy(batch, base->batch, base->batch_length);
	edit(batch, base->batch_length, bytes, length);
	decode_any(batch, base->batch_length);
	free(batch);
}

static void decode_edited_columns(const struct base *base, const uint8_t *bytes, size_t length)
{
	uint8_t *coded = malloc(base->coded_length);
	size_t room = LINK_BATCH_HEADER_BYTES + link_pack_bound(base->coded_length), count;
	uint8_t *batch = malloc(room);
	struct link_columns columns;

	assert(coded != NULL && batch != NULL && link_packer_begin(packer, 1));
	memcpy(coded, base->coded, base->coded_length);
	edit(coded, base->coded_length, bytes, length);
	if (link_columns_split(&columns, coded, base->coded_length)) {
		link_batch_header_put(&base->header, batch);
		if (link_packer_put(packer, &columns, batch + LINK_BATCH_HEADER_BYTES,
			    room - LINK_BATCH_HEADER_BYTES, &count)) {
			decode_any(batch, LINK_BATCH_HEADER_BYTES + count);
		}
	}
	free(batch);
	free(coded);
}

/* Five bytes each: which page, where, how much, what of. */
static void add_images(struct link_wal *wal, const uint8_t *bytes, size_t length)
{
	for (unsigned i = 0; length >= 5 && i < IMAGES_MAX; i++, bytes += 5, length -= 5) {
		uint32_t number = bytes[0] % LINK_WAL_PAGES;
		size_t at = ((size_t)bytes[1] << 8 | bytes[2]) % WAL_PAGE_BYTES;
		size_t count = bytes[3] * 16u, room = WAL_PAGE_BYTES - at;
		uint8_t *page = wal->pages[number];

		if (bytes[4] < 128) {
			memset(page + at, bytes[4], count < room ? count : room);
		} else {
			memmove(page + at, page + at / 2, count < room ? count : room);
		}
		link_wal_add_image(wal, number);
	}
}

static void there_and_back(const uint8_t *bytes, size_t length)
{
	static struct link_wal before;
	struct base *base = &bases[0];
	struct link_wal *wal = base->wal;
	struct link_batch_stats stats;
	struct link_decoded decoded;
	const uint8_t *batch;
	size_t batch_length, at = (size_t)(base->end_lsn - START);
	bool ok;

	before = *wal;
	wal->length = at;
	add_images(wal, bytes, length);
	link_encoder_purge(encoder, base->end_lsn);
	while (at < wal->length) {
		size_t count = wal->length - at;
		size_t limit = (size_t)(link_batch_limit(START + at) - (START + at));

		count = count < limit ? count : limit;
		wal->held_to = at;
		ok = link_encoder_encode(
			encoder, START + at, wal->bytes + at, count, &batch, &batch_length, &stats);
		assert(ok);
		ok = link_decoder_decode(decoder, batch, batch_length, &decoded) == LINK_OK &&
		     decoded.length == count && memcmp(decoded.raw, wal->bytes + at, count) == 0;
		assert(ok);
		at += count;
	}
	*wal = before;
}

static void read_pglz(const uint8_t *bytes, size_t length)
{
	static struct pglz_finder finder;
	size_t made = length < 2 ? 0 : ((size_t)bytes[0] << 8 | bytes[1]) % (WAL_PAGE_BYTES + 1);
	uint8_t *out = malloc(made + 1), *stored = malloc(length + 1);
	size_t given = length < PGLZ_INPUT_MAX ? length : PGLZ_INPUT_MAX, count;

	assert(out != NULL && stored != NULL);
	if (length > 2) {
		(void)pglz_decompress(bytes + 2, length - 2, out, made);
	}
	count = pglz_compress(&finder, bytes, given, stored, length);
	if (count > 0) {
		uint8_t *again = malloc(given);
		bool ok = again != NULL && pglz_decompress(stored, count, again, given) &&
			  memcmp(again, bytes, given) == 0;

		assert(ok);
		free(again);
	}
	free(stored);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	const struct base *base;

	if (length < 2) {
		return 0;
	}
	if (decoder == NULL) {
		set_up();
	}
	base = &bases[bytes[1] % BASES];
	held = base->wal;
	switch (bytes[0] % 4) {
	case 0: decode_edited_columns(base, bytes + 2, length - 2); break;
	case 1:
		held = bases[0].wal;
		there_and_back(bytes + 2, length - 2);
		break;
	case 2: decode_edited_batch(base, bytes + 2, length - 2); break;
	default: read_pglz(bytes + 2, length - 2); break;
	}
	return 0;
}
