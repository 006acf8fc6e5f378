/*
 * usage: builds the JSON; jansson escapes.
 */
#include "observe/usage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "observe/json_values.h"
#include "observe/link_kinds.h"

#define MONTHS_USUAL 12

/* --- the question ------------------------------------------------------------------------------
 */

/* A month stands for its first or its last day. */
static bool read_day(const char *text, bool is_end, calendar_day *day_out)
{
	char day[CALENDAR_DAY_TEXT_SIZE];
	if (calendar_parse_day(text, day_out)) {
		return true;
	}
	if (strlen(text) != strlen("2026-01")) {
		return false;
	}
	snprintf(day, sizeof(day), "%s-01", text);
	if (!calendar_parse_day(day, day_out)) {
		return false;
	}
	if (is_end) {
		*day_out = calendar_month_end(*day_out) - 1;
	}
	return true;
}

static calendar_day usual_first(calendar_day last, bool by_month)
{
	calendar_day first = calendar_month_start(last);
	for (int i = 1; by_month && i < MONTHS_USUAL; i++) {
		first = calendar_month_start(first - 1);
	}
	return first;
}

bool usage_request_read(const char *from, const char *to, const char *by, const char *destination,
	calendar_day today, struct usage_request *request_out, struct error *err)
{
	struct usage_request request = {.last = today};
	if (by != NULL && strcmp(by, "day") != 0 && strcmp(by, "month") != 0) {
		return error_set(err, ERROR_INVALID, "\"by\" is \"day\" or \"month\"");
	}
	request.by_month = by != NULL && strcmp(by, "month") == 0;
	if (to != NULL && !read_day(to, true, &request.last)) {
		return error_set(
			err, ERROR_INVALID, "\"to\" is no day such as 2026-01-31 or 2026-01");
	}
	request.first = usual_first(request.last, request.by_month);
	if (from != NULL && !read_day(from, false, &request.first)) {
		return error_set(
			err, ERROR_INVALID, "\"from\" is no day such as 2026-01-31 or 2026-01");
	}
	if (destination != NULL && strlen(destination) >= sizeof(request.destination)) {
		return error_set(err, ERROR_INVALID, "no destination has a name that long");
	}
	snprintf(request.destination, sizeof(request.destination), "%s",
		destination != NULL ? destination : "");
	*request_out = request;
	return true;
}

/* --- the answer --------------------------------------------------------------------------------
 */

static json_t *money_value(int64_t nanos)
{
	return json_real((double)nanos / 1e9);
}

static json_t *day_value(calendar_day day)
{
	char text[CALENDAR_DAY_TEXT_SIZE];
	return json_string(calendar_format_day(day, text));
}

static json_t *limit_value(uint64_t bytes)
{
	return bytes == 0 ? json_null() : json_bytes(bytes);
}

static void put_counts(json_t *object, const struct meter_counts *counts)
{
	json_put(object, "wal_bytes", json_bytes(counts->bytes[METER_WAL]));
	json_put(object, "backup_bytes", json_bytes(counts->bytes[METER_BACKUP]));
	json_put(object, "wire_bytes", json_bytes(counts->bytes[METER_WIRE_SENT]));
	json_put(object, "wire_received_bytes", json_bytes(counts->bytes[METER_WIRE_RECEIVED]));
	json_put(object, "billed_bytes", json_bytes(counts->bytes[METER_BILLED_SENT]));
	json_put(object, "billed_received_bytes", json_bytes(counts->bytes[METER_BILLED_RECEIVED]));
	json_put(object, "backup_billed_bytes", json_bytes(counts->bytes[METER_BACKUP_BILLED]));
}

/* null: nothing has gone to it over links. */
static void put_kinds(json_t *object, const struct meter_kinds *kinds)
{
	char summary[LINK_KINDS_SUMMARY_SIZE];
	bool has_any = link_kinds_sum(kinds->wal_bytes) > 0;
	if (has_any) {
		link_kinds_summary(kinds->encoded_bytes, summary);
	}
	json_put(object, "kinds",
		has_any ? link_kinds_object(kinds->wal_bytes, kinds->encoded_bytes) : json_null());
	json_put(object, "kinds_summary", has_any ? json_string(summary) : json_null());
}

