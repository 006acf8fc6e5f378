/*
 * link_page: WAL pages on the link: where their headers are, taking them out, putting them back,
 * and what each is expected to say.
 */
#include "protocol/link_scan.h"

#include <assert.h>
#include <string.h>

lsn_t link_lsn_advance(lsn_t lsn, uint64_t count, uint32_t segment_bytes)
{
	while (count > 0) {
		uint32_t offset = (uint32_t)(lsn % WAL_PAGE_BYTES);
		uint32_t header = wal_page_header_bytes(lsn - offset, segment_bytes);
		uint32_t room;

		if (offset < header) {
			lsn += header - offset;
			offset = header;
		}
		room = WAL_PAGE_BYTES - offset;
		if (count < room) {
			return lsn + count;
		}
		lsn += room;
		count -= room;
	}
	return lsn;
}

uint64_t link_lsn_between(lsn_t from, lsn_t to, uint32_t segment_bytes)
{
	uint64_t count = 0;

	while (from < to) {
		lsn_t page = from - from % WAL_PAGE_BYTES;
		lsn_t begin = lsn_max(from, page + wal_page_header_bytes(page, segment_bytes));
		lsn_t end = lsn_min(to, page + WAL_PAGE_BYTES);

		count += end > begin ? end - begin : 0;
		from = page + WAL_PAGE_BYTES;
	}
	return count;
}

void link_pages_lay(struct link_pages *pages, lsn_t lsn, uint32_t length, uint32_t segment_bytes)
{
	uint32_t at = 0, flat = 0;

	assert(length <= LINK_FRAME_BYTES);
	pages->count = 0;
	while (at < length) {
		lsn_t here = lsn + at;
		uint32_t offset = (uint32_t)(here % WAL_PAGE_BYTES);
		uint32_t header = wal_page_header_bytes(here - offset, segment_bytes);
		uint32_t left = length - at, count;

		if (offset < header) {
			struct link_page *page = &pages->pages[pages->count++];

			count = header - offset < left ? header - offset : left;
			*page = (struct link_page){.raw_at = at,
				.flat_at = flat,
				.from = (uint8_t)offset,
				.to = (uint8_t)(offset + count),
				.length = (uint8_t)header};
		} else {
			count = WAL_PAGE_BYTES - offset < left ? WAL_PAGE_BYTES - offset : left;
			flat += count;
		}
		at += count;
	}
	pages->flat_length = flat;
}

void link_pages_flatten(
	const struct link_pages *pages, const uint8_t *raw, uint32_t length, uint8_t *flat_out)
{
	uint32_t flat = 0, at = 0;

	for (uint32_t i = 0; i <= pages->count; i++) {
		uint32_t stop = i < pages->count ? pages->pages[i].raw_at : length;

		memcpy(flat_out + flat, raw + at, stop - at);
		flat += stop - at;
		if (i < pages->count) {
			at = stop + pages->pages[i].to - pages->pages[i].from;
		}
	}
}

void link_pages_unflatten(
	const struct link_pages *pages, const uint8_t *flat, uint32_t length, uint8_t *raw_out)
{
	uint32_t flat_at = 0, at = 0;

	for (uint32_t i = 0; i <= pages->count; i++) {
		uint32_t stop = i < pages->count ? pages->pages[i].raw_at : length;

		memcpy(raw_out + at, flat + flat_at, stop - at);
		flat_at += stop - at;
		if (i < pages->count) {
			at = stop + pages->pages[i].to - pages->pages[i].from;
		}
	}
}

static void put_header(
	uint8_t *out, uint16_t magic, uint16_t info, tli_t tli, lsn_t lsn, uint32_t left)
{
	memset(out, 0, WAL_PAGE_HEADER_LONG);
	memcpy(out, &magic, 2);
	memcpy(out + 2, &info, 2);
	memcpy(out + 4, &tli, 4);
	memcpy(out + 8, &lsn, 8);
	memcpy(out + 16, &left, 4);
}

bool link_header_expect(const struct link_position *position, const struct link_page *page,
	lsn_t page_lsn, bool is_tail, uint8_t expected_out[WAL_PAGE_HEADER_LONG])
{
	uint16_t info = position->page_info & WAL_PAGE_REMOVABLE;

	if (is_tail) {
		memset(expected_out, 0, WAL_PAGE_HEADER_LONG);
		return true;
	}
	if (page_lsn % LINK_FRAME_BYTES == 0) {
		return false;
	}
	put_header(expected_out, position->page_magic,
		(uint16_t)(info | (page->left != 0 ? WAL_PAGE_CONTINUES : 0)), position->page_tli,
		page_lsn, page->left);
	return true;
}

