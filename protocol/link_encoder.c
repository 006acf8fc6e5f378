/*
 * link_encoder: WAL in, batches out.
 *
 * A batch that turns out not to be understood is forgotten half way, and goes plain from the
 * position where it began; both ends then drop what they remember of records, so that neither has
 * to know how far the other came.
 */
#include "protocol/link_batch.h"
#include "protocol/link_codec.h"
#include "protocol/link_columns.h"
#include "protocol/link_fields.h"
#include "protocol/link_image_index.h"
#include "protocol/link_kinds.h"
#include "protocol/link_pack.h"
#include "protocol/link_recompress.h"
#include "protocol/link_refer.h"
#include "protocol/link_scan.h"
#include "protocol/link_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* From here on a batch of its own for what is left costs little. */
#define LONG_BATCH_BYTES 16384u

struct link_encoder {
	struct link_encoder_options options;
	struct link_position position;
	struct link_position before; /* this batch */
	bool is_started;             /* position continues a frame */
	struct link_state state;
	struct link_lookup lookup;
	struct link_columns columns;
	struct link_matcher matcher;
	struct link_pages pages;
	struct link_image_index *index;
	struct link_recompressor *recompressor;
	uint8_t (*expanded)[WAL_PAGE_BYTES]; /* images of the record in progress, by block */
	uint32_t room;                       /* for what images in this batch are longer as pages */
	struct link_batch_stats *stats;
	struct link_packer *packer;
	uint8_t *flat; /* LINK_FRAME_BYTES */
	uint8_t *batch;
	size_t batch_capacity;
};

struct link_encoder *link_encoder_new(const struct link_encoder_options *options)
{
	struct link_encoder *encoder = calloc(1, sizeof(*encoder));

	if (encoder == NULL) {
		return NULL;
	}
	assert(options->reach_bytes <= LINK_REACH_MAX);
	encoder->options = *options;
	link_columns_init(&encoder->columns);
	link_position_init(&encoder->position, LSN_INVALID, options->segment_bytes);
	encoder->index = options->index != NULL ? options->index
						: link_image_index_new(options->index_bytes);
	encoder->recompressor = link_recompressor_new();
	encoder->expanded = calloc(WAL_BLOCKS_MAX, WAL_PAGE_BYTES);
	encoder->flat = malloc(LINK_FRAME_BYTES);
	encoder->packer = link_packer_new();
	encoder->batch_capacity = LINK_BATCH_HEADER_BYTES + link_pack_bound(LINK_CODED_MAX);
	encoder->batch = malloc(encoder->batch_capacity);
	if (encoder->index == NULL || encoder->recompressor == NULL || encoder->expanded == NULL ||
		encoder->flat == NULL || encoder->packer == NULL || encoder->batch == NULL) {
		link_encoder_free(&encoder);
	}
	return encoder;
}

void link_encoder_free(struct link_encoder **encoder_at)
{
	struct link_encoder *encoder = *encoder_at;

	if (encoder == NULL) {
		return;
	}
	link_columns_release(&encoder->columns);
	if (encoder->options.index == NULL) {
		link_image_index_free(&encoder->index);
	}
	link_recompressor_free(&encoder->recompressor);
	free(encoder->expanded);
	link_packer_free(&encoder->packer);
	free(encoder->flat);
	free(encoder->batch);
	free(encoder);
	*encoder_at = NULL;
}

void link_encoder_set_level(struct link_encoder *encoder, int level)
{
	encoder->options.level = level;
}

void link_encoder_set_reach(struct link_encoder *encoder, uint64_t reach_bytes)
{
	assert(reach_bytes <= LINK_REACH_MAX);
	encoder->options.reach_bytes = reach_bytes;
}

void link_encoder_set_recompress(struct link_encoder *encoder, unsigned recompress)
{
	encoder->options.recompress = recompress;
}

void link_encoder_purge(struct link_encoder *encoder, lsn_t fork)
{
	link_image_index_purge(encoder->index, fork);
	encoder->is_started = false;
	link_position_init(&encoder->position, LSN_INVALID, encoder->options.segment_bytes);
}

