/*
 * link_pack: which column goes by which coder, and how their bytes stand together.
 */
#include "protocol/link_pack.h"

#include "protocol/link_model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/* zstd never looks back further than a frame: 2 MB hold one, and what columns add. */
#define WINDOW_LOG 21
/* Of the WAL in a frame. Tables for a little more are taken where trees of matches are kept. */
#define FRAME_LOG 20
/* Below it they are smaller than a frame. */
#define LEVEL_OF_LARGE_TABLES 7

/* Lengths of columns are modelled as a column of their own. */
#define LENGTHS     ((unsigned)LINK_COLUMN_COUNT)
#define BIT(column) (UINT32_C(1) << (column))

/* Longer stretches repeat in these, the last columns. */
#define FIRST_BY_ZSTD LINK_COLUMN_DATA
/* In these a byte says something of the next. */
#define WITH_CONTEXT                                                                               \
	(BIT(LENGTHS) | BIT(LINK_COLUMN_SHAPE) | BIT(LINK_COLUMN_NEW_SHAPE) |                      \
		BIT(LINK_COLUMN_LENGTH) | BIT(LINK_COLUMN_XID) | BIT(LINK_COLUMN_SKIP) |           \
		BIT(LINK_COLUMN_COPY) | BIT(LINK_COLUMN_SHIFT) | BIT(LINK_COLUMN_PATCH) |          \
		BIT(LINK_COLUMN_MASK))

#define VARINT_BYTES_MAX 10
/* What the models may make of a byte at worst is more than this many, but that goes plain. */
#define MODELLED_BOUND(length) ((length) + (length) / 8 + 64)

struct link_packer {
	struct link_model *model;
	ZSTD_CCtx *zstd;
};

struct link_unpacker {
	struct link_model *model;
	ZSTD_DCtx *zstd;
};

size_t link_pack_bound(size_t length)
{
	return VARINT_BYTES_MAX + MODELLED_BOUND(length) + ZSTD_compressBound(length) + 64;
}

static bool is_by_zstd(unsigned column)
{
	return column >= FIRST_BY_ZSTD;
}

static size_t varint(uint8_t *out, uint64_t value)
{
	size_t count = 0;

	for (; value >= 0x80; value >>= 7) {
		out[count++] = (uint8_t)(value | 0x80);
	}
	out[count++] = (uint8_t)value;
	return count;
}

/* --- packing --------------------------------------------------------------------------------- */

struct link_packer *link_packer_new(void)
{
	struct link_packer *packer = calloc(1, sizeof(*packer));

	if (packer == NULL) {
		return NULL;
	}
	packer->model = link_model_new(LINK_COLUMN_COUNT + 1, WITH_CONTEXT);
	packer->zstd = ZSTD_createCCtx();
	if (packer->model == NULL || packer->zstd == NULL ||
		ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, ZSTD_c_windowLog, WINDOW_LOG))) {
		link_packer_free(&packer);
	}
	return packer;
}

void link_packer_free(struct link_packer **packer)
{
	if (*packer != NULL) {
		link_model_free(&(*packer)->model);
		ZSTD_freeCCtx((*packer)->zstd);
		free(*packer);
		*packer = NULL;
	}
}

static bool set(struct link_packer *packer, ZSTD_cParameter parameter, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(packer->zstd, parameter, value));
}

/* zstd does not know how little a frame is: at level 12 its tables would be 50 MB. */
static int table_log(int level)
{
	return level < LEVEL_OF_LARGE_TABLES ? 0 : level <= 12 ? FRAME_LOG : FRAME_LOG + 1;
}

bool link_packer_begin(struct link_packer *packer, int level)
{
	link_model_reset(packer->model);
	return !ZSTD_isError(ZSTD_CCtx_reset(packer->zstd, ZSTD_reset_session_only)) &&
	       set(packer, ZSTD_c_compressionLevel, level) &&
	       set(packer, ZSTD_c_hashLog, table_log(level)) &&
	       set(packer, ZSTD_c_chainLog, table_log(level));
}

