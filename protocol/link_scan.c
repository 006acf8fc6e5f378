/*
 * link_scan: the walk over WAL that both ends of a link do alike.
 *
 * Decisions depend on the position and the bytes alone. A record's head is decoded where it lies
 * when it is whole in the batch, and gathered in the position when a cut goes through it.
 */
#include "protocol/link_scan.h"

#include <assert.h>
#include <string.h>

void link_position_init(struct link_position *position, lsn_t lsn, uint32_t segment_bytes)
{
	assert(wal_segment_bytes_is_valid(segment_bytes));
	memset(position, 0, sizeof(*position));
	position->lsn = lsn;
	position->segment_bytes = segment_bytes;
}

void link_position_lose(struct link_position *position)
{
	position->mode = LINK_LOST;
	position->padding = 0;
	position->start = position->previous = LSN_INVALID;
	position->total = position->done = 0;
	position->version = NULL;
	position->page_magic = position->page_info = 0;
	position->page_tli = 0;
}

void link_position_end_batch(struct link_position *position, uint32_t length)
{
	position->lsn += length;
	if (position->mode == LINK_TAIL && position->lsn % position->segment_bytes == 0) {
		position->mode = LINK_BETWEEN;
	}
}

void link_position_make_opaque(struct link_position *position)
{
	assert(position->total > position->done);
	position->mode = LINK_OPAQUE;
	position->total -= position->done;
	position->done = 0;
	position->start = position->previous = LSN_INVALID;
}

void link_position_begin(struct link_position *position, lsn_t start, uint32_t total)
{
	position->start = start;
	position->total = total;
	position->done = 0;
}

void link_position_take(struct link_position *position, uint32_t count)
{
	bool is_switch = position->mode == LINK_BODY && wal_record_is_switch(&position->head);

	position->done += count;
	assert(position->done <= position->total);
	if (position->done < position->total || position->total == 0) {
		return;
	}
	position->previous = position->start;
	/* Records begin at multiples of 8, and page headers are multiples of 8. */
	position->padding = (8 - position->total % 8) % 8;
	position->mode = is_switch ? LINK_TAIL : LINK_BETWEEN;
	position->start = LSN_INVALID;
	position->total = position->done = 0;
}

void link_scan_init(struct link_scan *scan, struct link_position *position,
	struct link_pages *pages, const uint8_t *flat)
{
	*scan = (struct link_scan){.position = position,
		.flat = flat,
		.pages = pages,
		.batch_lsn = position->lsn,
		.tail_at = UINT32_MAX};
	for (uint32_t i = 0; i < pages->count; i++) {
		pages->pages[i].left = 0;
	}
	if (position->mode == LINK_TAIL) {
		scan->tail_at = 0;
	}
}

void link_scan_mark_pages(struct link_scan *scan, uint64_t left, bool is_start)
{
	uint64_t end = scan->at + left;

	for (; scan->page_next < scan->pages->count; scan->page_next++) {
		struct link_page *page = &scan->pages->pages[scan->page_next];

		if (page->flat_at >= end) {
			return;
		}
		if (page->flat_at > scan->at || (page->flat_at == scan->at && !is_start)) {
			page->left = (uint32_t)(end - page->flat_at);
		}
	}
}

lsn_t link_scan_lsn(const struct link_scan *scan)
{
	lsn_t lsn = scan->batch_lsn + scan->at;

	/* Pages are few and mostly behind: page_next is at or just before the place. */
	for (uint32_t i = scan->page_next; i < scan->pages->count; i++) {
		if (scan->pages->pages[i].flat_at > scan->at) {
			break;
		}
		lsn += scan->pages->pages[i].to - scan->pages->pages[i].from;
	}
	if (scan->page_next > 0) {
		const struct link_page *last = &scan->pages->pages[scan->page_next - 1];

		lsn += last->raw_at - last->flat_at + last->to - last->from;
	}
	return lsn;
}

