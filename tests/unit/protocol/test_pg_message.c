/*
 * pg_message: messages with a type byte decoded, and what a server writes, byte for byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/pg_message.h"

#include <string.h>

/* A literal with zero bytes in it, as bytes and length. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static struct wire_writer writer;

static int set_up(void **state)
{
	(void)state;
	wire_writer_init(&writer);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	wire_writer_release(&writer);
	return 0;
}

static void assert_written(const uint8_t *expected, size_t length)
{
	assert_false(writer.bad);
	assert_int_equal(writer.length, length);
	assert_memory_equal(writer.bytes, expected, length);
}

static void test_pg_message__decodes_a_message(void **state)
{
	(void)state;
	struct pg_message message;
	const char *reason;
	assert_int_equal(
		pg_message_decode(BYTES("Q\0\0\0\11SHOW\0X"), 100, &message, &reason), DECODE_OK);
	assert_int_equal(message.type, 'Q');
	assert_int_equal(message.body_length, 5);
	assert_int_equal(message.consumed, 10);
	assert_string_equal(query_decode(message.body, message.body_length), "SHOW");
}

static void test_pg_message__every_prefix_wants_more(void **state)
{
	static const uint8_t bytes[] = "d\0\0\0\20twelve bytes";
	struct pg_message message;
	const char *reason;
	(void)state;
	for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
		assert_int_equal(pg_message_decode(bytes, i, 12, &message, &reason), DECODE_MORE);
	}
	assert_int_equal(
		pg_message_decode(bytes, sizeof(bytes) - 1, 12, &message, &reason), DECODE_OK);
	assert_int_equal(message.body_length, 12);
}

static void test_pg_message__bounds_a_body_before_it_comes(void **state)
{
	struct pg_message message;
	const char *reason = NULL;
	(void)state;
	assert_int_equal(
		pg_message_decode(BYTES("Q\0\0\0\16"), 10, &message, &reason), DECODE_MORE);
	assert_int_equal(pg_message_decode(BYTES("Q\0\0\0\17"), 10, &message, &reason), DECODE_BAD);
	assert_string_equal(reason, "invalid message length");
	assert_int_equal(pg_message_decode(BYTES("Q\0\0\0\3"), 10, &message, &reason), DECODE_BAD);
	assert_int_equal(pg_message_decode(BYTES("Q\377\377\377\377"), SIZE_MAX, &message, &reason),
		DECODE_BAD);
}

static void test_pg_message__a_query_is_one_string(void **state)
{
	(void)state;
	assert_string_equal(query_decode(BYTES("\0")), "");
	assert_null(query_decode(BYTES("")));
	assert_null(query_decode(BYTES("SHOW")));
	assert_null(query_decode(BYTES("SHOW\0x")));
	assert_null(query_decode(BYTES("SHOW\0\0")));
}

static void test_pg_message__decodes_sasl_initial_responses(void **state)
{
	const char *mechanism, *reason;
	const uint8_t *data;
	size_t length;
	(void)state;
	assert_true(sasl_initial_decode(
		BYTES("SCRAM-SHA-256\0\0\0\0\5n,,n="), &mechanism, &data, &length, &reason));
	assert_string_equal(mechanism, "SCRAM-SHA-256");
	assert_int_equal(length, 5);
	assert_memory_equal(data, "n,,n=", 5);
	assert_true(sasl_initial_decode(
		BYTES("X\0\377\377\377\377"), &mechanism, &data, &length, &reason));
	assert_null(data);
	assert_int_equal(length, 0);
	assert_true(sasl_initial_decode(BYTES("X\0\0\0\0\0"), &mechanism, &data, &length, &reason));
	assert_non_null(data);
	assert_int_equal(length, 0);
}

static void test_pg_message__refuses_malformed_sasl_initial_responses(void **state)
{
	static const uint8_t whole[] = "SCRAM-SHA-256\0\0\0\0\5n,,n=";
	const char *mechanism, *reason;
	const uint8_t *data;
	size_t length;
	(void)state;
	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		assert_false(sasl_initial_decode(whole, i, &mechanism, &data, &length, &reason));
		assert_string_equal(reason,
			i < 14 ? "invalid string in message" : "insufficient data left in message");
	}
	assert_false(
		sasl_initial_decode(whole, sizeof(whole), &mechanism, &data, &length, &reason));
	assert_false(sasl_initial_decode(
		BYTES("X\0\377\377\377\377n,,"), &mechanism, &data, &length, &reason));
	assert_false(sasl_initial_decode(
		BYTES("X\0\377\377\377\376"), &mechanism, &data, &length, &reason));
}

static void test_pg_message__writes_authentication(void **state)
{
	static const char *const mechanisms[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", NULL};
	(void)state;
	pg_write_authentication_sasl(&writer, mechanisms);
	pg_write_authentication_sasl_continue(&writer, "r=a", 3);
	pg_write_authentication_sasl_final(&writer, "v=b", 3);
	pg_write_authentication_ok(&writer);
	assert_written(BYTES("R\0\0\0\52\0\0\0\12SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
			     "R\0\0\0\13\0\0\0\13r=a"
			     "R\0\0\0\13\0\0\0\14v=b"
			     "R\0\0\0\10\0\0\0\0"));
}

static void test_pg_message__writes_what_follows_authentication(void **state)
{
	(void)state;
	pg_write_parameter_status(&writer, "integer_datetimes", "on");
	pg_write_backend_key(&writer, 0x01020304, "key!", 4);
	pg_write_ready(&writer);
	assert_written(BYTES("S\0\0\0\31integer_datetimes\0on\0"
			     "K\0\0\0\14\1\2\3\4key!"
			     "Z\0\0\0\5I"));
}

/* What PostgreSQL 18 answers to 3.9999 with _pq_.foo. */
static void test_pg_message__writes_protocol_negotiation(void **state)
{
	static const char *const unknown[] = {"_pq_.foo"};
	(void)state;
	pg_write_negotiate_protocol(&writer, PG_PROTOCOL(3, 2), unknown, 1);
	assert_written(BYTES("v\0\0\0\25\0\3\0\2\0\0\0\1_pq_.foo\0"));
}

