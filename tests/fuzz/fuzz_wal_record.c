/*
 * A record's head: the low bits of the first byte choose the version, the rest is the record. What
 * is understood must come back byte for byte, and each prefix must ask for more.
 */
#include "fuzz.h"

#include "protocol/wal_record.h"

#include <assert.h>
#include <string.h>

static const uint16_t magics[] = {0xD106, 0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct wal_record_head head, shorter;
	uint8_t again[WAL_RECORD_HEAD_MAX];
	const struct wal_version *version;
	struct wal_page_header page;
	size_t need = 0;

	if (length < 1) {
		return 0;
	}
	version = wal_version_find(magics[bytes[0] % (sizeof(magics) / sizeof(magics[0]))]);
	bytes++;
	length--;
	if (length >= WAL_PAGE_HEADER_LONG &&
		wal_page_header_decode(bytes, 1 << 24, 1 << 24, &page)) {
		assert(page.lsn == 1 << 24);
	}
	switch (wal_record_head_decode(version, bytes, length, &head, &need)) {
	case DECODE_MORE: assert(need > length && need <= WAL_RECORD_HEAD_MAX); break;
	case DECODE_BAD: break;
	case DECODE_OK:
		assert(head.length <= length && head.length == wal_record_head_bytes(&head));
		assert(head.total == head.length + wal_record_payload_bytes(&head));
		wal_record_head_encode(&head, again);
		assert(memcmp(again, bytes, head.length) == 0);
		for (size_t i = 0; i < head.length; i++) {
			assert(wal_record_head_decode(version, bytes, i, &shorter, &need) ==
				DECODE_MORE);
		}
		break;
	}
	return 0;
}
