/*
 * crc32c: the checksum of WAL records (CRC-32C, Castagnoli; src/include/port/pg_crc32c.h).
 *
 * The processor's own instruction where it has one (SSE 4.2, ARMv8), else a table. A value being
 * computed starts as CRC32C_INIT and is finished once; updates may cut the bytes anywhere.
 */
#ifndef PROTOCOL_CRC32C_H
#define PROTOCOL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#define CRC32C_INIT 0xFFFFFFFFu

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t length);
/* The same by table: for tests, and for processors without the instruction. */
uint32_t crc32c_update_portable(uint32_t crc, const void *bytes, size_t length);

static inline uint32_t crc32c_finish(uint32_t crc)
{
	return crc ^ 0xFFFFFFFFu;
}

#endif
