/*
 * utf8: lead bytes by range, and the four leads whose second byte is narrower than the rest.
 */
#include "base/utf8.h"

size_t utf8_character_length(const unsigned char *text)
{
	unsigned char lead = text[0];
	size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (lead > 0xf4) {
		return 0;
	}
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	/* Overlong forms, surrogates, past U+10FFFF. */
	if ((lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
		(lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f)) {
		return 0;
	}
	return length;
}

bool utf8_is_valid(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at != '\0') {
		size_t length = utf8_character_length(at);

		if (length == 0) {
			return false;
		}
		at += length;
	}
	return true;
}

bool utf8_is_control(const unsigned char *text)
{
	return *text < 0x20 || *text == 0x7f ||
	       (*text == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0);
}
