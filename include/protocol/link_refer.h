/*
 * link_refer: a page image as copies from an earlier image of the page, and what is new.
 *
 * Offsets are those of the stored images, holes left out. Copies go into three columns: literals
 * before the copy, its length (0: to the end), and from where: 0 as far from here as the copy
 * before (at first: the same offset), 1 as far from the image's end, else 2 + the change, low bit
 * its sign.
 */
#ifndef PROTOCOL_LINK_REFER_H
#define PROTOCOL_LINK_REFER_H

#include "protocol/link_columns.h"
#include "protocol/link_earlier.h"
#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stdint.h>

/* Scratch for finding copies: positions in the earlier image by hash. */
struct link_matcher {
	uint16_t positions[4096]; /* + 1; 0: none */
};

/* What the head says of the new page is put where the page says it, in the earlier image: the
 * bounds of the hole. */
void link_refer_foresee(struct link_earlier *earlier, const struct wal_block *block);
/* Bytes [from, to) of the image, which lie at bytes. Returns how many are literals. */
uint32_t link_refer_put(struct link_matcher *matcher, struct link_columns *columns,
	const struct link_earlier *earlier, const struct wal_block *block, const uint8_t *bytes,
	uint32_t from, uint32_t to);
bool link_refer_get(struct link_columns *columns, const struct link_earlier *earlier,
	const struct wal_block *block, uint8_t *bytes_out, uint32_t from, uint32_t to);

#endif
