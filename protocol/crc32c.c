/*
 * crc32c: CRC-32C by instruction or by table, chosen once at run time.
 */
#include "protocol/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

/* The reversed Castagnoli polynomial, four bits at a time: small enough to stay in the cache. */
static const uint32_t nibble_table[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
	0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6,
	0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};

uint32_t crc32c_update_portable(uint32_t crc, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	while (length-- > 0) {
		crc ^= *at++;
		crc = (crc >> 4) ^ nibble_table[crc & 15];
		crc = (crc >> 4) ^ nibble_table[crc & 15];
	}
	return crc;
}

#if defined(__x86_64__)

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t update_by_instruction(
	uint32_t crc, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t wide = crc;

	for (; length >= 8; length -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	while (length-- > 0) {
		crc = __builtin_ia32_crc32qi(crc, *at++);
	}
	return crc;
}

#elif defined(__aarch64__)

static bool has_instruction(void)
{
	return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}

__attribute__((target("+crc"))) static uint32_t update_by_instruction(
	uint32_t crc, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	for (; length >= 8; length -= 8, at += 8) {
		uint64_t word;

		memcpy(&word, at, 8);
		__asm__("crc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(word));
	}
	while (length-- > 0) {
		uint32_t byte = *at++;

		__asm__("crc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(byte));
	}
	return crc;
}

#else

static bool has_instruction(void)
{
	return false;
}

static uint32_t update_by_instruction(uint32_t crc, const void *bytes, size_t length)
{
	return crc32c_update_portable(crc, bytes, length);
}

#endif

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t length)
{
	static int chosen; /* 0: not asked yet; every thread would find the same answer */
	int choice = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	if (__builtin_expect(choice == 0, 0)) {
		choice = has_instruction() ? 1 : 2;
		__atomic_store_n(&chosen, choice, __ATOMIC_RELAXED);
	}
	return choice == 1 ? update_by_instruction(crc, bytes, length)
			   : crc32c_update_portable(crc, bytes, length);
}
