/*
 * pglz: PostgreSQL's own LZ compression, in the form of page images in WAL: no header, strategy
 * "default" (src/common/pg_lzcompress.c; the same bytes from 9.5 to 18).
 *
 * A stream is groups of a control byte and eight items, lowest bit first: 0 a literal byte, 1 a
 * copy of two or three bytes:
 *
 *   bits 4-7 of byte 0 and byte 1   how far back, 1 to 4094
 *   bits 0-3 of byte 0              length - 3; 15: byte 2 + 18 is the length, at most 273
 *
 * What is copied may overlap what is being made. Pure functions.
 */
#ifndef PROTOCOL_PGLZ_H
#define PROTOCOL_PGLZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PGLZ_INPUT_MAX 8192u /* a page */

/* Room for finding matches. */
struct pglz_finder {
	uint16_t newest[8192];          /* by hash: position + 1 of the last one; 0: none */
	uint16_t older[PGLZ_INPUT_MAX]; /* by position: the one before with that hash */
};

/* PostgreSQL's bytes: what it would store, which is at most three quarters of length; 0: it would
 * not compress this, or room is too short. length is at most PGLZ_INPUT_MAX. */
size_t pglz_compress(
	struct pglz_finder *finder, const uint8_t *bytes, size_t length, uint8_t *out, size_t room);
/* True: all of stored is used, and makes exactly length bytes. */
bool pglz_decompress(const uint8_t *stored, size_t stored_length, uint8_t *out, size_t length);

#endif
