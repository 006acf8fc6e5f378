/*
 * link_refer: finds copies by comparing in place first, which is what most of a page that was
 * written to since is; by hash only where that leaves a gap.
 */
#include "protocol/link_refer.h"

#include <assert.h>
#include <string.h>

#define SAME_SHIFT_MIN 8  /* shortest copy that goes on as the one before */
#define NEW_SHIFT_MIN  10 /* shortest that does not */
#define HASH_AFTER     12 /* literals in a row that make the hash worth its time */
#define HASH_STEP      4u /* line pointers are as far apart, tuples further */

#define SHIFT_AS_BEFORE 0u
#define SHIFT_FROM_END  1u
#define SHIFT_CHANGE    2u

#define PAGE_LOWER_AT 12u /* pd_lower, pd_upper: the bounds of the hole in a page that has one */

struct finder {
	struct link_matcher *matcher;
	struct link_columns *columns;
	const uint8_t *old;
	const uint8_t *bytes; /* image + from */
	int32_t old_length;
	int32_t from, to;
	int32_t end_shift;
	int32_t shift;   /* old offset - new offset of the copies */
	int32_t literal; /* where the literals not yet written begin */
	bool is_hashed;
	uint32_t literals;
};

void link_refer_foresee(struct link_earlier *earlier, const struct wal_block *block)
{
	uint32_t length = wal_block_page_bytes(block);
	uint16_t upper = (uint16_t)(block->hole_offset + WAL_PAGE_BYTES - length);

	if (!earlier->is_known || length == WAL_PAGE_BYTES || earlier->length < PAGE_LOWER_AT + 4) {
		return;
	}
	memcpy(earlier->bytes + PAGE_LOWER_AT, &block->hole_offset, 2);
	memcpy(earlier->bytes + PAGE_LOWER_AT + 2, &upper, 2);
}

static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, 8);
	return value;
}

static int32_t common(const uint8_t *left, const uint8_t *right, int32_t max)
{
	int32_t count = 0;

	for (; count + 8 <= max; count += 8) {
		uint64_t differ = load64(left + count) ^ load64(right + count);

		if (differ != 0) {
			return count + (__builtin_ctzll(differ) >> 3);
		}
	}
	while (count < max && left[count] == right[count]) {
		count++;
	}
	return count;
}

/* How far new bytes from at on are the same as old ones at that shift. */
static int32_t same_at(const struct finder *finder, int32_t at, int32_t shift)
{
	int32_t old_at = at + shift;
	int32_t max = finder->to - at;

	if (old_at < 0 || old_at >= finder->old_length) {
		return 0;
	}
	max = max < finder->old_length - old_at ? max : finder->old_length - old_at;
	return common(finder->bytes + (at - finder->from), finder->old + old_at, max);
}

static uint32_t hash_of(uint64_t value)
{
	return (uint32_t)(value * 0x9E3779B97F4A7C15u >> 52);
}

static void hash_old(struct finder *finder)
{
	uint64_t last = 0;

	memset(finder->matcher->positions, 0, sizeof(finder->matcher->positions));
	for (int32_t at = 0; at + 8 <= finder->old_length; at += HASH_STEP) {
		uint64_t value = load64(finder->old + at);

		/* Runs of one byte would fill the table with places that are all alike. */
		if (value != last) {
			finder->matcher->positions[hash_of(value)] = (uint16_t)(at + 1);
		}
		last = value;
	}
	finder->is_hashed = true;
}

static void put_copy(struct finder *finder, int32_t at, int32_t length, int32_t shift)
{
	uint32_t skip = (uint32_t)(at - finder->literal);

	link_put_varint(finder->columns, LINK_COLUMN_SKIP, skip);
	link_put_bytes(finder->columns, LINK_COLUMN_PATCH,
		finder->bytes + (finder->literal - finder->from), skip);
	finder->literals += skip;
	link_put_varint(finder->columns, LINK_COLUMN_COPY,
		at + length == finder->to ? 0 : (uint32_t)length);
	if (shift == finder->shift) {
		link_put_varint(finder->columns, LINK_COLUMN_SHIFT, SHIFT_AS_BEFORE);
	} else if (shift == finder->end_shift) {
		link_put_varint(finder->columns, LINK_COLUMN_SHIFT, SHIFT_FROM_END);
	} else {
		int32_t change = shift - finder->shift;

		link_put_varint(finder->columns, LINK_COLUMN_SHIFT,
			SHIFT_CHANGE + ((uint32_t)change << 1 ^ (change < 0 ? UINT32_MAX : 0)));
	}
	finder->shift = shift;
	finder->literal = at + length;
}

