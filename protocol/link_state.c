/*
 * link_state: heads of records coded as shape, and what varies. Each put has its get next to it:
 * they must walk the fields in the same order.
 */
#include "protocol/link_state.h"

#include "protocol/crc32c.h"
#include "protocol/link_refer.h"

#include <assert.h>
#include <string.h>

#define PART_ORIGIN       0x01
#define PART_TOPLEVEL_XID 0x02
#define PART_MAIN_SHORT   0x04
#define PART_MAIN_LONG    0x08
#define PARTS_KNOWN       0x0F

/* Lengths coded so far in this record, against those of the last one of its shape. */
struct lengths {
	uint32_t *last; /* NULL: nothing to go by */
	uint32_t next;
};

void link_state_reset(struct link_state *state)
{
	state->shape_count = 0;
	memset(state->lookup, 0, sizeof(state->lookup));
	memset(state->last_block, 0, sizeof(state->last_block));
	state->last_xid = 0;
	state->last_time = 0;
	state->current = NULL;
	state->has_earlier = false;
}

static uint32_t *length_slot(struct lengths *lengths)
{
	return lengths->last != NULL && lengths->next < LINK_SHAPE_LENGTHS
		       ? &lengths->last[lengths->next++]
		       : NULL;
}

static void put_length(struct link_columns *columns, struct lengths *lengths, uint32_t value)
{
	uint32_t *last = length_slot(lengths);

	link_put_delta(columns, LINK_COLUMN_LENGTH, value, last == NULL ? 0 : *last);
	if (last != NULL) {
		*last = value;
	}
}

static uint64_t get_length(struct link_columns *columns, struct lengths *lengths)
{
	uint32_t *last = length_slot(lengths);
	uint64_t value = link_get_delta(columns, LINK_COLUMN_LENGTH, last == NULL ? 0 : *last);

	if (last != NULL) {
		*last = (uint32_t)value;
	}
	return value;
}

static uint32_t *block_slot(struct link_state *state, const struct wal_block *block)
{
	uint32_t hash =
		(block->relation.relation ^ (uint32_t)(block->flags & WAL_BLOCK_FORK_MASK) << 24) *
		0x9E3779B1u;

	return &state->last_block[hash >> 24];
}

static void put_xid(struct link_state *state, struct link_columns *columns, uint32_t xid)
{
	int32_t delta = (int32_t)(xid - state->last_xid);

	/* 0 stands for no xid, which is most of the records that are not a transaction's. */
	if (xid == 0) {
		link_put_varint(columns, LINK_COLUMN_XID, 0);
		return;
	}
	link_put_varint(columns, LINK_COLUMN_XID,
		1 + (uint64_t)((uint32_t)delta << 1 ^ (delta < 0 ? UINT32_MAX : 0)));
	state->last_xid = xid;
}

static uint32_t get_xid(struct link_state *state, struct link_columns *columns)
{
	uint64_t code = link_get_varint(columns, LINK_COLUMN_XID);
	uint32_t zigzag = (uint32_t)(code - 1);

	if (code == 0) {
		return 0;
	}
	state->last_xid += zigzag >> 1 ^ ((zigzag & 1) != 0 ? UINT32_MAX : 0);
	return state->last_xid;
}

static uint32_t make_shape(const struct wal_record_head *head, uint8_t *bytes_out)
{
	uint8_t *at = bytes_out;

	*at++ = head->rmgr;
	*at++ = head->info;
	*at++ = (uint8_t)((head->has_origin ? PART_ORIGIN : 0) |
			  (head->has_toplevel_xid ? PART_TOPLEVEL_XID : 0) |
			  (head->main_id == WAL_ID_DATA_SHORT         ? PART_MAIN_SHORT
				  : head->main_id == WAL_ID_DATA_LONG ? PART_MAIN_LONG
								      : 0));
	*at++ = (uint8_t)head->block_count;
	for (uint32_t i = 0; i < head->block_count; i++) {
		const struct wal_block *block = &head->blocks[i];

		*at++ = block->id;
		*at++ = block->flags;
		if ((block->flags & WAL_BLOCK_HAS_IMAGE) != 0) {
			*at++ = block->image_info;
		}
		if ((block->flags & WAL_BLOCK_SAME_REL) == 0) {
			memcpy(at, &block->relation, 12);
			at += 12;
		}
	}
	if (head->has_origin) {
		memcpy(at, &head->origin, 2);
		at += 2;
	}
	return (uint32_t)(at - bytes_out);
}

struct shape_reader {
	const uint8_t *at;
	size_t left;
	bool bad;
};

