/*
 * range_skip: where it is refused, and that what is held stays where it is done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/range_skip.h"

#include <string.h>

#include "support/wal_fixture.h"

#define SEGMENT (1u << 20)
#define START   ((lsn_t)0x1000000)

struct outcome {
	unsigned told;
	bool ok;
	struct error err;
};

static void on_done(void *context, bool ok, const struct error *err)
{
	struct outcome *outcome = context;

	outcome->told++;
	outcome->ok = ok;
	outcome->err = *err;
}

static void test_range_skip__is_refused_without_a_gap(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_fixture fixture;
	lsn_t held = START + SEGMENT + 4096;
	const struct {
		struct range_skip skip;
		const char *sqlstate;
		const char *message;
	} cases[] = {
		{{.lsn = START + 5 * SEGMENT}, "55000", "there is no gap to skip"},
		{{.lsn = START + SEGMENT, .has_gap = true}, "55000", "there is no gap to skip"},
		{{.lsn = START + SEGMENT + 9000, .has_gap = true}, "55000",
			"there is no gap to skip"},
		{{.lsn = START + 5 * SEGMENT + 1, .has_gap = true,
			 .server_end_lsn = START + 5 * SEGMENT},
			"22023", "the upstream has WAL only up to 0/1500000"},
	};

	(void)state;
	wal_maker_fill(maker, START + 2 * SEGMENT);
	held = wal_maker_last_end(maker, held);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, held, 100000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = {0};
		struct range_skip skip = cases[i].skip;

		skip.done = on_done;
		skip.context = &outcome;
		assert_false(range_skip_check(&skip, fixture.store));
		assert_int_equal(outcome.told, 1);
		assert_false(outcome.ok);
		assert_string_equal(outcome.err.sqlstate, cases[i].sqlstate);
		assert_string_equal(outcome.err.message, cases[i].message);
	}
	assert_int_equal(wal_store_received(fixture.store).lsn, held);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_range_skip__is_refused_of_an_empty_spool(void **state)
{
	struct wal_fixture fixture;
	struct outcome outcome = {0};
	const struct range_skip skip = {
		.lsn = START, .has_gap = true, .done = on_done, .context = &outcome};

	(void)state;
	fixture_open(&fixture);
	assert_false(range_skip_check(&skip, fixture.store));
	assert_string_equal(outcome.err.message, "the spool is empty");
	fixture_close(&fixture);
}

static void test_range_skip__begins_at_the_segment_and_keeps_what_is_held(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 3);
	struct wal_fixture fixture;
	struct outcome outcome = {0};
	struct range_skip skip = {.lsn = START + 4 * SEGMENT + 77,
		.has_gap = true,
		.server_end_lsn = START + 4 * SEGMENT + 77,
		.done = on_done,
		.context = &outcome};
	lsn_t held;

	(void)state;
	wal_maker_fill(maker, START + 2 * SEGMENT);
	held = wal_maker_last_end(maker, START + SEGMENT + 300000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, held, 100000);
	fixture_wait_flushed(&fixture, 1, held);
	assert_true(range_skip_check(&skip, fixture.store));
	assert_int_equal(outcome.told, 0);
	range_skip_carry_out(&skip, fixture.store);
	assert_int_equal(outcome.told, 1);
	assert_true(outcome.ok);
	assert_int_equal(wal_store_received(fixture.store).tli, 1);
	assert_int_equal(wal_store_received(fixture.store).lsn, START + 4 * SEGMENT);
	fixture_check_bytes(&fixture, maker, 1, START, held);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_skip__is_refused_without_a_gap),
		cmocka_unit_test(test_range_skip__is_refused_of_an_empty_spool),
		cmocka_unit_test(test_range_skip__begins_at_the_segment_and_keeps_what_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
