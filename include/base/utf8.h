/*
 * utf8: well-formed UTF-8 as RFC 3629 allows it: no overlong forms, no surrogates.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at text, which ends with a 0 byte somewhere; 0 when there is none. */
size_t utf8_character_length(const unsigned char *text);
bool utf8_is_valid(const char *text);
/* Whether the character at text is one that terminals take for an order: below a blank, DEL,
 * or U+0080 to U+009F. */
bool utf8_is_control(const unsigned char *text);

#endif
