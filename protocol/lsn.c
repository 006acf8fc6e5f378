/*
 * lsn: the text form of positions in the write-ahead log, read strictly and written as PostgreSQL
 * up to 18 writes it.
 */
#include "protocol/lsn.h"

#include <stdio.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

static bool hex_half_parse(const char *text, size_t length, uint32_t *half_out)
{
	uint32_t half = 0;
	if (length == 0 || length > 8) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		int digit = hex_digit(text[i]);
		if (digit < 0) {
			return false;
		}
		half = half << 4 | (uint32_t)digit;
	}
	*half_out = half;
	return true;
}

bool lsn_parse(const char *text, size_t length, lsn_t *lsn_out)
{
	size_t slash = 0;
	while (slash < length && text[slash] != '/') {
		slash++;
	}
	if (slash == length) {
		return false;
	}
	uint32_t high;
	uint32_t low;
	if (!hex_half_parse(text, slash, &high) ||
		!hex_half_parse(text + slash + 1, length - slash - 1, &low)) {
		return false;
	}
	*lsn_out = (lsn_t)high << 32 | low;
	return true;
}

char *lsn_format(lsn_t lsn, char text_out[LSN_TEXT_SIZE])
{
	snprintf(text_out, LSN_TEXT_SIZE, LSN_FORMAT, LSN_ARGS(lsn));
	return text_out;
}
