/*
 * link_decoder: batches in, WAL out, and nothing that its checksum does not confirm.
 *
 * Records are put together in `flat` just ahead of the same scan that the encoder ran over them, so
 * that both ends' positions move by the same code. What a batch says is bounded before it is used;
 * any contradiction ends the batch.
 */
#include "protocol/link_batch.h"
#include "protocol/link_codec.h"
#include "protocol/link_columns.h"
#include "protocol/link_fields.h"
#include "protocol/link_pack.h"
#include "protocol/link_refer.h"
#include "protocol/link_scan.h"
#include "protocol/link_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct link_decoder {
	struct link_source earlier;
	struct link_position position;
	bool is_joined; /* to a frame */
	struct link_state state;
	struct link_lookup lookup;
	struct link_columns columns;
	struct link_pages pages;
	struct link_recompressor *recompressor;
	bool has_recompressed, cannot_recompress; /* images of this batch */
	uint8_t page[WAL_PAGE_BYTES];
	struct link_unpacker *unpacker;
	uint8_t *flat;  /* LINK_FRAME_BYTES */
	uint8_t *coded; /* LINK_CODED_MAX */
	uint8_t *raw;   /* LINK_FRAME_BYTES */
};

struct link_decoder *link_decoder_new(uint32_t segment_bytes, const struct link_source *earlier)
{
	struct link_decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder == NULL) {
		return NULL;
	}
	decoder->earlier = *earlier;
	link_position_init(&decoder->position, LSN_INVALID, segment_bytes);
	decoder->recompressor = link_recompressor_new();
	decoder->unpacker = link_unpacker_new();
	decoder->flat = malloc(LINK_FRAME_BYTES);
	decoder->coded = malloc(LINK_CODED_MAX);
	decoder->raw = malloc(LINK_FRAME_BYTES);
	if (decoder->recompressor == NULL || decoder->unpacker == NULL || decoder->flat == NULL ||
		decoder->coded == NULL || decoder->raw == NULL) {
		link_decoder_free(&decoder);
	}
	return decoder;
}

void link_decoder_free(struct link_decoder **decoder_at)
{
	struct link_decoder *decoder = *decoder_at;

	if (decoder == NULL) {
		return;
	}
	link_recompressor_free(&decoder->recompressor);
	link_unpacker_free(&decoder->unpacker);
	free(decoder->flat);
	free(decoder->coded);
	free(decoder->raw);
	free(decoder);
	*decoder_at = NULL;
}

static bool unpack(struct link_decoder *decoder, bool is_plain, const uint8_t *bytes, size_t length,
	size_t *coded_length_out)
{
	return is_plain ? link_unpacker_get_plain(decoder->unpacker, bytes, length, decoder->coded,
				  LINK_CODED_MAX, coded_length_out)
			: link_unpacker_get(decoder->unpacker, bytes, length, decoder->coded,
				  LINK_CODED_MAX, coded_length_out);
}

/* What the encoder's put_resumption() says. */
static const char *get_resumption(struct link_decoder *decoder, bool *needs_plain_out)
{
	struct link_position *position = &decoder->position;
	struct link_columns *columns = &decoder->columns;
	uint8_t mode = link_get_u8(columns, LINK_COLUMN_FRAME);
	uint64_t magic = link_get_varint(columns, LINK_COLUMN_FRAME);
	uint64_t padding = link_get_varint(columns, LINK_COLUMN_FRAME);
	uint64_t count;

	link_position_lose(position);
	position->version = magic <= UINT16_MAX ? wal_version_find((uint16_t)magic) : NULL;
	if (columns->bad || padding >= 8 || (position->version == NULL && mode != LINK_TAIL)) {
		return "frame begins impossibly";
	}
	position->padding = (uint32_t)padding;
	position->mode = mode;
	if (mode == LINK_BETWEEN || mode == LINK_TAIL) {
		return NULL;
	}
	count = link_get_varint(columns, LINK_COLUMN_FRAME);
	if (mode == LINK_OPAQUE && count > 0 && count < WAL_RECORD_MAX) {
		position->total = (uint32_t)count;
		return NULL;
	}
	/* Page headers add little to the longest record; what is longer is not worth walking. */
	if ((mode == LINK_HEAD || mode == LINK_BODY) && count <= position->lsn &&
		count < (uint64_t)2 * WAL_RECORD_MAX) {
		switch (link_position_resume(position, &decoder->earlier, position->lsn - count)) {
		case LINK_EARLIER_FOUND:
			return position->mode == (enum link_mode)mode ? NULL
								      : "frame begins elsewhere";
		case LINK_EARLIER_NOT_HELD:
			*needs_plain_out = true;
			return "frame begins within a record that is not held";
		case LINK_EARLIER_OTHER: break;
		}
	}
	return "frame begins impossibly";
}