static void read_shape(struct shape_reader *reader, void *out, size_t count)
{
	if (count > reader->left) {
		reader->bad = true;
		memset(out, 0, count);
		return;
	}
	memcpy(out, reader->at, count);
	reader->at += count;
	reader->left -= count;
}

static bool read_shape_block(struct shape_reader *reader, const struct wal_version *version,
	const struct wal_relation *last, struct wal_block *block)
{
	memset(block, 0, sizeof(*block));
	read_shape(reader, &block->id, 1);
	read_shape(reader, &block->flags, 1);
	if ((block->flags & WAL_BLOCK_HAS_IMAGE) != 0) {
		read_shape(reader, &block->image_info, 1);
		block->image_is_compressed = (block->image_info & version->image_compressed) != 0;
		block->has_hole_length = block->image_is_compressed &&
					 (block->image_info & version->image_has_hole) != 0;
	}
	if ((block->flags & WAL_BLOCK_SAME_REL) == 0) {
		read_shape(reader, &block->relation, 12);
	} else if (last != NULL) {
		block->relation = *last;
	}
	return !reader->bad;
}

/* Everything of the head that a shape says. */
static bool parse_shape(const struct wal_version *version, const uint8_t *bytes, size_t length,
	struct wal_record_head *head)
{
	struct shape_reader reader = {.at = bytes, .left = length};
	uint8_t parts, count;

	read_shape(&reader, &head->rmgr, 1);
	read_shape(&reader, &head->info, 1);
	read_shape(&reader, &parts, 1);
	read_shape(&reader, &count, 1);
	if (reader.bad || count > WAL_BLOCKS_MAX || (parts & ~PARTS_KNOWN) != 0) {
		return false;
	}
	head->has_origin = (parts & PART_ORIGIN) != 0;
	head->has_toplevel_xid = (parts & PART_TOPLEVEL_XID) != 0;
	head->main_id = (parts & PART_MAIN_SHORT) != 0  ? WAL_ID_DATA_SHORT
			: (parts & PART_MAIN_LONG) != 0 ? WAL_ID_DATA_LONG
							: 0;
	head->block_count = count;
	for (uint32_t i = 0; i < count; i++) {
		if (!read_shape_block(&reader, version,
			    i == 0 ? NULL : &head->blocks[i - 1].relation, &head->blocks[i])) {
			return false;
		}
	}
	if (head->has_origin) {
		read_shape(&reader, &head->origin, 2);
	}
	return !reader.bad && reader.left == 0;
}

static uint32_t keep_shape(struct link_state *state, const uint8_t *bytes, uint32_t length)
{
	uint32_t slot = state->shape_count++ % LINK_SHAPES;
	struct link_shape *shape = &state->shapes[slot];

	shape->length = (uint8_t)length;
	memcpy(shape->bytes, bytes, length);
	memset(shape->last, 0, sizeof(shape->last));
	memset(shape->fields, 0, sizeof(shape->fields));
	return slot;
}

/* Returns the shape, or NULL when it is one that is not kept. */
static struct link_shape *put_shape(
	struct link_state *state, struct link_columns *columns, const struct wal_record_head *head)
{
	uint8_t bytes[LINK_SHAPE_BYTES_MAX];
	uint32_t length = make_shape(head, bytes);
	uint32_t hash = crc32c_update(length, bytes, length) % LINK_SHAPE_LOOKUP_SLOTS;
	uint32_t slot = state->lookup[hash];

	if (slot != 0 && slot <= state->shape_count && state->shapes[slot - 1].length == length &&
		memcmp(state->shapes[slot - 1].bytes, bytes, length) == 0) {
		link_put_u8(columns, LINK_COLUMN_SHAPE, (uint8_t)(slot - 1));
		return &state->shapes[slot - 1];
	}
	link_put_u8(columns, LINK_COLUMN_SHAPE,
		length <= LINK_SHAPE_BYTES ? LINK_SHAPE_NEW : LINK_SHAPE_ONCE);
	link_put_varint(columns, LINK_COLUMN_NEW_SHAPE, length);
	link_put_bytes(columns, LINK_COLUMN_NEW_SHAPE, bytes, length);
	if (length > LINK_SHAPE_BYTES) {
		return NULL;
	}
	slot = keep_shape(state, bytes, length);
	state->lookup[hash] = (uint8_t)(slot + 1);
	return &state->shapes[slot];
}

static bool get_shape(struct link_state *state, struct link_columns *columns,
	const struct wal_version *version, uint8_t code, struct wal_record_head *head,
	struct link_shape **shape_out)
{
	const uint8_t *bytes;
	uint64_t length;