/* The images of a record that is complete with this item. */
static void note_item(void *context, const struct link_scan *scan, const struct link_item *item)
{
	struct link_encoder *encoder = context;
	const struct wal_record_head *head = &scan->position->head;

	if (!item->is_at_end || item->start == LSN_INVALID ||
		(item->kind != LINK_ITEM_RECORD && item->kind != LINK_ITEM_BODY)) {
		return;
	}
	for (uint32_t i = 0; i < head->block_count; i++) {
		if (head->blocks[i].image_length != 0) {
			link_image_index_add(encoder->index, &head->blocks[i], item->start);
		}
	}
}

void link_encoder_note(struct link_encoder *encoder, lsn_t start, const uint8_t *raw, size_t length)
{
	while (length > 0) {
		lsn_t room = link_batch_limit(start) - start;
		uint32_t count = (uint32_t)(length < room ? length : room);

		if (encoder->position.lsn != start) {
			link_position_init(
				&encoder->position, start, encoder->options.segment_bytes);
		}
		link_position_follow(&encoder->position, raw, count, &encoder->pages, encoder->flat,
			note_item, encoder);
		start += count;
		raw += count;
		length -= count;
	}
	encoder->is_started = false;
}

/* Only a trial tells that the other end will compress the page to the same bytes. */
static bool expand_image(
	struct link_encoder *encoder, const struct wal_block *block, const uint8_t *image)
{
	const struct wal_version *version = encoder->position.version;
	uint32_t longer = wal_block_page_bytes(block) - block->image_length;
	uint8_t *page = encoder->expanded[block->id];
	const uint8_t *again;

	if (!link_image_is_usable(encoder->options.recompress, version, block) ||
		wal_block_page_bytes(block) < block->image_length || longer > encoder->room ||
		!link_image_expand(encoder->recompressor, version, block, image, page)) {
		return false;
	}
	again = link_image_recompress(encoder->recompressor, version, block, page);
	if (again == NULL || memcmp(again, image, block->image_length) != 0) {
		return false;
	}
	encoder->room -= longer;
	return true;
}

/* Bytes [from, to) of the record: only an image that is whole among them can go as a page. */
static void expand_images(struct link_encoder *encoder, const struct wal_record_head *head,
	const uint8_t *bytes, uint32_t from, uint32_t to)
{
	struct link_pieces pieces;
	struct link_piece piece;

	memset(encoder->state.is_expanded, 0, sizeof(encoder->state.is_expanded));
	link_pieces_init(&pieces, head, from, to);
	while (encoder->options.recompress != 0 && link_pieces_next(&pieces, &piece)) {
		if (piece.is_image && piece.block->image_is_compressed && piece.is_whole) {
			encoder->state.is_expanded[piece.block->id] =
				expand_image(encoder, piece.block, bytes + piece.at);
		}
	}
}

static void put_image(
	struct link_encoder *encoder, const struct link_piece *piece, const uint8_t *bytes)
{
	const struct wal_block *block = piece->block;
	const struct link_earlier *earlier = &encoder->state.earlier[block->id];
	uint32_t from = piece->from, to = piece->to, length = to - from;

	if (block->image_is_compressed && !encoder->state.is_expanded[block->id]) {
		link_put_bytes(&encoder->columns, LINK_COLUMN_IMAGE, bytes, length);
		encoder->stats->raw[LINK_KIND_IMAGE_COMPRESSED] += length;
		return;
	}
	if (block->image_is_compressed) {
		bytes = encoder->expanded[block->id];
		to = wal_block_page_bytes(block);
	}
	if (!earlier->is_known) {
		link_put_bytes(&encoder->columns, LINK_COLUMN_IMAGE, bytes, to - from);
		encoder->stats->raw[LINK_KIND_IMAGE_NEW] += length;
		encoder->stats->images_new += piece->from == 0;
	} else {
		link_refer_put(
			&encoder->matcher, &encoder->columns, earlier, block, bytes, from, to);
		encoder->stats->raw[LINK_KIND_IMAGE_REFERRED] += length;
		encoder->stats->images_referred += piece->from == 0;
	}
}

