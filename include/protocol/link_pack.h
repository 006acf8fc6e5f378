/*
 * link_pack: the columns of a batch as its bytes: models for most, zstd for those in which longer
 * stretches repeat.
 *
 *   varint n, n bytes of link_model: the length of each column as a varint (before its bytes: the
 *   column's number), then the columns before data
 *   one flush of the frame's zstd stream with the others, unless all are empty
 *
 * Plain WAL is a flush of that stream. Models and stream go from batch to batch of a frame; after
 * plain WAL the models begin anew.
 */
#ifndef PROTOCOL_LINK_PACK_H
#define PROTOCOL_LINK_PACK_H

#include "protocol/link_columns.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_packer;
struct link_unpacker;

/* NULL: no memory. */
struct link_packer *link_packer_new(void);
void link_packer_free(struct link_packer **packer);
/* A frame. False: no memory. */
bool link_packer_begin(struct link_packer *packer, int level);
/* Room that is always enough for so many bytes of columns, or of plain WAL. */
size_t link_pack_bound(size_t length);
/* False: there was no room, or no memory; go on with plain WAL. In each column, at then is how many
 * bytes it came to. */
bool link_packer_put(struct link_packer *packer, struct link_columns *columns, uint8_t *out,
	size_t room, size_t *length_out);
bool link_packer_put_plain(struct link_packer *packer, const uint8_t *bytes, size_t length,
	uint8_t *out, size_t room, size_t *length_out);

struct link_unpacker *link_unpacker_new(void);
void link_unpacker_free(struct link_unpacker **unpacker);
void link_unpacker_begin(struct link_unpacker *unpacker);
/* Columns as link_columns_join() writes them, at most room bytes. False: damaged. */
bool link_unpacker_get(struct link_unpacker *unpacker, const uint8_t *in, size_t length,
	uint8_t *out, size_t room, size_t *length_out);
bool link_unpacker_get_plain(struct link_unpacker *unpacker, const uint8_t *in, size_t length,
	uint8_t *out, size_t room, size_t *length_out);

#endif
