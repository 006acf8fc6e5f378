/*
 * Written out, not taken from the library: its decoder skips blanks and does not tell how much
 * padding it met. Nothing decoded here decides by its timing: what is secret is hashed first.
 */
#include "protocol/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const void *bytes, size_t length, char *text_out)
{
	const uint8_t *in = bytes;
	char *at = text_out;

	for (size_t i = 0; i < length; i += 3) {
		size_t left = length - i;
		uint32_t group = (uint32_t)in[i] << 16;

		group |= left > 1 ? (uint32_t)in[i + 1] << 8 : 0;
		group |= left > 2 ? in[i + 2] : 0;
		*at++ = alphabet[group >> 18];
		*at++ = alphabet[group >> 12 & 63];
		*at++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
		*at++ = left > 2 ? alphabet[group & 63] : '=';
	}
	*at = '\0';
	return (size_t)(at - text_out);
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z') {
		return c - 'A';
	}
	if (c >= 'a' && c <= 'z') {
		return c - 'a' + 26;
	}
	if (c >= '0' && c <= '9') {
		return c - '0' + 52;
	}
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters of which the last `padding` are "=". */
static bool decode_group(const char *text, size_t padding, uint32_t *group_out)
{
	uint32_t group = 0;

	for (size_t i = 0; i < 4 - padding; i++) {
		int value = value_of(text[i]);
		if (value < 0) {
			return false;
		}
		group = group << 6 | (uint32_t)value;
	}
	group <<= 6 * padding;
	*group_out = group;
	return (group & ((1u << 8 * padding) - 1)) == 0;
}

bool base64_decode(
	const char *text, size_t length, uint8_t *out, size_t out_size, size_t *length_out)
{
	size_t padding, bytes, at = 0;

	if (length == 0 || length % 4 != 0) {
		return false;
	}
	padding = text[length - 1] != '=' ? 0 : text[length - 2] != '=' ? 1 : 2;
	bytes = length / 4 * 3 - padding;
	if (bytes > out_size) {
		return false;
	}
	for (size_t i = 0; i < length; i += 4) {
		uint32_t group;

		if (!decode_group(text + i, i + 4 == length ? padding : 0, &group)) {
			return false;
		}
		for (int shift = 16; shift >= 0 && at < bytes; shift -= 8) {
			out[at++] = (uint8_t)(group >> shift);
		}
	}
	*length_out = bytes;
	return true;
}
