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

#endif
