/*
 * retention: each rule alone, each against the others, and whom max_size takes WAL from. LSNs are
 * in segments of 1 MB: MB(7) is the start of the eighth.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/retention.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MB(n)        ((uint64_t)(n) << 20)
#define HOLDERS_MAX  6

/* 0 everywhere else: retain nothing beyond the tail, no rule of time, no ceiling, nobody holds. */
struct row {
	const char *name;
	struct retention_input input;
	struct retention_holder holders[HOLDERS_MAX];
	const char *expected; /* horizon in MB, reason[, ceiling][, lost names in order][, flags] */
};

static void describe(const struct row *row, char *out, size_t size)
{
	struct retention_input input = row->input;
	struct retention_decision decision;
	size_t lost[HOLDERS_MAX];
	char reason[RETENTION_REASON_SIZE];
	input.segment_bytes = MB(1);
	input.holders = row->holders;
	while (input.holder_count < HOLDERS_MAX && row->holders[input.holder_count].name) {
		input.holder_count++;
	}
	retention_decide(&input, &decision, lost);
	assert_int_equal(decision.horizon_lsn % MB(1), 0);
	size_t length = (size_t)snprintf(out, size, "%u %s", (unsigned)(decision.horizon_lsn >> 20),
		retention_reason_format(&input, &decision, reason));
	if (decision.ceiling_lsn) {
		length += (size_t)snprintf(out + length, size - length, ", ceiling %u",
			(unsigned)(decision.ceiling_lsn >> 20));
	}
	for (size_t i = 0; i < decision.lost_count; i++) {
		length += (size_t)snprintf(out + length, size - length, "%s%s", i ? " " : ", lost ",
			input.holders[lost[i]].name);
	}
	if (input.max_bytes > 0) {
		assert_int_equal(decision.room_bytes % MB(1), 0);
		assert_true(decision.room_bytes <= input.max_bytes);
	}
	snprintf(out + length, size - length, "%s%s",
		decision.is_archive_lost ? ", archive lost" : "",
		decision.exceeds_max ? ", exceeds" : "");
}

static void check(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char described[256];
		describe(&rows[i], described, sizeof(described));
		if (strcmp(described, rows[i].expected) != 0) {
			fail_msg("%s: \"%s\" and not \"%s\"", rows[i].name, described,
				rows[i].expected);
		}
	}
}

static void test_retention__keeps_what_is_configured(void **state)
{
	static const struct row rows[] = {
		{"nothing configured, mid segment", {.received_lsn = MB(9) + 77}, {{0}},
			"8 newest segments"},
		{"nothing configured, at a boundary", {.received_lsn = MB(9)}, {{0}},
			"8 newest segments"},
		{"the first segment", {.received_lsn = 77}, {{0}}, "0 newest segments"},
		{"a range that begins here", {.oldest_lsn = MB(9), .received_lsn = MB(9) + 1},
			{{0}}, "9 newest segments"},
		{"an empty range", {.oldest_lsn = MB(9), .received_lsn = MB(9)}, {{0}},
			"9 newest segments"},
		{"retain_size within the tail", {.received_lsn = MB(9) + 77, .retain_bytes = MB(1)},
			{{0}}, "8 newest segments"},
		{"retain_size reaches into a segment",
			{.received_lsn = MB(9) + 77, .retain_bytes = MB(2)}, {{0}},
			"7 retain_size"},
		{"retain_size to a segment's start",
			{.received_lsn = MB(9) + 77, .retain_bytes = MB(4) + 77}, {{0}},
			"5 retain_size"},
		{"retain_size one byte more",
			{.received_lsn = MB(9) + 77, .retain_bytes = MB(4) + 78}, {{0}},
			"4 retain_size"},
		{"retain_size beyond all there is",
			{.oldest_lsn = MB(3), .received_lsn = MB(9), .retain_bytes = MB(100)},
			{{0}}, "3 retain_size"},
		{"retain_size without end",
			{.oldest_lsn = MB(3), .received_lsn = MB(9), .retain_bytes = UINT64_MAX},
			{{0}}, "3 retain_size"},
		{"retain_time keeps more",
			{.received_lsn = MB(9),
				.retain_bytes = MB(2),
				.retain_time_lsn = MB(5) + 1},
			{{0}}, "5 retain_time"},
		{"retain_size keeps more",
			{.received_lsn = MB(9), .retain_bytes = MB(5), .retain_time_lsn = MB(7)},
			{{0}}, "4 retain_size"},
		{"nothing is young", {.received_lsn = MB(9) + 5, .retain_time_lsn = MB(9) + 5},
			{{0}}, "8 newest segments"},
		{"everything is young",
			{.oldest_lsn = MB(2), .received_lsn = MB(9), .retain_time_lsn = MB(2)},
			{{0}}, "2 retain_time"},
		{"the archive is behind",
			{.received_lsn = MB(9), .has_archive = true, .archived_lsn = MB(4)}, {{0}},
			"4 archive"},
		{"the archive has nothing yet",
			{.oldest_lsn = MB(2), .received_lsn = MB(9), .has_archive = true}, {{0}},
			"2 archive"},
		{"the archive is ahead of retain_size",
			{.received_lsn = MB(9),
				.retain_bytes = MB(3),
				.has_archive = true,
				.archived_lsn = MB(9)},
			{{0}}, "6 retain_size"},
	};
	(void)state;
	check(rows, COUNT(rows));
}

