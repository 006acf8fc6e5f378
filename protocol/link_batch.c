/*
 * link_batch: batch headers, payload pieces, and the record that a frame begins within.
 */
#include "protocol/link_batch.h"

#include "protocol/crc32c.h"
#include "protocol/wire.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

#define START_AT 4
#define CHECK_AT 12

void link_batch_header_put(const struct link_batch_header *header, uint8_t *bytes_out)
{
	uint32_t length = header->length - 1;

	assert(header->length > 0 && header->length <= LINK_FRAME_BYTES);
	bytes_out[0] = header->version;
	bytes_out[1] = (uint8_t)(header->flags << 4 | length >> 16);
	bytes_out[2] = (uint8_t)(length >> 8);
	bytes_out[3] = (uint8_t)length;
	wire_put_u64(bytes_out + START_AT, header->start);
	wire_put_u64(bytes_out + CHECK_AT, header->check);
}

const char *link_batch_header_get(struct link_batch_header *header_out, const uint8_t *bytes)
{
	struct link_batch_header header = {.version = bytes[0],
		.flags = bytes[1] >> 4,
		.start = wire_get_u64(bytes + START_AT),
		.length = 1 + ((bytes[1] & 0x0Fu) << 16 | (uint32_t)bytes[2] << 8 | bytes[3]),
		.check = wire_get_u64(bytes + CHECK_AT)};

	if (header.version != LINK_VERSION) {
		return "batch of another version";
	}
	if ((header.flags & ~LINK_BATCH_FLAGS) != 0) {
		return "batch with unknown flags";
	}
	if (header.start > LINK_LSN_MAX) {
		return "batch of an impossible place";
	}
	if (header.length > link_batch_limit(header.start) - header.start) {
		return "batch of an impossible length";
	}
	*header_out = header;
	return NULL;
}

uint64_t link_batch_check(const struct link_batch_header *header, const uint8_t *raw)
{
	uint8_t bytes[LINK_BATCH_HEADER_BYTES];

	link_batch_header_put(header, bytes);
	return XXH64(raw, header->length, XXH64(bytes, CHECK_AT, 0));
}

lsn_t link_batch_limit(lsn_t lsn)
{
	return lsn - lsn % LINK_FRAME_BYTES + LINK_FRAME_BYTES;
}

void link_pieces_init(struct link_pieces *pieces, const struct wal_record_head *head,
	uint32_t begin, uint32_t end)
{
	*pieces =
		(struct link_pieces){.head = head, .begin = begin, .end = end, .at = head->length};
}

bool link_pieces_next(struct link_pieces *pieces, struct link_piece *piece_out)
{
	const struct wal_record_head *head = pieces->head;

	while (pieces->next <= 2 * head->block_count && pieces->at < pieces->end) {
		uint32_t which = pieces->next++;
		const struct wal_block *block =
			which < 2 * head->block_count ? &head->blocks[which / 2] : NULL;
		uint32_t length = block == NULL      ? head->main_length
				  : (which & 1) == 0 ? block->image_length
						     : block->data_length;
		uint64_t at = pieces->at, end = at + length;

		pieces->at = end;
		if (end <= pieces->begin || length == 0) {
			continue;
		}
		*piece_out = (struct link_piece){.block = block,
			.is_image = block != NULL && (which & 1) == 0,
			.from = (uint32_t)(at < pieces->begin ? pieces->begin - at : 0),
			.to = (uint32_t)(end > pieces->end ? pieces->end - at : length)};
		piece_out->is_whole = piece_out->to - piece_out->from == length;
		piece_out->at = (uint32_t)(at + piece_out->from - pieces->begin);
		return true;
	}
	return false;
}

enum link_earlier_result link_position_resume(
	struct link_position *position, const struct link_source *source, lsn_t start)
{
	uint64_t done = link_lsn_between(start, position->lsn, position->segment_bytes);
	size_t have = done < WAL_RECORD_HEAD_MAX ? (size_t)done : WAL_RECORD_HEAD_MAX;
	size_t need;

	if (start % 8 != 0 || done < 8 || done >= WAL_RECORD_MAX) {
		return LINK_EARLIER_OTHER;
	}
	if (!link_source_read(source, start, position->segment_bytes, position->head_bytes, have)) {
		return LINK_EARLIER_NOT_HELD;
	}
	link_position_begin(position, start, 0);
	memcpy(&position->total, position->head_bytes, 4);
	position->done = (uint32_t)done;
	if (position->total <= done || position->total >= WAL_RECORD_MAX) {
		return LINK_EARLIER_OTHER;
	}
	switch (wal_record_head_decode(
		position->version, position->head_bytes, have, &position->head, &need)) {
	case DECODE_OK: position->mode = LINK_BODY; return LINK_EARLIER_FOUND;
	case DECODE_MORE: position->mode = LINK_HEAD; break;
	case DECODE_BAD: return LINK_EARLIER_OTHER;
	}
	return done < WAL_RECORD_HEAD_MAX ? LINK_EARLIER_FOUND : LINK_EARLIER_OTHER;
}

uint32_t link_record_crc(const uint8_t *record, uint32_t length)
{
	uint32_t crc =
		crc32c_update(CRC32C_INIT, record + WAL_RECORD_HEADER, length - WAL_RECORD_HEADER);

	return crc32c_finish(crc32c_update(crc, record, WAL_RECORD_CRC_AT));
}
