/*
 * codec_contenders: the link's codec, and what it is measured against.
 */
#include "codec_bench.h"

#include "protocol/link_scan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* --- batches -----------------------------------------------------------------------------------
 */

struct finding {
	struct corpus *corpus;
	size_t capacity;
};

static void on_item(void *context, const struct link_scan *scan, const struct link_item *item)
{
	struct finding *finding = context;
	struct corpus *corpus = finding->corpus;
	const struct wal_record_head *head = &scan->position->head;

	if (item->kind != LINK_ITEM_RECORD || !item->is_at_end || head->rmgr != 1) {
		return;
	}
	if (corpus->commit_count == finding->capacity) {
		finding->capacity = finding->capacity == 0 ? 1024 : 2 * finding->capacity;
		corpus->commits =
			realloc(corpus->commits, finding->capacity * sizeof(*corpus->commits));
		assert(corpus->commits != NULL);
	}
	corpus->commits[corpus->commit_count++] =
		(size_t)(link_scan_lsn(scan) + (8 - item->length % 8) % 8 - corpus->start);
}

void corpus_find_commits(struct corpus *corpus)
{
	static struct link_position position;
	static struct link_pages pages;
	static uint8_t room[LINK_FRAME_BYTES];
	struct finding finding = {.corpus = corpus};

	link_position_init(&position, corpus->start, corpus->segment_bytes);
	for (size_t at = 0; at < corpus->length; at += LINK_FRAME_BYTES) {
		link_position_follow(&position, corpus->bytes + at, LINK_FRAME_BYTES, &pages, room,
			on_item, &finding);
	}
}

static size_t next_commit(const struct corpus *corpus, size_t at)
{
	size_t low = 0, high = corpus->commit_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (corpus->commits[middle] <= at) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low == corpus->commit_count ? SIZE_MAX : corpus->commits[low] - at;
}

size_t corpus_piece(const struct bench *bench, size_t at, size_t room)
{
	size_t piece = bench->settings.batch_bytes;

	if (bench->corpus.commits != NULL) {
		size_t commit = next_commit(&bench->corpus, at);

		piece = piece < commit ? piece : commit;
	}
	return piece < room ? piece : room;
}

/* --- the link's codec ------------------------------------------------------------------------ */

struct link_end {
	struct bench *bench;
	struct link_encoder *encoder;
	struct link_decoder *decoder;
	struct link_batch_stats stats; /* of the last batch */
};

static size_t read_corpus(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	struct corpus *corpus = context;

	if (lsn < corpus->start || lsn >= corpus->start + corpus->held) {
		return 0;
	}
	*bytes_out = corpus->bytes + (lsn - corpus->start);
	return length < corpus->start + corpus->held - lsn ? length
							   : corpus->start + corpus->held - lsn;
}

static void *link_end_new(struct bench *bench, const struct contender *contender, bool encodes)
{
	const struct settings *settings = &bench->settings;
	struct link_source source = {.read = read_corpus, .context = &bench->corpus};
	struct link_end *end = calloc(1, sizeof(*end));
	bool leaves = settings->leaves_compressed || contender->leaves_compressed;

	assert(end != NULL);
	end->bench = bench;
	if (encodes) {
		struct link_encoder_options options = {.segment_bytes = bench->corpus.segment_bytes,
			.level = settings->level,
			.reach_bytes = settings->reach,
			.index_bytes = settings->index_bytes,
			.recompress =
				leaves ? 0 : link_recompress_usable(link_recompress_versions()),
			.ends_at_records = !settings->cuts_anywhere,
			.earlier = source};

		end->encoder = link_encoder_new(&options);
	} else {
		end->decoder = link_decoder_new(bench->corpus.segment_bytes, &source);
	}
	assert(end->encoder != NULL || end->decoder != NULL);
	return end;
}

static void *link_encoder_end_new(struct bench *bench, const struct contender *contender)
{
	return link_end_new(bench, contender, true);
}

static void *link_decoder_end_new(struct bench *bench, const struct contender *contender)
{
	return link_end_new(bench, contender, false);
}

