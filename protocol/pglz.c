/*
 * pglz: the search has to find what PostgreSQL's finds, so its thresholds and its order are
 * PostgreSQL's: matches are tried from the newest, and with each one tried the length that ends the
 * search falls by a tenth.
 */
#include "protocol/pglz.h"

#include <assert.h>
#include <string.h>

#define MATCH_MIN     3u
#define MATCH_MAX     273u
#define LONG_FROM     18u
#define DISTANCE_END  4095u /* no match is as far back */
#define GOOD_LENGTH   128u
#define GOOD_DROP     10u   /* percent */
#define TRIED_BYTES   1024u /* after so many without a match PostgreSQL gives up */
#define INPUT_MIN     32u
#define PERCENT_SAVED 25u

struct matches {
	struct pglz_finder *finder;
	const uint8_t *bytes;
	size_t length;
	uint32_t mask;
};

static uint32_t lists_for(size_t length)
{
	uint32_t lists = 512;

	for (size_t below = 128; length >= below && lists < 8192; below *= 2) {
		lists *= 2;
	}
	return lists;
}

static uint32_t hash_at(const struct matches *matches, size_t at)
{
	const uint8_t *bytes = matches->bytes + at;

	/* PostgreSQL's bytes are signed: what spills over the mask does not. */
	if (matches->length - at < 4) {
		return (uint32_t)(int8_t)bytes[0] & matches->mask;
	}
	return ((uint32_t)(int8_t)bytes[0] << 6 ^ (uint32_t)(int8_t)bytes[1] << 4 ^
		       (uint32_t)(int8_t)bytes[2] << 2 ^ (uint32_t)(int8_t)bytes[3]) &
	       matches->mask;
}

static void add(struct matches *matches, size_t at)
{
	uint16_t *newest = &matches->finder->newest[hash_at(matches, at)];

	matches->finder->older[at] = *newest;
	*newest = (uint16_t)(at + 1);
}

static uint32_t common(const uint8_t *left, const uint8_t *right, uint32_t max)
{
	uint32_t count = 0;

	while (count + 8 <= max) {
		uint64_t one, other;

		memcpy(&one, left + count, 8);
		memcpy(&other, right + count, 8);
		if (one != other) {
			return count + ((uint32_t)__builtin_ctzll(one ^ other) >> 3);
		}
		count += 8;
	}
	while (count < max && left[count] == right[count]) {
		count++;
	}
	return count;
}

/* The length of the match at `at`, less than MATCH_MIN: none. */
static uint32_t find(const struct matches *matches, size_t at, uint32_t *distance_out)
{
	const uint8_t *here = matches->bytes + at;
	uint32_t max =
		matches->length - at < MATCH_MAX ? (uint32_t)(matches->length - at) : MATCH_MAX;
	uint32_t best = 0, good = GOOD_LENGTH;
	uint32_t next = matches->finder->newest[hash_at(matches, at)];

	while (next != 0) {
		uint32_t from = next - 1, distance = (uint32_t)at - from;

		if (distance >= DISTANCE_END) {
			break;
		}
		/* One that is to be longer is the same at the best one's end, too. */
		if (best < max && matches->bytes[from + best] == here[best]) {
			uint32_t length = common(here, matches->bytes + from, max);

			if (length > best) {
				best = length;
				*distance_out = distance;
			}
		}
		next = matches->finder->older[from];
		if (next != 0) {
			if (best >= good) {
				break;
			}
			good -= good * GOOD_DROP / 100;
		}
	}
	return best;
}

/* Items and the control byte before each eight of them. */
struct writer {
	uint8_t *out;
	size_t at, control_at;
	uint32_t items;
};

static void put_item(struct writer *writer, bool is_copy)
{
	if (writer->items % 8 == 0) {
		writer->control_at = writer->at++;
		writer->out[writer->control_at] = 0;
	}
	writer->out[writer->control_at] |= (uint8_t)(is_copy << writer->items % 8);
	writer->items++;
}

static void put_copy(struct writer *writer, uint32_t length, uint32_t distance)
{
	uint32_t code = length < LONG_FROM ? length - MATCH_MIN : 15;

	put_item(writer, true);
	writer->out[writer->at++] = (uint8_t)((distance >> 4 & 0xF0) | code);
	writer->out[writer->at++] = (uint8_t)distance;
	if (code == 15) {
		writer->out[writer->at++] = (uint8_t)(length - LONG_FROM);
	}
}

size_t pglz_compress(
	struct pglz_finder *finder, const uint8_t *bytes, size_t length, uint8_t *out, size_t room)
{
	struct matches matches = {
		.finder = finder, .bytes = bytes, .length = length, .mask = lists_for(length) - 1};
	size_t most = length * (100 - PERCENT_SAVED) / 100, at = 0;
	struct writer writer = {.out = out};
	bool has_copies = false;

	assert(length <= PGLZ_INPUT_MAX);
	if (length < INPUT_MIN) {
		return 0;
	}
	memset(finder->newest, 0, (matches.mask + 1) * sizeof(finder->newest[0]));
	while (at < length) {
		uint32_t distance = 0, count;

		/* An item takes four bytes at most. */
		if (writer.at >= most || room - writer.at < 4 ||
			(!has_copies && writer.at >= TRIED_BYTES)) {
			return 0;
		}
		count = find(&matches, at, &distance);
		if (count >= MATCH_MIN) {
			put_copy(&writer, count, distance);
			has_copies = true;
		} else {
			put_item(&writer, false);
			out[writer.at++] = bytes[at];
			count = 1;
		}
		for (uint32_t i = 0; i < count; i++) {
			add(&matches, at++);
		}
	}
	return writer.at < most ? writer.at : 0;
}

/* A copy's length and distance. False: it is cut short. */
static bool get_copy(const uint8_t *stored, size_t stored_length, size_t *at, size_t *length_out,
	size_t *distance_out)
{
	if (stored_length - *at < 2) {
		return false;
	}
	*length_out = (stored[*at] & 0x0F) + MATCH_MIN;
	*distance_out = (size_t)(stored[*at] & 0xF0) << 4 | stored[*at + 1];
	*at += 2;
	if (*length_out == LONG_FROM) {
		if (stored_length == *at) {
			return false;
		}
		*length_out += stored[(*at)++];
	}
	return true;
}

bool pglz_decompress(const uint8_t *stored, size_t stored_length, uint8_t *out, size_t length)
{
	size_t at = 0, made = 0;
	uint32_t control = 0;

	while (at < stored_length && made < length) {
		if (control <= 1) {
			control = 0x100u | stored[at++];
		}
		if (at == stored_length) {
			return false;
		}
		if ((control & 1) == 0) {
			out[made++] = stored[at++];
		} else {
			size_t count, distance;

			if (!get_copy(stored, stored_length, &at, &count, &distance) ||
				distance == 0 || distance > made || count > length - made) {
				return false;
			}
			for (; count > 0; count--, made++) {
				out[made] = out[made - distance];
			}
		}
		control >>= 1;
	}
	return at == stored_length && made == length;
}
