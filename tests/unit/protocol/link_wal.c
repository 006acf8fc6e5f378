/*
 * link_wal: a small writer of WAL, as XLogInsert() does it.
 */
#include "link_wal.h"

#include "protocol/crc32c.h"
#include "protocol/pglz.h"

#include <assert.h>
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct link_wal *link_wal_new(lsn_t start, uint32_t segment_bytes, size_t capacity, uint64_t seed)
{
	struct link_wal *wal = calloc(1, sizeof(*wal));

	assert(wal != NULL && start % segment_bytes == 0);
	wal->start = start;
	wal->segment_bytes = segment_bytes;
	wal->capacity = capacity + 2 * (size_t)segment_bytes;
	wal->bytes = calloc(1, wal->capacity);
	assert(wal->bytes != NULL);
	wal->magic = 0xD110;
	wal->tli = 1;
	wal->page_info = WAL_PAGE_REMOVABLE;
	wal->previous = start - 64;
	wal->random = seed * 2 + 1;
	for (size_t i = 0; i < LINK_WAL_PAGES; i++) {
		for (size_t at = 0; at < WAL_PAGE_BYTES; at++) {
			wal->pages[i][at] =
				(uint8_t)(at % 512 < 384 ? link_wal_random(wal, 256) : 0);
		}
	}
	wal->held_to = SIZE_MAX;
	return wal;
}

void link_wal_free(struct link_wal *wal)
{
	free(wal->bytes);
	free(wal);
}

uint64_t link_wal_random(struct link_wal *wal, uint64_t below)
{
	wal->random = wal->random * 6364136223846793005u + 1442695040888963407u;
	return (wal->random >> 33) % below;
}

lsn_t link_wal_end(const struct link_wal *wal)
{
	return wal->start + wal->length;
}

static void put_page_header(struct link_wal *wal, uint32_t left, uint16_t more_info)
{
	uint8_t *at = wal->bytes + wal->length;
	lsn_t lsn = link_wal_end(wal);
	uint64_t system_identifier = 0x0123456789ABCDEF;
	uint32_t block_bytes = WAL_PAGE_BYTES;
	bool is_long = lsn % wal->segment_bytes == 0;
	uint16_t info = (uint16_t)(wal->page_info | more_info | (is_long ? WAL_PAGE_LONG : 0) |
				   (left != 0 ? WAL_PAGE_CONTINUES : 0));

	memcpy(at, &wal->magic, 2);
	memcpy(at + 2, &info, 2);
	memcpy(at + 4, &wal->tli, 4);
	memcpy(at + 8, &lsn, 8);
	memcpy(at + 16, &left, 4);
	if (is_long) {
		memcpy(at + 24, &system_identifier, 8);
		memcpy(at + 32, &wal->segment_bytes, 4);
		memcpy(at + 36, &block_bytes, 4);
	}
	wal->length += is_long ? WAL_PAGE_HEADER_LONG : WAL_PAGE_HEADER_SHORT;
}

/* Bytes of a record; `left` are still to come, these included. */
static void put_bytes(struct link_wal *wal, const uint8_t *bytes, size_t count, uint32_t left)
{
	while (count > 0) {
		size_t room = WAL_PAGE_BYTES - wal->length % WAL_PAGE_BYTES;

		assert(wal->length + WAL_PAGE_BYTES <= wal->capacity);
		if (wal->length % WAL_PAGE_BYTES == 0) {
			put_page_header(wal, left, 0);
			continue;
		}
		room = room < count ? room : count;
		memcpy(wal->bytes + wal->length, bytes, room);
		wal->length += room;
		bytes += room;
		left -= (uint32_t)room;
		count -= room;
	}
}

static lsn_t begin_record(struct link_wal *wal)
{
	wal->length = (wal->length + 7) / 8 * 8;
	if (wal->length % WAL_PAGE_BYTES == 0) {
		put_page_header(wal, 0, 0);
	}
	return link_wal_end(wal);
}

lsn_t link_wal_add(struct link_wal *wal, struct wal_record_head *head, const uint8_t *payload)
{
	uint8_t bytes[WAL_RECORD_HEAD_MAX];
	lsn_t start = begin_record(wal);
	uint32_t payload_bytes = (uint32_t)wal_record_payload_bytes(head), crc;

	head->length = wal_record_head_bytes(head);
	head->total = head->length + payload_bytes;
	head->previous = wal->previous;
	head->crc = 0;
	wal_record_head_encode(head, bytes);
	crc = crc32c_update(
		CRC32C_INIT, bytes + WAL_RECORD_HEADER, head->length - WAL_RECORD_HEADER);
	crc = crc32c_update(crc, payload, payload_bytes);
	head->crc = crc32c_finish(crc32c_update(crc, bytes, WAL_RECORD_CRC_AT));
	wal_record_head_encode(head, bytes);
	put_bytes(wal, bytes, head->length, head->total);
	put_bytes(wal, payload, payload_bytes, payload_bytes);
	wal->previous = start;
	return start;
}

