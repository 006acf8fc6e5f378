/*
 * link_held: pieces are as the whole, and it sees what a CRC-32C of WAL does not.
 */
#include "protocol/link_held.h"

#include "protocol/crc32c.h"
#include "protocol/link_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#define RECORD_BYTES 300
#define XID_AT       4
#define CRC_AT       20

static uint64_t value_of(const void *bytes, size_t length, size_t piece)
{
	struct link_held *held = link_held_new();
	uint64_t value;

	for (size_t at = 0; at < length; at += piece) {
		link_held_update(held, (const uint8_t *)bytes + at,
			piece < length - at ? piece : length - at);
	}
	value = link_held_value(held);
	link_held_free(&held);
	assert_null(held);
	link_held_free(&held);
	return value;
}

static void test_link_held__pieces_are_as_the_whole(void **state)
{
	uint8_t bytes[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		bytes[i] = (uint8_t)(i * 167 + (i >> 3));
	}
	for (size_t piece = 1; piece < sizeof(bytes); piece += 7) {
		assert_int_equal(value_of(bytes, sizeof(bytes), piece), XXH64(bytes, 1000, 0));
	}
	assert_int_equal(value_of("abc", 3, 3), 0x44BC2CF5AD770999u);
}

static void make_record(uint8_t record[RECORD_BYTES], uint32_t xid)
{
	const uint32_t total = RECORD_BYTES;
	uint32_t crc;

	memset(record, 0x5A, RECORD_BYTES);
	memcpy(record, &total, 4);
	memcpy(record + XID_AT, &xid, 4);
	crc = link_record_crc(record, RECORD_BYTES);
	memcpy(record + CRC_AT, &crc, 4);
}

/* The same row, inserted by another transaction: a whole record with a right checksum, too. */
static void test_link_held__sees_another_transaction(void **state)
{
	uint8_t one[RECORD_BYTES], other[RECORD_BYTES];

	(void)state;
	make_record(one, 1000);
	make_record(other, 1001);
	assert_memory_not_equal(one, other, RECORD_BYTES);
	assert_int_equal(crc32c_update(CRC32C_INIT, one, RECORD_BYTES),
		crc32c_update(CRC32C_INIT, other, RECORD_BYTES));
	assert_int_not_equal(
		value_of(one, RECORD_BYTES, RECORD_BYTES), value_of(other, RECORD_BYTES, 64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_held__pieces_are_as_the_whole),
		cmocka_unit_test(test_link_held__sees_another_transaction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
