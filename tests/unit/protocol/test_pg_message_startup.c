/*
 * pg_message, its first part: the first packet of a connection, its parameters, "replication" and
 * "options".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/pg_message.h"

#include <stdio.h>
#include <string.h>

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1
#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))

static const char invalid_length[] = "invalid length of startup packet";
static const char no_terminator[] =
	"invalid startup packet layout: expected terminator as last byte";

#define WALRECEIVER                                                                                \
	"\0\0\0\114\0\3\0\0user\0rep\0database\0replication\0replication\0true\0"                  \
	"application_name\0s1\0\0"

static void test_pg_message__decodes_a_walreceivers_packet(void **state)
{
	struct startup_packet packet;
	const char *reason = NULL;
	(void)state;
	assert_int_equal(startup_packet_decode(BYTES(WALRECEIVER), &packet, &reason), DECODE_OK);
	assert_int_equal(packet.kind, STARTUP_MESSAGE);
	assert_int_equal(packet.version, PG_PROTOCOL(3, 0));
	assert_int_equal(packet.consumed, sizeof(WALRECEIVER) - 1);
	static const char *const expected[][2] = {{"user", "rep"}, {"database", "replication"},
		{"replication", "true"}, {"application_name", "s1"}};
	size_t at = 0;
	const char *name;
	const char *value;
	for (size_t i = 0; i < COUNT(expected); i++) {
		assert_true(startup_parameter_next(&packet, &at, &name, &value));
		assert_string_equal(name, expected[i][0]);
		assert_string_equal(value, expected[i][1]);
	}
	assert_false(startup_parameter_next(&packet, &at, &name, &value));
	assert_false(startup_parameter_next(&packet, &at, &name, &value));
	assert_string_equal(startup_parameter_find(&packet, "replication"), "true");
	assert_null(startup_parameter_find(&packet, "options"));
	assert_null(startup_parameter_find(&packet, "rep"));
}

static void test_pg_message__every_prefix_wants_more(void **state)
{
	struct startup_packet packet;
	const char *reason;
	(void)state;
	for (size_t i = 0; i < sizeof(WALRECEIVER) - 1; i++) {
		assert_int_equal(
			startup_packet_decode((const uint8_t *)WALRECEIVER, i, &packet, &reason),
			DECODE_MORE);
	}
}

static void test_pg_message__the_last_of_two_values_wins(void **state)
{
	struct startup_packet packet;
	const char *reason;
	(void)state;
	assert_int_equal(startup_packet_decode(
				 BYTES("\0\0\0\27\0\3\0\0user\0a\0user\0b\0\0"), &packet, &reason),
		DECODE_OK);
	assert_string_equal(startup_parameter_find(&packet, "user"), "b");
}

struct first_packet {
	const char *name;
	const uint8_t *bytes;
	size_t length;
	enum decode_result result;
	enum startup_kind kind;
	const char *reason;
};

#define OK(name, literal, kind)                                                                    \
	{                                                                                          \
		name, BYTES(literal), DECODE_OK, kind, NULL                                        \
	}
#define BAD(name, literal, reason)                                                                 \
	{                                                                                          \
		name, BYTES(literal), DECODE_BAD, 0, reason                                        \
	}

static const struct first_packet first_packets[] = {
	OK("SSLRequest", "\0\0\0\10\4\322\26\57", STARTUP_SSL_REQUEST),
	OK("GSSENCRequest", "\0\0\0\10\4\322\26\60", STARTUP_GSSENC_REQUEST),
	OK("CancelRequest", "\0\0\0\20\4\322\26\56\0\0\0\7key!", STARTUP_CANCEL_REQUEST),
	OK("a TLS hello", "\26\3\1\2", STARTUP_TLS_HELLO),
	OK("one byte of a TLS hello", "\26", STARTUP_TLS_HELLO),
	OK("no parameters", "\0\0\0\11\0\3\0\0\0", STARTUP_MESSAGE),
	OK("an empty value", "\0\0\0\14\0\3\0\2a\0\0\0", STARTUP_MESSAGE),
	OK("protocol 2 in its own layout", "\0\0\0\13\0\2\0\0abc", STARTUP_MESSAGE),
	OK("protocol 4 without a body", "\0\0\0\10\0\4\0\0", STARTUP_MESSAGE),
	OK("an unknown request code", "\0\0\0\10\4\322\26\61", STARTUP_MESSAGE),
	BAD("a body in SSLRequest", "\0\0\0\11\4\322\26\57x", invalid_length),
	BAD("a body in GSSENCRequest", "\0\0\0\11\4\322\26\60x", invalid_length),
	BAD("CancelRequest without a key", "\0\0\0\14\4\322\26\56\0\0\0\7",
		"invalid length of cancel request packet"),
	BAD("CancelRequest without a pid", "\0\0\0\10\4\322\26\56",
		"invalid length of cancel request packet"),
	BAD("length 7", "\0\0\0\7", invalid_length),
	BAD("length 0", "\0\0\0\0", invalid_length),
	BAD("length 10001", "\0\0\47\21", invalid_length),
	BAD("an HTTP request", "GET / HTTP/1.1\r\n", invalid_length),
	BAD("no body", "\0\0\0\10\0\3\0\0", no_terminator),
	BAD("no terminator", "\0\0\0\15\0\3\0\0a\0b\0x", no_terminator),
	BAD("bytes after the terminator", "\0\0\0\16\0\3\0\0a\0b\0\0\0", no_terminator),
	BAD("a name without a value", "\0\0\0\12\0\3\0\0a\0", no_terminator),
	BAD("a value without its end", "\0\0\0\13\0\3\0\0a\0b", no_terminator),
};

static void test_pg_message__judges_first_packets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(first_packets); i++) {
		const struct first_packet *first = &first_packets[i];
		struct startup_packet packet;
		const char *reason = NULL;
		enum decode_result result =
			startup_packet_decode(first->bytes, first->length, &packet, &reason);
		if (result != first->result ||
			(result == DECODE_OK && packet.kind != first->kind) ||
			(result == DECODE_BAD && strcmp(reason, first->reason) != 0)) {
			fail_msg("%s: %d, %s", first->name, result, reason ? reason : "");
		}
	}
}

static void test_pg_message__consumes_nothing_of_a_tls_hello(void **state)
{
	struct startup_packet packet;
	const char *reason;
	(void)state;
	assert_int_equal(startup_packet_decode(BYTES("\26\3\1"), &packet, &reason), DECODE_OK);
	assert_int_equal(packet.consumed, 0);
}

static void test_pg_message__leaves_what_follows_a_request(void **state)
{
	struct startup_packet packet;
	const char *reason;
	(void)state;
	assert_int_equal(
		startup_packet_decode(BYTES("\0\0\0\10\4\322\26\57\26\3\1"), &packet, &reason),
		DECODE_OK);
	assert_int_equal(packet.consumed, 8);
}

static void test_pg_message__a_cancel_key_may_have_256_bytes(void **state)
{
	uint8_t bytes[12 + 257] = {0, 0, 0, 0, 4, 0322, 026, 056, 0, 0, 1, 0};
	struct startup_packet packet;
	const char *reason;
	(void)state;
	wire_put_u32(bytes, 12 + 256);
	assert_int_equal(startup_packet_decode(bytes, sizeof(bytes), &packet, &reason), DECODE_OK);
	assert_int_equal(packet.cancel_pid, 256);
	assert_int_equal(packet.cancel_key_length, 256);
	assert_ptr_equal(packet.cancel_key, bytes + 12);
	wire_put_u32(bytes, 12 + 257);
	assert_int_equal(startup_packet_decode(bytes, sizeof(bytes), &packet, &reason), DECODE_BAD);
	assert_string_equal(reason, "invalid length of cancel key");
}

static void test_pg_message__parses_replication(void **state)
{
	static const struct {
		const char *values[16];
		enum startup_replication replication;
	} rows[] = {{{"true", "t", "T", "TRUE", "tru", "yes", "y", "YE", "on", "ON", "1"},
			    REPLICATION_PHYSICAL},
		{{"false", "f", "F", "no", "n", "off", "of", "OFF", "0"}, REPLICATION_NONE},
		{{"database"}, REPLICATION_LOGICAL}};
	static const char *const refused[] = {
		"", "maybe", "o", "truee", "2", "10", "Database", "databas", " true", "yess"};
	enum startup_replication replication;
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (const char *const *value = rows[i].values; *value; value++) {
			if (!startup_replication_parse(*value, &replication) ||
				replication != rows[i].replication) {
				fail_msg("\"%s\"", *value);
			}
		}
	}
	for (size_t i = 0; i < COUNT(refused); i++) {
		if (startup_replication_parse(refused[i], &replication)) {
			fail_msg("\"%s\"", refused[i]);
		}
	}
}

/* "name=value;" for each option, then "." at the end or "!" where it is ill formed. */
static void describe_options(const char *options, char *out, size_t out_size)
{
	char name[16];
	char value[16];
	size_t at = 0;
	size_t length = 0;
	enum decode_result result;
	while ((result = startup_option_next(
			options, &at, name, sizeof(name), value, sizeof(value))) == DECODE_OK) {
		length += (size_t)snprintf(out + length, out_size - length, "%s=%s;", name, value);
	}
	snprintf(out + length, out_size - length, "%s", result == DECODE_MORE ? "." : "!");
}