static void put_data(struct link_encoder *encoder, const struct wal_record_head *head,
	const struct link_piece *piece, uint32_t slot, const uint8_t *bytes)
{
	enum link_column which = piece->block == NULL ? LINK_COLUMN_MAIN : LINK_COLUMN_DATA;
	uint32_t length = piece->to - piece->from;

	if (link_has_fields(&encoder->state, slot, length, piece->is_whole)) {
		link_put_fields(&encoder->state, &encoder->columns, which, slot, head,
			piece->block == NULL, bytes, length);
	} else {
		link_put_bytes(&encoder->columns, LINK_COLUMN_LONG, bytes, length);
	}
}

/* Bytes [from, to) of the record, which lie at bytes; from is not before the payload. */
static void put_payload(struct link_encoder *encoder, const struct wal_record_head *head,
	const uint8_t *bytes, uint32_t from, uint32_t to)
{
	enum link_kind kind = link_kind_of(head->rmgr);
	struct link_pieces pieces;
	struct link_piece piece;
	uint32_t slot = 0;

	link_pieces_init(&pieces, head, from, to);
	while (link_pieces_next(&pieces, &piece)) {
		if (piece.is_image) {
			put_image(encoder, &piece, bytes + piece.at);
			continue;
		}
		put_data(encoder, head, &piece, slot++, bytes + piece.at);
		encoder->stats->raw[kind] += piece.to - piece.from;
	}
}

static void put_record(
	struct link_encoder *encoder, const struct link_scan *scan, const struct link_item *item)
{
	struct link_columns *columns = &encoder->columns;
	const struct wal_record_head *head = &scan->position->head;
	const uint8_t *bytes = scan->flat + item->flat_at;
	bool is_linked = head->previous == scan->position->previous &&
			 scan->position->previous != LSN_INVALID;
	bool is_crc_given = !item->is_at_end || link_record_crc(bytes, head->total) != head->crc;

	if (item->is_at_end && is_crc_given) {
		link_put_u8(columns, LINK_COLUMN_SHAPE, LINK_SHAPE_CRC);
	}
	if (!is_linked && scan->position->previous != LSN_INVALID) {
		link_put_u8(columns, LINK_COLUMN_SHAPE, LINK_SHAPE_PREVIOUS);
	}
	if (!is_linked) {
		link_put_delta(columns, LINK_COLUMN_EXTRA, head->previous, item->start);
	}
	if (is_crc_given) {
		link_put_bytes(columns, LINK_COLUMN_EXTRA, bytes + WAL_RECORD_CRC_AT, 4);
	}
	expand_images(encoder, head, bytes + head->length, head->length, item->length);
	link_put_head(&encoder->state, columns, &encoder->lookup, head);
	encoder->stats->raw[link_kind_of(head->rmgr)] += head->length;
	put_payload(encoder, head, bytes + head->length, head->length, item->length);
}

static void put_item(
	struct link_encoder *encoder, const struct link_scan *scan, const struct link_item *item)
{
	const uint8_t *bytes = scan->flat + item->flat_at;

	switch (item->kind) {
	case LINK_ITEM_RECORD: put_record(encoder, scan, item); break;
	case LINK_ITEM_BODY:
		encoder->state.current = NULL;
		if (!encoder->state.has_earlier) {
			expand_images(encoder, &scan->position->head, bytes, item->from,
				item->from + item->length);
			link_put_earlier(&encoder->state, &encoder->columns, &encoder->lookup,
				&scan->position->head, item->from);
		}
		put_payload(encoder, &scan->position->head, bytes, item->from,
			item->from + item->length);
		break;
	case LINK_ITEM_RAW:
		if (item->is_head && item->start != LSN_INVALID) {
			link_put_u8(&encoder->columns, LINK_COLUMN_SHAPE, LINK_SHAPE_FRAGMENT);
		}
		encoder->state.has_earlier = false;
		link_put_bytes(&encoder->columns, LINK_COLUMN_RAW, bytes, item->length);
		encoder->stats->raw[LINK_KIND_OTHER] += item->length;
		break;
	case LINK_ITEM_TAIL: break;
	case LINK_ITEM_END:
	case LINK_ITEM_LOST: assert(false);
	}
	if (item->is_at_end && item->start != LSN_INVALID) {
		note_item(encoder, scan, item);
	}
}

