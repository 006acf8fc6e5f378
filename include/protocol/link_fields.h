/*
 * link_fields: short pieces of payload, coded against the same piece of the last record of its
 * shape.
 *
 * For every eight bytes a mask says which differ from that record's, and only those are written.
 * What stays the same thus costs next to nothing, without the compressor having to find it. Before
 * that, in main data of known kinds, xids and times are taken as differences.
 */
#ifndef PROTOCOL_LINK_FIELDS_H
#define PROTOCOL_LINK_FIELDS_H

#include "protocol/link_columns.h"
#include "protocol/link_state.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stdint.h>

/* slot: how many such pieces of the record came before. which takes the bytes that differ. */
void link_put_fields(struct link_state *state, struct link_columns *columns, enum link_column which,
	uint32_t slot, const struct wal_record_head *head, bool is_main, const uint8_t *bytes,
	uint32_t length);
bool link_get_fields(struct link_state *state, struct link_columns *columns, enum link_column which,
	uint32_t slot, const struct wal_record_head *head, bool is_main, uint8_t *bytes_out,
	uint32_t length);

/* The pieces that are coded so: whole, short, of a record whose shape is kept. */
static inline bool link_has_fields(
	const struct link_state *state, uint32_t slot, uint32_t length, bool is_whole)
{
	return state->current != NULL && is_whole && length <= LINK_SHAPE_FIELDS_BYTES &&
	       slot < LINK_SHAPE_FIELDS;
}

#endif
