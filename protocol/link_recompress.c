/*
 * link_recompress: liblz4, libzstd and pglz, called as PostgreSQL calls them.
 */
#include "protocol/link_recompress.h"

#include "protocol/link_codec.h"
#include "protocol/pglz.h"

#include <assert.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* More than any library makes of a page, as PostgreSQL's own buffer is: none compresses otherwise
 * for having less room. */
#define STORED_MAX (2 * WAL_PAGE_BYTES)

struct link_recompressor {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
	struct pglz_finder finder;
	uint8_t room[STORED_MAX];
};

/* PostgreSQL has never changed what pglz makes of a page. */
static const char *pglz_version(void)
{
	return "1";
}

static const struct {
	unsigned ability;
	const char *name;
	const char *(*version)(void);
} libraries[] = {
	{LINK_RECOMPRESS_LZ4, "lz4", LZ4_versionString},
	{LINK_RECOMPRESS_ZSTD, "zstd", ZSTD_versionString},
	{LINK_RECOMPRESS_PGLZ, "pglz", pglz_version},
};

#define LIBRARIES (sizeof(libraries) / sizeof(libraries[0]))

const char *link_recompress_versions(void)
{
	static _Thread_local char text[128];
	size_t at = 0;

	for (size_t i = 0; i < LIBRARIES; i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s=%s", i == 0 ? "" : " ",
			libraries[i].name, libraries[i].version());
		assert(at < sizeof(text));
	}
	return text;
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
		if ((at == text || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
			return true;
		}
	}
	return false;
}

unsigned link_recompress_usable(const char *peer_versions)
{
	unsigned usable = 0;

	for (size_t i = 0; i < LIBRARIES; i++) {
		char word[64];

		snprintf(word, sizeof(word), "%s=%s", libraries[i].name, libraries[i].version());
		usable |= has_word(peer_versions, word) ? libraries[i].ability : 0;
	}
	return usable;
}

struct link_recompressor *link_recompressor_new(void)
{
	struct link_recompressor *recompressor = calloc(1, sizeof(*recompressor));

	if (recompressor == NULL) {
		return NULL;
	}
	recompressor->compress = ZSTD_createCCtx();
	recompressor->decompress = ZSTD_createDCtx();
	if (recompressor->compress == NULL || recompressor->decompress == NULL) {
		link_recompressor_free(&recompressor);
	}
	return recompressor;
}

void link_recompressor_free(struct link_recompressor **recompressor)
{
	if (*recompressor != NULL) {
		ZSTD_freeCCtx((*recompressor)->compress);
		ZSTD_freeDCtx((*recompressor)->decompress);
		free(*recompressor);
		*recompressor = NULL;
	}
}

uint8_t *link_recompressor_room(struct link_recompressor *recompressor)
{
	return recompressor->room;
}

static unsigned ability_of(const struct wal_version *version, const struct wal_block *block)
{
	switch (wal_image_method(version, block)) {
	case WAL_IMAGE_LZ4: return LINK_RECOMPRESS_LZ4;
	case WAL_IMAGE_ZSTD: return LINK_RECOMPRESS_ZSTD;
	case WAL_IMAGE_PGLZ: return LINK_RECOMPRESS_PGLZ;
	default: return 0;
	}
}

bool link_image_is_usable(
	unsigned usable, const struct wal_version *version, const struct wal_block *block)
{
	return (ability_of(version, block) & usable) != 0;
}

bool link_image_expand(struct link_recompressor *recompressor, const struct wal_version *version,
	const struct wal_block *block, const uint8_t *image, uint8_t *page_out)
{
	uint32_t length = wal_block_page_bytes(block);

	if (length == 0 || block->hole_offset > length) {
		return false;
	}
	switch (ability_of(version, block)) {
	case LINK_RECOMPRESS_LZ4:
		return LZ4_decompress_safe((const char *)image, (char *)page_out,
			       block->image_length, (int)length) == (int)length;
	case LINK_RECOMPRESS_ZSTD:
		return ZSTD_decompressDCtx(recompressor->decompress, page_out, length, image,
			       block->image_length) == length;
	case LINK_RECOMPRESS_PGLZ:
		return pglz_decompress(image, block->image_length, page_out, length);
	default: return false;
	}
}

const uint8_t *link_image_recompress(struct link_recompressor *recompressor,
	const struct wal_version *version, const struct wal_block *block, const uint8_t *page)
{
	uint32_t length = wal_block_page_bytes(block);
	size_t count = 0;

	switch (ability_of(version, block)) {
	case LINK_RECOMPRESS_LZ4:
		count = (size_t)LZ4_compress_default(
			(const char *)page, (char *)recompressor->room, (int)length, STORED_MAX);
		break;
	case LINK_RECOMPRESS_ZSTD:
		count = ZSTD_compressCCtx(recompressor->compress, recompressor->room, STORED_MAX,
			page, length, ZSTD_CLEVEL_DEFAULT);
		break;
	case LINK_RECOMPRESS_PGLZ:
		count = pglz_compress(
			&recompressor->finder, page, length, recompressor->room, STORED_MAX);
		break;
	default: break;
	}
	return count == block->image_length && count > 0 ? recompressor->room : NULL;
}