static void test_retention__keeps_what_holders_need(void **state)
{
	static const struct row rows[] = {
		{"a slot", {.received_lsn = MB(9)}, {{RETENTION_SLOT, "s1", MB(3) + 77}},
			"3 slot \"s1\""},
		{"a pin", {.received_lsn = MB(9)}, {{RETENTION_PIN, "p", MB(3)}}, "3 pin \"p\""},
		{"a cursor", {.received_lsn = MB(9)}, {{RETENTION_CURSOR, "walreceiver", MB(3)}},
			"3 cursor \"walreceiver\""},
		{"a slot that holds nothing yet", {.received_lsn = MB(9)},
			{{RETENTION_SLOT, "s1", LSN_INVALID}}, "8 newest segments"},
		{"the neediest of several", {.received_lsn = MB(9)},
			{{RETENTION_SLOT, "a", MB(5)}, {RETENTION_PIN, "b", MB(3)},
				{RETENTION_CURSOR, "c", MB(4)}, {RETENTION_SLOT, "d", 0}},
			"3 pin \"b\""},
		{"the neediest in one segment", {.received_lsn = MB(9)},
			{{RETENTION_SLOT, "a", MB(3) + 9}, {RETENTION_SLOT, "b", MB(3) + 7},
				{RETENTION_SLOT, "c", MB(3) + 8}},
			"3 slot \"b\""},
		{"a slot where retain_size keeps anyway",
			{.received_lsn = MB(9), .retain_bytes = MB(6)},
			{{RETENTION_SLOT, "a", MB(3)}}, "3 retain_size"},
		{"a slot a segment before retain_size",
			{.received_lsn = MB(9), .retain_bytes = MB(5)},
			{{RETENTION_SLOT, "a", MB(4) - 1}}, "3 slot \"a\""},
		{"a cursor ahead of received", {.received_lsn = MB(9)},
			{{RETENTION_CURSOR, "c", MB(20)}}, "8 newest segments"},
		{"a slot that came too late", {.oldest_lsn = MB(4), .received_lsn = MB(9)},
			{{RETENTION_SLOT, "a", MB(1)}}, "4 slot \"a\""},
		{"two that came too late", {.oldest_lsn = MB(4), .received_lsn = MB(9)},
			{{RETENTION_SLOT, "a", MB(2)}, {RETENTION_SLOT, "b", MB(1)}},
			"4 slot \"b\""},
	};
	(void)state;
	check(rows, COUNT(rows));
}

