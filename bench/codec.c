/*
 * codec DIRECTORY: what the link's codec makes of the WAL segments in DIRECTORY.
 *
 * Encodes and decodes them batch by batch, comparing every byte, and in the same run compresses the
 * same batches as one plain zstd stream (the yardstick: level 3, 16 MB window, flushed each batch).
 * Options: -b bytes of a batch (32768), -c leave images that PostgreSQL compressed, -l level (3),
 * -r reach in MB (1024), -w fraction of the WAL that only warms up (0.667). Prints one line, or
 * with -v also what the bytes were.
 */
#include "protocol/link_codec.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

struct corpus {
	const uint8_t *bytes; /* all segments in a row */
	lsn_t start;
	size_t length;
	uint32_t segment_bytes;
	size_t held; /* what may be read as earlier WAL */
};

struct totals {
	uint64_t raw, wire, yardstick;
	double encode, decode, compress;
	uint64_t by_kind[LINK_KIND_COUNT], sent[LINK_KIND_COUNT];
	uint64_t images_referred, images_new;
};

struct settings {
	size_t batch_bytes;
	int level;
	uint64_t reach;
	double warm;
	bool is_verbose;
	bool leaves_compressed;
};

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

static int is_segment(const struct dirent *entry)
{
	return strlen(entry->d_name) == 24 && strspn(entry->d_name, "0123456789ABCDEF") == 24;
}

static lsn_t lsn_of_name(const char *name, uint32_t segment_bytes)
{
	char part[9] = {0};
	uint64_t high, low;

	memcpy(part, name + 8, 8);
	high = strtoull(part, NULL, 16);
	memcpy(part, name + 16, 8);
	low = strtoull(part, NULL, 16);
	return (high << 32) + low * segment_bytes;
}

/* Every segment that follows the first without a gap, mapped one behind the other. */
static void open_corpus(const char *directory, struct corpus *corpus)
{
	struct dirent **names;
	int count = scandir(directory, &names, is_segment, by_name);
	uint8_t *base = NULL;

	assert(count > 0);
	memset(corpus, 0, sizeof(*corpus));
	for (int i = 0; i < count; i++) {
		char path[4096];
		struct stat status;
		int file;

		snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
		file = open(path, O_RDONLY);
		assert(file >= 0 && fstat(file, &status) == 0);
		if (i == 0) {
			corpus->segment_bytes = (uint32_t)status.st_size;
			corpus->start = lsn_of_name(names[0]->d_name, corpus->segment_bytes);
			base = mmap(NULL, (size_t)count * corpus->segment_bytes, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			assert(base != MAP_FAILED);
		}
		if (lsn_of_name(names[i]->d_name, corpus->segment_bytes) ==
			corpus->start + corpus->length) {
			assert(mmap(base + corpus->length, corpus->segment_bytes, PROT_READ,
				       MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED);
			corpus->length += corpus->segment_bytes;
		}
		close(file);
		free(names[i]);
	}
	free(names);
	corpus->bytes = base;
}

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

/* The tail of a switched segment need not be cut: it is nothing but zeros. */
static size_t batch_at(const struct corpus *corpus, size_t at, size_t batch_bytes)
{
	lsn_t lsn = corpus->start + at;
	size_t limit = (size_t)(link_batch_limit(lsn) - lsn);
	size_t length = batch_bytes < limit ? batch_bytes : limit;
	const uint8_t *bytes = corpus->bytes + at;

	if (bytes[0] == 0 && memcmp(bytes, bytes + 1, limit - 1) == 0) {
		return limit;
	}
	return length;
}

static size_t plain_flush(
	ZSTD_CCtx *zstd, const uint8_t *bytes, size_t length, uint8_t *out_bytes, size_t capacity)
{
	size_t total = 0, left;
	ZSTD_inBuffer in = {.src = bytes, .size = length};

	do {
		ZSTD_outBuffer out = {.dst = out_bytes, .size = capacity};

		left = ZSTD_compressStream2(zstd, &out, &in, ZSTD_e_flush);
		assert(!ZSTD_isError(left));
		total += out.pos;
	} while (left != 0);
	return total;
}

static void add(struct totals *totals, const struct link_batch_stats *stats)
{
	totals->raw += stats->raw_bytes;
	totals->wire += stats->batch_bytes;
	totals->images_referred += stats->images_referred;
	totals->images_new += stats->images_new;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		totals->by_kind[kind] += stats->raw[kind];
		totals->sent[kind] += stats->sent[kind];
	}
}

static void run_codec(
	struct corpus *corpus, const struct settings *settings, size_t warm, struct totals *totals)
{
	struct link_source source = {.read = read_corpus, .context = corpus};
	struct link_encoder_options options = {.segment_bytes = corpus->segment_bytes,
		.level = settings->level,
		.reach_bytes = settings->reach,
		.index_bytes = (size_t)(settings->reach >> 9),
		.recompress = settings->leaves_compressed
				      ? 0
				      : link_recompress_usable(link_recompress_versions()),
		.earlier = source};
	struct link_encoder *encoder = link_encoder_new(&options);
	struct link_decoder *decoder = link_decoder_new(corpus->segment_bytes, &source);

	assert(encoder != NULL && decoder != NULL);
	for (size_t at = 0, length; at < corpus->length; at += length) {
		struct link_batch_stats stats;
		struct link_decoded decoded;
		const uint8_t *batch;
		size_t batch_length;
		double begin = cpu_seconds(), middle;

		length = batch_at(corpus, at, settings->batch_bytes);
		corpus->held = at;
		assert(link_encoder_encode(encoder, corpus->start + at, corpus->bytes + at, length,
			&batch, &batch_length, &stats));
		middle = cpu_seconds();
		if (link_decoder_decode(decoder, batch, batch_length, &decoded) != LINK_OK) {
			fprintf(stderr, "batch at %zu: %s\n", at, decoded.reason);
			exit(1);
		}
		assert(decoded.length == length &&
			memcmp(decoded.raw, corpus->bytes + at, length) == 0);
		if (at >= warm) {
			totals->encode += middle - begin;
			totals->decode += cpu_seconds() - middle;
			add(totals, &stats);
		}
	}
	link_encoder_free(&encoder);
	link_decoder_free(&decoder);
}

static void run_yardstick(const struct corpus *corpus, const struct settings *settings, size_t warm,
	struct totals *totals)
{
	size_t capacity = ZSTD_compressBound(LINK_FRAME_BYTES) + 64;
	uint8_t *out = malloc(capacity);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	assert(out != NULL && zstd != NULL);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, 3);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, 24);
	for (size_t at = 0, length; at < corpus->length; at += length) {
		double begin = cpu_seconds();
		size_t bytes;

		length = settings->batch_bytes < corpus->length - at ? settings->batch_bytes
								     : corpus->length - at;
		bytes = plain_flush(zstd, corpus->bytes + at, length, out, capacity);
		if (at >= warm) {
			totals->yardstick += bytes;
			totals->compress += cpu_seconds() - begin;
		}
	}
	ZSTD_freeCCtx(zstd);
	free(out);
}

