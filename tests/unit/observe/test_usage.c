/*
 * usage: what is asked with which words, and what is answered.
 */
#include "observe/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_readers.h"

#define GB (UINT64_C(1) << 30)

static calendar_day today(void)
{
	return calendar_day_of_date(2026, 3, 15);
}

static void test_usage__reads_the_question(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *by;
		const char *first, *last;
	} rows[] = {
		{NULL, NULL, NULL, "2026-03-01", "2026-03-15"},
		{NULL, NULL, "day", "2026-03-01", "2026-03-15"},
		{NULL, NULL, "month", "2025-04-01", "2026-03-15"},
		{"2026-02-10", NULL, NULL, "2026-02-10", "2026-03-15"},
		{"2026-01", "2026-02", NULL, "2026-01-01", "2026-02-28"},
		{NULL, "2028-02", NULL, "2028-02-01", "2028-02-29"},
		{"2026-03-20", "2026-03-19", NULL, "2026-03-20", "2026-03-19"},
	};
	char text[CALENDAR_DAY_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct usage_request request;
		struct error err = {0};
		assert_true(usage_request_read(
			rows[i].from, rows[i].to, rows[i].by, NULL, today(), &request, &err));
		assert_string_equal(calendar_format_day(request.first, text), rows[i].first);
		assert_string_equal(calendar_format_day(request.last, text), rows[i].last);
	}
}

static void test_usage__says_what_is_wrong_with_the_question(void **state)
{
	(void)state;
	char long_name[USAGE_DESTINATION_SIZE + 1];
	struct usage_request request;
	struct error err = {0};
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_false(usage_request_read("2026-02-30", NULL, NULL, NULL, today(), &request, &err));
	assert_string_equal(err.message, "\"from\" is no day such as 2026-01-31 or 2026-01");
	assert_false(usage_request_read(NULL, "2026-13", NULL, NULL, today(), &request, &err));
	assert_string_equal(err.message, "\"to\" is no day such as 2026-01-31 or 2026-01");
	assert_false(usage_request_read(NULL, NULL, "week", NULL, today(), &request, &err));
	assert_string_equal(err.message, "\"by\" is \"day\" or \"month\"");
	assert_false(usage_request_read(NULL, NULL, NULL, long_name, today(), &request, &err));
}

static json_t *ask(const char *by, const char *destination)
{
	const struct snapshot_sources sources = {.relay_name = "r1"};
	struct snapshot snapshot;
	struct usage_request request;
	assert_true(usage_request_read(NULL, NULL, by, destination, today(), &request, NULL));
	snapshot_take(&sources, &snapshot);
	char *text = usage_format(&snapshot, NULL, &request);
	snapshot_release(&snapshot);
	json_t *root = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(root);
	return root;
}

static void test_usage__answers_in_bytes_and_money(void **state)
{
	(void)state;
	fake_readers_reset();
	struct destination_stats *far = fake_readers_add_destination("far");
	far->monthly_limit_bytes = 100 * GB;
	far->used.month_bytes = 40 * GB;
	far->forecast_bytes = 128 * GB;
	far->has_limit_day = true;
	far->limit_day = calendar_day_of_date(2026, 3, 26);
	far->month_cost_nanos = 800000001;
	far->state.cap_bytes = 5000;
	fake_readers.usage_count = 1;
	fake_readers.usage[0] = (struct usage_line){
		.destination = "far",
		.day = today(),
		.counts = {{[METER_WAL] = 7, [METER_WIRE_SENT] = 8, [METER_BILLED_SENT] = 9}},
		.cost_nanos = 1500000000,
		.cost_in_nanos = 250000000,
		.saved_bytes = 3,
	};
	json_t *root = ask(NULL, "far");
	const char *day, *destination, *currency, *state_name, *limit_day;
	json_int_t wal, wire, billed, saved, cap, forecast;
	double cost, cost_in, month_cost;
	assert_int_equal(
		json_unpack(root, "{s:s, s:[{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f}]}", "currency",
			&currency, "usage", "destination", &destination, "day", &day, "wal_bytes",
			&wal, "wire_bytes", &wire, "billed_bytes", &billed, "saved_bytes", &saved,
			"cost", &cost, "cost_in", &cost_in),
		0);
	assert_string_equal(currency, "EUR");
	assert_string_equal(destination, "far");
	assert_string_equal(day, "2026-03-15");
	assert_true(wal == 7 && wire == 8 && billed == 9 && saved == 3);
	assert_true(cost == 1.75 && cost_in == 0.25);
	const json_t *item = json_array_get(json_object_get(root, "destinations"), 1);
	assert_int_equal(
		json_unpack((json_t *)(uintptr_t)item, "{s:s, s:s, s:I, s:I, s:f}", "state",
			&state_name, "limit_reached_on", &limit_day, "rate_cap_bytes_per_second",
			&cap, "forecast_month_bytes", &forecast, "cost_month", &month_cost),
		0);
	assert_string_equal(limit_day, "2026-03-26");
	assert_true(cap == 5000 && forecast == (json_int_t)(128 * GB));
	assert_true(month_cost > 0.8 && month_cost < 0.8000001);
	assert_string_equal(fake_readers.asked_destination, "far");
	json_decref(root);
	root = ask("month", NULL);
	assert_int_equal(json_unpack(root, "{s:[{s:s}]}", "usage", "month", &day), 0);
	assert_string_equal(day, "2026-03");
	assert_null(fake_readers.asked.destination);
	assert_true(fake_readers.asked.by_month);
	assert_int_equal(fake_readers.asked.end, today() + 1);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage__reads_the_question),
		cmocka_unit_test(test_usage__says_what_is_wrong_with_the_question),
		cmocka_unit_test(test_usage__answers_in_bytes_and_money),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
