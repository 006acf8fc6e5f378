/*
 * The first packet of a connection, its parameters and its "options".
 */
#include "fuzz.h"

#include "protocol/pg_message.h"

#include <assert.h>
#include <string.h>

static void walk_options(const char *options)
{
	char name[64];
	char value[256];
	size_t at = 0;
	while (startup_option_next(options, &at, name, sizeof(name), value, sizeof(value)) ==
		DECODE_OK) {
		assert(strlen(name) > 0);
		assert(at <= strlen(options));
	}
}

static void walk_parameters(const struct startup_packet *packet)
{
	const char *name;
	const char *value;
	for (size_t at = 0; startup_parameter_next(packet, &at, &name, &value);) {
		enum startup_replication replication;
		assert(at < packet->parameters_length);
		assert(strlen(name) > 0);
		assert(startup_parameter_find(packet, name));
		(void)startup_replication_parse(value, &replication);
		walk_options(value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct startup_packet packet;
	const char *reason = NULL;
	enum decode_result result = startup_packet_decode(bytes, length, &packet, &reason);
	assert((result == DECODE_BAD) == (reason != NULL));
	if (result != DECODE_OK) {
		return 0;
	}
	assert(packet.consumed <= length && packet.consumed <= STARTUP_BYTES_MAX);
	if (packet.kind == STARTUP_MESSAGE) {
		walk_parameters(&packet);
	}
	if (packet.kind != STARTUP_TLS_HELLO) {
		assert(startup_packet_decode(bytes, packet.consumed - 1, &packet, &reason) ==
			DECODE_MORE);
	}
	return 0;
}
