/*
 * link_earlier: records read back from held WAL. What is found there is looked at as if a stranger
 * had sent it: a reference may name anything.
 */
#include "protocol/link_earlier.h"

#include "protocol/link_scan.h"

#include <string.h>

#define HEAD_GUESS 128u /* holds most heads with an image */

bool link_source_read(const struct link_source *source, lsn_t lsn, uint32_t segment_bytes,
	uint8_t *bytes_out, size_t count)
{
	while (count > 0) {
		uint32_t offset = (uint32_t)(lsn % WAL_PAGE_BYTES);
		uint32_t header = wal_page_header_bytes(lsn - offset, segment_bytes);
		const uint8_t *piece;
		size_t room, got;

		if (offset < header) {
			lsn += header - offset;
			offset = header;
		}
		room = WAL_PAGE_BYTES - offset;
		room = room < count ? room : count;
		got = source->read == NULL ? 0 : source->read(source->context, lsn, room, &piece);
		if (got == 0) {
			return false;
		}
		got = got < room ? got : room;
		memcpy(bytes_out, piece, got);
		bytes_out += got;
		lsn += got;
		count -= got;
	}
	return true;
}

enum link_earlier_result link_source_read_head(const struct link_source *source,
	const struct wal_version *version, lsn_t lsn, lsn_t limit, uint32_t segment_bytes,
	struct wal_record_head *head_out)
{
	uint64_t available =
		lsn < limit ? link_lsn_between(lsn, lsn_min(limit, lsn + 4096), segment_bytes) : 0;
	uint8_t bytes[WAL_RECORD_HEAD_MAX];
	size_t have = 0, need = available < HEAD_GUESS ? available : HEAD_GUESS;

	if (lsn % 8 != 0 || available < WAL_RECORD_HEADER) {
		return LINK_EARLIER_OTHER;
	}
	for (;;) {
		if (!link_source_read(source, link_lsn_advance(lsn, have, segment_bytes),
			    segment_bytes, bytes + have, need - have)) {
			return LINK_EARLIER_NOT_HELD;
		}
		have = need;
		switch (wal_record_head_decode(version, bytes, have, head_out, &need)) {
		case DECODE_OK: return LINK_EARLIER_FOUND;
		case DECODE_BAD: return LINK_EARLIER_OTHER;
		case DECODE_MORE: break;
		}
		if (need > available || need > sizeof(bytes)) {
			return LINK_EARLIER_OTHER;
		}
	}
}

static bool is_same_page(const struct wal_block *left, const struct wal_block *right)
{
	return left->number == right->number &&
	       left->relation.relation == right->relation.relation &&
	       left->relation.database == right->relation.database &&
	       left->relation.tablespace == right->relation.tablespace &&
	       ((left->flags ^ right->flags) & WAL_BLOCK_FORK_MASK) == 0;
}

/* The image of `block`, whose record has it at lsn. */
static enum link_earlier_result load_image(struct link_earlier *earlier,
	struct link_recompressor *recompressor, const struct link_source *source,
	const struct wal_version *version, lsn_t lsn, uint32_t segment_bytes,
	const struct wal_block *block)
{
	uint8_t *bytes =
		block->image_is_compressed ? link_recompressor_room(recompressor) : earlier->bytes;

	if (!link_source_read(source, lsn, segment_bytes, bytes, block->image_length)) {
		return LINK_EARLIER_NOT_HELD;
	}
	if (block->image_is_compressed &&
		!link_image_expand(recompressor, version, block, bytes, earlier->bytes)) {
		return LINK_EARLIER_OTHER;
	}
	earlier->is_known = true;
	earlier->length = (uint16_t)wal_block_page_bytes(block);
	earlier->stored_length = block->image_length;
	earlier->hole_offset = block->hole_offset;
	return LINK_EARLIER_FOUND;
}

enum link_earlier_result link_earlier_load(struct link_earlier *earlier,
	struct link_recompressor *recompressor, const struct link_source *source,
	const struct wal_version *version, lsn_t lsn, lsn_t limit, uint32_t segment_bytes,
	const struct wal_block *block)
{
	struct wal_record_head head;
	enum link_earlier_result result =
		link_source_read_head(source, version, lsn, limit, segment_bytes, &head);
	uint64_t at;

	earlier->is_known = false;
	if (result != LINK_EARLIER_FOUND) {
		return result;
	}
	at = head.length;
	for (uint32_t i = 0; i < head.block_count; i++) {
		const struct wal_block *candidate = &head.blocks[i];

		if (candidate->image_length == 0 || !is_same_page(candidate, block)) {
			at += (uint64_t)candidate->image_length + candidate->data_length;
			continue;
		}
		lsn = link_lsn_advance(lsn, at, segment_bytes);
		if (link_lsn_advance(lsn, candidate->image_length, segment_bytes) > limit) {
			return LINK_EARLIER_OTHER;
		}
		return load_image(
			earlier, recompressor, source, version, lsn, segment_bytes, candidate);
	}
	return LINK_EARLIER_OTHER;
}