static json_t *destination_object(const struct snapshot *snapshot, size_t index)
{
	const struct destination_stats *destination = &snapshot->destinations[index];
	const struct destination_pace *pace = &snapshot->destination_paces[index];
	const struct quota_state *state = &destination->state;
	bool has_limit =
		destination->daily_limit_bytes != 0 || destination->monthly_limit_bytes != 0;
	json_t *object = json_object();
	json_put(object, "name", json_string(destination->name));
	json_put(object, "provider", json_string(destination->provider));
	json_put(object, "is_configured", json_boolean(destination->is_configured));
	json_put(object, "priority", json_integer(destination->priority));
	json_put(object, "state", json_string(quota_state_name(state)));
	json_put(object, "limit", json_string(quota_rung_name(state->rung)));
	json_put(object, "limit_period",
		has_limit ? json_string(state->period == QUOTA_MONTH ? "month" : "day")
			  : json_null());
	json_put(object, "rate_cap_bytes_per_second",
		state->cap_bytes == QUOTA_NO_CAP ? json_null() : json_bytes(state->cap_bytes));
	json_put(object, "wire_bytes_per_second", json_rate(pace->wire_per_second));
	json_put(object, "wal_bytes_per_second", json_rate(pace->wal_per_second));
	put_counts(object, &destination->counted);
	put_kinds(object, &destination->kinds);
	json_put(object, "used_day_bytes", json_bytes(destination->used.day_bytes));
	json_put(object, "used_month_bytes", json_bytes(destination->used.month_bytes));
	json_put(object, "daily_limit_bytes", limit_value(destination->daily_limit_bytes));
	json_put(object, "monthly_limit_bytes", limit_value(destination->monthly_limit_bytes));
	json_put(object, "warn_at", json_real(destination->warn_at_basis_points / 10000.0));
	json_put(object, "forecast_month_bytes", json_bytes(destination->forecast_bytes));
	json_put(object, "limit_reached_on",
		destination->has_limit_day ? day_value(destination->limit_day) : json_null());
	json_put(object, "cost_day", money_value(destination->day_cost_nanos));
	json_put(object, "cost_month", money_value(destination->month_cost_nanos));
	json_put(object, "saved_month_bytes", json_bytes(destination->saved_bytes));
	json_put(object, "saved_month_cost", money_value(destination->saved_nanos));
	return object;
}

json_t *usage_destinations(const struct snapshot *snapshot)
{
	json_t *array = json_array();
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		json_array_append_new(array, destination_object(snapshot, i));
	}
	return array;
}

struct building {
	json_t *lines;
	bool by_month;
};

static void add_line(void *context, const struct usage_line *line)
{
	struct building *building = context;
	char period[CALENDAR_DAY_TEXT_SIZE];
	json_t *object = json_object();
	json_put(object, "destination", json_string(line->destination));
	if (building->by_month) {
		json_put(object, "month", json_string(calendar_format_month(line->day, period)));
	} else {
		json_put(object, "day", json_string(calendar_format_day(line->day, period)));
	}
	put_counts(object, &line->counts);
	json_put(object, "cost", money_value(line->cost_nanos + line->cost_in_nanos));
	json_put(object, "cost_in", money_value(line->cost_in_nanos));
	json_put(object, "saved_bytes", json_bytes(line->saved_bytes));
	json_put(object, "saved_cost", money_value(line->saved_nanos));
	json_array_append_new(building->lines, object);
}

char *usage_format(const struct snapshot *snapshot, const struct destinations *destinations,
	const struct usage_request *request)
{
	struct building building = {.lines = json_array(), .by_month = request->by_month};
	const struct usage_query query = {
		.destination = request->destination[0] != '\0' ? request->destination : NULL,
		.first = request->first,
		.end = request->last + 1,
		.by_month = request->by_month,
	};
	json_t *root = json_object();
	destinations_usage(destinations, &query, add_line, &building);
	json_put(root, "name", json_string(snapshot->relay_name));
	json_put(root, "currency", json_string(snapshot->currency));
	json_put(root, "time_zone", json_string(snapshot->time_zone));
	json_put(root, "by", json_string(request->by_month ? "month" : "day"));
	json_put(root, "from", day_value(request->first));
	json_put(root, "to", day_value(request->last));
	json_put(root, "usage", building.lines);
	json_put(root, "destinations", usage_destinations(snapshot));
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	assert(text != NULL);
	json_decref(root);
	return text;
}
