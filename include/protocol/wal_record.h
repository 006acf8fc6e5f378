/*
 * wal_record: the layout of WAL pages and of one record's head, by PostgreSQL version.
 *
 * A record is a header of 24 bytes, headers of its blocks and of its main data, and then the
 * payload: for each block its page image and its data, and at last the main data. The head here is
 * everything before the payload. Sources: src/include/access/xlogrecord.h, xlog_internal.h and
 * DecodeXLogRecord() in xlogreader.c, versions 13 to 18. WAL is in the byte order of the machine
 * that wrote it, and only the little-endian one is known here.
 *
 * Pure, and made for bytes that nobody vouches for: what is not exactly as those versions write it
 * is "not understood" (DECODE_BAD), never an error and never a guess.
 */
#ifndef PROTOCOL_WAL_RECORD_H
#define PROTOCOL_WAL_RECORD_H

#include "protocol/decode.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_PAGE_HEADER_SHORT 24u
#define WAL_PAGE_HEADER_LONG  40u

#define WAL_PAGE_CONTINUES  0x01 /* XLP_FIRST_IS_CONTRECORD */
#define WAL_PAGE_LONG       0x02 /* XLP_LONG_HEADER */
#define WAL_PAGE_REMOVABLE  0x04 /* XLP_BKP_REMOVABLE: no base backup is running */
#define WAL_PAGE_OVERWRITES 0x08 /* XLP_FIRST_IS_OVERWRITE_CONTRECORD */

#define WAL_RECORD_HEADER   24u
#define WAL_RECORD_CRC_AT   20u
#define WAL_RECORD_PREV_AT  8u
#define WAL_RECORD_MAX      0x40000000u /* MaxAllocSize, in all versions */
#define WAL_RECORD_HEAD_MAX 1024u       /* 33 blocks of at most 27 bytes, and the rest */
#define WAL_BLOCKS_MAX      33u

#define WAL_BLOCK_FORK_MASK 0x0F
#define WAL_BLOCK_HAS_IMAGE 0x10
#define WAL_BLOCK_HAS_DATA  0x20
#define WAL_BLOCK_WILL_INIT 0x40
#define WAL_BLOCK_SAME_REL  0x80

#define WAL_ID_DATA_SHORT   255
#define WAL_ID_DATA_LONG    254
#define WAL_ID_ORIGIN       253
#define WAL_ID_TOPLEVEL_XID 252

/* What differs between versions. */
struct wal_version {
	uint16_t magic;            /* xlp_magic */
	uint8_t major;             /* of PostgreSQL */
	uint8_t image_has_hole;    /* flags in bimg_info */
	uint8_t image_compressed;  /* any of these */
	uint8_t image_known_flags; /* others are not understood */
};

struct wal_page_header {
	uint16_t magic;
	uint16_t info;
	tli_t tli;
	lsn_t lsn;
	uint32_t left; /* of the record continued from the page before */
	/* long headers only */
	uint64_t system_identifier;
	uint32_t segment_bytes;
};

struct wal_relation {
	uint32_t tablespace, database, relation;
};

struct wal_block {
	struct wal_relation relation;
	uint32_t number;
	uint8_t id;
	uint8_t flags; /* fork_flags: WAL_BLOCK_* */
	uint8_t image_info;
	bool image_is_compressed; /* by PostgreSQL: the payload is no page */
	bool has_hole_length;     /* compressed, with a hole */
	uint16_t data_length;
	uint16_t image_length; /* as stored; 0 without an image */
	uint16_t hole_offset;
	uint16_t hole_length; /* compressed images only */
};

struct wal_record_head {
	uint32_t total; /* bytes of the whole record */
	uint32_t xid;
	lsn_t previous; /* xl_prev */
	uint8_t info;
	uint8_t rmgr;
	uint32_t crc;
	uint32_t length; /* bytes of the head itself */
	bool has_origin;
	uint16_t origin;
	bool has_toplevel_xid;
	uint32_t toplevel_xid;
	uint8_t main_id; /* WAL_ID_DATA_SHORT, _LONG, or 0 without main data */
	uint32_t main_length;
	uint32_t block_count;
	struct wal_block blocks[WAL_BLOCKS_MAX];
};

/* NULL: a version not known here. */
const struct wal_version *wal_version_find(uint16_t magic);

static inline uint32_t wal_page_header_bytes(lsn_t page_lsn, uint32_t segment_bytes)
{
	return page_lsn % segment_bytes == 0 ? WAL_PAGE_HEADER_LONG : WAL_PAGE_HEADER_SHORT;
}

/* bytes hold a whole header; false when this is no page that a known version writes there. */
bool wal_page_header_decode(const uint8_t *bytes, lsn_t page_lsn, uint32_t segment_bytes,
	struct wal_page_header *header_out);

/* The head of the record at bytes[0..length). DECODE_MORE: *need_out bytes must be there before
 * anything more can be said. Fills head_out only when OK; its payload then is exactly
 * head_out->total - head_out->length bytes. */
enum decode_result wal_record_head_decode(const struct wal_version *version, const uint8_t *bytes,
	size_t length, struct wal_record_head *head_out, size_t *need_out);

/* Writes head->length bytes: what was decoded, byte for byte. */
void wal_record_head_encode(const struct wal_record_head *head, uint8_t *bytes_out);
/* What length the head has, from which fields are there: not from head->length. */
uint32_t wal_record_head_bytes(const struct wal_record_head *head);
/* Bytes after the head. */
uint64_t wal_record_payload_bytes(const struct wal_record_head *head);

/* How PostgreSQL compressed the block's image. */
enum wal_image_method {
	WAL_IMAGE_AS_IT_IS,
	WAL_IMAGE_PGLZ,
	WAL_IMAGE_LZ4,
	WAL_IMAGE_ZSTD,
	WAL_IMAGE_UNKNOWN,
};

enum wal_image_method wal_image_method(
	const struct wal_version *version, const struct wal_block *block);
/* Bytes of the block's page without its hole, which its image holds; 0: an impossible hole. */
uint32_t wal_block_page_bytes(const struct wal_block *block);

/* The rest of the segment after this record is zeros (XLOG_SWITCH). */
bool wal_record_is_switch(const struct wal_record_head *head);

#endif
