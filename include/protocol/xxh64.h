/*
 * xxh64: XXH64, the 64-bit hash of xxHash (doc/xxhash_spec.md there).
 *
 * For what CRC-32C cannot check: WAL. The records carry CRC-32Cs of their own, which both ends of a
 * link compute, and the CRC-32C of bytes followed by their CRC-32C says nothing of the bytes.
 */
#ifndef PROTOCOL_XXH64_H
#define PROTOCOL_XXH64_H

#include <stddef.h>
#include <stdint.h>

uint64_t xxh64(const void *bytes, size_t length, uint64_t seed);

#endif