static bool is_zero(const uint8_t *bytes, uint32_t length)
{
	return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

static void lose(struct link_scan *scan, struct link_item *item)
{
	scan->position->mode = LINK_LOST;
	item->kind = LINK_ITEM_LOST;
}

/* Mid-head, or at the head of a record that the batch cuts through: its bytes as they are. */
static void gather_head(struct link_scan *scan, struct link_item *item)
{
	struct link_position *position = scan->position;
	uint32_t left = scan->pages->flat_length - scan->at;
	enum decode_result result;
	size_t need = 4;

	item->kind = LINK_ITEM_RAW;
	item->is_head = true;
	for (;;) {
		uint32_t count;

		result = wal_record_head_decode(position->version, position->head_bytes,
			position->done, &position->head, &need);
		if (result != DECODE_MORE || left == 0) {
			break;
		}
		assert(need > position->done && need <= WAL_RECORD_HEAD_MAX);
		count = (uint32_t)need - position->done;
		count = count < left ? count : left;
		memcpy(position->head_bytes + position->done, scan->flat + scan->at, count);
		/* A page can begin only where the length is known: it comes first, on one page. */
		if (position->total != 0) {
			link_scan_mark_pages(
				scan, position->total - position->done, position->done == 0);
		}
		position->done += count;
		if (position->done >= 4 && position->total == 0) {
			memcpy(&position->total, position->head_bytes, 4);
		}
		scan->at += count;
		left -= count;
		item->length += count;
	}
	if (result == DECODE_BAD) {
		lose(scan, item);
	} else if (result == DECODE_OK) {
		position->mode = LINK_BODY;
		link_position_take(position, 0);
	} else if (position->total != 0) {
		link_scan_mark_pages(scan, position->total - position->done, false);
	}
}

static void begin_record(struct link_scan *scan, struct link_item *item)
{
	struct link_position *position = scan->position;
	uint32_t left = scan->pages->flat_length - scan->at;
	size_t need;

	item->start = link_scan_lsn(scan);
	switch (wal_record_head_decode(
		position->version, scan->flat + scan->at, left, &position->head, &need)) {
	case DECODE_BAD: lose(scan, item); return;
	case DECODE_MORE:
		position->mode = LINK_HEAD;
		link_position_begin(position, item->start, 0);
		gather_head(scan, item);
		return;
	case DECODE_OK: break;
	}
	position->mode = LINK_BODY;
	link_position_begin(position, item->start, position->head.total);
	link_scan_mark_pages(scan, position->total, true);
	item->kind = LINK_ITEM_RECORD;
	item->length = position->total < left ? position->total : left;
	item->is_at_end = position->total <= left;
	scan->at += item->length;
}

static void take_rest(struct link_scan *scan, struct link_item *item, enum link_item_kind kind)
{
	struct link_position *position = scan->position;
	uint32_t left = scan->pages->flat_length - scan->at;
	uint32_t rest = position->total - position->done;

	link_scan_mark_pages(scan, rest, false);
	item->kind = kind;
	item->start = position->start;
	item->from = position->done;
	item->length = rest < left ? rest : left;
	item->is_at_end = rest <= left;
	scan->at += item->length;
}

static bool skip_padding(struct link_scan *scan)
{
	struct link_position *position = scan->position;
	uint32_t left = scan->pages->flat_length - scan->at;
	uint32_t count = position->padding < left ? position->padding : left;

	if (!is_zero(scan->flat + scan->at, count)) {
		return false;
	}
	position->padding -= count;
	scan->at += count;
	return true;
}

void link_scan_next(struct link_scan *scan, struct link_item *item_out)
{
	struct link_position *position = scan->position;
	uint32_t length = scan->pages->flat_length;

	*item_out = (struct link_item){.kind = LINK_ITEM_END, .flat_at = scan->at};
	if (position->mode == LINK_LOST ||
		(position->version == NULL && position->mode != LINK_TAIL) || !skip_padding(scan)) {
		lose(scan, item_out);
		return;
	}
	item_out->flat_at = scan->at;
	if (position->mode == LINK_TAIL) {
		/* A segment ends where a frame does, so nothing but the tail follows in a batch. */
		scan->tail_at = scan->at < scan->tail_at ? scan->at : scan->tail_at;
		item_out->length = length - scan->at;
		item_out->kind = scan->at < length ? LINK_ITEM_TAIL : LINK_ITEM_END;
		if (!is_zero(scan->flat + scan->at, item_out->length)) {
			lose(scan, item_out);
			return;
		}
		scan->at = length;
		return;
	}
	if (scan->at == length) {
		/* The batch may end with a header, or be nothing but a part of one. */
		link_scan_mark_pages(scan, position->total - position->done, false);
		return;
	}
	switch (position->mode) {
	case LINK_BETWEEN: begin_record(scan, item_out); break;
	case LINK_HEAD: gather_head(scan, item_out); break;
	case LINK_BODY: take_rest(scan, item_out, LINK_ITEM_BODY); break;
	case LINK_OPAQUE: take_rest(scan, item_out, LINK_ITEM_RAW); break;
	case LINK_LOST:
	case LINK_TAIL: assert(false);
	}
}

void link_scan_pass(struct link_scan *scan, const struct link_item *item)
{
	if (item->kind == LINK_ITEM_RECORD || item->kind == LINK_ITEM_BODY ||
		(item->kind == LINK_ITEM_RAW && !item->is_head)) {
		link_position_take(scan->position, item->length);
	}
}

uint32_t link_scan_end_before(struct link_scan *scan, const struct link_item *item)
{
	struct link_position *position = scan->position;
	struct link_pages *pages = scan->pages;
	uint32_t length = (uint32_t)(item->start - scan->batch_lsn);

	assert(item->from == 0 && item->start != LSN_INVALID && !item->is_at_end);
	position->mode = LINK_BETWEEN;
	link_position_begin(position, LSN_INVALID, 0);
	while (pages->count > 0 && pages->pages[pages->count - 1].flat_at >= item->flat_at) {
		const struct link_page *page = &pages->pages[--pages->count];

		length = page->raw_at < length ? page->raw_at : length;
	}
	pages->flat_length = item->flat_at;
	scan->at = item->flat_at;
	return length;
}
