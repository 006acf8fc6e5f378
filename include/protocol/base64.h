/*
 * base64: RFC 4648 with padding and without line breaks, as SASL uses it.
 *
 * Decoding takes what encoding makes and nothing else: no blanks, no missing padding, no stray
 * bits. Pure functions.
 */
#ifndef PROTOCOL_BASE64_H
#define PROTOCOL_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of encoded text, with its end. */
#define BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1)

/* Writes BASE64_SIZE(length) characters, the last of them 0; returns the length of the text. */
size_t base64_encode(const void *bytes, size_t length, char *text_out);
/* false: not base64, empty, or more than out_size bytes. */
bool base64_decode(
	const char *text, size_t length, uint8_t *out, size_t out_size, size_t *length_out);

#endif