/* The tail of a switched segment need not be cut: it is nothing but zeros. */
static size_t batch_at(const struct corpus *corpus, size_t at, size_t batch_bytes)
{
	lsn_t lsn = corpus->start + at;
	size_t limit = (size_t)(link_batch_limit(lsn) - lsn);
	const uint8_t *bytes = corpus->bytes + at;

	if (bytes[0] == 0 && memcmp(bytes, bytes + 1, limit - 1) == 0) {
		return limit;
	}
	return batch_bytes < limit ? batch_bytes : limit;
}

static size_t link_encode(
	void *context, size_t at, size_t room, const uint8_t **wire_out, size_t *wire_length_out)
{
	struct link_end *end = context;
	struct corpus *corpus = &end->bench->corpus;
	size_t length = batch_at(corpus, at, corpus_piece(end->bench, at, room));

	length = length < room ? length : room;
	corpus->held = at;
	/* end->stats says how much was taken. */
	if (!link_encoder_encode(end->encoder, corpus->start + at, corpus->bytes + at, length,
		    wire_out, wire_length_out, &end->stats)) {
		fprintf(stderr, "encoding at %zu: out of memory\n", at);
		exit(1);
	}
	return end->stats.raw_bytes;
}

static const uint8_t *link_decode(
	void *context, size_t at, size_t length, const uint8_t *wire, size_t wire_length)
{
	struct link_end *end = context;
	struct link_decoded decoded;

	end->bench->corpus.held = at;
	if (link_decoder_decode(end->decoder, wire, wire_length, &decoded) != LINK_OK ||
		decoded.length != length) {
		fprintf(stderr, "batch at %zu: %s\n", at, decoded.reason);
		exit(1);
	}
	return decoded.raw;
}

static void link_add_kinds(void *context, struct kinds *kinds)
{
	const struct link_end *end = context;

	kinds->images_referred += end->stats.images_referred;
	kinds->images_new += end->stats.images_new;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		kinds->raw[kind] += end->stats.raw[kind];
		kinds->sent[kind] += end->stats.sent[kind];
	}
}

#define LINK_CONTENDER                                                                             \
	.encoder_new = link_encoder_end_new, .encode = link_encode,                                \
	.decoder_new = link_decoder_end_new, .decode = link_decode, .add_kinds = link_add_kinds

const struct contender contender_link = {.name = "walrelay", LINK_CONTENDER};
const struct contender contender_link_left = {
	.name = "walrelay, compressed images left", .leaves_compressed = true, LINK_CONTENDER};

/* --- one stream ------------------------------------------------------------------------------ */

struct stream {
	struct bench *bench;
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	z_stream zlib;
	size_t capacity;
	uint8_t *out;
};

static struct stream *stream_new(struct bench *bench)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	assert(stream != NULL);
	stream->bench = bench;
	stream->capacity = ZSTD_compressBound(bench->settings.batch_bytes) + 4096;
	stream->out = malloc(stream->capacity);
	assert(stream->out != NULL);
	return stream;
}

static void must(size_t result)
{
	if (ZSTD_isError(result)) {
		fprintf(stderr, "zstd: %s\n", ZSTD_getErrorName(result));
		exit(1);
	}
}

static void *zstd_encoder(struct bench *bench, int window_log, bool is_long)
{
	struct stream *stream = stream_new(bench);

	stream->compress = ZSTD_createCCtx();
	assert(stream->compress != NULL);
	must(ZSTD_CCtx_setParameter(stream->compress, ZSTD_c_compressionLevel, 3));
	must(ZSTD_CCtx_setParameter(stream->compress, ZSTD_c_windowLog, window_log));
	must(ZSTD_CCtx_setParameter(stream->compress, ZSTD_c_enableLongDistanceMatching, is_long));
	return stream;
}

static void *zstd_encoder_new(struct bench *bench, const struct contender *contender)
{
	(void)contender;
	return zstd_encoder(bench, 24, false);
}

static void *zstd_long_encoder_new(struct bench *bench, const struct contender *contender)
{
	(void)contender;
	return zstd_encoder(bench, 30, true);
}

static size_t zstd_encode(
	void *context, size_t at, size_t room, const uint8_t **wire_out, size_t *wire_length_out)
{
	struct stream *stream = context;
	size_t left, length = corpus_piece(stream->bench, at, room);
	ZSTD_inBuffer in = {.src = stream->bench->corpus.bytes + at, .size = length};
	ZSTD_outBuffer out = {.dst = stream->out, .size = stream->capacity};

	do {
		left = ZSTD_compressStream2(stream->compress, &out, &in, ZSTD_e_flush);
		must(left);
		assert(left == 0 || out.pos < out.size);
	} while (left != 0);
	*wire_out = stream->out;
	*wire_length_out = out.pos;
	return length;
}

