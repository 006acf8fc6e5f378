/*
 * fetched_file: which names mean what, and that no byte of a segment can be another.
 */
#include "upstream/fetched_file.h"
#include "support/wal_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(5) << 32)

static void test_fetched_file__knows_names(void **state)
{
	static const struct {
		const char *name;
		enum fetched_kind kind;
		tli_t tli;
	} cases[] = {
		{"0000000A0000000100000002", FETCHED_SEGMENT, 10},
		{"000000010000000000000001.partial", FETCHED_PARTIAL, 1},
		{"00000002.history", FETCHED_HISTORY, 2},
		{"000000010000000000000001.00000028.backup", FETCHED_OTHER, 0},
		{"000000010000000000000001.gz", FETCHED_OTHER, 0},
		{"00000001000000000000001", FETCHED_OTHER, 0},
		{"0000000a0000000100000002", FETCHED_OTHER, 0},
		{"", FETCHED_OTHER, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fetched_name name;
		fetched_name_parse(cases[i].name, &name);
		assert_int_equal(name.kind, cases[i].kind);
		if (name.kind != FETCHED_OTHER) {
			assert_int_equal(name.tli, cases[i].tli);
		}
		if (name.kind == FETCHED_PARTIAL) {
			assert_string_equal(name.segment, "000000010000000000000001");
		}
	}
}

static struct fetched_segment second_of(const struct wal_maker *maker)
{
	uint64_t system_identifier;
	memcpy(&system_identifier, wal_maker_bytes(maker, START + SEGMENT) + 24,
		sizeof(system_identifier));
	return (struct fetched_segment){
		.bytes = wal_maker_bytes(maker, START + SEGMENT),
		.segment_bytes = SEGMENT,
		.start_lsn = START + SEGMENT,
		.end_lsn = START + 2 * SEGMENT,
		.tli = 1,
		.system_identifier = system_identifier,
	};
}

static void test_fetched_file__is_checked_byte_by_byte(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct error err = {0};
	(void)state;
	wal_maker_fill(maker, START + 3 * SEGMENT);
	struct fetched_segment segment = second_of(maker);
	/* What proves itself: the last record's end lies in the next segment. */
	lsn_t proved = wal_maker_last_end(maker, segment.end_lsn) - segment.start_lsn;
	uint8_t *bytes = maker->bytes + SEGMENT;
	assert_true(fetched_segment_check(&segment, &err));
	for (size_t at = 16384; at < proved; at += 4001) {
		bytes[at] ^= 0x40;
		/* Pages are padded here and there. */
		if (fetched_segment_check(&segment, &err)) {
			assert_int_equal(bytes[at], 0x40);
		}
		bytes[at] ^= 0x40;
	}
	segment.system_identifier++;
	assert_false(fetched_segment_check(&segment, &err));
	assert_non_null(strstr(err.message, "is WAL of system identifier"));
	segment.system_identifier--;
	segment.start_lsn += SEGMENT;
	segment.end_lsn += SEGMENT;
	assert_false(fetched_segment_check(&segment, &err));
	assert_non_null(strstr(err.message, "is not WAL at 5/200000"));
	wal_maker_free(maker);
}

static void test_fetched_file__ends_with_zeros_after_a_switch(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct error err = {0};
	(void)state;
	wal_maker_fill(maker, START + SEGMENT + 50000);
	lsn_t end = wal_maker_switch(maker);
	struct fetched_segment segment = second_of(maker);
	assert_true(fetched_segment_check(&segment, &err));
	maker->bytes[end + 100 - START] = 1;
	assert_false(fetched_segment_check(&segment, &err));
	wal_maker_free(maker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fetched_file__knows_names),
		cmocka_unit_test(test_fetched_file__is_checked_byte_by_byte),
		cmocka_unit_test(test_fetched_file__ends_with_zeros_after_a_switch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
