/*
 * link_earlier: WAL that both ends hold, read through whoever holds it.
 */
#ifndef PROTOCOL_LINK_EARLIER_H
#define PROTOCOL_LINK_EARLIER_H

#include "protocol/link_recompress.h"
#include "protocol/lsn.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points bytes_out at WAL from lsn on and returns how many of `length` bytes are there in one
 * piece; 0: not held. What it points at stays valid until the next call. */
typedef size_t link_read_earlier(
	void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out);

struct link_source {
	link_read_earlier *read; /* NULL: nothing is held */
	void *context;
};

/* The page of an image that a record before this batch has, its hole left out. */
struct link_earlier {
	bool is_known;
	uint16_t length;
	uint16_t stored_length; /* as the record has it: less when PostgreSQL compressed it */
	uint16_t hole_offset;
	uint8_t bytes[WAL_PAGE_BYTES];
};

/* count bytes of records from lsn on, page headers left out. False: not held. */
bool link_source_read(const struct link_source *source, lsn_t lsn, uint32_t segment_bytes,
	uint8_t *bytes_out, size_t count);

enum link_earlier_result { LINK_EARLIER_FOUND, LINK_EARLIER_NOT_HELD, LINK_EARLIER_OTHER };

/* The head of the record at lsn; OTHER: no record is there. Reads nothing from limit on. */
enum link_earlier_result link_source_read_head(const struct link_source *source,
	const struct wal_version *version, lsn_t lsn, lsn_t limit, uint32_t segment_bytes,
	struct wal_record_head *head_out);
/* The image of that page in the record at lsn, which ends at or before limit. OTHER: there is none,
 * or none that can be copied from. */
enum link_earlier_result link_earlier_load(struct link_earlier *earlier,
	struct link_recompressor *recompressor, const struct link_source *source,
	const struct wal_version *version, lsn_t lsn, lsn_t limit, uint32_t segment_bytes,
	const struct wal_block *block);

#endif
