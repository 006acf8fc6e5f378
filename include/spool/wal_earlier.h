/*
 * wal_earlier: held WAL by position, for who looks back at some of it: page images of records that
 * a batch of the link refers to.
 *
 * Reads along the live line of timelines, each byte from the newest timeline's file that has it.
 * What it hands out is what a cursor would read there, or nothing. A failing disk is an answer of
 * nothing, never a signal. It holds no WAL against retention: what is removed is no longer held.
 *
 * One object is for one thread at a time; any number of them read at once. Free it before the store
 * is closed. Memory: mappings of at most WAL_EARLIER_SEGMENTS_MAX segments, which all readers
 * share.
 */
#ifndef SPOOL_WAL_EARLIER_H
#define SPOOL_WAL_EARLIER_H

#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_EARLIER_SEGMENTS_MAX 256

struct wal_store;
struct wal_earlier;

struct wal_earlier *wal_earlier_new(struct wal_store *store);
/* Accepts NULL, sets NULL. */
void wal_earlier_free(struct wal_earlier **earlier);

/* Points bytes_out at WAL from lsn on and returns how many of `length` bytes are there in one
 * piece; 0: not held. Valid until the next call. May wait for the disk, unless told not to. The
 * context is the wal_earlier, so that this is the `read` of a link_source. */
size_t wal_earlier_read(void *context, lsn_t lsn, size_t length, const uint8_t **bytes_out);

/* False: what is not in memory counts as not held. At first true. */
void wal_earlier_set_waits(struct wal_earlier *earlier, bool waits);

/* Gives up the mappings, which keep removed segments on disk: for one that is not read from for a
 * while. While it is read from, what was removed goes by itself. */
void wal_earlier_rest(struct wal_earlier *earlier);

#endif
