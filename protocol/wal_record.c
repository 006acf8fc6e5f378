/*
 * wal_record: page headers and record heads, decoded and encoded without surprises.
 *
 * Page header (24 bytes; 40 on the first page of a segment):
 *   0  u16 xlp_magic     2  u16 xlp_info      4  u32 xlp_tli      8  u64 xlp_pageaddr
 *   16 u32 xlp_rem_len   20 u32 zero          24 u64 xlp_sysid    32 u32 xlp_seg_size
 *   36 u32 xlp_xlog_blcksz
 * Record header (24 bytes):
 *   0  u32 xl_tot_len    4  u32 xl_xid        8  u64 xl_prev      16 u8 xl_info
 *   17 u8  xl_rmid       18 u16 zero          20 u32 xl_crc
 * Block header: u8 id, u8 fork_flags, u16 data_length; with an image u16 length, u16 hole_offset,
 * u8 bimg_info, and u16 hole_length when compressed with a hole; without SAME_REL three u32 of the
 * relation; u32 block. After the blocks: 253 u16 origin; 252 u32 xid; 255 u8 or 254 u32 length.
 */
#include "protocol/wal_record.h"

#include <assert.h>
#include <string.h>

#define RMGR_XLOG       0
#define XLOG_SWITCH     0x40
#define XLOG_INFO_MASK  0xF0
#define PAGE_KNOWN_INFO 0x0F

/* BKPIMAGE_HAS_HOLE is 0x01 in all. Before 15: IS_COMPRESSED 0x02, APPLY 0x04. From 15: APPLY 0x02,
 * COMPRESS_PGLZ 0x04, _LZ4 0x08, _ZSTD 0x10. */
static const struct wal_version versions[] = {
	{0xD106, 13, 0x01, 0x02, 0x07},
	{0xD10D, 14, 0x01, 0x02, 0x07},
	{0xD110, 15, 0x01, 0x1C, 0x1F},
	{0xD113, 16, 0x01, 0x1C, 0x1F},
	{0xD116, 17, 0x01, 0x1C, 0x1F},
	{0xD118, 18, 0x01, 0x1C, 0x1F},
};

static uint16_t get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static uint64_t get_u64(const uint8_t *at)
{
	return (uint64_t)get_u32(at) | (uint64_t)get_u32(at + 4) << 32;
}

static uint8_t *put_u8(uint8_t *at, uint8_t value)
{
	*at = value;
	return at + 1;
}

static uint8_t *put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
	return at + 2;
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
	return put_u16(put_u16(at, (uint16_t)value), (uint16_t)(value >> 16));
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
	return put_u32(put_u32(at, (uint32_t)value), (uint32_t)(value >> 32));
}

const struct wal_version *wal_version_find(uint16_t magic)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (versions[i].magic == magic) {
			return &versions[i];
		}
	}
	return NULL;
}

bool wal_page_header_decode(const uint8_t *bytes, lsn_t page_lsn, uint32_t segment_bytes,
	struct wal_page_header *header_out)
{
	bool is_long = page_lsn % segment_bytes == 0;
	struct wal_page_header header = {.magic = get_u16(bytes),
		.info = get_u16(bytes + 2),
		.tli = get_u32(bytes + 4),
		.lsn = get_u64(bytes + 8),
		.left = get_u32(bytes + 16)};

	if (wal_version_find(header.magic) == NULL || (header.info & ~PAGE_KNOWN_INFO) != 0 ||
		((header.info & WAL_PAGE_LONG) != 0) != is_long || header.lsn != page_lsn ||
		header.left >= WAL_RECORD_MAX ||
		((header.info & WAL_PAGE_CONTINUES) != 0) != (header.left != 0)) {
		return false;
	}
	if (is_long) {
		header.system_identifier = get_u64(bytes + 24);
		header.segment_bytes = get_u32(bytes + 32);
		if (header.segment_bytes != segment_bytes ||
			get_u32(bytes + 36) != WAL_PAGE_BYTES) {
			return false;
		}
	}
	*header_out = header;
	return true;
}

