/*
 * codec_bench: ways to send WAL, and running them in turns on the same WAL.
 */
#ifndef CODEC_BENCH_H
#define CODEC_BENCH_H

#include "protocol/link_codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct corpus {
	const uint8_t *bytes; /* all segments in a row */
	lsn_t start;
	size_t length;
	uint32_t segment_bytes;
	size_t *commits; /* where records of commits end; NULL: batches end anywhere */
	size_t commit_count;
	size_t held; /* what may be read as earlier WAL: each process has its own */
};

struct settings {
	size_t batch_bytes;
	int level;
	uint64_t reach;
	size_t index_bytes;
	double warm;
	bool is_verbose;
	bool leaves_compressed;
	bool cuts_anywhere;
};

/* What the codec says of its batches. */
struct kinds {
	uint64_t raw[LINK_KIND_COUNT], sent[LINK_KIND_COUNT];
	uint64_t images_referred, images_new;
};

struct bench {
	struct corpus corpus;
	struct settings settings;
};

/* One way to send WAL. What it makes is valid until its next call; a failure ends the process. */
struct contender {
	const char *name;
	bool leaves_compressed; /* walrelay: images that PostgreSQL compressed */
	void *(*encoder_new)(struct bench *bench, const struct contender *contender);
	/* The WAL at `at`: returns how much of it was taken, at most `room`. */
	size_t (*encode)(void *encoder, size_t at, size_t room, const uint8_t **wire_out,
		size_t *wire_length_out);
	void *(*decoder_new)(struct bench *bench, const struct contender *contender);
	const uint8_t *(*decode)(
		void *decoder, size_t at, size_t length, const uint8_t *wire, size_t wire_length);
	/* Bytes that go with each piece beside what encode makes. */
	size_t (*overhead)(size_t wire_length);
	void (*add_kinds)(void *encoder, struct kinds *kinds);
};

/* How far a batch from `at` on goes: to the next commit, if those are known. */
size_t corpus_piece(const struct bench *bench, size_t at, size_t room);
void corpus_find_commits(struct corpus *corpus);

extern const struct contender contender_link;
extern const struct contender contender_link_left;
extern const struct contender contender_zstd;
extern const struct contender contender_zstd_long;
extern const struct contender contender_ssh;

struct outcome {
	uint64_t wire_bytes;
	uint64_t pieces;
	double encode_cpu, encode_system; /* seconds, of which in the kernel */
	double decode_cpu, decode_system;
	uint64_t encode_memory, decode_memory; /* anonymous memory, bytes */
	struct kinds kinds;
};

/* Each contender encodes and decodes the corpus in processes of its own, a few MB at a time, one
 * after the other: what else the machine does hits all of them. What comes out is compared. Only
 * WAL from `warm` on counts. */
void run_in_turns(struct bench *bench, const struct contender *const *contenders, size_t count,
	size_t warm, struct outcome *outcomes_out);

#endif
