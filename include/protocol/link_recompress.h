/*
 * link_recompress: page images that PostgreSQL compressed itself, back to pages and to the same
 * bytes again.
 *
 * PostgreSQL calls its libraries in one way (XLogCompressBackupBlock() in xloginsert.c, 15 to 18):
 * LZ4_compress_default(), ZSTD_compress() at ZSTD_CLEVEL_DEFAULT, or pglz_compress() with its
 * default strategy, over the page without its hole. What comes out depends on the library's
 * version (and pglz's on whether char is signed, as it is here: images of servers on ARM stay as
 * they are), so whoever wants a page to be recompressed elsewhere tries it here first, and names
 * its versions to the other end.
 */
#ifndef PROTOCOL_LINK_RECOMPRESS_H
#define PROTOCOL_LINK_RECOMPRESS_H

#include "protocol/wal_record.h"

#include <stdbool.h>
#include <stdint.h>

/* Contexts of the libraries, and room for one stored image. */
struct link_recompressor;

/* NULL: no memory. */
struct link_recompressor *link_recompressor_new(void);
void link_recompressor_free(struct link_recompressor **recompressor);

/* Room for one stored image, for who reads it before it is expanded. */
uint8_t *link_recompressor_room(struct link_recompressor *recompressor);
/* The page, its hole left out: wal_block_page_bytes() bytes. False: it is not that. */
bool link_image_expand(struct link_recompressor *recompressor, const struct wal_version *version,
	const struct wal_block *block, const uint8_t *image, uint8_t *page_out);
/* block->image_length bytes, valid until the next call; NULL: the page does not come to that many
 * here. */
const uint8_t *link_image_recompress(struct link_recompressor *recompressor,
	const struct wal_version *version, const struct wal_block *block, const uint8_t *page);
/* Whether images of that kind are among `usable` (LINK_RECOMPRESS_*). */
bool link_image_is_usable(
	unsigned usable, const struct wal_version *version, const struct wal_block *block);

#endif
