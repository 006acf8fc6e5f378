/*
 * walrelay usage: bytes and cost per destination, as a table, JSON or CSV.
 */
#include "base/human.h"
#include "cli/api_options.h"
#include "cli/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_SECONDS 30

enum { OPTION_FROM = 0x100, OPTION_TO, OPTION_BY, OPTION_DESTINATION, OPTION_JSON, OPTION_CSV };

static void print_help(FILE *out)
{
	fputs("usage: walrelay usage [-c FILE | --url URL] [OPTION]...\n"
	      "\n"
	      "Bytes and cost per destination, as a running relay has counted them.\n"
	      "\n"
	      "  -c FILE             the relay's configuration file, for its http_listen\n"
	      "  --url URL           where it is; default " API_URL_USUAL "\n"
	      "  --destination D     only this one\n"
	      "  --from DAY          2026-01-31 or 2026-01; default the first of the month\n"
	      "  --to DAY            likewise, with that day or month; default today\n"
	      "  --by day|month      what a line is; default day\n"
	      "  --json, --csv       for programs: bytes and money in full\n"
	      "  --help              show this help\n"
	      "\n"
	      "Billed bytes are what a provider counts: with IP and TCP headers and what was sent\n"
	      "again. Saved: against every standby here pulling plain WAL by itself.\n",
		out);
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static double money(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "";
}

/* --- CSV (RFC 4180) ----------------------------------------------------------------------------
 */

static void write_csv_text(const char *value)
{
	if (strpbrk(value, ",\"\r\n") == NULL) {
		fputs(value, stdout);
		return;
	}
	putchar('"');
	for (; *value != '\0'; value++) {
		printf(*value == '"' ? "\"\"" : "%c", *value);
	}
	putchar('"');
}

static void print_csv(const json_t *root)
{
	static const char *const counters[] = {"wal_bytes", "backup_bytes", "wire_bytes",
		"wire_received_bytes", "billed_bytes", "billed_received_bytes"};
	static const size_t counter_count = sizeof(counters) / sizeof(counters[0]);
	const char *by = text(root, "by");
	const json_t *lines = json_object_get(root, "usage");
	printf("destination,%s", by);
	for (size_t i = 0; i < counter_count; i++) {
		printf(",%s", counters[i]);
	}
	puts(",cost,saved_bytes,saved_cost,currency");
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		write_csv_text(text(line, "destination"));
		printf(",%s", text(line, by));
		for (size_t k = 0; k < counter_count; k++) {
			printf(",%" PRIu64, number(line, counters[k]));
		}
		printf(",%.9f,%" PRIu64 ",%.9f,%s\n", money(line, "cost"),
			number(line, "saved_bytes"), money(line, "saved_cost"),
			text(root, "currency"));
	}
}

/* --- the table ---------------------------------------------------------------------------------
 */

struct sums {
	uint64_t wal, backup, wire, billed, saved;
	double cost, saved_cost;
};

static void print_row(const char *name, const char *period, const struct sums *sums)
{
	char wal[HUMAN_SIZE], backup[HUMAN_SIZE], wire[HUMAN_SIZE], billed[HUMAN_SIZE],
		saved[HUMAN_SIZE];
	printf("%-20s %-10s %10s %10s %10s %10s %12.4f %10s %12.4f\n", name, period,
		human_bytes(sums->wal, wal), human_bytes(sums->backup, backup),
		human_bytes(sums->wire, wire), human_bytes(sums->billed, billed), sums->cost,
		human_bytes(sums->saved, saved), sums->saved_cost);
}

static void add(struct sums *total, const struct sums *sums)
{
	total->wal += sums->wal;
	total->backup += sums->backup;
	total->wire += sums->wire;
	total->billed += sums->billed;
	total->saved += sums->saved;
	total->cost += sums->cost;
	total->saved_cost += sums->saved_cost;
}

