/*
 * wal_maker: valid WAL made up in memory, for tests: pages, records with CRCs, switch records,
 * records that a crashed primary left unfinished, forks to other timelines.
 *
 * Formats as in src/include/access/xlog_internal.h and xlogrecord.h. Bodies are pseudo-random, the
 * same for the same seed.
 */
#ifndef SUPPORT_WAL_MAKER_H
#define SUPPORT_WAL_MAKER_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_MAKER_MAGIC_15 0xD110
#define WAL_MAKER_MAGIC_10 0xD097

#define WAL_MAKER_RECORDS_MAX 65536

struct wal_maker {
	uint32_t segment_bytes;
	tli_t tli;
	uint16_t magic;
	lsn_t start;    /* a segment's start: LSN of bytes[0] */
	lsn_t at;       /* end of what was made */
	lsn_t previous; /* start of the last record */
	uint8_t *bytes;
	size_t capacity;
	uint64_t random;
	lsn_t starts[WAL_MAKER_RECORDS_MAX]; /* of whole records, ascending */
	lsn_t ends[WAL_MAKER_RECORDS_MAX];
	size_t record_count;
};

struct wal_maker *wal_maker_new(tli_t tli, lsn_t start, uint32_t segment_bytes, uint64_t seed);
void wal_maker_free(struct wal_maker *maker);
const uint8_t *wal_maker_bytes(const struct wal_maker *maker, lsn_t lsn);
uint64_t wal_maker_random(struct wal_maker *maker, uint64_t below);

/* Each returns the end of the record. */
lsn_t wal_maker_record(struct wal_maker *maker, size_t body_bytes);
lsn_t wal_maker_checkpoint(struct wal_maker *maker, lsn_t redo);
/* The end of the record; the zeros after it are made too. */
lsn_t wal_maker_switch(struct wal_maker *maker);
/* At a segment's start: the end of a record that began before. */
lsn_t wal_maker_leading(struct wal_maker *maker, size_t bytes);
/* A record that ends unfinished with its page, and the page that says so. Returns where the
 * unfinished record began. */
lsn_t wal_maker_abandon(struct wal_maker *maker);
/* Records of mixed sizes up to at least lsn. */
void wal_maker_fill(struct wal_maker *maker, lsn_t lsn);
/* Another timeline that shares everything before fork, the end of a record; it holds the segment of
 * the fork from its start. */
struct wal_maker *wal_maker_fork(const struct wal_maker *maker, tli_t tli, lsn_t fork);
/* The end of the last whole record that ends at or before lsn; 0: none. */
lsn_t wal_maker_last_end(const struct wal_maker *maker, lsn_t lsn);

#endif