/* Where the decoder stands. A step that lacks bytes sets need and leaves the rest alone. */
struct cursor {
	const uint8_t *bytes;
	size_t length; /* that are there */
	size_t total;  /* of the record */
	size_t at;
	size_t need;
	uint64_t payload;
};

/* Moves over count bytes; NULL with need == 0: the record ends before them. */
static const uint8_t *take(struct cursor *cursor, size_t count)
{
	const uint8_t *at = cursor->bytes + cursor->at;

	if (count > cursor->total - cursor->at) {
		cursor->need = 0;
		return NULL;
	}
	if (count > cursor->length - cursor->at) {
		cursor->need = cursor->at + count;
		return NULL;
	}
	cursor->at += count;
	return at;
}

static enum decode_result lacking(const struct cursor *cursor)
{
	return cursor->need == 0 ? DECODE_BAD : DECODE_MORE;
}

static enum decode_result decode_image(
	const struct wal_version *version, struct cursor *cursor, struct wal_block *block)
{
	const uint8_t *at = take(cursor, 5);

	if (at == NULL) {
		return lacking(cursor);
	}
	block->image_length = get_u16(at);
	block->hole_offset = get_u16(at + 2);
	block->image_info = at[4];
	if ((block->image_info & ~version->image_known_flags) != 0 || block->image_length == 0 ||
		block->image_length > WAL_PAGE_BYTES || block->hole_offset > WAL_PAGE_BYTES) {
		return DECODE_BAD;
	}
	block->image_is_compressed = (block->image_info & version->image_compressed) != 0;
	block->has_hole_length =
		block->image_is_compressed && (block->image_info & version->image_has_hole) != 0;
	if (block->has_hole_length) {
		at = take(cursor, 2);
		if (at == NULL) {
			return lacking(cursor);
		}
		block->hole_length = get_u16(at);
	}
	cursor->payload += block->image_length;
	return DECODE_OK;
}

static enum decode_result decode_block(
	const struct wal_version *version, struct cursor *cursor, struct wal_record_head *head)
{
	struct wal_block *block = &head->blocks[head->block_count];
	enum decode_result result;
	const uint8_t *at = take(cursor, 4);

	if (at == NULL) {
		return lacking(cursor);
	}
	memset(block, 0, sizeof(*block));
	block->id = at[0];
	block->flags = at[1];
	block->data_length = get_u16(at + 2);
	if (((block->flags & WAL_BLOCK_HAS_DATA) != 0) != (block->data_length != 0) ||
		(head->block_count > 0 && block->id <= block[-1].id)) {
		return DECODE_BAD;
	}
	cursor->payload += block->data_length;
	if ((block->flags & WAL_BLOCK_HAS_IMAGE) != 0) {
		result = decode_image(version, cursor, block);
		if (result != DECODE_OK) {
			return result;
		}
	}
	if ((block->flags & WAL_BLOCK_SAME_REL) != 0) {
		if (head->block_count == 0) {
			return DECODE_BAD;
		}
		block->relation = block[-1].relation;
	} else {
		at = take(cursor, 12);
		if (at == NULL) {
			return lacking(cursor);
		}
		block->relation =
			(struct wal_relation){get_u32(at), get_u32(at + 4), get_u32(at + 8)};
	}
	at = take(cursor, 4);
	if (at == NULL) {
		return lacking(cursor);
	}
	block->number = get_u32(at);
	head->block_count++;
	return DECODE_OK;
}

/* Origin, toplevel xid and main data come at most once and in this order: rank says which are past.
 */
static enum decode_result decode_part(
	struct cursor *cursor, uint8_t id, int *rank, struct wal_record_head *head)
{
	int order = id == WAL_ID_ORIGIN ? 1 : id == WAL_ID_TOPLEVEL_XID ? 2 : 3;
	size_t size = id == WAL_ID_DATA_SHORT ? 2 : id == WAL_ID_ORIGIN ? 3 : 5;
	const uint8_t *at;