/* Where a frame begins, the position has to be one that a newcomer can find. */
static bool put_resumption(struct link_encoder *encoder)
{
	struct link_position *position = &encoder->position;
	struct link_columns *columns = &encoder->columns;
	lsn_t start = position->start;
	uint32_t offset = (uint32_t)(position->lsn % WAL_PAGE_BYTES);

	/* A newcomer cannot judge a page header of which it sees only the end. */
	if (position->mode == LINK_LOST ||
		(offset > 0 && offset < wal_page_header_bytes(
						position->lsn - offset, position->segment_bytes))) {
		return false;
	}
	if (position->mode == LINK_OPAQUE) {
		link_position_make_opaque(position); /* as of here */
	} else if (position->mode == LINK_HEAD || position->mode == LINK_BODY) {
		if (start < encoder->lookup.horizon ||
			link_position_resume(position, &encoder->options.earlier, start) !=
				LINK_EARLIER_FOUND) {
			if (position->total <= position->done) {
				return false;
			}
			link_position_make_opaque(position);
		}
	}
	link_put_u8(columns, LINK_COLUMN_FRAME, (uint8_t)position->mode);
	link_put_varint(columns, LINK_COLUMN_FRAME,
		position->version == NULL ? 0 : position->version->magic);
	link_put_varint(columns, LINK_COLUMN_FRAME, position->padding);
	if (position->mode == LINK_OPAQUE) {
		link_put_varint(columns, LINK_COLUMN_FRAME, position->total);
	} else if (position->mode != LINK_BETWEEN && position->mode != LINK_TAIL) {
		link_put_varint(columns, LINK_COLUMN_FRAME, position->lsn - start);
	}
	position->previous = LSN_INVALID;
	position->page_magic = position->page_info = 0;
	position->page_tli = 0;
	return true;
}

static bool put_headers(
	struct link_encoder *encoder, const struct link_scan *scan, const uint8_t *raw)
{
	struct link_columns *columns = &encoder->columns;
	uint32_t last = 0;

	for (uint32_t i = 0; i < scan->pages->count; i++) {
		const struct link_page *page = &scan->pages->pages[i];
		lsn_t lsn = link_page_lsn(page, scan->batch_lsn);
		bool is_tail = page->flat_at >= scan->tail_at;
		uint32_t length = page->to - page->from;
		uint8_t expected[WAL_PAGE_HEADER_LONG];

		if (!link_header_expect(scan->position, page, lsn, is_tail, expected)) {
			link_put_bytes(columns, LINK_COLUMN_FRAME, raw + page->raw_at, length);
		} else if (memcmp(expected + page->from, raw + page->raw_at, length) != 0) {
			link_put_varint(columns, LINK_COLUMN_FRAME, 1 + i - last);
			link_put_bytes(columns, LINK_COLUMN_FRAME, raw + page->raw_at, length);
			last = i;
		}
		if (!link_header_learn(scan->position, page, lsn, is_tail, raw + page->raw_at)) {
			return false;
		}
		encoder->stats->raw[LINK_KIND_HEADER] += length;
	}
	link_put_varint(columns, LINK_COLUMN_FRAME, 0);
	return true;
}

/* A record that a long batch would cut near its end. At the end of a frame nothing is gained: what
 * follows would begin within the record all the same. */
static bool ends_before(
	const struct link_encoder *encoder, const struct link_item *item, uint32_t length)
{
	return encoder->options.ends_at_records && length >= LONG_BATCH_BYTES &&
	       (encoder->position.lsn + length) % LINK_FRAME_BYTES != 0 && !item->is_at_end &&
	       (item->kind == LINK_ITEM_RECORD || (item->kind == LINK_ITEM_RAW && item->is_head)) &&
	       item->start != LSN_INVALID && item->flat_at >= length / 2;
}

/* Fills the columns, of all of *length or less; false: not understood, the position is of no use.
 */
