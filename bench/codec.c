/*
 * codec DIRECTORY: what the link's codec makes of the WAL segments in DIRECTORY, and what else
 * would.
 *
 * The codec, one plain zstd stream (b), one with a window of 1 GB (c), and what ssh -C does (a)
 * encode and decode the same WAL in turns; every byte that comes out is compared. Where the
 * directory is named as bench/corpora names them, what is demanded of the codec is printed with
 * PASS or MISS.
 * Options: -a cut batches anywhere, not where records end, -b bytes of a batch (32768), -c leave
 * images that PostgreSQL compressed, -f only the codec and (b), -i index memory in MB (2 for each
 * GB of reach), -l level (3), -r reach in MB (1024), -t a batch for each commit, as when little is
 * going on, -w fraction of the WAL that only warms up (0.667), -v also what the bytes were. Exit 1:
 * something is missed.
 */
#include "codec_bench.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTENDERS_MAX 5

/* At most these fractions of the bytes of (b) and (c); 0: nothing is demanded. */
static const struct demand {
	const char *corpus;
	double of_b, of_c;
} demands[] = {
	{"tpcb", 0.40, 0.70},
	{"hotset", 0.48, 0.80},
	{"mixed", 0.30, 1.00},
	{"idle", 0.55, 0},
	{"bulk", 1.00, 0},
	{"tpcb_lz4", 0.65, 0},
	{"tpcb_zstd", 0.45, 0},
};
#define CPU_OF_B 1.1

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

/* --- the table ------------------------------------------------------------------------------- */

static void print_line(const char *name, const struct outcome *outcome, double raw)
{
	double gb = raw / 1e9;

	printf("  %-34s %9.3f %8.2f %8.2f %7.2f %8.2f %7.2f %8.1f %8.1f\n", name,
		(double)outcome->wire_bytes / 1e6, raw / (double)outcome->wire_bytes,
		outcome->encode_cpu / gb, outcome->encode_system / gb, outcome->decode_cpu / gb,
		outcome->decode_system / gb, (double)outcome->encode_memory / 1e6,
		(double)outcome->decode_memory / 1e6);
}

static void print_kinds(const struct kinds *kinds)
{
	double raw = 0, sent = 0;

	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		raw += (double)kinds->raw[kind];
		sent += (double)kinds->sent[kind];
	}
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		printf("    %-18s %5.1f %% of raw %5.1f %% of sent\n", link_kind_name(kind),
			100.0 * (double)kinds->raw[kind] / raw,
			100.0 * (double)kinds->sent[kind] / sent);
	}
	printf("    images: %llu referred, %llu new\n", (unsigned long long)kinds->images_referred,
		(unsigned long long)kinds->images_new);
}

/* --- what is demanded ------------------------------------------------------------------------ */

static bool judge(const char *what, double is, double most)
{
	printf("  %-40s %6.3f of at most %4.2f  %s\n", what, is, most,
		is <= most ? "PASS" : "MISS");
	return is <= most;
}

static const char *name_of(char *directory)
{
	size_t length = strlen(directory);
	char *slash;

	while (length > 1 && directory[length - 1] == '/') {
		directory[--length] = '\0';
	}
	slash = strrchr(directory, '/');
	return slash == NULL ? directory : slash + 1;
}

static const struct demand *demand_of(const char *name)
{
	static const struct demand nothing;

	for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
		if (strcmp(name, demands[i].corpus) == 0) {
			return &demands[i];
		}
	}
	return &nothing;
}

struct table {
	const struct contender *contenders[CONTENDERS_MAX];
	struct outcome outcomes[CONTENDERS_MAX];
	size_t count;
};

static const struct outcome *find(const struct table *table, const struct contender *contender)
{
	for (size_t i = 0; i < table->count; i++) {
		if (table->contenders[i] == contender) {
			return &table->outcomes[i];
		}
	}
	return NULL;
}

