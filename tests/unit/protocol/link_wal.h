/*
 * link_wal: WAL made up in memory for tests of the link: pages, records with blocks and images of
 * pages that change a little each time. The same for the same seed.
 */
#ifndef LINK_WAL_H
#define LINK_WAL_H

#include "protocol/link_earlier.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_WAL_PAGES 24

struct link_wal {
	uint32_t segment_bytes;
	lsn_t start; /* of bytes[0]; a segment's */
	size_t length;
	size_t capacity;
	uint8_t *bytes;
	uint16_t magic;
	tli_t tli;
	uint16_t page_info; /* WAL_PAGE_REMOVABLE or 0 */
	bool compresses; /* images, as PostgreSQL does with lz4 or zstd, or not at all: at random */
	bool compresses_otherwise; /* at levels that PostgreSQL does not use */
	lsn_t previous;
	uint64_t random;
	size_t held_from, held_to; /* what link_wal_source() shows */
	uint8_t pages[LINK_WAL_PAGES][WAL_PAGE_BYTES];
	uint8_t payload[1 << 17];
};

struct link_wal *link_wal_new(lsn_t start, uint32_t segment_bytes, size_t capacity, uint64_t seed);
void link_wal_free(struct link_wal *wal);
uint64_t link_wal_random(struct link_wal *wal, uint64_t below);
lsn_t link_wal_end(const struct link_wal *wal);
/* Fills in total, length, previous and crc. Returns where the record begins. */
lsn_t link_wal_add(struct link_wal *wal, struct wal_record_head *head, const uint8_t *payload);
lsn_t link_wal_add_random(struct link_wal *wal);
/* A heap record with an image of page number `page`, changed a little since the last one. */
lsn_t link_wal_add_image(struct link_wal *wal, uint32_t page);
lsn_t link_wal_add_switch(struct link_wal *wal);
/* A record that stops at the end of its page, and the page that says so. */
void link_wal_abandon(struct link_wal *wal);
/* Records of all kinds until at least length bytes are there. */
void link_wal_fill(struct link_wal *wal, size_t length);
struct link_source link_wal_source(struct link_wal *wal);

#endif
