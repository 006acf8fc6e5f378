/*
 * link_scan: where in the records a stretch of WAL begins, and what it is made of.
 *
 * A link_position is the whole memory from one batch to the next: it follows from the WAL before it
 * and nothing else, so both ends of a link that have seen the same WAL stand at equal positions. A
 * link_scan walks one batch, of which page headers have been taken out ("flat" bytes), item by
 * item, and moves the position along. Batches may be cut anywhere but never cross a multiple of
 * LINK_FRAME_BYTES.
 *
 * What is not understood makes a position "lost"; the next page header finds it again.
 */
#ifndef PROTOCOL_LINK_SCAN_H
#define PROTOCOL_LINK_SCAN_H

#include "protocol/lsn.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_FRAME_BYTES (1u << 20)
#define LINK_PAGES_MAX   (LINK_FRAME_BYTES / WAL_PAGE_BYTES + 1)

/* Bytes [from, to) of the header of one page, which stand at raw_at in a batch. */
struct link_page {
	uint32_t raw_at;
	uint32_t flat_at; /* flat bytes of the batch before this page */
	uint8_t from, to, length;
	uint32_t left; /* xlp_rem_len as the records around it have it */
};

struct link_pages {
	struct link_page pages[LINK_PAGES_MAX];
	uint32_t count;
	uint32_t flat_length;
};

enum link_mode {
	LINK_LOST,
	LINK_BETWEEN, /* at the start of a record, or in the padding before it */
	LINK_HEAD,    /* in a record's head */
	LINK_BODY,    /* in its payload */
	LINK_OPAQUE,  /* in a record whose start was not seen */
	LINK_TAIL,    /* in the zeros after a switch record */
};

struct link_position {
	lsn_t lsn;
	uint32_t segment_bytes;
	enum link_mode mode;
	uint32_t padding;
	lsn_t start;          /* of the record; LSN_INVALID when opaque */
	lsn_t previous;       /* what xl_prev of the next record must be; LSN_INVALID: unknown */
	uint32_t total, done; /* of the record; when opaque of what is left of it */
	const struct wal_version *version;
	/* What the next page header is expected to repeat. */
	uint16_t page_magic, page_info;
	tli_t page_tli;
	uint8_t page_header[WAL_PAGE_HEADER_LONG]; /* the last one, as far as it was read */
	struct wal_record_head head;               /* in LINK_BODY */
	uint8_t head_bytes[WAL_RECORD_HEAD_MAX];   /* in LINK_HEAD */
};

enum link_item_kind {
	LINK_ITEM_END,    /* of the batch */
	LINK_ITEM_LOST,   /* what follows is not understood */
	LINK_ITEM_RECORD, /* a record from its start; its head is complete */
	LINK_ITEM_BODY,   /* more payload of the record that position->head describes */
	LINK_ITEM_RAW,    /* bytes of a head that is cut, or of an opaque record */
	LINK_ITEM_TAIL,
};

struct link_item {
	enum link_item_kind kind;
	uint32_t flat_at;
	uint32_t length;
	uint32_t from;  /* RECORD, BODY: offset of the item in the record */
	lsn_t start;    /* of the record */
	bool is_at_end; /* the record is complete with this item */
	bool is_head;   /* RAW: bytes of a head, which the position has taken already */
};

struct link_scan {
	struct link_position *position;
	const uint8_t *flat;
	struct link_pages *pages;
	lsn_t batch_lsn;
	uint32_t at; /* in flat */
	uint32_t page_next;
	uint32_t tail_at; /* where the zeros after a switch record begin; UINT32_MAX: nowhere */
};

void link_position_init(struct link_position *position, lsn_t lsn, uint32_t segment_bytes);
/* Forgets everything but where it is. */
void link_position_lose(struct link_position *position);
/* At a frame's start, of a record that began outside of what may be referred to. */
void link_position_make_opaque(struct link_position *position);
/* The record in progress began here, as of the next byte read. */
void link_position_begin(struct link_position *position, lsn_t start, uint32_t total);
/* Moves over count bytes of the record, which may end with them. */
void link_position_take(struct link_position *position, uint32_t count);
void link_position_end_batch(struct link_position *position, uint32_t length);
/* The LSN after `count` bytes of records from lsn on: page headers are stepped over. */
lsn_t link_lsn_advance(lsn_t lsn, uint64_t count, uint32_t segment_bytes);
/* Bytes of records in [from, to): page headers do not count. */
uint64_t link_lsn_between(lsn_t from, lsn_t to, uint32_t segment_bytes);

void link_pages_lay(struct link_pages *pages, lsn_t lsn, uint32_t length, uint32_t segment_bytes);
/* Raw bytes without page headers, and back (page headers excepted). */
void link_pages_flatten(
	const struct link_pages *pages, const uint8_t *raw, uint32_t length, uint8_t *flat_out);
void link_pages_unflatten(
	const struct link_pages *pages, const uint8_t *flat, uint32_t length, uint8_t *raw_out);

/* flat stays valid while scanning; position is that of the batch's first byte. */
void link_scan_init(struct link_scan *scan, struct link_position *position,
	struct link_pages *pages, const uint8_t *flat);
/* The position stays before the item, with its head, until the item is passed. END and LOST are not
 * passed. */
void link_scan_next(struct link_scan *scan, struct link_item *item_out);
void link_scan_pass(struct link_scan *scan, const struct link_item *item);
/* As if the batch ended before the item: a record from its start that it would cut. Before the
 * page's header, too, where the page begins with the record: see tip_end() in
 * relay/downstream/wal_sender.c. Returns the bytes of the batch, headers included, that are left.
 */
uint32_t link_scan_end_before(struct link_scan *scan, const struct link_item *item);
/* Tells the pages that begin within the next bytes how much of the record is left there. */
void link_scan_mark_pages(struct link_scan *scan, uint64_t left, bool is_start);
lsn_t link_scan_lsn(const struct link_scan *scan);

/* What the page's header is expected to be. False: nothing, the first page of a frame has it whole.
 * The long header of a segment's first page is always such a one. */
bool link_header_expect(const struct link_position *position, const struct link_page *page,
	lsn_t page_lsn, bool is_tail, uint8_t expected_out[WAL_PAGE_HEADER_LONG]);
/* Takes note of the header's bytes that are in this batch. False: the header is whole now and is
 * not understood, or contradicts the records. */
bool link_header_learn(struct link_position *position, const struct link_page *page, lsn_t page_lsn,
	bool is_tail, const uint8_t *bytes);
static inline lsn_t link_page_lsn(const struct link_page *page, lsn_t batch_lsn)
{
	return batch_lsn + page->raw_at - page->from;
}

/* Each item passed over, with the position as it was before it; may be NULL. */
typedef void link_on_item(
	void *context, const struct link_scan *scan, const struct link_item *item);

/* Moves position over WAL that is not to be coded: finds itself again whenever it is lost.
 * flat_room has room for length bytes, pages is scratch. */
void link_position_follow(struct link_position *position, const uint8_t *raw, uint32_t length,
	struct link_pages *pages, uint8_t *flat_room, link_on_item *on_item, void *context);

#endif
