/*
 * xxh64: four lanes of eight bytes, then the rest by eights, a four and ones.
 */
#include "protocol/xxh64.h"

#include <string.h>

#define PRIME_1 0x9E3779B185EBCA87u
#define PRIME_2 0xC2B2AE3D27D4EB4Fu
#define PRIME_3 0x165667B19E3779F9u
#define PRIME_4 0x85EBCA77C2B2AE63u
#define PRIME_5 0x27D4EB2F165667C5u

#define LANES        4u
#define STRIPE_BYTES 32u

static uint64_t rotate(uint64_t value, unsigned count)
{
	return value << count | value >> (64 - count);
}

/* Little-endian, as everything that is WAL here. */
static uint64_t load64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, 8);
	return value;
}

static uint32_t load32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, 4);
	return value;
}

static uint64_t mix_in(uint64_t lane, uint64_t value)
{
	return rotate(lane + value * PRIME_2, 31) * PRIME_1;
}

static uint64_t join(const uint64_t lanes[LANES])
{
	uint64_t hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) +
			rotate(lanes[3], 18);

	for (unsigned i = 0; i < LANES; i++) {
		hash = (hash ^ mix_in(0, lanes[i])) * PRIME_1 + PRIME_4;
	}
	return hash;
}

static uint64_t add_rest(uint64_t hash, const uint8_t *at, size_t left)
{
	for (; left >= 8; at += 8, left -= 8) {
		hash = rotate(hash ^ mix_in(0, load64(at)), 27) * PRIME_1 + PRIME_4;
	}
	if (left >= 4) {
		hash = rotate(hash ^ load32(at) * PRIME_1, 23) * PRIME_2 + PRIME_3;
		at += 4;
		left -= 4;
	}
	for (; left > 0; at++, left--) {
		hash = rotate(hash ^ *at * PRIME_5, 11) * PRIME_1;
	}
	return hash;
}

uint64_t xxh64(const void *bytes, size_t length, uint64_t seed)
{
	const uint8_t *at = bytes;
	size_t left = length;
	uint64_t hash = seed + PRIME_5;

	if (length >= STRIPE_BYTES) {
		uint64_t lanes[LANES] = {
			seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1};

		for (; left >= STRIPE_BYTES; at += STRIPE_BYTES, left -= STRIPE_BYTES) {
			for (unsigned i = 0; i < LANES; i++) {
				lanes[i] = mix_in(lanes[i], load64(at + (size_t)8 * i));
			}
		}
		hash = join(lanes);
	}
	hash = add_rest(hash + length, at, left);
	hash = (hash ^ hash >> 33) * PRIME_2;
	hash = (hash ^ hash >> 29) * PRIME_3;
	return hash ^ hash >> 32;
}
