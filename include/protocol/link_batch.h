/*
 * link_batch: the header of a batch, and what encoder and decoder share of its content.
 */
#ifndef PROTOCOL_LINK_BATCH_H
#define PROTOCOL_LINK_BATCH_H

#include "protocol/link_codec.h"
#include "protocol/link_columns.h"
#include "protocol/link_scan.h"

#define LINK_BATCH_BEGINS_FRAME 0x01
#define LINK_BATCH_IS_PLAIN     0x02
#define LINK_BATCH_FLAGS        0x03

/* No WAL gets as far, and arithmetic on LSNs up to here cannot overflow. */
#define LINK_LSN_MAX ((lsn_t)1 << 62)

/* What is coded never takes more: else the batch goes plain. */
#define LINK_CODED_MAX (LINK_FRAME_BYTES + LINK_FRAME_BYTES / 4)
/* Of that, what images that go as pages may take beyond the bytes of a whole frame. */
#define LINK_CODED_ROOM (LINK_FRAME_BYTES / 16)

struct link_batch_header {
	uint8_t version;
	uint8_t flags;
	lsn_t start;
	uint32_t length;
	uint64_t check;
};

void link_batch_header_put(const struct link_batch_header *header, uint8_t *bytes_out);
/* bytes hold LINK_BATCH_HEADER_BYTES. NULL, or what is wrong. */
const char *link_batch_header_get(struct link_batch_header *header_out, const uint8_t *bytes);
/* XXH64 of the raw bytes, its seed that of the header's fields before it. No CRC-32C: what the
 * receiver computes for a wrong record would make it right. */
uint64_t link_batch_check(const struct link_batch_header *header, const uint8_t *raw);

/* Payload pieces of a record, in the order of its bytes. */
struct link_piece {
	const struct wal_block *block; /* NULL: main data */
	bool is_image;
	bool is_whole;
	uint32_t from, to; /* of the piece, that lie in the bytes asked for */
	uint32_t at;       /* where those begin in the bytes asked for */
};

struct link_pieces {
	const struct wal_record_head *head;
	uint64_t begin, end; /* in the record */
	uint64_t at;
	uint32_t next; /* 2 * block + (1: its data); 2 * block_count: main data */
};

void link_pieces_init(struct link_pieces *pieces, const struct wal_record_head *head,
	uint32_t begin, uint32_t end);
bool link_pieces_next(struct link_pieces *pieces, struct link_piece *piece_out);

/* The record that was in progress where a frame begins, read back: position then is in its head or
 * its payload. Never reads at position->lsn or past it. */
enum link_earlier_result link_position_resume(
	struct link_position *position, const struct link_source *source, lsn_t start);
/* Of a whole record. */
uint32_t link_record_crc(const uint8_t *record, uint32_t length);

#endif