/* A copy at or around at by hash, longer than what a change of shift costs. Returns its end. */
static int32_t try_hash(struct finder *finder, int32_t at)
{
	const uint8_t *here = finder->bytes + (at - finder->from);
	int32_t old_at, shift, back = 0, length;

	if (at + 8 > finder->to) {
		return at;
	}
	old_at = finder->matcher->positions[hash_of(load64(here))] - 1;
	if (old_at < 0) {
		return at;
	}
	shift = old_at - at;
	length = same_at(finder, at, shift);
	while (at - back > finder->literal && old_at - back > 0 &&
		here[-back - 1] == finder->old[old_at - back - 1]) {
		back++;
	}
	if (length + back < NEW_SHIFT_MIN) {
		return at;
	}
	put_copy(finder, at - back, length + back, shift);
	return at + length;
}

static int32_t try_shift(struct finder *finder, int32_t at, int32_t shift, int32_t min)
{
	int32_t length = same_at(finder, at, shift);

	if (length < min && at + length < finder->to) {
		return at;
	}
	if (length == 0) {
		return at;
	}
	put_copy(finder, at, length, shift);
	return at + length;
}

static void find_copies(struct finder *finder)
{
	int32_t at = finder->from;

	while (at < finder->to) {
		int32_t next = try_shift(finder, at, finder->shift, SAME_SHIFT_MIN);

		if (next == at && finder->shift != finder->end_shift) {
			next = try_shift(finder, at, finder->end_shift, NEW_SHIFT_MIN);
		}
		if (next == at && finder->shift != 0) {
			next = try_shift(finder, at, 0, NEW_SHIFT_MIN);
		}
		if (next == at && finder->is_hashed) {
			next = try_hash(finder, at);
		}
		if (next != at) {
			at = next;
			continue;
		}
		at++;
		if (!finder->is_hashed && at - finder->literal >= HASH_AFTER) {
			hash_old(finder);
			at = finder->literal;
		}
	}
}

uint32_t link_refer_put(struct link_matcher *matcher, struct link_columns *columns,
	const struct link_earlier *earlier, const struct wal_block *block, const uint8_t *bytes,
	uint32_t from, uint32_t to)
{
	struct finder finder = {.matcher = matcher,
		.columns = columns,
		.old = earlier->bytes,
		.bytes = bytes,
		.old_length = earlier->length,
		.from = (int32_t)from,
		.to = (int32_t)to,
		.end_shift = (int32_t)earlier->length - (int32_t)wal_block_page_bytes(block),
		.literal = (int32_t)from};
	uint32_t rest;

	assert(earlier->is_known && from < to && to <= wal_block_page_bytes(block));
	find_copies(&finder);
	rest = to - (uint32_t)finder.literal;
	if (rest > 0) {
		link_put_varint(columns, LINK_COLUMN_SKIP, rest);
		link_put_bytes(columns, LINK_COLUMN_PATCH,
			bytes + ((uint32_t)finder.literal - from), rest);
	}
	return finder.literals + rest;
}

static int64_t read_shift(struct link_columns *columns, int64_t shift, int64_t end_shift)
{
	uint64_t code = link_get_varint(columns, LINK_COLUMN_SHIFT);
	uint32_t zigzag = (uint32_t)(code - SHIFT_CHANGE);

	if (code == SHIFT_AS_BEFORE) {
		return shift;
	}
	if (code == SHIFT_FROM_END) {
		return end_shift;
	}
	return shift + (int32_t)(zigzag >> 1 ^ ((zigzag & 1) != 0 ? UINT32_MAX : 0));
}

bool link_refer_get(struct link_columns *columns, const struct link_earlier *earlier,
	const struct wal_block *block, uint8_t *bytes_out, uint32_t from, uint32_t to)
{
	int64_t end_shift = (int64_t)earlier->length - wal_block_page_bytes(block), shift = 0;
	uint64_t at = from;

	while (at < to) {
		uint64_t count = link_get_varint(columns, LINK_COLUMN_SKIP);
		const uint8_t *literals;

		if (count > to - at) {
			return false;
		}
		literals = link_get_bytes(columns, LINK_COLUMN_PATCH, (size_t)count);
		if (literals == NULL) {
			return false;
		}
		memcpy(bytes_out + (at - from), literals, (size_t)count);
		at += count;
		if (at == to) {
			break;
		}
		count = link_get_varint(columns, LINK_COLUMN_COPY);
		count = count == 0 ? to - at : count;
		shift = read_shift(columns, shift, end_shift);
		if (columns->bad || count > to - at || (int64_t)at + shift < 0 ||
			(int64_t)(at + count) + shift > earlier->length) {
			return false;
		}
		memcpy(bytes_out + (at - from), earlier->bytes + ((int64_t)at + shift),
			(size_t)count);
		at += count;
	}
	return !columns->bad;
}
