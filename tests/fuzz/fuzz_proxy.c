/*
 * The PROXY header before a client's first packet: decoded alike whatever comes behind it.
 */
#include "fuzz.h"

#include "net/proxy_protocol.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_protocol_header header = {0};
	struct proxy_protocol_header again = {0};
	const char *reason = NULL;
	enum proxy_protocol_result result = proxy_protocol_decode(data, size, &header, &reason);
	assert((result == PROXY_PROTOCOL_BAD) == (reason != NULL));
	assert(result != PROXY_PROTOCOL_MORE || size < PROXY_PROTOCOL_BYTES_MAX);
	if (result != PROXY_PROTOCOL_OK) {
		return 0;
	}
	assert(header.consumed > 0 && header.consumed <= size);
	assert(header.consumed <= PROXY_PROTOCOL_BYTES_MAX);
	assert(!header.has_peer || header.peer.ss_family == AF_INET ||
	       header.peer.ss_family == AF_INET6);
	assert(proxy_protocol_decode(data, header.consumed, &again, &reason) == PROXY_PROTOCOL_OK);
	assert(again.consumed == header.consumed && again.has_peer == header.has_peer);
	assert(memcmp(&again.peer, &header.peer, sizeof(header.peer)) == 0);
	assert(proxy_protocol_decode(data, header.consumed - 1, &again, &reason) ==
	       PROXY_PROTOCOL_MORE);
	return 0;
}
