/*
 * wal_scan: a streaming reader of WAL pages and records that believes nothing it cannot check.
 *
 * Page header, little or big endian as the machine that wrote it (WAL moves only between like
 * ones): 0  u16 xlp_magic        the same on all pages of a version 2  u16 xlp_info         1 first
 * record is continued, 2 long header, 4 removable, 8 overwrites 4  u32 xlp_tli 8  u64 xlp_pageaddr
 * the page's own LSN 16  u32 xlp_rem_len      bytes left of the record continued from the page
 * before
 *   24  u64 xlp_sysid        \
 *   32  u32 xlp_seg_size      > long header: first page of a segment
 *   36  u32 xlp_xlog_blcksz  /
 * Record header, at a multiple of 8; xl_tot_len never leaves its page, the rest may:
 *    0  u32 xl_tot_len
 *    4  u32 xl_xid
 *    8  u64 xl_prev
 *   16  u8  xl_info
 *   17  u8  xl_rmid
 *   20  u32 xl_crc           over the data, then the header up to here
 */
#include "spool/wal_scan.h"

#include "protocol/crc32c.h"

#include <assert.h>
#include <string.h>

#define SHORT_HEADER_BYTES  24u
#define LONG_HEADER_BYTES   40u
#define RECORD_HEADER_BYTES 24u
#define RECORD_CRC_OFFSET   20u
#define RECORD_BYTES_MAX    0x40000000u /* MaxAllocSize bounds a record in all versions */

#define PAGE_CONTINUES_RECORD 0x01
#define PAGE_HAS_LONG_HEADER  0x02
#define PAGE_OVERWRITES       0x08
#define PAGE_FLAGS            0x0F

#define RMGR_XLOG           0
#define INFO_MASK           0xF0
#define CHECKPOINT_SHUTDOWN 0x00
#define CHECKPOINT_ONLINE   0x10
#define XLOG_SWITCH         0x40
#define BLOCK_ID_DATA_SHORT 255

/* From version 11 on the pages after a switch record have no headers. */
#define MAGIC_WITHOUT_TAIL_HEADERS 0xD098

struct page_header {
	uint16_t magic;
	uint16_t info;
	tli_t tli;
	uint64_t lsn;
	uint32_t left;
};

/* MORE and BAD as for a caller; DONE: one step was taken. */
enum step { STEP_DONE, STEP_MORE, STEP_BAD, STEP_FAILED };

static uint16_t get_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t get_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
	return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

void wal_scan_init(struct wal_scan *scan, wal_scan_page *page, void *context, tli_t tli,
	uint32_t segment_bytes, lsn_t start)
{
	assert(wal_segment_bytes_is_valid(segment_bytes));
	memset(scan, 0, sizeof(*scan));
	scan->page = page;
	scan->context = context;
	scan->tli = tli;
	scan->segment_bytes = segment_bytes;
	assert(start % 8 == 0);
	scan->at = start;
	scan->is_leading = start % segment_bytes == 0;
}

void wal_scan_rewind(struct wal_scan *scan)
{
	assert(scan->end != LSN_INVALID);
	scan->at = scan->end;
	scan->start = LSN_INVALID;
	scan->total = 0;
	scan->have = 0;
	scan->is_leading = false;
	scan->bad_lsn = LSN_INVALID;
	scan->bad_reason = NULL;
	/* Pages past the end may have taught a timeline that is not to come. */
	scan->page_tli = 0;
}

static enum step bad(struct wal_scan *scan, lsn_t lsn, const char *reason)
{
	scan->bad_lsn = lsn;
	scan->bad_reason = reason;
	return STEP_BAD;
}

static struct page_header page_header_get(const uint8_t *page)
{
	return (struct page_header){.magic = get_u16(page),
		.info = get_u16(page + 2),
		.tli = get_u32(page + 4),
		.lsn = get_u64(page + 8),
		.left = get_u32(page + 16)};
}

static uint32_t page_header_bytes(const struct wal_scan *scan, lsn_t page_lsn)
{
	return page_lsn % scan->segment_bytes == 0 ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES;
}

static const char *page_header_fault(const struct wal_scan *scan, lsn_t page_lsn,
	const uint8_t *page, const struct page_header *header)
{
	bool is_long = page_lsn % scan->segment_bytes == 0;

	if (header->magic == 0 || (scan->magic != 0 && header->magic != scan->magic)) {
		return "invalid magic number in page header";
	}
	if ((header->info & ~PAGE_FLAGS) != 0 ||
		((header->info & PAGE_HAS_LONG_HEADER) != 0) != is_long) {
		return "invalid info bits in page header";
	}
	if (header->lsn != page_lsn) {
		return "page header names another address";
	}
	if (header->tli == 0 || header->tli > scan->tli || header->tli < scan->page_tli) {
		return "page of another timeline";
	}
	if (is_long && get_u32(page + 32) != scan->segment_bytes) {
		return "page header names another segment size";
	}
	if (is_long && get_u32(page + 36) != WAL_PAGE_BYTES) {
		return "WAL block size is not 8192";
	}
	if (is_long && scan->system_identifier != 0 &&
		get_u64(page + 24) != scan->system_identifier) {
		return "page of another system";
	}
	return NULL;
}