static bool get_bytes(
	struct link_decoder *decoder, enum link_column which, uint8_t *out, uint32_t count)
{
	const uint8_t *bytes = link_get_bytes(&decoder->columns, which, count);

	if (bytes != NULL) {
		memcpy(out, bytes, count);
	}
	return bytes != NULL;
}

/* An image that PostgreSQL compressed and that came as a page. */
static bool get_page(struct link_decoder *decoder, const struct link_piece *piece, uint8_t *out)
{
	const struct wal_block *block = piece->block;
	const struct link_earlier *earlier = &decoder->state.earlier[block->id];
	uint32_t length = wal_block_page_bytes(block);
	const uint8_t *image;

	if (!piece->is_whole || length == 0) {
		return false;
	}
	if (earlier->is_known ? !link_refer_get(
					&decoder->columns, earlier, block, decoder->page, 0, length)
			      : !get_bytes(decoder, LINK_COLUMN_IMAGE, decoder->page, length)) {
		return false;
	}
	image = link_image_recompress(
		decoder->recompressor, decoder->position.version, block, decoder->page);
	if (image == NULL) {
		decoder->cannot_recompress = true;
		return false;
	}
	memcpy(out, image, block->image_length);
	decoder->has_recompressed = true;
	return true;
}

static bool get_image(struct link_decoder *decoder, const struct link_piece *piece, uint8_t *out)
{
	const struct wal_block *block = piece->block;
	const struct link_earlier *earlier = &decoder->state.earlier[block->id];

	if (block->image_is_compressed && decoder->state.is_expanded[block->id]) {
		return get_page(decoder, piece, out);
	}
	if (block->image_is_compressed || !earlier->is_known) {
		return get_bytes(decoder, LINK_COLUMN_IMAGE, out, piece->to - piece->from);
	}
	return link_refer_get(&decoder->columns, earlier, block, out, piece->from, piece->to);
}

static bool get_data(
	struct link_decoder *decoder, const struct link_piece *piece, uint32_t slot, uint8_t *out)
{
	enum link_column which = piece->block == NULL ? LINK_COLUMN_MAIN : LINK_COLUMN_DATA;
	uint32_t count = piece->to - piece->from;

	if (!link_has_fields(&decoder->state, slot, count, piece->is_whole)) {
		return get_bytes(decoder, LINK_COLUMN_LONG, out, count);
	}
	return link_get_fields(&decoder->state, &decoder->columns, which, slot,
		&decoder->position.head, piece->block == NULL, out, count);
}

/* Bytes [from, to) of the record in progress, into flat at `at`. */
static bool get_payload(struct link_decoder *decoder, uint32_t at, uint32_t from, uint32_t to)
{
	struct link_pieces pieces;
	struct link_piece piece;
	uint32_t slot = 0;

	link_pieces_init(&pieces, &decoder->position.head, from, to);
	while (link_pieces_next(&pieces, &piece)) {
		uint8_t *out = decoder->flat + at + piece.at;

		if (piece.is_image ? !get_image(decoder, &piece, out)
				   : !get_data(decoder, &piece, slot++, out)) {
			return false;
		}
	}
	return true;
}

