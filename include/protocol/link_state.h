/*
 * link_state: what both ends of a link remember of the records since the frame began, and the
 * coding of a record's head by it.
 *
 * A shape is everything in a head that tends to repeat: resource manager, info, blocks, relations.
 * Up to LINK_SHAPES of them have a number. What varies is coded against the last value: lengths
 * against those of the last record of that shape, block numbers against the last one of the
 * relation, xids against the last xid, images against the earlier image of the page.
 *
 * The state is the same at both ends after the same records. It never outlives a frame.
 */
#ifndef PROTOCOL_LINK_STATE_H
#define PROTOCOL_LINK_STATE_H

#include "protocol/link_columns.h"
#include "protocol/link_earlier.h"
#include "protocol/link_image_index.h"
#include "protocol/link_scan.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_SHAPES             250
#define LINK_SHAPE_CRC          250 /* the checksum of a whole record does not match: it is given */
#define LINK_SHAPE_PREVIOUS     251 /* xl_prev is not the record before: it is given */
#define LINK_SHAPE_NEW          252 /* given, and numbered from now on */
#define LINK_SHAPE_ONCE         253 /* given, and not kept: too long */
#define LINK_SHAPE_FRAGMENT     254 /* no shape: the batch cuts this head, whose bytes are raw */
#define LINK_SHAPE_BYTES        96
#define LINK_SHAPE_BYTES_MAX    600
#define LINK_SHAPE_LENGTHS      16
#define LINK_SHAPE_FIELDS       3
#define LINK_SHAPE_FIELDS_BYTES 64
#define LINK_RELATION_SLOTS     256
#define LINK_SHAPE_LOOKUP_SLOTS 1024

/* A short piece of payload as the last record of the shape had it. */
struct link_shape_fields {
	uint8_t bytes[LINK_SHAPE_FIELDS_BYTES]; /* zeros behind its end */
};

struct link_shape {
	uint8_t length;
	uint8_t bytes[LINK_SHAPE_BYTES];
	uint32_t last[LINK_SHAPE_LENGTHS];
	struct link_shape_fields fields[LINK_SHAPE_FIELDS];
};

struct link_state {
	struct link_shape shapes[LINK_SHAPES];
	uint32_t shape_count; /* ever made: the next one takes slot shape_count % LINK_SHAPES */
	uint8_t lookup[LINK_SHAPE_LOOKUP_SLOTS]; /* hash -> slot + 1 */
	uint32_t last_block[LINK_RELATION_SLOTS];
	uint32_t last_xid;
	uint64_t last_time;         /* of a commit */
	struct link_shape *current; /* of the record whose head was coded last; NULL: not kept */
	/* Earlier images of the record in progress, by block. */
	bool has_earlier;
	struct link_earlier earlier[WAL_BLOCKS_MAX];
	/* Those of its images that PostgreSQL compressed and that go as pages. Writing: to be set
	 * before the head. */
	bool is_expanded[WAL_BLOCKS_MAX];
};

/* Where earlier images are looked for while heads are coded. */
struct link_lookup {
	const struct link_source *source;
	struct link_recompressor *recompressor;
	const struct wal_version *version;
	uint32_t segment_bytes;
	lsn_t limit;                          /* where the batch begins: nothing later is read */
	lsn_t horizon;                        /* writing: nothing earlier is referred to */
	const struct link_image_index *index; /* writing */
	bool is_not_held;                     /* reading: a reference could not be followed */
};

void link_state_reset(struct link_state *state);

/* The head but for xl_prev and the checksum. */
void link_put_head(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_record_head *head);
/* shape is what stood in LINK_COLUMN_SHAPE. False: no head. */
bool link_get_head(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, uint8_t shape, struct wal_record_head *head_out);

/* For a record whose head came otherwise: earlier images of those not yet passed at offset from. */
void link_put_earlier(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_record_head *head, uint32_t from);
bool link_get_earlier(struct link_state *state, struct link_columns *columns,
	struct link_lookup *lookup, const struct wal_record_head *head, uint32_t from);

#endif
