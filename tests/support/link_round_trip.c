/*
 * link_round_trip SEED START END FILE...: real WAL through the codec of the link and back.
 *
 * FILEs are segments in a row, the first beginning at START; what lies before END (both decimal)
 * is encoded in batches cut at random and decoded by three receivers: one that holds everything,
 * one that holds little, one that joins now and then. Now and then the encoder begins anew. Exits 1
 * at the first byte that differs, or batch that whoever holds everything cannot read. Prints what
 * was made of it, as JSON.
 */
#include "protocol/link_codec.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REACH     ((uint64_t)1 << 30)
#define BATCH_MAX (128u << 10)

struct wal {
	uint8_t *bytes;
	lsn_t start;
	size_t length;
	uint32_t segment_bytes;
};

struct receiver {
	const struct wal *wal;
	size_t held_from, held_to;
	struct link_decoder *decoder;
	uint64_t right;
};

struct totals {
	uint64_t batches, plain, referred, raw, sent, left;
};

static uint64_t random_state;

static size_t random_below(size_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (size_t)(random_state >> 33) % below;
}

static size_t read_held(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	struct receiver *receiver = context;
	lsn_t start = receiver->wal->start, end = start + receiver->held_to;

	if (lsn < start + receiver->held_from || lsn >= end) {
		return 0;
	}
	*bytes_out = receiver->wal->bytes + (lsn - start);
	return length < end - lsn ? length : end - lsn;
}

static void load(struct wal *wal, lsn_t start, lsn_t end, char **paths, int count)
{
	wal->start = start;
	for (int i = 0; i < count; i++) {
		int file = open(paths[i], O_RDONLY);
		struct stat status;

		assert(file >= 0 && fstat(file, &status) == 0);
		wal->segment_bytes = (uint32_t)status.st_size;
		wal->bytes = realloc(wal->bytes, wal->length + wal->segment_bytes);
		assert(wal->bytes != NULL);
		assert(read(file, wal->bytes + wal->length, wal->segment_bytes) ==
			(ssize_t)wal->segment_bytes);
		wal->length += wal->segment_bytes;
		close(file);
	}
	wal->length = end - start < wal->length ? (size_t)(end - start) : wal->length;
}

static void restart_encoder(struct link_encoder **encoder, struct receiver *source, size_t at)
{
	struct link_encoder_options options = {.segment_bytes = source->wal->segment_bytes,
		.level = 3,
		.reach_bytes = REACH,
		.index_bytes = 1 << 20,
		.recompress = link_recompress_usable(link_recompress_versions()),
		.ends_at_records = random_below(2) == 0,
		.earlier = {.read = read_held, .context = source}};
	size_t from = at - random_below(at < 8u << 20 ? at + 1 : 8u << 20);

	link_encoder_free(encoder);
	*encoder = link_encoder_new(&options);
	assert(*encoder != NULL);
	link_encoder_note(
		*encoder, source->wal->start + from, source->wal->bytes + from, at - from);
}

static void restart_decoder(struct receiver *receiver, const struct wal *wal)
{
	struct link_source source = {.read = read_held, .context = receiver};

	receiver->wal = wal;
	link_decoder_free(&receiver->decoder);
	receiver->decoder = link_decoder_new(wal->segment_bytes, &source);
	assert(receiver->decoder != NULL);
}

static bool receive(struct receiver *receiver, size_t at, size_t length, const uint8_t *batch,
	size_t batch_length, bool may_lack)
{
	const struct wal *wal = receiver->wal;
	struct link_decoded decoded;
	enum link_result result;

	receiver->held_to = at;
	result = link_decoder_decode(receiver->decoder, batch, batch_length, &decoded);
	receiver->right += result == LINK_OK;
	if (result == LINK_OK) {
		if (decoded.start == wal->start + at && decoded.length == length &&
			memcmp(decoded.raw, wal->bytes + at, length) == 0) {
			return true;
		}
		decoded.reason = "bytes differ";
	} else if (result == LINK_NEED_PLAIN && may_lack) {
		return true;
	}
	fprintf(stderr, "batch of %zu bytes at %" PRIu64 ": %s\n", length, wal->start + at,
		decoded.reason);
	return false;
}

static void add(struct totals *totals, const struct link_batch_stats *stats)
{
	totals->batches++;
	totals->plain += stats->raw[LINK_KIND_PLAIN] != 0;
	totals->referred += stats->images_referred;
	totals->raw += stats->raw_bytes;
	totals->sent += stats->batch_bytes;
	totals->left += stats->raw[LINK_KIND_IMAGE_COMPRESSED];
}

static bool run(const struct wal *wal, struct receiver receivers[3], struct totals *totals)
{
	struct receiver source = {.wal = wal};
	struct link_encoder *encoder = NULL;

	for (size_t at = 0, length; at < wal->length; at += length) {
		size_t limit = (size_t)(link_batch_limit(wal->start + at) - wal->start) - at;
		struct link_batch_stats stats;
		const uint8_t *batch;
		size_t batch_length;

		length = 1 + random_below(random_below(10) == 0 ? 100 : BATCH_MAX);
		length = length < limit ? length : limit;
		length = length < wal->length - at ? length : wal->length - at;
		source.held_to = at;
		if (at == 0 || random_below(200) == 0) {
			restart_encoder(&encoder, &source, at);
		}
		assert(link_encoder_encode(encoder, wal->start + at, wal->bytes + at, length,
			&batch, &batch_length, &stats));
		length = stats.raw_bytes;
		add(totals, &stats);
		receivers[1].held_from = at > 300000 ? at - 300000 : 0;
		if (random_below(30) == 0) {
			restart_decoder(&receivers[2], wal);
		}
		for (int i = 0; i < 3; i++) {
			if (!receive(&receivers[i], at, length, batch, batch_length, i > 0)) {
				return false;
			}
		}
	}
	link_encoder_free(&encoder);
	return true;
}

int main(int argc, char **argv)
{
	struct receiver receivers[3] = {0};
	struct totals totals = {0};
	struct wal wal = {0};

	if (argc < 5) {
		fprintf(stderr, "usage: link_round_trip SEED START END FILE...\n");
		return 2;
	}
	random_state = strtoull(argv[1], NULL, 10) * 2 + 1;
	load(&wal, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10), argv + 4, argc - 4);
	for (int i = 0; i < 3; i++) {
		restart_decoder(&receivers[i], &wal);
	}
	if (!run(&wal, receivers, &totals)) {
		return 1;
	}
	printf("{\"batches\": %" PRIu64 ", \"plain\": %" PRIu64 ", \"referred\": %" PRIu64
	       ", \"raw\": %" PRIu64 ", \"sent\": %" PRIu64 ", \"left_compressed\": %" PRIu64
	       ", \"right\": [%" PRIu64 ", %" PRIu64 ", %" PRIu64 "]}\n",
		totals.batches, totals.plain, totals.referred, totals.raw, totals.sent, totals.left,
		receivers[0].right, receivers[1].right, receivers[2].right);
	for (int i = 0; i < 3; i++) {
		link_decoder_free(&receivers[i].decoder);
	}
	free(wal.bytes);
	return 0;
}