struct record_notes {
	bool is_crc_given, is_previous_given;
};

/* Raw bytes are shown to the scan, which takes as many as it needs. */
static uint32_t show_raw(struct link_decoder *decoder, uint32_t at)
{
	struct link_column_bytes *raw = &decoder->columns.column[LINK_COLUMN_RAW];
	size_t count = decoder->pages.flat_length - at;

	count = count < raw->length - raw->at ? count : raw->length - raw->at;
	count = count < WAL_RECORD_HEAD_MAX ? count : WAL_RECORD_HEAD_MAX;
	memcpy(decoder->flat + at, raw->bytes + raw->at, count);
	return (uint32_t)count;
}

/* The head of the next record, put where the scan will look for it. *shown_out: raw bytes there. */
static bool show_head(struct link_decoder *decoder, uint32_t at, struct record_notes *notes_out,
	uint32_t *shown_out)
{
	struct link_columns *columns = &decoder->columns;
	struct wal_record_head *head = &decoder->position.head;
	uint8_t code = link_get_u8(columns, LINK_COLUMN_SHAPE);

	if (code == LINK_SHAPE_CRC) {
		notes_out->is_crc_given = true;
		code = link_get_u8(columns, LINK_COLUMN_SHAPE);
	}
	if (code == LINK_SHAPE_PREVIOUS) {
		notes_out->is_previous_given = true;
		code = link_get_u8(columns, LINK_COLUMN_SHAPE);
	}
	if (code == LINK_SHAPE_FRAGMENT) {
		*shown_out = show_raw(decoder, at);
		return !columns->bad;
	}
	if (columns->bad || code > LINK_SHAPE_ONCE || code == LINK_SHAPE_CRC ||
		code == LINK_SHAPE_PREVIOUS ||
		!link_get_head(&decoder->state, columns, &decoder->lookup, code, head) ||
		head->length > decoder->pages.flat_length - at) {
		return false;
	}
	head->previous = 0;
	head->crc = 0;
	wal_record_head_encode(head, decoder->flat + at);
	return true;
}

static bool finish_record(struct link_decoder *decoder, const struct link_item *item,
	const struct record_notes *notes)
{
	struct link_columns *columns = &decoder->columns;
	uint8_t *bytes = decoder->flat + item->flat_at;
	lsn_t previous = decoder->position.previous;
	uint32_t crc = 0;

	if (previous == LSN_INVALID || notes->is_previous_given) {
		previous = link_get_delta(columns, LINK_COLUMN_EXTRA, item->start);
	}
	memcpy(bytes + WAL_RECORD_PREV_AT, &previous, 8);
	if (!item->is_at_end || notes->is_crc_given) {
		const uint8_t *given = link_get_bytes(columns, LINK_COLUMN_EXTRA, 4);

		if (given == NULL) {
			return false;
		}
		memcpy(&crc, given, 4);
	}
	if (!get_payload(decoder, item->flat_at + decoder->position.head.length,
		    decoder->position.head.length, item->length)) {
		return false;
	}
	if (item->is_at_end && !notes->is_crc_given) {
		crc = link_record_crc(bytes, item->length);
	}
	memcpy(bytes + WAL_RECORD_CRC_AT, &crc, 4);
	return true;
}

static bool get_body(struct link_decoder *decoder, const struct link_item *item)
{
	decoder->state.current = NULL;
	if (!decoder->state.has_earlier &&
		!link_get_earlier(&decoder->state, &decoder->columns, &decoder->lookup,
			&decoder->position.head, item->from)) {
		return false;
	}
	return get_payload(decoder, item->flat_at, item->from, item->from + item->length);
}

static bool get_raw(struct link_decoder *decoder, const struct link_item *item, uint32_t shown)
{
	const uint8_t *bytes = link_get_bytes(&decoder->columns, LINK_COLUMN_RAW, item->length);

	decoder->state.has_earlier = false;
	if (bytes == NULL || (item->is_head && item->length > shown)) {
		return false;
	}
	memcpy(decoder->flat + item->flat_at, bytes, item->length);
	if (shown > item->length) {
		/* What follows counts on zeros. */
		memset(decoder->flat + item->flat_at + item->length, 0, shown - item->length);
	}
	return true;
}