	*shape_out = NULL;
	if (code < LINK_SHAPES) {
		struct link_shape *shape = &state->shapes[code];

		if (code >= state->shape_count) {
			return false;
		}
		*shape_out = shape;
		return parse_shape(version, shape->bytes, shape->length, head);
	}
	length = link_get_varint(columns, LINK_COLUMN_NEW_SHAPE);
	if (length > (code == LINK_SHAPE_NEW ? LINK_SHAPE_BYTES : LINK_SHAPE_BYTES_MAX)) {
		return false;
	}
	bytes = link_get_bytes(columns, LINK_COLUMN_NEW_SHAPE, (size_t)length);
	if (bytes == NULL || !parse_shape(version, bytes, (size_t)length, head)) {
		return false;
	}
	if (code == LINK_SHAPE_NEW) {
		*shape_out = &state->shapes[keep_shape(state, bytes, (uint32_t)length)];
	}
	return true;
}

static void put_earlier(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_block *block)
{
	struct link_earlier *earlier = &state->earlier[block->id];
	bool is_expanded = block->image_is_compressed && state->is_expanded[block->id];
	lsn_t lsn;

	earlier->is_known = false;
	if (block->image_is_compressed && !is_expanded) {
		link_put_varint(columns, LINK_COLUMN_EARLIER, 0);
		return;
	}
	lsn = link_image_index_find(lookup->index, block, lookup->limit);
	if (lsn == LSN_INVALID || lsn < lookup->horizon ||
		link_earlier_load(earlier, lookup->recompressor, lookup->source, lookup->version,
			lsn, lookup->limit, lookup->segment_bytes, block) != LINK_EARLIER_FOUND) {
		link_put_varint(columns, LINK_COLUMN_EARLIER, is_expanded ? 1 : 0);
		return;
	}
	/* Records begin at multiples of 8, a batch perhaps not. */
	link_put_varint(columns, LINK_COLUMN_EARLIER,
		(is_expanded ? 2 : 1) + (lookup->limit / 8 - lsn / 8));
}

static bool get_earlier(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_block *block)
{
	struct link_earlier *earlier = &state->earlier[block->id];
	uint64_t back = link_get_varint(columns, LINK_COLUMN_EARLIER);

	earlier->is_known = false;
	state->is_expanded[block->id] = block->image_is_compressed && back > 0;
	if (state->is_expanded[block->id]) {
		back--;
	}
	if (back == 0) {
		return true;
	}
	if (back - 1 > lookup->limit / 8) {
		return false;
	}
	switch (link_earlier_load(earlier, lookup->recompressor, lookup->source, lookup->version,
		(lookup->limit / 8 - (back - 1)) * 8, lookup->limit, lookup->segment_bytes,
		block)) {
	case LINK_EARLIER_FOUND: return true;
	case LINK_EARLIER_NOT_HELD: lookup->is_not_held = true; return false;
	case LINK_EARLIER_OTHER: break;
	}
	return false;
}

static void put_block(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, struct lengths *lengths, const struct wal_block *block)
{
	uint32_t *last = block_slot(state, block);

	link_put_delta(columns, LINK_COLUMN_BLOCK, block->number, *last);
	*last = block->number;
	if ((block->flags & WAL_BLOCK_HAS_DATA) != 0) {
		put_length(columns, lengths, block->data_length);
	}
	if ((block->flags & WAL_BLOCK_HAS_IMAGE) == 0) {
		return;
	}
	put_earlier(state, columns, lookup, block);
	if (state->earlier[block->id].is_known) {
		struct link_earlier *earlier = &state->earlier[block->id];

		link_put_delta(columns, LINK_COLUMN_LENGTH, block->image_length,
			block->image_is_compressed ? earlier->stored_length : earlier->length);
		link_put_delta(
			columns, LINK_COLUMN_LENGTH, block->hole_offset, earlier->hole_offset);
		if (block->has_hole_length) {
			link_put_delta(columns, LINK_COLUMN_LENGTH, block->hole_length,
				WAL_PAGE_BYTES - earlier->length);
		}
		link_refer_foresee(earlier, block);
		return;
	}
	put_length(columns, lengths, block->image_length);
	put_length(columns, lengths, block->hole_offset);
	if (block->has_hole_length) {
		put_length(columns, lengths, block->hole_length);
	}
}

/* What put_block() says of an image's length and hole. */
static bool get_image(struct link_state *state, struct link_columns *columns,
	struct lengths *lengths, struct wal_block *block)
{
	struct link_earlier *earlier = &state->earlier[block->id];
	uint64_t image, hole, hole_length = 0;

