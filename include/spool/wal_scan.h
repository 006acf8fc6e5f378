/*
 * wal_scan: walks WAL record by record and says up to where it proves itself.
 *
 * The page and record formats are those of src/include/access/xlog_internal.h and xlogrecord.h, the
 * same from 9.5 to 18. Proved means: page headers name their place, a record's xl_prev names the
 * record before it, and its CRC-32C is right. Pure: bytes come from a callback, and the scan can be
 * carried on when there are more; each byte is looked at once.
 *
 * What ends a record also ends here: the rest of a segment after an XLOG_SWITCH record, which is
 * zeros (before version 11 with page headers in them), and which PostgreSQL itself takes for
 * granted up to the segment's end; and a record that a crashed primary left unfinished, when the
 * next page says so (XLP_FIRST_IS_OVERWRITE_CONTRECORD).
 */
#ifndef SPOOL_WAL_SCAN_H
#define SPOOL_WAL_SCAN_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The page (WAL_PAGE_BYTES) at that LSN; NULL: cannot be had. Valid until the next call. */
typedef const uint8_t *wal_scan_page(void *context, lsn_t page_lsn);

enum wal_scan_result {
	WAL_SCAN_MORE,   /* everything before limit was looked at */
	WAL_SCAN_BAD,    /* what stands at bad_lsn is not WAL; says the same when asked again */
	WAL_SCAN_FAILED, /* the callback had no page; may be tried again */
};

/* A record's header is 24 bytes; the redo location follows in a checkpoint's first data bytes. */
#define WAL_SCAN_HEAD_BYTES 34

struct wal_scan {
	/* Results. All are LSN_INVALID until found. */
	lsn_t end;    /* of the last whole record, or as far as its zero tail was seen */
	lsn_t record; /* where that record begins */
	lsn_t redo;   /* of the newest checkpoint record */
	lsn_t bad_lsn;
	const char *bad_reason;

	/* The rest is the scan's own. */
	wal_scan_page *page;
	void *context;
	tli_t tli;
	uint32_t segment_bytes;
	lsn_t at;
	lsn_t tail_end; /* after a switch record: where its segment ends */
	lsn_t start;    /* of the record being read; LSN_INVALID: none */
	lsn_t previous; /* of the last whole record: what xl_prev must say */
	uint32_t total; /* of the record being read */
	uint32_t have;
	uint32_t crc;
	bool is_leading; /* reading the end of a record that began before the scan did */
	tli_t page_tli;
	uint16_t magic;
	uint64_t system_identifier;
	uint8_t head[WAL_SCAN_HEAD_BYTES];
};

/* start is where a record begins, or a segment's start: there the end of a record that began before
 * it is passed over without proof. Pages may be of tli and older timelines. */
void wal_scan_init(struct wal_scan *scan, wal_scan_page *page, void *context, tli_t tli,
	uint32_t segment_bytes, lsn_t start);
/* As far as it goes without looking at limit or past it. */
enum wal_scan_result wal_scan_run(struct wal_scan *scan, lsn_t limit);
/* Forget what was looked at past `end`: other bytes will be there. end must be known. */
void wal_scan_rewind(struct wal_scan *scan);

#endif