static uint8_t *fill(struct link_wal *wal, uint8_t *at, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		at[i] = (uint8_t)(link_wal_random(wal, 4) == 0 ? link_wal_random(wal, 256) : i);
	}
	return at + count;
}

static void set_relation(struct wal_block *block, uint32_t page)
{
	block->relation = (struct wal_relation){1663, 5, 16384 + page % 3};
	block->number = page;
}

/* Inserts a few bytes low, overwrites a few, moves the end: what a page goes through. */
static void change_page(struct link_wal *wal, uint8_t *page)
{
	size_t moved = link_wal_random(wal, 3) * 8, at = 2048 + link_wal_random(wal, 2048);

	fill(wal, page, 8);
	memmove(page + at, page + at + moved, 1024);
	for (int i = 0; i < 5; i++) {
		fill(wal, page + link_wal_random(wal, WAL_PAGE_BYTES - 16), 1 + (size_t)i * 3);
	}
}

/* As XLogCompressBackupBlock() in xloginsert.c does it, from 15 on. */
static void compress_image(
	struct link_wal *wal, struct wal_block *block, uint16_t hole_length, uint8_t *at)
{
	uint8_t room[2 * WAL_PAGE_BYTES];
	uint64_t method = link_wal_random(wal, wal->compresses_otherwise ? 2 : 3);
	struct pglz_finder finder;
	size_t length;

	if (!wal->compresses || link_wal_random(wal, 4) == 0) {
		return;
	}
	if (method == 2) {
		length = pglz_compress(&finder, at, block->image_length, room, sizeof(room));
	} else if (method == 1) {
		length = ZSTD_compress(room, sizeof(room), at, block->image_length,
			wal->compresses_otherwise ? -3 : ZSTD_CLEVEL_DEFAULT);
		assert(!ZSTD_isError(length));
	} else {
		length = (size_t)LZ4_compress_fast((const char *)at, (char *)room,
			block->image_length, sizeof(room), wal->compresses_otherwise ? 20 : 1);
	}
	if (length == 0 || length + 2 >= block->image_length) {
		return;
	}
	memcpy(at, room, length);
	block->image_info |= (uint8_t)(method == 2 ? 0x04 : method == 1 ? 0x10 : 0x08);
	block->image_is_compressed = true;
	block->has_hole_length = hole_length != 0;
	block->hole_length = hole_length;
	block->image_length = (uint16_t)length;
}

static uint8_t *put_image(struct link_wal *wal, struct wal_block *block, uint32_t page, uint8_t *at)
{
	uint8_t *bytes = wal->pages[page];
	uint16_t hole_length;
	uint16_t upper;

	change_page(wal, bytes);
	set_relation(block, page);
	block->flags = WAL_BLOCK_HAS_IMAGE;
	if (page % 4 == 3) {
		block->image_info = 0x02;
		block->image_length = WAL_PAGE_BYTES;
		memcpy(at, bytes, WAL_PAGE_BYTES);
		compress_image(wal, block, 0, at);
		return at + block->image_length;
	}
	block->image_info = 0x03;
	block->hole_offset = (uint16_t)(200 + 4 * link_wal_random(wal, 20));
	hole_length = (uint16_t)(1000 + 8 * link_wal_random(wal, 50));
	upper = (uint16_t)(block->hole_offset + hole_length);
	memcpy(bytes + 12, &block->hole_offset, 2);
	memcpy(bytes + 14, &upper, 2);
	block->image_length = (uint16_t)(WAL_PAGE_BYTES - hole_length);
	memcpy(at, bytes, block->hole_offset);
	memcpy(at + block->hole_offset, bytes + upper, WAL_PAGE_BYTES - upper);
	compress_image(wal, block, hole_length, at);
	return at + block->image_length;
}

lsn_t link_wal_add_image(struct link_wal *wal, uint32_t page)
{
	struct wal_record_head head = {.rmgr = 10, .xid = 700, .block_count = 1};

	put_image(wal, &head.blocks[0], page, wal->payload);
	return link_wal_add(wal, &head, wal->payload);
}

static lsn_t add_images(struct link_wal *wal)
{
	struct wal_record_head head = {.rmgr = 11, .info = 0xA0, .block_count = 3};
	uint8_t *at = wal->payload;

	for (uint32_t i = 0; i < head.block_count; i++) {
		struct wal_block *block = &head.blocks[i];

		at = put_image(wal, block, (uint32_t)link_wal_random(wal, LINK_WAL_PAGES), at);
		block->id = (uint8_t)i;
		if (i == 1) {
			block->flags |= WAL_BLOCK_HAS_DATA;
			block->data_length = 40;
			at = fill(wal, at, 40);
		}
	}
	head.main_id = WAL_ID_DATA_SHORT;
	head.main_length = 9;
	fill(wal, at, 9);
	return link_wal_add(wal, &head, wal->payload);
}