	if (order <= *rank) {
		return DECODE_BAD;
	}
	at = take(cursor, size);
	if (at == NULL) {
		return lacking(cursor);
	}
	*rank = order;
	switch (id) {
	case WAL_ID_ORIGIN:
		head->has_origin = true;
		head->origin = get_u16(at + 1);
		return DECODE_OK;
	case WAL_ID_TOPLEVEL_XID:
		head->has_toplevel_xid = true;
		head->toplevel_xid = get_u32(at + 1);
		return DECODE_OK;
	default:
		head->main_id = id;
		head->main_length = id == WAL_ID_DATA_SHORT ? at[1] : get_u32(at + 1);
		cursor->payload += head->main_length;
		return DECODE_OK;
	}
}

static enum decode_result decode_fixed(
	const uint8_t *bytes, size_t length, struct wal_record_head *head, struct cursor *cursor)
{
	/* The length comes first, and comes whole. */
	if (length < 4) {
		cursor->need = 4;
		return DECODE_MORE;
	}
	head->total = get_u32(bytes);
	if (head->total < WAL_RECORD_HEADER || head->total >= WAL_RECORD_MAX) {
		return DECODE_BAD;
	}
	if (length < WAL_RECORD_HEADER) {
		cursor->need = WAL_RECORD_HEADER;
		return DECODE_MORE;
	}
	head->xid = get_u32(bytes + 4);
	head->previous = get_u64(bytes + WAL_RECORD_PREV_AT);
	head->info = bytes[16];
	head->rmgr = bytes[17];
	head->crc = get_u32(bytes + WAL_RECORD_CRC_AT);
	if (get_u16(bytes + 18) != 0) {
		return DECODE_BAD;
	}
	*cursor = (struct cursor){.bytes = bytes,
		.length = length < head->total ? length : head->total,
		.total = head->total,
		.at = WAL_RECORD_HEADER};
	return DECODE_OK;
}

enum decode_result wal_record_head_decode(const struct wal_version *version, const uint8_t *bytes,
	size_t length, struct wal_record_head *head_out, size_t *need_out)
{
	struct cursor cursor = {0};
	enum decode_result result;
	int rank = 0;

	head_out->block_count = 0;
	head_out->has_origin = head_out->has_toplevel_xid = false;
	head_out->main_id = 0;
	head_out->main_length = 0;
	result = decode_fixed(bytes, length, head_out, &cursor);
	/* As in PostgreSQL: headers go on for as long as the payload they announce leaves room. */
	while (result == DECODE_OK && cursor.total - cursor.at > cursor.payload) {
		uint8_t id;

		if (cursor.at == cursor.length) {
			cursor.need = cursor.at + 1;
			result = DECODE_MORE;
			break;
		}
		id = bytes[cursor.at];
		if (id < WAL_BLOCKS_MAX && rank == 0) {
			result = decode_block(version, &cursor, head_out);
		} else if (id >= WAL_ID_TOPLEVEL_XID) {
			result = decode_part(&cursor, id, &rank, head_out);
		} else {
			result = DECODE_BAD;
		}
	}
	if (result == DECODE_OK && cursor.total - cursor.at != cursor.payload) {
		result = DECODE_BAD;
	}
	if (result == DECODE_MORE) {
		*need_out = cursor.need;
	} else if (result == DECODE_OK) {
		assert(cursor.at <= WAL_RECORD_HEAD_MAX);
		head_out->length = (uint32_t)cursor.at;
	}
	return result;
}