/* One item of the batch. False: the batch contradicts itself. */
static bool get_item(struct link_decoder *decoder, struct link_scan *scan, struct link_item *item)
{
	struct link_position *position = scan->position;
	uint32_t left = scan->pages->flat_length - scan->at, shown = 0;
	struct record_notes notes = {0};
	bool is_coded = false;

	left -= position->padding < left ? position->padding : left;
	if (left > 0 && position->mode == LINK_BETWEEN) {
		if (!show_head(decoder, scan->pages->flat_length - left, &notes, &shown)) {
			return false;
		}
		is_coded = shown == 0;
	} else if (left > 0 && position->mode == LINK_HEAD) {
		shown = show_raw(decoder, scan->pages->flat_length - left);
	}
	link_scan_next(scan, item);
	switch (item->kind) {
	case LINK_ITEM_RECORD: return is_coded && finish_record(decoder, item, &notes);
	case LINK_ITEM_BODY: return get_body(decoder, item);
	case LINK_ITEM_RAW: return !is_coded && get_raw(decoder, item, shown);
	case LINK_ITEM_TAIL:
	case LINK_ITEM_END: return true;
	case LINK_ITEM_LOST: break;
	}
	return false;
}

static bool get_headers(struct link_decoder *decoder, const struct link_scan *scan)
{
	struct link_columns *columns = &decoder->columns;
	uint64_t next = UINT64_MAX, last = 0; /* the next page whose header is given */

	for (uint32_t i = 0; i < scan->pages->count; i++) {
		const struct link_page *page = &scan->pages->pages[i];
		lsn_t lsn = link_page_lsn(page, scan->batch_lsn);
		bool is_tail = page->flat_at >= scan->tail_at;
		size_t length = (size_t)(page->to - page->from);
		uint8_t expected[WAL_PAGE_HEADER_LONG];
		const uint8_t *bytes = expected + page->from;

		if (!link_header_expect(scan->position, page, lsn, is_tail, expected)) {
			bytes = link_get_bytes(columns, LINK_COLUMN_FRAME, length);
		} else {
			if (next == UINT64_MAX) {
				uint64_t code = link_get_varint(columns, LINK_COLUMN_FRAME);

				next = code == 0 ? UINT64_MAX - 1 : last + code - 1;
			}
			if (next == i) {
				bytes = link_get_bytes(columns, LINK_COLUMN_FRAME, length);
				last = i;
				next = UINT64_MAX;
			}
		}
		if (bytes == NULL ||
			!link_header_learn(scan->position, page, lsn, is_tail, bytes)) {
			return false;
		}
		memcpy(decoder->raw + page->raw_at, bytes, length);
	}
	return next != UINT64_MAX || link_get_varint(columns, LINK_COLUMN_FRAME) == 0;
}

