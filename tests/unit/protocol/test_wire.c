/*
 * wire: what is read never passes the end, what is written comes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/wire.h"

#include <string.h>

static void test_wire__reads_what_it_wrote(void **state)
{
	(void)state;
	struct wire_writer writer;
	wire_writer_init(&writer);
	wire_write_u8(&writer, 0xFE);
	wire_write_u16(&writer, 0xFEDC);
	wire_write_u32(&writer, 0xFEDCBA98);
	wire_write_u64(&writer, 0xFEDCBA9876543210);
	wire_write_string(&writer, "walreceiver");
	wire_write_bytes(&writer, "\0\1", 2);
	assert_false(writer.bad);

	struct wire_reader reader;
	wire_reader_init(&reader, writer.bytes, writer.length);
	assert_int_equal(wire_read_u8(&reader), 0xFE);
	assert_int_equal(wire_read_u16(&reader), 0xFEDC);
	assert_int_equal(wire_read_u32(&reader), 0xFEDCBA98);
	assert_int_equal(wire_read_u64(&reader), 0xFEDCBA9876543210);
	assert_string_equal(wire_read_string(&reader), "walreceiver");
	assert_int_equal(wire_reader_left(&reader), 2);
	assert_false(wire_reader_is_done(&reader));
	assert_memory_equal(wire_read_bytes(&reader, 2), "\0\1", 2);
	assert_true(wire_reader_is_done(&reader));
	wire_writer_release(&writer);
}

static void test_wire__is_big_endian(void **state)
{
	uint8_t bytes[8];
	(void)state;
	wire_put_u64(bytes, 0x0102030405060708);
	assert_memory_equal(bytes, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(wire_get_u64(bytes), 0x0102030405060708);
	wire_put_u32(bytes, 0x80000001);
	assert_memory_equal(bytes, "\200\0\0\1", 4);
	assert_int_equal(wire_get_u32(bytes), 0x80000001);
}

static void test_wire__a_short_read_is_bad_for_good(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {1, 2, 3};
	struct wire_reader reader;
	wire_reader_init(&reader, bytes, sizeof(bytes));
	assert_int_equal(wire_read_u32(&reader), 0);
	assert_true(reader.bad);
	assert_int_equal(wire_read_u8(&reader), 0);
	assert_null(wire_read_bytes(&reader, 0));
	assert_string_equal(wire_read_string(&reader), "");
	assert_false(wire_reader_is_done(&reader));
}

static void test_wire__a_string_needs_its_end(void **state)
{
	(void)state;
	struct wire_reader reader;
	wire_reader_init(&reader, "abc", 3);
	assert_string_equal(wire_read_string(&reader), "");
	assert_true(reader.bad);
	wire_reader_init(&reader, NULL, 0);
	assert_string_equal(wire_read_string(&reader), "");
	assert_true(reader.bad);
}

static void test_wire__a_length_past_the_end_does_not_wrap(void **state)
{
	(void)state;
	struct wire_reader reader;
	wire_reader_init(&reader, "abcd", 4);
	wire_read_u8(&reader);
	assert_null(wire_read_bytes(&reader, SIZE_MAX));
	assert_true(reader.bad);
}

static void test_wire__messages_carry_their_length(void **state)
{
	(void)state;
	struct wire_writer writer;
	wire_writer_init(&writer);
	wire_begin_message(&writer, 'c');
	wire_end_message(&writer);
	wire_begin_message(&writer, 'C');
	wire_write_string(&writer, "SHOW");
	wire_end_message(&writer);
	assert_int_equal(writer.length, 15);
	assert_memory_equal(writer.bytes, "c\0\0\0\4C\0\0\0\11SHOW", 15);
	wire_writer_release(&writer);
	assert_null(writer.bytes);
}

static void test_wire__grows_and_keeps_memory_over_a_reset(void **state)
{
	(void)state;
	enum { BLOCK = 1000, BLOCKS = 1000 };
	uint8_t block[BLOCK];
	struct wire_writer writer;
	wire_writer_init(&writer);
	for (int i = 0; i < BLOCKS; i++) {
		memset(block, i & 0xFF, sizeof(block));
		wire_write_bytes(&writer, block, sizeof(block));
	}
	assert_int_equal(writer.length, BLOCK * BLOCKS);
	for (int i = 0; i < BLOCKS; i++) {
		memset(block, i & 0xFF, sizeof(block));
		assert_memory_equal(writer.bytes + i * BLOCK, block, BLOCK);
	}
	size_t capacity = writer.capacity;
	wire_writer_reset(&writer);
	assert_int_equal(writer.length, 0);
	wire_write_u8(&writer, 1);
	assert_int_equal(writer.capacity, capacity);
	wire_writer_release(&writer);
}

static void test_wire__an_impossible_length_is_bad_for_good(void **state)
{
	(void)state;
	struct wire_writer writer;
	wire_writer_init(&writer);
	wire_begin_message(&writer, 'd');
	wire_write_bytes(&writer, "", SIZE_MAX / 2);
	assert_true(writer.bad);
	wire_write_u8(&writer, 1);
	wire_end_message(&writer);
	assert_true(writer.bad);
	assert_int_equal(writer.length, 5);
	wire_writer_reset(&writer);
	assert_false(writer.bad);
	wire_writer_release(&writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wire__reads_what_it_wrote),
		cmocka_unit_test(test_wire__is_big_endian),
		cmocka_unit_test(test_wire__a_short_read_is_bad_for_good),
		cmocka_unit_test(test_wire__a_string_needs_its_end),
		cmocka_unit_test(test_wire__a_length_past_the_end_does_not_wrap),
		cmocka_unit_test(test_wire__messages_carry_their_length),
		cmocka_unit_test(test_wire__grows_and_keeps_memory_over_a_reset),
		cmocka_unit_test(test_wire__an_impossible_length_is_bad_for_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