static void test_retention__yields_to_max_size(void **state)
{
	static const struct row rows[] = {
		{"room for all",
			{.received_lsn = MB(9) + 1, .retain_bytes = MB(5), .max_bytes = MB(10)},
			{{0}}, "4 retain_size"},
		{"just enough", {.received_lsn = MB(9) + 1, .max_bytes = MB(6)},
			{{RETENTION_SLOT, "a", MB(4)}}, "4 slot \"a\", ceiling 4"},
		{"one segment short", {.received_lsn = MB(9) + 1, .max_bytes = MB(6) - 1},
			{{RETENTION_SLOT, "a", MB(4)}}, "5 max_size, ceiling 5, lost a"},
		{"retain_size gives way in silence",
			{.received_lsn = MB(9) + 1, .retain_bytes = MB(9), .max_bytes = MB(5)},
			{{RETENTION_SLOT, "a", MB(7)}}, "5 max_size, ceiling 5"},
		{"retain_time gives way in silence",
			{.received_lsn = MB(9) + 1, .retain_time_lsn = MB(1), .max_bytes = MB(5)},
			{{0}}, "5 max_size, ceiling 5"},
		{"those who hold most go, and no more",
			{.received_lsn = MB(9) + 1, .max_bytes = MB(5)},
			{{RETENTION_SLOT, "a", MB(5)}, {RETENTION_SLOT, "b", MB(4)},
				{RETENTION_CURSOR, "c", MB(2)}, {RETENTION_PIN, "d", MB(3)},
				{RETENTION_SLOT, "e", LSN_INVALID}},
			"5 max_size, ceiling 5, lost c d b"},
		{"who came too late is not lost again",
			{.oldest_lsn = MB(5), .received_lsn = MB(9) + 1, .max_bytes = MB(5)},
			{{RETENTION_SLOT, "a", MB(1)}}, "5 slot \"a\", ceiling 5"},
		{"who came too late is lost when what it keeps goes",
			{.oldest_lsn = MB(4), .received_lsn = MB(9) + 1, .max_bytes = MB(5)},
			{{RETENTION_SLOT, "a", MB(1)}}, "5 max_size, ceiling 5, lost a"},
		{"other bytes count",
			{.received_lsn = MB(9) + 1, .max_bytes = MB(6), .other_bytes = 1},
			{{RETENTION_SLOT, "a", MB(4)}}, "5 max_size, ceiling 5, lost a"},
		{"the archive gives way, loudly",
			{.received_lsn = MB(9) + 1,
				.max_bytes = MB(5),
				.has_archive = true,
				.archived_lsn = MB(4)},
			{{0}}, "5 max_size, ceiling 5, archive lost"},
		{"the archive has what goes",
			{.received_lsn = MB(9) + 1,
				.max_bytes = MB(5),
				.has_archive = true,
				.archived_lsn = MB(5)},
			{{RETENTION_SLOT, "a", MB(4)}}, "5 max_size, ceiling 5, lost a"},
		{"the tail never goes", {.received_lsn = MB(9) + 1, .max_bytes = MB(1)},
			{{RETENTION_SLOT, "a", MB(8)}, {RETENTION_SLOT, "b", MB(7)}},
			"8 max_size, ceiling 8, lost b, exceeds"},
		{"two segments fit", {.received_lsn = MB(9) + 1, .max_bytes = MB(2)}, {{0}},
			"8 newest segments, ceiling 8"},
		{"other bytes are more than max_size",
			{.received_lsn = MB(9) + 1, .max_bytes = MB(5), .other_bytes = MB(7)},
			{{0}}, "8 newest segments, ceiling 8, exceeds"},
	};
	(void)state;
	check(rows, COUNT(rows));
}

/* With segments of 1 GB, near the end of all LSNs. */
static void test_retention__does_not_wrap(void **state)
{
	(void)state;
	struct retention_holder holder = {RETENTION_SLOT, "a", UINT64_MAX};
	struct retention_input input = {.segment_bytes = WAL_SEGMENT_MAX,
		.oldest_lsn = 0,
		.received_lsn = UINT64_MAX - 2 * (uint64_t)WAL_SEGMENT_MAX,
		.retain_bytes = 0,
		.max_bytes = UINT64_MAX,
		.other_bytes = UINT64_MAX,
		.holders = &holder,
		.holder_count = 1};
	struct retention_decision decision;
	size_t lost;
	retention_decide(&input, &decision, &lost);
	assert_int_equal(decision.horizon_lsn, UINT64_MAX - 4 * (uint64_t)WAL_SEGMENT_MAX + 1);
	assert_int_equal(decision.reason, RETENTION_BY_TAIL);
	assert_true(decision.exceeds_max);
	assert_int_equal(decision.lost_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retention__keeps_what_is_configured),
		cmocka_unit_test(test_retention__keeps_what_holders_need),
		cmocka_unit_test(test_retention__yields_to_max_size),
		cmocka_unit_test(test_retention__does_not_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