static const char *put_together(struct link_decoder *decoder,
	const struct link_batch_header *header, size_t coded_length, bool *needs_plain_out)
{
	struct link_scan scan;
	struct link_item item;

	link_pages_lay(
		&decoder->pages, header->start, header->length, decoder->position.segment_bytes);
	memset(decoder->flat, 0, decoder->pages.flat_length);
	if (!link_columns_split(&decoder->columns, decoder->coded, coded_length)) {
		return "batch without columns";
	}
	if ((header->flags & LINK_BATCH_BEGINS_FRAME) != 0) {
		const char *reason = get_resumption(decoder, needs_plain_out);

		if (reason != NULL) {
			return reason;
		}
	}
	decoder->lookup = (struct link_lookup){.source = &decoder->earlier,
		.recompressor = decoder->recompressor,
		.version = decoder->position.version,
		.segment_bytes = decoder->position.segment_bytes,
		.limit = header->start};
	link_scan_init(&scan, &decoder->position, &decoder->pages, decoder->flat);
	do {
		if (!get_item(decoder, &scan, &item)) {
			*needs_plain_out =
				decoder->lookup.is_not_held || decoder->cannot_recompress;
			return decoder->lookup.is_not_held ? "batch refers to WAL that is not held"
			       : decoder->cannot_recompress
				       ? "batch with images that cannot be recompressed here"
				       : "batch contradicts itself";
		}
		if (item.kind != LINK_ITEM_END) {
			link_scan_pass(&scan, &item);
		}
	} while (item.kind != LINK_ITEM_END);
	if (!get_headers(decoder, &scan) || !link_columns_are_done(&decoder->columns)) {
		return "batch contradicts itself";
	}
	link_pages_unflatten(&decoder->pages, decoder->flat, header->length, decoder->raw);
	link_position_end_batch(&decoder->position, header->length);
	return NULL;
}

static const char *take_plain(
	struct link_decoder *decoder, const struct link_batch_header *header, size_t coded_length)
{
	if (coded_length != header->length) {
		return "plain batch of another length";
	}
	memcpy(decoder->raw, decoder->coded, header->length);
	link_state_reset(&decoder->state);
	link_position_follow(&decoder->position, decoder->raw, header->length, &decoder->pages,
		decoder->flat, NULL, NULL);
	return NULL;
}

static enum link_result decode_content(struct link_decoder *decoder,
	const struct link_batch_header *header, const uint8_t *bytes, size_t length,
	const char **reason_out)
{
	bool is_plain = (header->flags & LINK_BATCH_IS_PLAIN) != 0, needs_plain = false;
	size_t coded_length;

	decoder->has_recompressed = decoder->cannot_recompress = false;
	if (!unpack(decoder, is_plain, bytes, length, &coded_length)) {
		*reason_out = "batch cannot be unpacked";
		return LINK_BAD;
	}
	*reason_out = is_plain ? take_plain(decoder, header, coded_length)
			       : put_together(decoder, header, coded_length, &needs_plain);
	if (*reason_out != NULL) {
		return needs_plain ? LINK_NEED_PLAIN : LINK_BAD;
	}
	if (link_batch_check(header, decoder->raw) != header->check) {
		/* Another version of a library may have compressed as many bytes otherwise. */
		*reason_out = "batch with a wrong checksum";
		return decoder->has_recompressed ? LINK_NEED_PLAIN : LINK_BAD;
	}
	return LINK_OK;
}

enum link_result link_decoder_decode(struct link_decoder *decoder, const uint8_t *batch,
	size_t length, struct link_decoded *decoded_out)
{
	struct link_batch_header header;
	enum link_result result;
	bool was_joined = decoder->is_joined;

	*decoded_out = (struct link_decoded){0};
	decoder->is_joined = false;
	if (length <= LINK_BATCH_HEADER_BYTES) {
		decoded_out->reason = "batch is too short";
		return LINK_BAD;
	}
	decoded_out->reason = link_batch_header_get(&header, batch);
	if (decoded_out->reason != NULL) {
		return LINK_BAD;
	}
	if ((header.flags & LINK_BATCH_BEGINS_FRAME) != 0) {
		link_position_init(
			&decoder->position, header.start, decoder->position.segment_bytes);
		link_state_reset(&decoder->state);
		link_unpacker_begin(decoder->unpacker);
	} else if (!was_joined || header.start != decoder->position.lsn) {
		decoded_out->reason = "batch continues a frame that is not being read";
		return LINK_NEED_PLAIN;
	}
	result = decode_content(decoder, &header, batch + LINK_BATCH_HEADER_BYTES,
		length - LINK_BATCH_HEADER_BYTES, &decoded_out->reason);
	if (result == LINK_OK) {
		decoder->is_joined = true;
		decoded_out->start = header.start;
		decoded_out->raw = decoder->raw;
		decoded_out->length = header.length;
	}
	return result;
}