static void print_lines(const json_t *root)
{
	const json_t *lines = json_object_get(root, "usage");
	const char *by = text(root, "by");
	struct sums total = {0};
	printf("%-20s %-10s %10s %10s %10s %10s %12s %10s %12s\n", "destination", by, "WAL",
		"backup", "wire", "billed", "cost", "saved", "saved cost");
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const json_t *line = json_array_get(lines, i);
		const struct sums sums = {
			.wal = number(line, "wal_bytes"),
			.backup = number(line, "backup_bytes"),
			.wire = number(line, "wire_bytes"),
			.billed = number(line, "billed_bytes"),
			.saved = number(line, "saved_bytes"),
			.cost = money(line, "cost"),
			.saved_cost = money(line, "saved_cost"),
		};
		print_row(text(line, "destination"), text(line, by), &sums);
		add(&total, &sums);
	}
	print_row("total", "", &total);
}

static void print_limit(const char *what, uint64_t used, uint64_t limit)
{
	char used_text[HUMAN_SIZE], limit_text[HUMAN_SIZE];
	printf(", %s of %s %s (%.1f %%)", human_bytes(used, used_text),
		human_bytes(limit, limit_text), what, 100.0 * (double)used / (double)limit);
}

static void print_standing(const json_t *destination, const char *only)
{
	char forecast[HUMAN_SIZE];
	uint64_t daily = number(destination, "daily_limit_bytes");
	uint64_t monthly = number(destination, "monthly_limit_bytes");
	const char *limit_day = text(destination, "limit_reached_on");
	if (only != NULL && strcmp(only, text(destination, "name")) != 0) {
		return;
	}
	printf("%s: %s", text(destination, "name"), text(destination, "state"));
	if (daily != 0) {
		print_limit("today", number(destination, "used_day_bytes"), daily);
	}
	if (monthly != 0) {
		print_limit("this month", number(destination, "used_month_bytes"), monthly);
	}
	printf(", %s forecast for the month",
		human_bytes(number(destination, "forecast_month_bytes"), forecast));
	if (limit_day[0] != '\0') {
		printf(", limit reached on %s at this pace", limit_day);
	}
	putchar('\n');
}

static void print_table(const json_t *root, const char *only)
{
	const json_t *destinations = json_object_get(root, "destinations");
	print_lines(root);
	printf("\nmoney in %s; days of time zone %s\n\n", text(root, "currency"),
		text(root, "time_zone"));
	for (size_t i = 0; i < json_array_size(destinations); i++) {
		print_standing(json_array_get(destinations, i), only);
	}
}

int cli_usage(int argc, char **argv)
{
	const char *from = NULL, *to = NULL, *by = NULL, *destination = NULL;
	bool as_json = false, as_csv = false;
	const struct api_option options[] = {
		{"from", OPTION_FROM, &from, NULL},
		{"to", OPTION_TO, &to, NULL},
		{"by", OPTION_BY, &by, NULL},
		{"destination", OPTION_DESTINATION, &destination, NULL},
		{"json", OPTION_JSON, NULL, &as_json},
		{"csv", OPTION_CSV, NULL, &as_csv},
	};
	char url[API_URL_SIZE];
	char path[API_URL_SIZE] = "/api/usage";
	struct error err = {0};
	enum api_options_result result = api_options_read(
		argc, argv, options, sizeof(options) / sizeof(options[0]), url, &err);
	if (result == API_OPTIONS_HELP) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (result == API_OPTIONS_OK && as_json && as_csv) {
		error_set(&err, ERROR_INVALID, "give either --json or --csv");
	}
	if (err.kind != ERROR_NONE) {
		fprintf(stderr, "walrelay usage: %s\n", err.message);
		return CLI_FAILED;
	}
	api_add_query(path, sizeof(path), "from", from);
	api_add_query(path, sizeof(path), "to", to);
	api_add_query(path, sizeof(path), "by", by);
	api_add_query(path, sizeof(path), "destination", destination);
	json_t *root = api_get(url, path, TIMEOUT_SECONDS, &err);
	if (root == NULL) {
		fprintf(stderr, "walrelay usage: %s\n", err.message);
		return CLI_FAILED;
	}
	if (as_json) {
		json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		putchar('\n');
	} else if (as_csv) {
		print_csv(root);
	} else {
		print_table(root, destination);
	}
	json_decref(root);
	return CLI_DONE;
}