/* What the page says of the record that was being read when the page before it ended. */
static enum step page_continues(struct wal_scan *scan, const struct page_header *header)
{
	bool continues = (header->info & PAGE_CONTINUES_RECORD) != 0;
	bool is_reading = scan->start != LSN_INVALID || (scan->is_leading && scan->total > 0);

	if (continues != (header->left != 0)) {
		return bad(
			scan, scan->at, "page header contradicts itself about a continued record");
	}
	if (is_reading && !continues && (header->info & PAGE_OVERWRITES) != 0) {
		scan->start = LSN_INVALID;
		scan->is_leading = false;
		scan->total = 0;
		scan->have = 0;
		return STEP_DONE;
	}
	if (scan->is_leading && scan->total == 0) {
		scan->total = header->left;
		scan->have = 0;
		scan->is_leading = continues;
		return STEP_DONE;
	}
	if (is_reading != continues) {
		return bad(scan, scan->at, "page does not continue the record before it");
	}
	if (is_reading && header->left != scan->total - scan->have) {
		return bad(scan, scan->at, "page continues a record of another length");
	}
	return STEP_DONE;
}

static enum step read_page_header(struct wal_scan *scan, const uint8_t *page, lsn_t limit)
{
	uint32_t length = page_header_bytes(scan, scan->at);
	struct page_header header;
	const char *fault;
	enum step step;

	if (limit - scan->at < length) {
		return STEP_MORE;
	}
	header = page_header_get(page);
	fault = page_header_fault(scan, scan->at, page, &header);
	if (fault != NULL) {
		return bad(scan, scan->at, fault);
	}
	step = page_continues(scan, &header);
	if (step != STEP_DONE) {
		return step;
	}
	scan->magic = header.magic;
	scan->page_tli = header.tli;
	if (length == LONG_HEADER_BYTES) {
		scan->system_identifier = get_u64(page + 24);
	}
	scan->at += length;
	return STEP_DONE;
}

/* A page of what follows a switch record. Versions before 11 wrote headers there, so that there a
 * page without one has not come yet. */
static enum step read_tail(struct wal_scan *scan, const uint8_t *page, lsn_t limit)
{
	uint32_t offset = (uint32_t)(scan->at % WAL_PAGE_BYTES);
	lsn_t stop = lsn_min(limit, scan->at - offset + WAL_PAGE_BYTES);
	uint32_t skip = 0;

	if (offset == 0) {
		if (limit - scan->at < SHORT_HEADER_BYTES) {
			return STEP_MORE;
		}
		if (!is_zero(page, SHORT_HEADER_BYTES)) {
			struct page_header header = page_header_get(page);
			const char *fault = page_header_fault(scan, scan->at, page, &header);

			if (fault != NULL || header.left != 0) {
				return bad(scan, scan->at, "bytes after a switch record");
			}
			skip = SHORT_HEADER_BYTES;
		} else if (scan->magic < MAGIC_WITHOUT_TAIL_HEADERS) {
			return bad(scan, scan->at, "no page header after a switch record");
		}
	}
	if (!is_zero(page + offset + skip, stop - scan->at - skip)) {
		return bad(scan, scan->at, "bytes after a switch record");
	}
	scan->at = stop;
	scan->end = stop;
	return STEP_DONE;
}

static enum step begin_record(struct wal_scan *scan, const uint8_t *page, lsn_t limit)
{
	uint32_t total;

	assert(scan->at % 8 == 0);
	if (limit - scan->at < 8) {
		return STEP_MORE;
	}
	total = get_u32(page + scan->at % WAL_PAGE_BYTES);
	if (total < RECORD_HEADER_BYTES || total >= RECORD_BYTES_MAX) {
		return bad(scan, scan->at, "invalid record length");
	}
	scan->start = scan->at;
	scan->total = total;
	scan->have = 0;
	scan->crc = CRC32C_INIT;
	return STEP_DONE;
}

static void take_bytes(struct wal_scan *scan, const uint8_t *bytes, uint32_t length)
{
	uint32_t skip = 0;

	if (scan->have < WAL_SCAN_HEAD_BYTES) {
		uint32_t room = WAL_SCAN_HEAD_BYTES - scan->have;

		memcpy(scan->head + scan->have, bytes, length < room ? length : room);
	}
	if (scan->have < RECORD_HEADER_BYTES) {
		skip = RECORD_HEADER_BYTES - scan->have;
		skip = skip < length ? skip : length;
	}
	scan->crc = crc32c_update(scan->crc, bytes + skip, length - skip);
	scan->have += length;
}

/* XLogRecordMaxSize apart, these are the checks of ValidXLogRecordHeader() and ValidXLogRecord().
 */