static void test_pg_message__splits_options(void **state)
{
	static const struct {
		const char *options;
		const char *expected;
	} rows[] = {
		{"", "."},
		{" \t ", "."},
		{"-c wal_sender=5s", "wal_sender=5s;."},
		{"-cwal_sender=5s", "wal_sender=5s;."},
		{"--wal-sender=5s", "wal_sender=5s;."},
		{" -c a=1  --b=2 -c c= ", "a=1;b=2;c=;."},
		{"-c a=one\\ two", "a=one two;."},
		{"-c a=b\\\\c", "a=b\\c;."},
		{"-c a=b\\", "a=b;."},
		{"-c a=b=c", "a=b=c;."},
		{"-c a-b=c-d", "a_b=c-d;."},
		{"-c", "!"},
		{"-c a", "!"},
		{"-c =a", "!"},
		{"--a", "!"},
		{"-d a=b", "!"},
		{"a=b", "!"},
		{"\\", "!"},
		{"-c a=1 -c", "a=1;!"},
		{"-c fifteen_letters=fifteen_letters", "fifteen_letters=fifteen_letters;."},
		{"-c sixteen__letters=a", "!"},
		{"-c a=sixteen__letters", "!"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char described[128];
		describe_options(rows[i].options, described, sizeof(described));
		if (strcmp(described, rows[i].expected) != 0) {
			fail_msg("\"%s\": %s", rows[i].options, described);
		}
	}
}

static void test_pg_message__an_endless_option_is_refused(void **state)
{
	char options[3000] = "-c a=";
	char name[16];
	char value[4096];
	size_t at = 0;
	(void)state;
	memset(options + 5, 'x', sizeof(options) - 6);
	assert_int_equal(
		startup_option_next(options, &at, name, sizeof(name), value, sizeof(value)),
		DECODE_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pg_message__decodes_a_walreceivers_packet),
		cmocka_unit_test(test_pg_message__every_prefix_wants_more),
		cmocka_unit_test(test_pg_message__the_last_of_two_values_wins),
		cmocka_unit_test(test_pg_message__judges_first_packets),
		cmocka_unit_test(test_pg_message__consumes_nothing_of_a_tls_hello),
		cmocka_unit_test(test_pg_message__leaves_what_follows_a_request),
		cmocka_unit_test(test_pg_message__a_cancel_key_may_have_256_bytes),
		cmocka_unit_test(test_pg_message__parses_replication),
		cmocka_unit_test(test_pg_message__splits_options),
		cmocka_unit_test(test_pg_message__an_endless_option_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