bool link_header_learn(struct link_position *position, const struct link_page *page, lsn_t page_lsn,
	bool is_tail, const uint8_t *bytes)
{
	static const uint8_t zeros[WAL_PAGE_HEADER_LONG];
	struct wal_page_header header;

	memcpy(position->page_header + page->from, bytes, (size_t)(page->to - page->from));
	if (is_tail) {
		return memcmp(bytes, zeros, (size_t)(page->to - page->from)) == 0;
	}
	if (page->to < page->length) {
		return true;
	}
	if (!wal_page_header_decode(
		    position->page_header, page_lsn, position->segment_bytes, &header) ||
		header.left != page->left || (header.info & WAL_PAGE_OVERWRITES) != 0 ||
		wal_version_find(header.magic) != position->version) {
		return false;
	}
	position->page_magic = header.magic;
	position->page_info = header.info;
	position->page_tli = header.tli;
	return true;
}

/* The batch's headers against what its records say; false: page *at_out begins something else. */
static bool learn_all(const struct link_scan *scan, const uint8_t *raw, uint32_t first,
	uint32_t stop, uint32_t *at_out)
{
	for (uint32_t i = first; i < stop; i++) {
		const struct link_page *page = &scan->pages->pages[i];

		if (!link_header_learn(scan->position, page, link_page_lsn(page, scan->batch_lsn),
			    page->flat_at >= scan->tail_at, raw + page->raw_at)) {
			*at_out = i;
			return false;
		}
	}
	return true;
}

/* The first page from `first` on whose header is whole and makes sense becomes where position is. A
 * header may have begun in the batch before. */
static bool find_again(struct link_scan *scan, const uint8_t *raw, uint32_t first)
{
	struct link_position *position = scan->position;

	link_position_lose(position);
	for (uint32_t i = first; i < scan->pages->count; i++) {
		const struct link_page *page = &scan->pages->pages[i];
		struct wal_page_header header;

		memcpy(position->page_header + page->from, raw + page->raw_at,
			(size_t)(page->to - page->from));
		if (page->to != page->length || !wal_page_header_decode(position->page_header,
							link_page_lsn(page, scan->batch_lsn),
							position->segment_bytes, &header)) {
			continue;
		}
		position->version = wal_version_find(header.magic);
		position->page_magic = header.magic;
		position->page_info = header.info;
		position->page_tli = header.tli;
		position->mode = header.left == 0 ? LINK_BETWEEN : LINK_OPAQUE;
		position->total = header.left;
		scan->at = page->flat_at;
		scan->page_next = i + 1;
		scan->tail_at = UINT32_MAX;
		return true;
	}
	return false;
}

/* From where scan is to the batch's end or to where it is lost. */
static bool scan_on(struct link_scan *scan, link_on_item *on_item, void *context)
{
	struct link_item item;

	for (;;) {
		link_scan_next(scan, &item);
		if (item.kind == LINK_ITEM_END || item.kind == LINK_ITEM_LOST) {
			return item.kind == LINK_ITEM_END;
		}
		if (on_item != NULL) {
			on_item(context, scan, &item);
		}
		link_scan_pass(scan, &item);
	}
}

void link_position_follow(struct link_position *position, const uint8_t *raw, uint32_t length,
	struct link_pages *pages, uint8_t *flat_room, link_on_item *on_item, void *context)
{
	struct link_scan scan;
	uint32_t learnt = 0; /* pages before this one are done with */
	bool is_found = true;

	link_pages_lay(pages, position->lsn, length, position->segment_bytes);
	link_pages_flatten(pages, raw, length, flat_room);
	link_scan_init(&scan, position, pages, flat_room);
	if (position->mode == LINK_LOST) {
		is_found = find_again(&scan, raw, 0);
		learnt = scan.page_next;
	}
	while (is_found) {
		bool is_whole = scan_on(&scan, on_item, context);
		uint32_t stop = pages->count;

		/* Where the records stop making sense, later pages are not theirs to judge. */
		while (!is_whole && stop > learnt && pages->pages[stop - 1].flat_at > scan.at) {
			stop--;
		}
		if (learn_all(&scan, raw, learnt, stop, &stop) && is_whole) {
			break;
		}
		is_found = find_again(&scan, raw, stop);
		learnt = scan.page_next;
		/* Guarantees an end: each round begins at a later page. */
		assert(!is_found || learnt > stop);
	}
	link_position_end_batch(position, length);
}