static const char *record_fault(const struct wal_scan *scan)
{
	uint32_t crc = crc32c_update(scan->crc, scan->head, RECORD_CRC_OFFSET);
	uint64_t previous = get_u64(scan->head + 8);

	if (scan->previous != LSN_INVALID ? previous != scan->previous : previous >= scan->start) {
		return "record with another predecessor";
	}
	if (crc32c_finish(crc) != get_u32(scan->head + RECORD_CRC_OFFSET)) {
		return "incorrect record checksum";
	}
	return NULL;
}

static void note_record(struct wal_scan *scan)
{
	uint8_t info = scan->head[16] & INFO_MASK;

	if (scan->head[17] != RMGR_XLOG) {
		return;
	}
	if (info == XLOG_SWITCH) {
		lsn_t over = scan->end % scan->segment_bytes;

		scan->tail_end = over == 0 ? scan->end : scan->end - over + scan->segment_bytes;
	}
	if ((info == CHECKPOINT_SHUTDOWN || info == CHECKPOINT_ONLINE) &&
		scan->total >= WAL_SCAN_HEAD_BYTES &&
		scan->head[RECORD_HEADER_BYTES] == BLOCK_ID_DATA_SHORT) {
		scan->redo = get_u64(scan->head + RECORD_HEADER_BYTES + 2);
	}
}

static enum step end_record(struct wal_scan *scan, lsn_t limit)
{
	lsn_t end = (scan->at + 7) & ~(lsn_t)7;
	const char *fault;

	if (end > limit) {
		return STEP_MORE;
	}
	if (scan->is_leading) {
		scan->is_leading = false;
		scan->at = end;
		scan->total = 0;
		return STEP_DONE;
	}
	fault = record_fault(scan);
	if (fault != NULL) {
		return bad(scan, scan->start, fault);
	}
	scan->record = scan->start;
	scan->previous = scan->start;
	scan->at = end;
	scan->end = end;
	scan->start = LSN_INVALID;
	note_record(scan);
	return STEP_DONE;
}

static enum step read_record(struct wal_scan *scan, const uint8_t *page, lsn_t limit)
{
	uint32_t offset = (uint32_t)(scan->at % WAL_PAGE_BYTES);
	uint64_t length = lsn_min(limit - scan->at, WAL_PAGE_BYTES - offset);

	if (length > scan->total - scan->have) {
		length = scan->total - scan->have;
	}
	if (scan->is_leading) {
		scan->have += (uint32_t)length;
	} else {
		take_bytes(scan, page + offset, (uint32_t)length);
	}
	scan->at += length;
	return scan->have == scan->total ? end_record(scan, limit) : STEP_DONE;
}

/* The header of a page in whose middle the scan begins: it tells the version. */
static enum step read_first_page(struct wal_scan *scan, const uint8_t *page)
{
	lsn_t page_lsn = lsn_page_start(scan->at);
	struct page_header header = page_header_get(page);
	const char *fault = page_header_fault(scan, page_lsn, page, &header);

	if (fault != NULL) {
		return bad(scan, page_lsn, fault);
	}
	scan->magic = header.magic;
	scan->page_tli = header.tli;
	return STEP_DONE;
}

static bool is_in_record(const struct wal_scan *scan)
{
	return scan->start != LSN_INVALID || (scan->is_leading && scan->total > 0);
}

/* Within one page, as long as something changes. */
static enum step scan_page(struct wal_scan *scan, const uint8_t *page, lsn_t limit)
{
	lsn_t page_end = lsn_page_start(scan->at) + WAL_PAGE_BYTES;
	enum step step = STEP_DONE;

	if (scan->magic == 0 && scan->at % WAL_PAGE_BYTES != 0) {
		step = read_first_page(scan, page);
	}
	while (step == STEP_DONE && scan->at < limit && scan->at < page_end) {
		if (scan->at < scan->tail_end) {
			step = read_tail(scan, page, limit);
		} else if (scan->at % WAL_PAGE_BYTES == 0) {
			step = read_page_header(scan, page, limit);
		} else if (is_in_record(scan)) {
			step = read_record(scan, page, limit);
		} else {
			step = begin_record(scan, page, limit);
		}
	}
	return step;
}

enum wal_scan_result wal_scan_run(struct wal_scan *scan, lsn_t limit)
{
	if (scan->bad_reason != NULL) {
		return WAL_SCAN_BAD;
	}
	/* A record may have been read to its last byte, with its padding still to come. */
	if (is_in_record(scan) && scan->have == scan->total &&
		end_record(scan, limit) == STEP_BAD) {
		return WAL_SCAN_BAD;
	}
	while (scan->at < limit) {
		const uint8_t *page = scan->page(scan->context, lsn_page_start(scan->at));
		enum step step;

		if (page == NULL) {
			return WAL_SCAN_FAILED;
		}
		step = scan_page(scan, page, limit);
		if (step == STEP_BAD) {
			return WAL_SCAN_BAD;
		}
		if (step == STEP_MORE) {
			break;
		}
	}
	return WAL_SCAN_MORE;
}