static void print_totals(const char *name, const struct totals *totals, bool is_verbose)
{
	double raw = (double)totals->raw, gb = raw / 1e9;

	printf("%-24s %5.0f MB  ratio %6.2f  plain zstd %6.2f  fraction %.3f  CPU s/GB: encode "
	       "%.2f "
	       "decode %.2f plain zstd %.2f\n",
		name, raw / 1e6, raw / (double)totals->wire, raw / (double)totals->yardstick,
		(double)totals->wire / (double)totals->yardstick, totals->encode / gb,
		totals->decode / gb, totals->compress / gb);
	for (int kind = 0; kind < LINK_KIND_COUNT && is_verbose; kind++) {
		printf("    %-18s %5.1f %% of raw %5.1f %% of sent\n", link_kind_name(kind),
			100.0 * (double)totals->by_kind[kind] / raw,
			100.0 * (double)totals->sent[kind] / (double)totals->wire);
	}
	if (is_verbose) {
		printf("    images: %llu referred, %llu new\n",
			(unsigned long long)totals->images_referred,
			(unsigned long long)totals->images_new);
	}
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.batch_bytes = 32768, .level = 3, .reach = (uint64_t)1 << 30, .warm = 2.0 / 3};
	struct totals totals = {0};
	struct corpus corpus;
	size_t warm;
	int option;

	while ((option = getopt(argc, argv, "b:cl:r:w:v")) != -1) {
		switch (option) {
		case 'b': settings.batch_bytes = strtoul(optarg, NULL, 10); break;
		case 'c': settings.leaves_compressed = true; break;
		case 'l': settings.level = atoi(optarg); break;
		case 'r': settings.reach = strtoull(optarg, NULL, 10) << 20; break;
		case 'w': settings.warm = atof(optarg); break;
		case 'v': settings.is_verbose = true; break;
		default: return 2;
		}
	}
	if (optind + 1 != argc || settings.batch_bytes == 0) {
		fprintf(stderr, "usage: codec [-b bytes] [-c] [-l level] [-r MB] [-w 0..1] [-v] "
				"DIRECTORY\n");
		return 2;
	}
	open_corpus(argv[optind], &corpus);
	warm = (size_t)((double)corpus.length * settings.warm);
	warm -= warm % LINK_FRAME_BYTES;
	run_codec(&corpus, &settings, warm, &totals);
	run_yardstick(&corpus, &settings, warm, &totals);
	print_totals(argv[optind], &totals, settings.is_verbose);
	return 0;
}
