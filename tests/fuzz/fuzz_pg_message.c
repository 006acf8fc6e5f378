/*
 * Messages with a type byte, one after the other, and the bodies that a client may send.
 */
#include "fuzz.h"

#include "protocol/pg_message.h"

#include <assert.h>
#include <string.h>

#define BODY_BYTES_MAX 10000

static void decode_bodies(const struct pg_message *message)
{
	const char *text = query_decode(message->body, message->body_length);
	assert(!text || strlen(text) + 1 == message->body_length);
	const char *mechanism, *reason;
	const uint8_t *data;
	size_t data_length;
	if (sasl_initial_decode(
		    message->body, message->body_length, &mechanism, &data, &data_length,
		    &reason)) {
		assert(strlen(mechanism) + 5 + data_length == message->body_length);
		assert(data || data_length == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length;) {
		struct pg_message message;
		const char *reason = NULL;
		enum decode_result result = pg_message_decode(
			bytes + at, length - at, BODY_BYTES_MAX, &message, &reason);
		assert((result == DECODE_BAD) == (reason != NULL));
		if (result != DECODE_OK) {
			return 0;
		}
		assert(message.consumed <= length - at);
		assert(message.body_length <= BODY_BYTES_MAX);
		decode_bodies(&message);
		at += message.consumed;
	}
	return 0;
}