static bool feed(struct link_packer *packer, const uint8_t *bytes, size_t length,
	ZSTD_EndDirective directive, ZSTD_outBuffer *out)
{
	ZSTD_inBuffer in = {.src = bytes, .size = length};
	size_t left;

	do {
		left = ZSTD_compressStream2(packer->zstd, out, &in, directive);
		if (ZSTD_isError(left) || (left != 0 && out->pos == out->size)) {
			return false;
		}
	} while (in.pos < in.size || (directive == ZSTD_e_flush && left != 0));
	return true;
}

static void put_lengths(struct link_coder *coder, const struct link_columns *columns)
{
	for (unsigned i = 0; i < LINK_COLUMN_COUNT; i++) {
		uint8_t bytes[VARINT_BYTES_MAX];

		link_coder_put(coder, LENGTHS, (uint8_t)i, bytes,
			varint(bytes, columns->column[i].length));
	}
}

/* Bytes of all modelled columns; false: there is no room. */
static bool put_modelled(struct link_packer *packer, struct link_columns *columns, uint8_t *out,
	size_t room, size_t *length_out)
{
	struct link_coder coder;

	link_coder_write(&coder, packer->model, out, room);
	put_lengths(&coder, columns);
	for (unsigned i = 0; i < LINK_COLUMN_COUNT; i++) {
		struct link_column_bytes *column = &columns->column[i];
		size_t before = coder.at;

		if (!is_by_zstd(i)) {
			link_coder_put(&coder, i, 0, column->bytes, column->length);
			column->at = coder.at - before;
		}
	}
	*length_out = link_coder_finish(&coder);
	return !coder.is_full;
}

static bool put_rest(struct link_packer *packer, struct link_columns *columns, ZSTD_outBuffer *out)
{
	size_t before = out->pos, total = 0;

	for (unsigned i = FIRST_BY_ZSTD; i < LINK_COLUMN_COUNT; i++) {
		const struct link_column_bytes *column = &columns->column[i];

		total += column->length;
		if (!feed(packer, column->bytes, column->length, ZSTD_e_continue, out)) {
			return false;
		}
	}
	if (total > 0 && !feed(packer, NULL, 0, ZSTD_e_flush, out)) {
		return false;
	}
	for (unsigned i = FIRST_BY_ZSTD; i < LINK_COLUMN_COUNT; i++) {
		struct link_column_bytes *column = &columns->column[i];

		column->at = total == 0 ? 0 : (out->pos - before) * column->length / total;
	}
	return true;
}

bool link_packer_put(struct link_packer *packer, struct link_columns *columns, uint8_t *out,
	size_t room, size_t *length_out)
{
	uint8_t count_bytes[VARINT_BYTES_MAX];
	ZSTD_outBuffer rest = {.dst = out, .size = room};
	size_t length = 0, modelled_room, count;

	for (unsigned i = 0; i < LINK_COLUMN_COUNT; i++) {
		length += columns->column[i].length;
	}
	modelled_room = MODELLED_BOUND(length);
	assert(room >= link_pack_bound(length));
	if (!put_modelled(packer, columns, out + VARINT_BYTES_MAX, modelled_room, &length)) {
		return false;
	}
	count = varint(count_bytes, length);
	memmove(out + count, out + VARINT_BYTES_MAX, length);
	memcpy(out, count_bytes, count);
	rest.pos = count + length;
	if (!put_rest(packer, columns, &rest)) {
		return false;
	}
	*length_out = rest.pos;
	return true;
}

bool link_packer_put_plain(struct link_packer *packer, const uint8_t *bytes, size_t length,
	uint8_t *out, size_t room, size_t *length_out)
{
	ZSTD_outBuffer buffer = {.dst = out, .size = room};

	link_model_reset(packer->model);
	if (!feed(packer, bytes, length, ZSTD_e_flush, &buffer)) {
		return false;
	}
	*length_out = buffer.pos;
	return true;
}

/* --- unpacking ------------------------------------------------------------------------------- */

