/*
 * wal_prefetch: one thread that waits for the disk, so that nobody who serves standbys does.
 *
 * Stretches of mapped segments are brought into memory in the order of asking. Whether the disk
 * gave them is not told: whoever reads them then learns it. Any thread.
 */
#ifndef SPOOL_WAL_PREFETCH_H
#define SPOOL_WAL_PREFETCH_H

#include "base/error.h"

#include <stdint.h>

struct wal_prefetch;
struct wal_segment;

/* A stretch of a mapped segment. */
struct wal_on_disk {
	struct wal_segment *segment;
	uint32_t offset;
	uint32_t length;
};

struct wal_prefetch *wal_prefetch_new(struct error *err) MUST_CHECK;
/* What was asked for is done first. Accepts NULL, sets NULL. */
void wal_prefetch_free(struct wal_prefetch **prefetch);

/* Called once, on the thread that read: only ring a wake or post. */
typedef void wal_prefetch_done(void *context);
/* It holds a reference of its own on the segment meanwhile. */
void wal_prefetch_read(struct wal_prefetch *prefetch, const struct wal_on_disk *stretch,
	wal_prefetch_done *done, void *context);

#endif
