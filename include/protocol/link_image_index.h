/*
 * link_image_index: which records logged a page whole.
 *
 * Only a hint: who uses an entry reads the record it names and looks whether the page is in it, so
 * a lost, stale or colliding entry costs ratio and nothing else. Memory is fixed: 8 bytes an image,
 * in sets of eight in which the oldest makes room. A GB of WAL holds about 130,000 images (more
 * when they are small): give it 2 MB a GB of WAL that is to be known.
 *
 * Earlier images of a page stay known beside later ones, so that those who stand at different
 * places share one index. Any thread may add and find; two that add to a set at once may lose one.
 */
#ifndef PROTOCOL_LINK_IMAGE_INDEX_H
#define PROTOCOL_LINK_IMAGE_INDEX_H

#include "protocol/lsn.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Entries are told apart from those as old as this by being verified. */
#define LINK_REACH_MAX ((uint64_t)16 << 30)

struct link_image_index;

/* At least 4 kB; NULL: no memory. */
struct link_image_index *link_image_index_new(size_t bytes);
void link_image_index_free(struct link_image_index **index);
void link_image_index_add(
	struct link_image_index *index, const struct wal_block *block, lsn_t record);
/* The start of the last such record below `before`; LSN_INVALID: none. */
lsn_t link_image_index_find(
	const struct link_image_index *index, const struct wal_block *block, lsn_t before);
/* Forgets every record from fork on: another timeline continues there. */
void link_image_index_purge(struct link_image_index *index, lsn_t fork);

#endif
