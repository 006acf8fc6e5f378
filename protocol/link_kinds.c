/*
 * link_kinds: what batches are made of, counted.
 */
#include "protocol/link_kinds.h"

#include <assert.h>
#include <string.h>

const char *link_kind_name(enum link_kind kind)
{
	static const char *const names[LINK_KIND_COUNT] = {
		[LINK_KIND_IMAGE_REFERRED] = "image_referred",
		[LINK_KIND_IMAGE_NEW] = "image_new",
		[LINK_KIND_IMAGE_COMPRESSED] = "image_compressed",
		[LINK_KIND_HEAP] = "heap",
		[LINK_KIND_INDEX] = "index",
		[LINK_KIND_COMMIT] = "commit",
		[LINK_KIND_OTHER] = "other",
		[LINK_KIND_ZERO] = "zero",
		[LINK_KIND_HEADER] = "header",
		[LINK_KIND_PLAIN] = "plain",
	};

	return names[kind];
}

enum link_kind link_kind_of(uint8_t rmgr)
{
	/* src/include/access/rmgrlist.h: the same numbers in all versions known here. */
	switch (rmgr) {
	case 1: return LINK_KIND_COMMIT;
	case 9:
	case 10: return LINK_KIND_HEAP;
	case 11:
	case 12:
	case 13:
	case 14:
	case 16:
	case 17: return LINK_KIND_INDEX;
	default: return LINK_KIND_OTHER;
	}
}

static void count_sent(struct link_batch_stats *stats, const struct link_columns *columns)
{
	static const enum link_column referred[] = {LINK_COLUMN_EARLIER, LINK_COLUMN_SKIP,
		LINK_COLUMN_COPY, LINK_COLUMN_SHIFT, LINK_COLUMN_PATCH};
	const struct link_column_bytes *image = &columns->column[LINK_COLUMN_IMAGE];
	uint64_t total = 0, rest, raw_rest = 0;
	uint64_t weight[LINK_KIND_COUNT] = {0};

	for (int i = 0; i < LINK_COLUMN_COUNT; i++) {
		total += columns->column[i].at;
	}
	rest = total - image->at;
	for (size_t i = 0; i < sizeof(referred) / sizeof(referred[0]); i++) {
		weight[LINK_KIND_IMAGE_REFERRED] += columns->column[referred[i]].at;
	}
	rest -= weight[LINK_KIND_IMAGE_REFERRED];
	if (image->length > 0) {
		weight[LINK_KIND_IMAGE_COMPRESSED] =
			image->at * stats->raw[LINK_KIND_IMAGE_COMPRESSED] / image->length;
		weight[LINK_KIND_IMAGE_NEW] = image->at - weight[LINK_KIND_IMAGE_COMPRESSED];
	}
	for (int kind = LINK_KIND_HEAP; kind <= LINK_KIND_OTHER; kind++) {
		raw_rest += stats->raw[kind];
	}
	for (int kind = LINK_KIND_HEAP; kind <= LINK_KIND_OTHER && raw_rest > 0; kind++) {
		weight[kind] = rest * stats->raw[kind] / raw_rest;
	}
	for (int kind = 0; kind < LINK_KIND_COUNT && total > 0; kind++) {
		stats->sent[kind] = (uint32_t)(stats->batch_bytes * weight[kind] / total);
	}
}

static void count_raw(struct link_batch_stats *stats, bool is_plain)
{
	uint32_t known = 0;

	if (is_plain) {
		memset(stats->raw, 0, sizeof(stats->raw));
		stats->images_new = stats->images_referred = 0;
		stats->raw[LINK_KIND_PLAIN] = stats->raw_bytes;
		return;
	}
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		known += stats->raw[kind];
	}
	assert(known <= stats->raw_bytes);
	stats->raw[LINK_KIND_ZERO] = stats->raw_bytes - known;
}

void link_stats_finish(struct link_batch_stats *stats, const struct link_columns *columns)
{
	count_raw(stats, columns == NULL);
	if (columns != NULL) {
		count_sent(stats, columns);
	} else {
		stats->sent[LINK_KIND_PLAIN] = stats->batch_bytes;
	}
}