static bool take_apart(struct link_encoder *encoder, const uint8_t *raw, uint32_t *length)
{
	struct link_scan scan;
	struct link_item item;

	link_pages_lay(
		&encoder->pages, encoder->position.lsn, *length, encoder->options.segment_bytes);
	link_pages_flatten(&encoder->pages, raw, *length, encoder->flat);
	link_columns_reset(&encoder->columns);
	if (!encoder->is_started && !put_resumption(encoder)) {
		return false;
	}
	link_scan_init(&scan, &encoder->position, &encoder->pages, encoder->flat);
	encoder->lookup.version = encoder->position.version;
	for (;;) {
		link_scan_next(&scan, &item);
		if (item.kind == LINK_ITEM_LOST) {
			return false;
		}
		if (item.kind == LINK_ITEM_END) {
			break;
		}
		if (ends_before(encoder, &item, *length)) {
			*length = link_scan_end_before(&scan, &item);
			break;
		}
		put_item(encoder, &scan, &item);
		link_scan_pass(&scan, &item);
	}
	return put_headers(encoder, &scan, raw) && !encoder->columns.bad;
}

static bool begin_frame(struct link_encoder *encoder)
{
	link_state_reset(&encoder->state);
	encoder->is_started = false;
	return link_packer_begin(encoder->packer, encoder->options.level);
}

static bool pack(struct link_encoder *encoder, size_t *length_out)
{
	return link_columns_bytes(&encoder->columns) <= LINK_CODED_MAX &&
	       link_packer_put(encoder->packer, &encoder->columns,
		       encoder->batch + LINK_BATCH_HEADER_BYTES,
		       encoder->batch_capacity - LINK_BATCH_HEADER_BYTES, length_out);
}

static bool go_plain(struct link_encoder *encoder, lsn_t start, const uint8_t *raw, uint32_t length,
	size_t *length_out)
{
	encoder->position = encoder->before;
	if (!encoder->is_started) {
		link_position_init(&encoder->position, start, encoder->options.segment_bytes);
	}
	link_state_reset(&encoder->state);
	link_position_follow(&encoder->position, raw, length, &encoder->pages, encoder->flat,
		note_item, encoder);
	return link_packer_put_plain(encoder->packer, raw, length,
		encoder->batch + LINK_BATCH_HEADER_BYTES,
		encoder->batch_capacity - LINK_BATCH_HEADER_BYTES, length_out);
}

bool link_encoder_encode(struct link_encoder *encoder, lsn_t start, const uint8_t *raw,
	size_t length, const uint8_t **batch_out, size_t *batch_length_out,
	struct link_batch_stats *stats_out)
{
	struct link_batch_header header = {.version = LINK_VERSION, .start = start};
	size_t content_length = 0;
	bool is_coded, is_done = true;

	assert(length > 0 && length <= link_batch_limit(start) - start);
	header.length = (uint32_t)length;
	*stats_out = (struct link_batch_stats){.raw_bytes = header.length};
	encoder->stats = stats_out;
	if (encoder->position.lsn != start) {
		link_position_init(&encoder->position, start, encoder->options.segment_bytes);
		encoder->is_started = false;
	}
	if ((!encoder->is_started || start % LINK_FRAME_BYTES == 0) && !begin_frame(encoder)) {
		return false;
	}
	header.flags = encoder->is_started ? 0 : LINK_BATCH_BEGINS_FRAME;
	encoder->room = LINK_FRAME_BYTES - header.length + LINK_CODED_ROOM;
	encoder->lookup = (struct link_lookup){.source = &encoder->options.earlier,
		.recompressor = encoder->recompressor,
		.segment_bytes = encoder->options.segment_bytes,
		.limit = start,
		.horizon = start > encoder->options.reach_bytes
				   ? start - encoder->options.reach_bytes
				   : 0,
		.index = encoder->index};
	encoder->before = encoder->position;
	is_coded = take_apart(encoder, raw, &header.length) && pack(encoder, &content_length);
	stats_out->raw_bytes = header.length;
	if (is_coded) {
		link_position_end_batch(&encoder->position, header.length);
	} else {
		header.flags |= LINK_BATCH_IS_PLAIN;
		is_done = go_plain(encoder, start, raw, header.length, &content_length);
	}
	encoder->is_started = is_done;
	header.check = link_batch_check(&header, raw);
	link_batch_header_put(&header, encoder->batch);
	*batch_out = encoder->batch;
	*batch_length_out = LINK_BATCH_HEADER_BYTES + content_length;
	stats_out->batch_bytes = (uint32_t)*batch_length_out;
	link_stats_finish(stats_out, is_coded ? &encoder->columns : NULL);
	return is_done;
}
