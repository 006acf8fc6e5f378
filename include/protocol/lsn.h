/*
 * lsn: positions in the write-ahead log and the arithmetic on them.
 *
 * An LSN names a byte; the adjectives of this project (received, flushed, sent, confirmed) all mean
 * "last byte + 1". Text is upper and lower 32 bits in hexadecimal, "16/B374D848"; PostgreSQL 19 pads
 * the low half, so text is parsed and never compared.
 */
#ifndef PROTOCOL_LSN_H
#define PROTOCOL_LSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t lsn_t;
typedef uint32_t tli_t;

#define LSN_INVALID     ((lsn_t)0)
#define LSN_TEXT_SIZE   18 /* "FFFFFFFF/FFFFFFFF" and its end */
#define WAL_PAGE_BYTES  8192u
#define WAL_SEGMENT_MIN (1u << 20)
#define WAL_SEGMENT_MAX (1u << 30)

/* For printf("%X/%X", LSN_ARGS(lsn)): PostgreSQL's own spelling up to 18. */
#define LSN_FORMAT    "%X/%X"
#define LSN_ARGS(lsn) (uint32_t)((lsn) >> 32), (uint32_t)(lsn)

/* Parses exactly text[0..length): "X/X", each half 1 to 8 hexadecimal digits. */
bool lsn_parse(const char *text, size_t length, lsn_t *lsn_out);
/* Writes the text with its end into text_out and returns text_out. */
char *lsn_format(lsn_t lsn, char text_out[LSN_TEXT_SIZE]);

static inline lsn_t lsn_min(lsn_t a, lsn_t b)
{
	return a < b ? a : b;
}

static inline lsn_t lsn_max(lsn_t a, lsn_t b)
{
	return a > b ? a : b;
}

static inline lsn_t lsn_page_start(lsn_t lsn)
{
	return lsn - lsn % WAL_PAGE_BYTES;
}

static inline lsn_t lsn_segment_start(lsn_t lsn, uint32_t segment_bytes)
{
	return lsn - lsn % segment_bytes;
}

/* A power of two from 1 MB to 1 GB, as initdb --wal-segsize accepts. */
static inline bool wal_segment_bytes_is_valid(uint64_t bytes)
{
	return bytes >= WAL_SEGMENT_MIN && bytes <= WAL_SEGMENT_MAX && (bytes & (bytes - 1)) == 0;
}

#endif