static void test_pg_message__writes_copy_messages(void **state)
{
	(void)state;
	pg_write_copy_both(&writer);
	pg_write_copy_in(&writer);
	pg_write_copy_out(&writer);
	pg_write_copy_data(&writer, "k", 1);
	pg_write_copy_done(&writer);
	pg_write_command_complete(&writer, "COPY 0");
	assert_written(BYTES("W\0\0\0\7\0\0\0"
			     "G\0\0\0\7\0\0\0"
			     "H\0\0\0\7\0\0\0"
			     "d\0\0\0\5k"
			     "c\0\0\0\4"
			     "C\0\0\0\13COPY 0\0"));
}

static void test_pg_message__writes_result_sets(void **state)
{
	static const struct pg_column columns[] = {
		{"timeline", PG_OID_INT8, 8, -1}, {"content", PG_OID_TEXT, -1, 0}};
	static const char *const values[] = {"1", NULL};
	static const char *const raw[] = {"a\0b", ""};
	static const size_t lengths[] = {3, 0};
	(void)state;
	pg_write_row_description(&writer, columns, 2);
	pg_write_data_row(&writer, values, NULL, 2);
	pg_write_data_row(&writer, raw, lengths, 2);
	assert_written(BYTES("T\0\0\0\73\0\2"
			     "timeline\0\0\0\0\0\0\0\0\0\0\24\0\10\377\377\377\377\0\0"
			     "content\0\0\0\0\0\0\0\0\0\0\31\377\377\0\0\0\0\0\0"
			     "D\0\0\0\17\0\2\0\0\0\1"
			     "1\377\377\377\377"
			     "D\0\0\0\21\0\2\0\0\0\3a\0b\0\0\0\0"));
}

static void test_pg_message__writes_errors_and_notices(void **state)
{
	struct pg_error_fields fields = {.severity = "FATAL",
		.sqlstate = "28000",
		.message = "no",
		.detail = "d",
		.hint = ""};
	(void)state;
	pg_write_error(&writer, &fields);
	fields = (struct pg_error_fields){
		.severity = "WARNING", .sqlstate = "01000", .message = "m", .hint = "h"};
	pg_write_notice(&writer, &fields);
	assert_written(BYTES("E\0\0\0\41SFATAL\0VFATAL\0C28000\0Mno\0Dd\0\0"
			     "N\0\0\0\44SWARNING\0VWARNING\0C01000\0Mm\0Hh\0\0"));
}

#define WRITES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pg_message__decodes_a_message),
		cmocka_unit_test(test_pg_message__every_prefix_wants_more),
		cmocka_unit_test(test_pg_message__bounds_a_body_before_it_comes),
		cmocka_unit_test(test_pg_message__a_query_is_one_string),
		cmocka_unit_test(test_pg_message__decodes_sasl_initial_responses),
		cmocka_unit_test(test_pg_message__refuses_malformed_sasl_initial_responses),
		WRITES(test_pg_message__writes_authentication),
		WRITES(test_pg_message__writes_what_follows_authentication),
		WRITES(test_pg_message__writes_protocol_negotiation),
		WRITES(test_pg_message__writes_copy_messages),
		WRITES(test_pg_message__writes_result_sets),
		WRITES(test_pg_message__writes_errors_and_notices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