static void *zstd_decoder_new(struct bench *bench, const struct contender *contender)
{
	struct stream *stream = stream_new(bench);

	(void)contender;
	stream->decompress = ZSTD_createDCtx();
	assert(stream->decompress != NULL);
	must(ZSTD_DCtx_setParameter(stream->decompress, ZSTD_d_windowLogMax, 30));
	return stream;
}

static const uint8_t *zstd_decode(
	void *context, size_t at, size_t length, const uint8_t *wire, size_t wire_length)
{
	struct stream *stream = context;
	ZSTD_inBuffer in = {.src = wire, .size = wire_length};
	ZSTD_outBuffer out = {.dst = stream->out, .size = stream->capacity};

	(void)at;
	while (in.pos < in.size || out.pos < length) {
		must(ZSTD_decompressStream(stream->decompress, &out, &in));
	}
	return stream->out;
}

const struct contender contender_zstd = {.name = "(b) zstd -3, 16 MB window",
	.encoder_new = zstd_encoder_new,
	.encode = zstd_encode,
	.decoder_new = zstd_decoder_new,
	.decode = zstd_decode};
const struct contender contender_zstd_long = {.name = "(c) zstd -3, 1 GB window, long",
	.encoder_new = zstd_long_encoder_new,
	.encode = zstd_encode,
	.decoder_new = zstd_decoder_new,
	.decode = zstd_decode};

/* --- as ssh -C does it: bench/ssh_c shows how near this is ------------------------------------ */

/* zlib's level 6, flushed after each packet; OpenSSH 9.2, packet.c. */
static void *ssh_encoder_new(struct bench *bench, const struct contender *contender)
{
	struct stream *stream = stream_new(bench);

	(void)contender;
	assert(deflateInit(&stream->zlib, 6) == Z_OK);
	return stream;
}

static size_t ssh_encode(
	void *context, size_t at, size_t room, const uint8_t **wire_out, size_t *wire_length_out)
{
	struct stream *stream = context;
	size_t length = corpus_piece(stream->bench, at, room);

	stream->zlib.next_in = (Bytef *)(uintptr_t)(stream->bench->corpus.bytes + at);
	stream->zlib.avail_in = (uInt)length;
	stream->zlib.next_out = stream->out;
	stream->zlib.avail_out = (uInt)stream->capacity;
	assert(deflate(&stream->zlib, Z_PARTIAL_FLUSH) == Z_OK && stream->zlib.avail_out > 0);
	*wire_out = stream->out;
	*wire_length_out = stream->capacity - stream->zlib.avail_out;
	return length;
}

static void *ssh_decoder_new(struct bench *bench, const struct contender *contender)
{
	struct stream *stream = stream_new(bench);

	(void)contender;
	assert(inflateInit(&stream->zlib) == Z_OK);
	return stream;
}

static const uint8_t *ssh_decode(
	void *context, size_t at, size_t length, const uint8_t *wire, size_t wire_length)
{
	struct stream *stream = context;

	(void)at;
	stream->zlib.next_in = (Bytef *)(uintptr_t)wire;
	stream->zlib.avail_in = (uInt)wire_length;
	stream->zlib.next_out = stream->out;
	stream->zlib.avail_out = (uInt)stream->capacity;
	assert(inflate(&stream->zlib, Z_PARTIAL_FLUSH) == Z_OK);
	assert(stream->capacity - stream->zlib.avail_out == length);
	return stream->out;
}

/* RFC 4253, 6: packet length, padding length, padding to 8 bytes (4 at least); the tag of
 * chacha20-poly1305; and of each two MB a packet back that opens the window (RFC 4254, 5.2). */
static size_t ssh_overhead(size_t wire_length)
{
	size_t padded = (1 + wire_length + 4 + 7) / 8 * 8;

	return 4 + padded + 16 - wire_length;
}

const struct contender contender_ssh = {.name = "(a) as ssh -C, zlib 6",
	.encoder_new = ssh_encoder_new,
	.encode = ssh_encode,
	.decoder_new = ssh_decoder_new,
	.decode = ssh_decode,
	.overhead = ssh_overhead};