static uint8_t *encode_block(const struct wal_block *block, uint8_t *at)
{
	at = put_u8(at, block->id);
	at = put_u8(at, block->flags);
	at = put_u16(at, block->data_length);
	if ((block->flags & WAL_BLOCK_HAS_IMAGE) != 0) {
		at = put_u16(at, block->image_length);
		at = put_u16(at, block->hole_offset);
		at = put_u8(at, block->image_info);
		if (block->has_hole_length) {
			at = put_u16(at, block->hole_length);
		}
	}
	if ((block->flags & WAL_BLOCK_SAME_REL) == 0) {
		at = put_u32(at, block->relation.tablespace);
		at = put_u32(at, block->relation.database);
		at = put_u32(at, block->relation.relation);
	}
	return put_u32(at, block->number);
}

void wal_record_head_encode(const struct wal_record_head *head, uint8_t *bytes_out)
{
	uint8_t *at = bytes_out;

	at = put_u32(at, head->total);
	at = put_u32(at, head->xid);
	at = put_u64(at, head->previous);
	at = put_u8(at, head->info);
	at = put_u8(at, head->rmgr);
	at = put_u16(at, 0);
	at = put_u32(at, head->crc);
	for (uint32_t i = 0; i < head->block_count; i++) {
		at = encode_block(&head->blocks[i], at);
	}
	if (head->has_origin) {
		at = put_u16(put_u8(at, WAL_ID_ORIGIN), head->origin);
	}
	if (head->has_toplevel_xid) {
		at = put_u32(put_u8(at, WAL_ID_TOPLEVEL_XID), head->toplevel_xid);
	}
	if (head->main_id == WAL_ID_DATA_SHORT) {
		at = put_u8(put_u8(at, WAL_ID_DATA_SHORT), (uint8_t)head->main_length);
	} else if (head->main_id == WAL_ID_DATA_LONG) {
		at = put_u32(put_u8(at, WAL_ID_DATA_LONG), head->main_length);
	}
	assert(at == bytes_out + head->length);
}

uint32_t wal_record_head_bytes(const struct wal_record_head *head)
{
	uint32_t bytes =
		WAL_RECORD_HEADER + (head->has_origin ? 3 : 0) + (head->has_toplevel_xid ? 5 : 0);

	for (uint32_t i = 0; i < head->block_count; i++) {
		const struct wal_block *block = &head->blocks[i];

		bytes += 8 + ((block->flags & WAL_BLOCK_HAS_IMAGE) != 0 ? 5 : 0) +
			 (block->has_hole_length ? 2 : 0) +
			 ((block->flags & WAL_BLOCK_SAME_REL) != 0 ? 0 : 12);
	}
	if (head->main_id != 0) {
		bytes += head->main_id == WAL_ID_DATA_SHORT ? 2 : 5;
	}
	return bytes;
}

uint64_t wal_record_payload_bytes(const struct wal_record_head *head)
{
	uint64_t bytes = head->main_length;

	for (uint32_t i = 0; i < head->block_count; i++) {
		bytes += (uint64_t)head->blocks[i].image_length + head->blocks[i].data_length;
	}
	return bytes;
}

enum wal_image_method wal_image_method(
	const struct wal_version *version, const struct wal_block *block)
{
	uint8_t method = block->image_info & version->image_compressed;

	if (method == 0) {
		return WAL_IMAGE_AS_IT_IS;
	}
	if (version->major < 15) {
		return WAL_IMAGE_PGLZ;
	}
	switch (method) {
	case 0x04: return WAL_IMAGE_PGLZ;
	case 0x08: return WAL_IMAGE_LZ4;
	case 0x10: return WAL_IMAGE_ZSTD;
	default: return WAL_IMAGE_UNKNOWN;
	}
}

uint32_t wal_block_page_bytes(const struct wal_block *block)
{
	if (!block->image_is_compressed) {
		return block->image_length;
	}
	return block->hole_length < WAL_PAGE_BYTES ? WAL_PAGE_BYTES - block->hole_length : 0;
}

bool wal_record_is_switch(const struct wal_record_head *head)
{
	return head->rmgr == RMGR_XLOG && (head->info & XLOG_INFO_MASK) == XLOG_SWITCH;
}
