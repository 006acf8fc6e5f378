/*
 * walrelay status: upstream, destinations and standbys on one screen.
 */
#include "base/human.h"
#include "cli/api_options.h"
#include "cli/commands.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 10
#define WATCH_SECONDS   2

enum { OPTION_WATCH = 0x100, OPTION_JSON };

static void print_help(FILE *out)
{
	fputs("usage: walrelay status [-c FILE | --url URL] [--watch] [--json]\n"
	      "\n"
	      "What a running relay says of its upstream, destinations and standbys.\n"
	      "\n"
	      "  -c FILE     the relay's configuration file, for its http_listen\n"
	      "  --url URL   where it is; default " API_URL_USUAL "\n"
	      "  --watch     again every two seconds\n"
	      "  --json      all of it, for programs\n"
	      "  --help      show this help\n",
		out);
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "-";
}

static void print_upstream(const json_t *status)
{
	const json_t *upstream = json_object_get(status, "upstream");
	const json_t *spool = json_object_get(status, "spool");
	char held[HUMAN_SIZE], is_free[HUMAN_SIZE];
	printf("%s   walrelay %s   %s\n\n", text(status, "name"), text(status, "version"),
		text(status, "time"));
	printf("upstream  %s %s:%s  slot %s  timeline %d\n", text(upstream, "state"),
		text(upstream, "host"), text(upstream, "port"), text(upstream, "slot"),
		(int)number(spool, "timeline"));
	if (json_is_string(json_object_get(upstream, "last_error"))) {
		printf("          last error: %s\n", text(upstream, "last_error"));
	}
	printf("spool     %s to %s, durable to %s  %s held, %s free\n", text(spool, "oldest_lsn"),
		text(spool, "received_lsn"), text(spool, "flushed_lsn"),
		human_bytes(number(spool, "bytes"), held),
		human_bytes(number(spool, "disk_free_bytes"), is_free));
}

static const char *limit_text(const json_t *object, const char *key, char out[HUMAN_SIZE])
{
	uint64_t bytes = number(object, key);
	return bytes == 0 ? "-" : human_bytes(bytes, out);
}

static void print_destinations(const json_t *status)
{
	const json_t *list = json_object_get(status, "destinations");
	printf("\n%-20s %-10s %10s %10s %10s %10s %10s %12s %12s\n", "destination", "state",
		"today", "limit", "month", "limit", "forecast", text(status, "currency"), "cap");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const json_t *cap = json_object_get(item, "rate_cap_bytes_per_second");
		char day[HUMAN_SIZE], daily[HUMAN_SIZE], month[HUMAN_SIZE], monthly[HUMAN_SIZE],
			forecast[HUMAN_SIZE], rate[HUMAN_SIZE];
		printf("%-20s %-10s %10s %10s %10s %10s %10s %12.4f %12s\n", text(item, "name"),
			text(item, "state"), human_bytes(number(item, "used_day_bytes"), day),
			limit_text(item, "daily_limit_bytes", daily),
			human_bytes(number(item, "used_month_bytes"), month),
			limit_text(item, "monthly_limit_bytes", monthly),
			human_bytes(number(item, "forecast_month_bytes"), forecast),
			json_number_value(json_object_get(item, "cost_month")),
			json_is_null(cap) ? "-"
					  : human_rate((uint64_t)json_integer_value(cap), rate));
	}
}

static void print_standbys(const json_t *status)
{
	const json_t *list = json_object_get(status, "standbys");
	printf("\n%-20s %-22s %-16s %-10s %-14s %10s %8s %10s\n", "standby", "peer", "destination",
		"state", "replayed", "behind", "seconds", "wire");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const json_t *lag = json_object_get(item, "replay_lag_seconds");
		char behind[HUMAN_SIZE], wire[HUMAN_SIZE], seconds[HUMAN_SIZE] = "-";
		if (json_is_number(lag)) {
			snprintf(seconds, sizeof(seconds), "%.2f", json_number_value(lag));
		}
		printf("%-20s %-22s %-16s %-10s %-14s %10s %8s %10s\n",
			text(item, "application_name"), text(item, "peer"),
			text(item, "destination"), text(item, "state"), text(item, "replay_lsn"),
			human_bytes(number(item, "lag_bytes"), behind), seconds,
			human_bytes(number(item, "wire_sent_bytes"), wire));
	}
}

static void print_alerts(const json_t *status)
{
	const json_t *list = json_object_get(status, "alerts");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		printf("%s%-9s %s since %s: %s\n", i == 0 ? "\n" : "", text(item, "severity"),
			text(item, "alert"), text(item, "since"), text(item, "text"));
	}
}

static void print_screen(const json_t *status)
{
	print_upstream(status);
	print_alerts(status);
	print_destinations(status);
	print_standbys(status);
}

static bool show(const char *url, bool as_json, const char *before)
{
	struct error err = {0};
	json_t *status = api_get(url, "/api/status", TIMEOUT_SECONDS, &err);
	fputs(before, stdout);
	if (status == NULL) {
		fprintf(stderr, "walrelay status: %s\n", err.message);
		return false;
	}
	if (as_json) {
		json_dumpf(status, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
		putchar('\n');
	} else {
		print_screen(status);
	}
	fflush(stdout);
	json_decref(status);
	return true;
}

int cli_status(int argc, char **argv)
{
	bool is_watching = false, as_json = false;
	const struct api_option options[] = {
		{"watch", OPTION_WATCH, NULL, &is_watching},
		{"json", OPTION_JSON, NULL, &as_json},
	};
	char url[API_URL_SIZE];
	struct error err = {0};
	enum api_options_result result = api_options_read(
		argc, argv, options, sizeof(options) / sizeof(options[0]), url, &err);
	if (result == API_OPTIONS_HELP) {
		print_help(stdout);
		return CLI_DONE;
	}
	if (result == API_OPTIONS_WRONG) {
		fprintf(stderr, "walrelay status: %s\n", err.message);
		return CLI_FAILED;
	}
	bool ok = show(url, as_json, "");
	/* A relay that is away for a moment does not end the watch. */
	while (is_watching && !ferror(stdout)) {
		sleep(WATCH_SECONDS);
		(void)show(url, as_json, isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n");
	}
	return ok ? CLI_DONE : CLI_FAILED;
}