struct link_unpacker *link_unpacker_new(void)
{
	struct link_unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (unpacker == NULL) {
		return NULL;
	}
	unpacker->model = link_model_new(LINK_COLUMN_COUNT + 1, WITH_CONTEXT);
	unpacker->zstd = ZSTD_createDCtx();
	if (unpacker->model == NULL || unpacker->zstd == NULL ||
		ZSTD_isError(
			ZSTD_DCtx_setParameter(unpacker->zstd, ZSTD_d_windowLogMax, WINDOW_LOG))) {
		link_unpacker_free(&unpacker);
	}
	return unpacker;
}

void link_unpacker_free(struct link_unpacker **unpacker)
{
	if (*unpacker != NULL) {
		link_model_free(&(*unpacker)->model);
		ZSTD_freeDCtx((*unpacker)->zstd);
		free(*unpacker);
		*unpacker = NULL;
	}
}

void link_unpacker_begin(struct link_unpacker *unpacker)
{
	link_model_reset(unpacker->model);
	ZSTD_DCtx_reset(unpacker->zstd, ZSTD_reset_session_only);
}

/* All of in, which makes at most room bytes. */
static bool drain(struct link_unpacker *unpacker, const uint8_t *bytes, size_t length, uint8_t *out,
	size_t room, size_t *length_out)
{
	ZSTD_inBuffer in = {.src = bytes, .size = length};
	ZSTD_outBuffer buffer = {.dst = out, .size = room};

	for (;;) {
		size_t in_before = in.pos, out_before = buffer.pos;
		size_t result = ZSTD_decompressStream(unpacker->zstd, &buffer, &in);

		if (ZSTD_isError(result)) {
			return false;
		}
		if (in.pos == in_before && buffer.pos == out_before) {
			break;
		}
	}
	*length_out = buffer.pos;
	return in.pos == in.size;
}

static bool get_count(const uint8_t *in, size_t length, size_t *at, uint64_t *count_out)
{
	uint64_t count = 0;

	for (unsigned shift = 0; shift < 28 && *at < length; shift += 7) {
		uint8_t byte = in[(*at)++];

		count |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			*count_out = count;
			return count <= length - *at;
		}
	}
	return false;
}

/* As varints into out, too. False: more than room, or no lengths. */
static bool get_lengths(struct link_coder *coder, uint8_t *out, size_t room,
	size_t lengths_out[LINK_COLUMN_COUNT], size_t *at_out)
{
	size_t total = 0, at = 0;

	for (unsigned i = 0; i < LINK_COLUMN_COUNT; i++) {
		uint8_t before = (uint8_t)i, byte = 0x80;
		size_t length = 0;

		for (unsigned shift = 0; byte >= 0x80; shift += 7, before = byte) {
			if (shift == 28 || at == room) {
				return false;
			}
			if (!link_coder_get(coder, LENGTHS, before, &byte, 1)) {
				return false;
			}
			out[at++] = byte;
			length |= (size_t)(byte & 0x7F) << shift;
		}
		lengths_out[i] = length;
		total += length;
	}
	*at_out = at;
	return total <= room - at;
}

bool link_unpacker_get(struct link_unpacker *unpacker, const uint8_t *in, size_t length,
	uint8_t *out, size_t room, size_t *length_out)
{
	size_t lengths[LINK_COLUMN_COUNT], at = 0, made, rest = 0, got = 0;
	struct link_coder coder;
	uint64_t count;

	if (!get_count(in, length, &at, &count)) {
		return false;
	}
	link_coder_read(&coder, unpacker->model, in + at, (size_t)count);
	at += (size_t)count;
	if (!get_lengths(&coder, out, room, lengths, &made)) {
		return false;
	}
	for (unsigned i = 0; i < LINK_COLUMN_COUNT; i++) {
		if (is_by_zstd(i)) {
			rest += lengths[i];
		} else if (!link_coder_get(&coder, i, 0, out + made, lengths[i])) {
			return false;
		} else {
			made += lengths[i];
		}
	}
	*length_out = made + rest;
	return rest == 0 ? at == length
			 : drain(unpacker, in + at, length - at, out + made, rest, &got) &&
				   got == rest;
}

bool link_unpacker_get_plain(struct link_unpacker *unpacker, const uint8_t *in, size_t length,
	uint8_t *out, size_t room, size_t *length_out)
{
	link_model_reset(unpacker->model);
	return drain(unpacker, in, length, out, room, length_out);
}