static lsn_t add_compressed(struct link_wal *wal)
{
	struct wal_record_head head = {.rmgr = 0, .info = 0xB0, .block_count = 1};
	struct wal_block *block = &head.blocks[0];

	set_relation(block, 5);
	block->flags = WAL_BLOCK_HAS_IMAGE;
	block->image_info = 0x09;
	block->image_is_compressed = block->has_hole_length = true;
	block->hole_length = 100;
	block->image_length = 700;
	fill(wal, wal->payload, 700);
	return link_wal_add(wal, &head, wal->payload);
}

static lsn_t add_update(struct link_wal *wal)
{
	struct wal_record_head head = {.rmgr = 10, .info = 0x20, .block_count = 2};
	struct wal_block *blocks = head.blocks;

	head.xid = (uint32_t)(700 + wal->length / 1000);
	set_relation(&blocks[0], (uint32_t)link_wal_random(wal, 1000));
	blocks[0].flags = WAL_BLOCK_HAS_DATA;
	blocks[0].data_length = (uint16_t)(30 + link_wal_random(wal, 100));
	blocks[1] = blocks[0];
	blocks[1].id = 1;
	blocks[1].flags = WAL_BLOCK_SAME_REL | WAL_BLOCK_WILL_INIT;
	blocks[1].data_length = 0;
	blocks[1].number++;
	head.main_id = WAL_ID_DATA_SHORT;
	head.main_length = 14;
	head.has_toplevel_xid = link_wal_random(wal, 4) == 0;
	head.toplevel_xid = head.xid - 1;
	head.has_origin = link_wal_random(wal, 4) == 0;
	head.origin = 3;
	fill(wal, wal->payload, blocks[0].data_length + 14);
	return link_wal_add(wal, &head, wal->payload);
}

static lsn_t add_without_blocks(struct link_wal *wal)
{
	struct wal_record_head head = {.rmgr = 1, .xid = (uint32_t)(700 + wal->length / 1000)};

	head.main_id = link_wal_random(wal, 8) == 0 ? WAL_ID_DATA_LONG : WAL_ID_DATA_SHORT;
	head.main_length =
		(uint32_t)(head.main_id == WAL_ID_DATA_LONG ? link_wal_random(wal, 40000) + 256
							    : link_wal_random(wal, 60));
	fill(wal, wal->payload, head.main_length);
	return link_wal_add(wal, &head, wal->payload);
}

lsn_t link_wal_add_random(struct link_wal *wal)
{
	switch (link_wal_random(wal, 16)) {
	case 0: return add_images(wal);
	case 1:
	case 2:
	case 3: return link_wal_add_image(wal, (uint32_t)link_wal_random(wal, LINK_WAL_PAGES));
	case 4: return add_compressed(wal);
	case 5:
	case 6: return add_without_blocks(wal);
	default: return add_update(wal);
	}
}

lsn_t link_wal_add_switch(struct link_wal *wal)
{
	struct wal_record_head head = {.rmgr = 0, .info = 0x40};
	lsn_t start = link_wal_add(wal, &head, NULL);

	while (link_wal_end(wal) % wal->segment_bytes != 0) {
		wal->length += WAL_PAGE_BYTES - wal->length % WAL_PAGE_BYTES;
	}
	return start;
}

void link_wal_abandon(struct link_wal *wal)
{
	struct wal_record_head head = {
		.rmgr = 1, .main_id = WAL_ID_DATA_LONG, .main_length = 20000};
	uint64_t previous = wal->previous;
	size_t end;

	begin_record(wal);
	end = wal->length - wal->length % WAL_PAGE_BYTES + WAL_PAGE_BYTES;
	link_wal_add(wal, &head, wal->payload);
	memset(wal->bytes + end, 0, wal->length - end);
	wal->length = end;
	wal->previous = previous;
	put_page_header(wal, 0, WAL_PAGE_OVERWRITES);
}

void link_wal_fill(struct link_wal *wal, size_t length)
{
	while (wal->length < length) {
		link_wal_add_random(wal);
	}
}

static size_t read_wal(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out)
{
	struct link_wal *wal = context;
	size_t to = wal->held_to < wal->length ? wal->held_to : wal->length, at;

	if (lsn < wal->start + wal->held_from || lsn >= wal->start + to) {
		return 0;
	}
	at = (size_t)(lsn - wal->start);
	*bytes_out = wal->bytes + at;
	/* In two pieces now and then, as a spool does at a segment's end. */
	length = length > 16 && at % 3 == 0 ? length / 2 : length;
	return length < to - at ? length : to - at;
}

struct link_source link_wal_source(struct link_wal *wal)
{
	return (struct link_source){.read = read_wal, .context = wal};
}
