/*
 * A compressed base backup from another relay: every payload is in bounds, and reading ends.
 */
#include "fuzz.h"

#include "protocol/backup_stream.h"

#include <assert.h>
#include <stddef.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct backup_decoder *decoder = backup_decoder_new();
	const uint8_t *payload;
	size_t payload_length;
	const char *reason = NULL;
	enum decode_result result = DECODE_OK;
	backup_decoder_begin(decoder);
	backup_decoder_give(decoder, bytes, length);
	/* A few bytes may stand for gigabytes of payloads. */
	for (int i = 0; i < 10000 && result == DECODE_OK; i++) {
		result = backup_decoder_read(decoder, &payload, &payload_length, &reason);
		if (result == DECODE_OK) {
			assert(payload_length > 0 && payload_length <= BACKUP_PAYLOAD_MAX);
			volatile uint8_t ends = payload[0] ^ payload[payload_length - 1];
			(void)ends;
		}
	}
	assert(result != DECODE_BAD || reason != NULL);
	backup_decoder_free(&decoder);
	return 0;
}