static bool judge_all(const struct table *table, const struct demand *demand, double raw)
{
	const struct outcome *link = find(table, &contender_link);
	const struct outcome *left = find(table, &contender_link_left);
	const struct outcome *b = find(table, &contender_zstd);
	const struct outcome *c = find(table, &contender_zstd_long);
	/* Compressing again costs what it costs; the rest of the codec is to be cheap. */
	const struct outcome *cheap = left != NULL ? left : link;
	bool passes = true;

	if (demand->of_b > 0) {
		passes &= judge("bytes of those of (b)",
			(double)link->wire_bytes / (double)b->wire_bytes, demand->of_b);
	}
	if (demand->of_c > 0 && c != NULL) {
		passes &= judge("bytes of those of (c)",
			(double)link->wire_bytes / (double)c->wire_bytes, demand->of_c);
	}
	passes &= judge(left != NULL ? "encode CPU of (b)'s, images left" : "encode CPU of (b)'s",
		cheap->encode_cpu / b->encode_cpu, CPU_OF_B);
	if (left != NULL) {
		printf("  recompressing costs %.2f CPU s/GB to encode, %.2f to decode, and saves "
		       "%.1f %% of the bytes\n",
			(link->encode_cpu - left->encode_cpu) / raw * 1e9,
			(link->decode_cpu - left->decode_cpu) / raw * 1e9,
			100 - 100.0 * (double)link->wire_bytes / (double)left->wire_bytes);
	}
	return passes;
}

static bool run(struct bench *bench, char *directory, bool is_short)
{
	const struct settings *settings = &bench->settings;
	const char *name = name_of(directory);
	size_t warm = (size_t)((double)bench->corpus.length * settings->warm);
	struct table table = {0};
	double raw;

	warm -= warm % LINK_FRAME_BYTES;
	raw = (double)(bench->corpus.length - warm);
	table.contenders[table.count++] = &contender_link;
	if (strchr(name, '_') != NULL && !settings->leaves_compressed) {
		table.contenders[table.count++] = &contender_link_left;
	}
	table.contenders[table.count++] = &contender_zstd;
	if (!is_short) {
		table.contenders[table.count++] = &contender_zstd_long;
		table.contenders[table.count++] = &contender_ssh;
	}
	run_in_turns(bench, table.contenders, table.count, warm, table.outcomes);
	printf("%s: %.0f MB counted of %.0f, batches of %zu bytes, level %d, reach %llu MB\n", name,
		raw / 1e6, (double)bench->corpus.length / 1e6, settings->batch_bytes,
		settings->level, (unsigned long long)(settings->reach >> 20));
	printf("  %-34s %9s %8s %16s %16s %17s\n", "", "", "", "encode CPU s/GB", "decode CPU s/GB",
		"memory, MB");
	printf("  %-34s %9s %8s %8s %7s %8s %7s %8s %8s\n", "", "wire MB", "ratio", "all", "system",
		"all", "system", "encode", "decode");
	for (size_t i = 0; i < table.count; i++) {
		print_line(table.contenders[i]->name, &table.outcomes[i], raw);
	}
	if (settings->is_verbose) {
		print_kinds(&table.outcomes[0].kinds);
	}
	return judge_all(&table, demand_of(name), raw);
}

int main(int argc, char **argv)
{
	struct bench bench = {
		.settings = {.batch_bytes = 32768,
			.level = 3,
			.reach = (uint64_t)1 << 30,
			.warm = 2.0 / 3},
	};
	struct settings *settings = &bench.settings;
	bool is_short = false, is_trickle = false;
	int option;

	while ((option = getopt(argc, argv, "ab:cfi:l:r:tw:v")) != -1) {
		switch (option) {
		case 'a': settings->cuts_anywhere = true; break;
		case 'b': settings->batch_bytes = strtoul(optarg, NULL, 10); break;
		case 'c': settings->leaves_compressed = true; break;
		case 'f': is_short = true; break;
		case 'i': settings->index_bytes = (size_t)(atof(optarg) * 1048576); break;
		case 'l': settings->level = atoi(optarg); break;
		case 'r': settings->reach = strtoull(optarg, NULL, 10) << 20; break;
		case 't': is_trickle = true; break;
		case 'w': settings->warm = atof(optarg); break;
		case 'v': settings->is_verbose = true; break;
		default: return 2;
		}
	}
	if (optind + 1 != argc || settings->batch_bytes < 256) {
		fprintf(stderr,
			"usage: codec [-a] [-b bytes] [-c] [-f] [-i MB] [-l level] [-r MB] [-t] "
			"[-w 0..1] [-v] DIRECTORY\n");
		return 2;
	}
	if (settings->index_bytes == 0) {
		settings->index_bytes = (size_t)(settings->reach >> 9);
	}
	open_corpus(argv[optind], &bench.corpus);
	if (is_trickle) {
		corpus_find_commits(&bench.corpus);
	}
	return run(&bench, argv[optind], is_short) ? 0 : 1;
}
