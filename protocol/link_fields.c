/*
 * link_fields: masks and differences, forth and back.
 */
#include "protocol/link_fields.h"

#include <assert.h>
#include <string.h>

#define RMGR_XACT  1
#define RMGR_HEAP2 9
#define RMGR_HEAP  10

#define OPERATION_MASK 0x70

#define XACT_COMMIT   0x00
#define XACT_ABORT    0x20
#define HEAP_DELETE   0x10
#define HEAP_UPDATE   0x20
#define HEAP_HOT      0x40
#define HEAP_LOCK     0x60
#define HEAP2_PRUNE   0x10
#define HEAP2_VISIBLE 0x40

enum first_field { FIRST_OTHER, FIRST_XID, FIRST_TIME };

/* What main data begins with (access/heapam_xlog.h, access/xact.h). A wrong answer would cost
 * bytes, not truth: both ends give the same. */
static enum first_field first_field_of(const struct wal_record_head *head, uint32_t length)
{
	uint8_t operation = head->info & OPERATION_MASK;

	switch (head->rmgr) {
	case RMGR_XACT:
		return length >= 8 && (operation == XACT_COMMIT || operation == XACT_ABORT)
			       ? FIRST_TIME
			       : FIRST_OTHER;
	case RMGR_HEAP:
		return length >= 4 && (operation == HEAP_DELETE || operation == HEAP_UPDATE ||
					      operation == HEAP_HOT || operation == HEAP_LOCK)
			       ? FIRST_XID
			       : FIRST_OTHER;
	case RMGR_HEAP2:
		return length >= 4 && (operation == HEAP2_PRUNE || operation == HEAP2_VISIBLE)
			       ? FIRST_XID
			       : FIRST_OTHER;
	default: return FIRST_OTHER;
	}
}

/* How long ago, from 1 on; its own inverse. 0 is no xid and stays so, and the one number that would
 * become 0 stays too. */
static uint32_t xid_age(uint32_t xid, uint32_t last)
{
	return xid == 0 || xid == last + 1 ? xid : last + 1 - xid;
}

static void subtract_first(struct link_state *state, const struct wal_record_head *head,
	uint8_t *bytes, uint32_t length)
{
	uint64_t time;
	uint32_t xid;

	switch (first_field_of(head, length)) {
	case FIRST_XID:
		memcpy(&xid, bytes, 4);
		xid = xid_age(xid, state->last_xid);
		memcpy(bytes, &xid, 4);
		break;
	case FIRST_TIME:
		memcpy(&time, bytes, 8);
		state->last_time = time - state->last_time;
		memcpy(bytes, &state->last_time, 8);
		state->last_time = time;
		break;
	case FIRST_OTHER: break;
	}
}

static void add_first(struct link_state *state, const struct wal_record_head *head, uint8_t *bytes,
	uint32_t length)
{
	uint64_t time;
	uint32_t xid;

	switch (first_field_of(head, length)) {
	case FIRST_XID:
		memcpy(&xid, bytes, 4);
		xid = xid_age(xid, state->last_xid);
		memcpy(bytes, &xid, 4);
		break;
	case FIRST_TIME:
		memcpy(&time, bytes, 8);
		state->last_time += time;
		memcpy(bytes, &state->last_time, 8);
		break;
	case FIRST_OTHER: break;
	}
}

void link_put_fields(struct link_state *state, struct link_columns *columns, enum link_column which,
	uint32_t slot, const struct wal_record_head *head, bool is_main, const uint8_t *bytes,
	uint32_t length)
{
	struct link_shape_fields *last = &state->current->fields[slot];
	uint8_t now[LINK_SHAPE_FIELDS_BYTES] = {0}, differing[LINK_SHAPE_FIELDS_BYTES];
	uint32_t count = 0;

	assert(length <= sizeof(now));
	memcpy(now, bytes, length);
	if (is_main) {
		subtract_first(state, head, now, length);
	}
	for (uint32_t at = 0; at < length; at += 8) {
		uint8_t mask = 0;

		for (uint32_t i = 0; i < 8 && at + i < length; i++) {
			bool is_other = now[at + i] != last->bytes[at + i];

			mask |= (uint8_t)(is_other << i);
			differing[count] = now[at + i];
			count += is_other;
		}
		link_put_u8(columns, LINK_COLUMN_MASK, mask);
	}
	link_put_bytes(columns, which, differing, count);
	memcpy(last->bytes, now, sizeof(now));
}

bool link_get_fields(struct link_state *state, struct link_columns *columns, enum link_column which,
	uint32_t slot, const struct wal_record_head *head, bool is_main, uint8_t *bytes_out,
	uint32_t length)
{
	struct link_shape_fields *last = &state->current->fields[slot];

	assert(length <= sizeof(last->bytes));
	for (uint32_t at = 0; at < length; at += 8) {
		uint8_t mask = link_get_u8(columns, LINK_COLUMN_MASK);
		const uint8_t *differing =
			link_get_bytes(columns, which, (size_t)__builtin_popcount(mask));

		if (differing == NULL || (length - at < 8 && mask >> (length - at) != 0)) {
			return false;
		}
		for (uint32_t i = 0; mask != 0; i++, mask >>= 1) {
			if ((mask & 1) != 0) {
				last->bytes[at + i] = *differing++;
			}
		}
	}
	memset(last->bytes + length, 0, sizeof(last->bytes) - length);
	memcpy(bytes_out, last->bytes, length);
	if (is_main) {
		add_first(state, head, bytes_out, length);
	}
	return true;
}
