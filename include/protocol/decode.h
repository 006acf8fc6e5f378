/*
 * decode: what every pure decoder answers.
 *
 * A decoder reads bytes[0..length) and either has a whole value, wants more bytes, or says (with a
 * static string that needs no freeing) why the bytes can never become a value.
 */
#ifndef PROTOCOL_DECODE_H
#define PROTOCOL_DECODE_H

enum decode_result { DECODE_OK, DECODE_MORE, DECODE_BAD };

#endif
