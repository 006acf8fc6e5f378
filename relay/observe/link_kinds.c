/*
 * link_kinds: page images are of three kinds, and told as one where a sentence has to do.
 */
#include "observe/link_kinds.h"

#include <stdio.h>

#include "observe/json_values.h"
#include "protocol/link_codec.h"

json_t *link_kinds_object(const uint64_t *wal_bytes, const uint64_t *encoded_bytes)
{
	json_t *kinds = json_object();
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		json_t *bytes = json_object();
		json_put(bytes, "wal_bytes", json_bytes(wal_bytes[kind]));
		json_put(bytes, "encoded_bytes", json_bytes(encoded_bytes[kind]));
		json_put(kinds, link_kind_name((enum link_kind)kind), bytes);
	}
	return kinds;
}

uint64_t link_kinds_sum(const uint64_t *bytes)
{
	uint64_t sum = 0;
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		sum += bytes[kind];
	}
	return sum;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (unsigned)(part * 100 / whole);
}

unsigned link_kinds_percent_of_images(const uint64_t *encoded_bytes, uint64_t total)
{
	return percent(encoded_bytes[LINK_KIND_IMAGE_REFERRED] +
			       encoded_bytes[LINK_KIND_IMAGE_NEW] +
			       encoded_bytes[LINK_KIND_IMAGE_COMPRESSED],
		total);
}

void link_kinds_summary(const uint64_t *encoded_bytes, char text_out[LINK_KINDS_SUMMARY_SIZE])
{
	/* As a reader who has not seen the names of the kinds knows them. */
	static const char *const names[LINK_KIND_COUNT] = {
		[LINK_KIND_HEAP] = "changes to tables",
		[LINK_KIND_INDEX] = "changes to indexes",
		[LINK_KIND_COMMIT] = "commits",
		[LINK_KIND_OTHER] = "other records",
		[LINK_KIND_ZERO] = "padding",
		[LINK_KIND_HEADER] = "page headers",
		[LINK_KIND_PLAIN] = "WAL as it is",
	};
	uint64_t sum = link_kinds_sum(encoded_bytes);
	enum link_kind most = LINK_KIND_HEAP;
	for (int kind = LINK_KIND_HEAP; kind < LINK_KIND_COUNT; kind++) {
		if (encoded_bytes[kind] > encoded_bytes[most]) {
			most = (enum link_kind)kind;
		}
	}
	int length = snprintf(text_out, LINK_KINDS_SUMMARY_SIZE,
		"%u %% of what goes to it over links is full-page images",
		link_kinds_percent_of_images(encoded_bytes, sum));
	if (percent(encoded_bytes[most], sum) > 0) {
		snprintf(text_out + length, LINK_KINDS_SUMMARY_SIZE - (size_t)length, ", %u %% %s",
			percent(encoded_bytes[most], sum), names[most]);
	}
}
