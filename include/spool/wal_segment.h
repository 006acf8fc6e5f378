/*
 * wal_segment: segment files by name, and their mappings, one for all readers.
 *
 * A file is mapped whole, shared and read-only, at most once at a time; the mapping goes with its
 * last reference. The writer uses pwrite on the same file, which Linux keeps coherent with the
 * mapping. A removed file's mapping stays good as long as it is referenced. Any thread.
 */
#ifndef SPOOL_WAL_SEGMENT_H
#define SPOOL_WAL_SEGMENT_H

#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_SEGMENT_NAME_SIZE 25 /* "TTTTTTTTXXXXXXXXYYYYYYYY" and its end */

/* Number of the segment that holds lsn. */
static inline uint64_t wal_segment_number(lsn_t lsn, uint32_t segment_bytes)
{
	return lsn / segment_bytes;
}

/* As XLogFileName() in src/include/access/xlog_internal.h. */
char *wal_segment_name(
	tli_t tli, uint64_t number, uint32_t segment_bytes, char name_out[WAL_SEGMENT_NAME_SIZE]);
/* False: not the name of a segment of that size. */
bool wal_segment_name_parse(
	const char *name, uint32_t segment_bytes, tli_t *tli_out, uint64_t *number_out);

struct wal_segment;
struct wal_segment_cache;

/* directory_fd stays open until wal_segment_cache_free(). */
struct wal_segment_cache *wal_segment_cache_new(int directory_fd);
/* Mappings still referenced stay valid. Accepts NULL, sets NULL. */
void wal_segment_cache_free(struct wal_segment_cache **cache);

/* A reference to the mapping of a file; ERROR_NOT_FOUND when there is no whole one of that name. */
struct wal_segment *wal_segment_cache_get(struct wal_segment_cache *cache, tli_t tli,
	uint64_t number, uint32_t segment_bytes, struct error *err) MUST_CHECK;
/* The name stands for another file from now on. */
void wal_segment_cache_forget(struct wal_segment_cache *cache, tli_t tli, uint64_t number);

const uint8_t *wal_segment_bytes(const struct wal_segment *segment);
/* The file that is mapped, open for reading as long as the mapping. */
int wal_segment_fd(const struct wal_segment *segment);
/* Bring [offset, offset + length) into memory, and begin to read what follows. False: the disk
 * cannot give it (which later would be a SIGBUS). Cheap when done before. */
bool wal_segment_populate(struct wal_segment *segment, uint32_t offset, uint32_t length,
	struct error *err) MUST_CHECK;
/* The same for scattered small reads: just that, whole memory pages, every time. */
bool wal_segment_read_piece(struct wal_segment *segment, uint32_t offset, uint32_t length,
	struct error *err) MUST_CHECK;
/* Whether it is in memory now: reading it would not wait for the disk. */
bool wal_segment_has_piece(struct wal_segment *segment, uint32_t offset, uint32_t length);
/* wal_segment_populate() would find all of it in memory. */
bool wal_segment_is_resident(struct wal_segment *segment, uint32_t offset, uint32_t length);
/* Begin to read the first part of a segment that will be wanted soon. */
void wal_segment_read_ahead(struct wal_segment *segment);

#endif