	if (earlier->is_known) {
		image = link_get_delta(columns, LINK_COLUMN_LENGTH,
			block->image_is_compressed ? earlier->stored_length : earlier->length);
		hole = link_get_delta(columns, LINK_COLUMN_LENGTH, earlier->hole_offset);
		hole_length = block->has_hole_length ? link_get_delta(columns, LINK_COLUMN_LENGTH,
							       WAL_PAGE_BYTES - earlier->length)
						     : 0;
	} else {
		image = get_length(columns, lengths);
		hole = get_length(columns, lengths);
		hole_length = block->has_hole_length ? get_length(columns, lengths) : 0;
	}
	if (image > WAL_PAGE_BYTES || hole > WAL_PAGE_BYTES || hole_length > UINT16_MAX) {
		return false;
	}
	block->image_length = (uint16_t)image;
	block->hole_offset = (uint16_t)hole;
	block->hole_length = (uint16_t)hole_length;
	link_refer_foresee(earlier, block);
	return true;
}

static bool get_block(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, struct lengths *lengths, struct wal_block *block)
{
	uint32_t *last = block_slot(state, block);
	uint64_t number = link_get_delta(columns, LINK_COLUMN_BLOCK, *last);
	uint64_t data = 0;

	block->number = *last = (uint32_t)number;
	if ((block->flags & WAL_BLOCK_HAS_DATA) != 0) {
		data = get_length(columns, lengths);
	}
	if (number > UINT32_MAX || data > UINT16_MAX || block->id >= WAL_BLOCKS_MAX) {
		return false;
	}
	block->data_length = (uint16_t)data;
	if ((block->flags & WAL_BLOCK_HAS_IMAGE) == 0) {
		return true;
	}
	return get_earlier(state, columns, lookup, block) &&
	       get_image(state, columns, lengths, block);
}

void link_put_head(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_record_head *head)
{
	struct link_shape *shape = put_shape(state, columns, head);
	struct lengths lengths = {.last = shape == NULL ? NULL : shape->last};

	state->current = shape;
	put_xid(state, columns, head->xid);
	for (uint32_t i = 0; i < head->block_count; i++) {
		put_block(state, columns, lookup, &lengths, &head->blocks[i]);
	}
	if (head->has_toplevel_xid) {
		link_put_delta(columns, LINK_COLUMN_XID, head->toplevel_xid, head->xid);
	}
	if (head->main_id != 0) {
		put_length(columns, &lengths, head->main_length);
	}
	state->has_earlier = true;
}

bool link_get_head(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, uint8_t code, struct wal_record_head *head_out)
{
	struct lengths lengths = {0};
	struct link_shape *shape;
	uint64_t main_length = 0;

	if (!get_shape(state, columns, lookup->version, code, head_out, &shape)) {
		return false;
	}
	lengths.last = shape == NULL ? NULL : shape->last;
	state->current = shape;
	head_out->xid = get_xid(state, columns);
	for (uint32_t i = 0; i < head_out->block_count; i++) {
		if (!get_block(state, columns, lookup, &lengths, &head_out->blocks[i])) {
			return false;
		}
	}
	if (head_out->has_toplevel_xid) {
		head_out->toplevel_xid =
			(uint32_t)link_get_delta(columns, LINK_COLUMN_XID, head_out->xid);
	}
	if (head_out->main_id != 0) {
		main_length = get_length(columns, &lengths);
	}
	if (columns->bad || main_length >= WAL_RECORD_MAX ||
		(head_out->main_id == WAL_ID_DATA_SHORT && main_length > UINT8_MAX)) {
		return false;
	}
	head_out->main_length = (uint32_t)main_length;
	head_out->length = wal_record_head_bytes(head_out);
	main_length = head_out->length + wal_record_payload_bytes(head_out);
	head_out->total = (uint32_t)main_length;
	state->has_earlier = true;
	return main_length < WAL_RECORD_MAX;
}

void link_put_earlier(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_record_head *head, uint32_t from)
{
	uint64_t at = head->length;

	for (uint32_t i = 0; i < head->block_count; i++) {
		const struct wal_block *block = &head->blocks[i];

		at += block->image_length;
		state->earlier[block->id].is_known = false;
		if (block->image_length != 0 && at > from) {
			put_earlier(state, columns, lookup, block);
			link_refer_foresee(&state->earlier[block->id], block);
		}
		at += block->data_length;
	}
	state->has_earlier = true;
}

bool link_get_earlier(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_record_head *head, uint32_t from)
{
	uint64_t at = head->length;

	for (uint32_t i = 0; i < head->block_count; i++) {
		const struct wal_block *block = &head->blocks[i];

		at += block->image_length;
		state->earlier[block->id].is_known = false;
		if (block->image_length != 0 && at > from) {
			if (!get_earlier(state, columns, lookup, block)) {
				return false;
			}
			link_refer_foresee(&state->earlier[block->id], block);
		}
		at += block->data_length;
	}
	state->has_earlier = true;
	return true;
}
