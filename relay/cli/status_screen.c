/*
 * status_screen: columns padded by characters, not bytes; what matters most is within 80 of them.
 */
#include "cli/status_screen.h"

#include "base/human.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CELL_SIZE 512
#define COLUMNS   80
#define INDENT    10

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool is_known(const json_t *object, const char *key)
{
	return json_is_number(json_object_get(object, key));
}

/* A control character of one byte, or of two: U+0080 to U+009F. */
static bool is_control(const unsigned char *at)
{
	return *at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0);
}

/* What it says, harmless; "-" where it says nothing. */
static const char *text(const json_t *object, const char *key, char out[CELL_SIZE])
{
	const char *value = json_string_value(json_object_get(object, key));
	const unsigned char *at = (const unsigned char *)(value != NULL ? value : "-");
	size_t length = 0;
	while (*at != '\0') {
		size_t taken = utf8_character_length(at);
		if (length + 4 >= CELL_SIZE) {
			break;
		}
		if (taken == 0 || is_control(at)) {
			out[length++] = '?';
			at += taken == 0 ? 1 : taken;
		} else {
			memcpy(out + length, at, taken);
			length += taken;
			at += taken;
		}
	}
	out[length] = '\0';
	return out;
}

/* A width below 0: at the right edge of that many columns. */
static void put_cell(FILE *out, int width, const char *cell)
{
	size_t characters = 0;
	size_t columns = (size_t)(width < 0 ? -width : width);
	for (const char *at = cell; *at != '\0'; at++) {
		characters += ((unsigned char)*at & 0xc0) != 0x80;
	}
	int padding = characters < columns ? (int)(columns - characters) : 0;
	fprintf(out, "%*s%s%*s ", width < 0 ? padding : 0, "", cell, width < 0 ? 0 : padding, "");
}

/* How much of it fits into one line, to the last blank where there is one. */
static size_t fitting_bytes(const char *at, size_t room)
{
	size_t columns = 0;
	size_t blank = 0;
	size_t length = 0;
	while (at[length] != '\0' && columns < room) {
		blank = at[length] == ' ' ? length : blank;
		do {
			length++;
		} while (((unsigned char)at[length] & 0xc0) == 0x80);
		columns++;
	}
	return at[length] == '\0' || at[length] == ' ' || blank == 0 ? length : blank;
}

void status_screen_write_paragraph(const char *at, unsigned indent, FILE *out)
{
	while (*at != '\0') {
		size_t length = fitting_bytes(at, COLUMNS - indent);
		fprintf(out, "%*s%.*s\n", (int)indent, "", (int)length, at);
		at += length;
		at += strspn(at, " ");
	}
}

static void put_text(FILE *out, int width, const json_t *object, const char *key)
{
	char cell[CELL_SIZE];
	put_cell(out, width, text(object, key, cell));
}

static void put_bytes(FILE *out, int width, const json_t *object, const char *key)
{
	char cell[HUMAN_SIZE];
	put_cell(out, width, is_known(object, key) ? human_bytes(number(object, key), cell) : "-");
}

static void put_rate(FILE *out, int width, const json_t *object, const char *key)
{
	char cell[HUMAN_SIZE];
	put_cell(out, width, is_known(object, key) ? human_rate(number(object, key), cell) : "-");
}

static void put_duration(FILE *out, int width, const json_t *object, const char *key)
{
	char cell[HUMAN_SIZE];
	double seconds = json_number_value(json_object_get(object, key));
	put_cell(out, width, is_known(object, key) ? human_duration(seconds, cell) : "-");
}

static void end_line(FILE *out)
{
	fputc('\n', out);
}

static void put_head(FILE *out, const char *const *names, const int *widths, size_t count)
{
	fputc('\n', out);
	for (size_t i = 0; i < count; i++) {
		put_cell(out, widths[i], names[i]);
	}
	end_line(out);
}

static void write_upstream(const json_t *status, FILE *out)
{
	const json_t *upstream = json_object_get(status, "upstream");
	char cell[CELL_SIZE], host[CELL_SIZE], slot[CELL_SIZE], figure[HUMAN_SIZE];
	char last_error[CELL_SIZE + sizeof("last error: ")];
	fprintf(out, "upstream  %s ", text(upstream, "state", cell));
	fprintf(out, "%s:%s  slot %s  timeline %d\n", text(upstream, "host", host),
		text(upstream, "port", cell), text(upstream, "slot", slot),
		(int)number(json_object_get(status, "spool"), "timeline"));
	fputs("          ", out);
	if (is_known(upstream, "behind_bytes")) {
		fprintf(out, "%s behind", human_bytes(number(upstream, "behind_bytes"), figure));
	}
	if (is_known(upstream, "wal_bytes_per_second")) {
		fprintf(out, ", %s of WAL",
			human_rate(number(upstream, "wal_bytes_per_second"), figure));
	}
	if (is_known(upstream, "catch_up_seconds")) {
		double seconds = json_number_value(json_object_get(upstream, "catch_up_seconds"));
		fprintf(out, ", caught up in %s", human_duration(seconds, figure));
	}
	end_line(out);
	if (json_is_string(json_object_get(upstream, "last_error"))) {
		snprintf(last_error, sizeof(last_error), "last error: %s",
			text(upstream, "last_error", cell));
		status_screen_write_paragraph(last_error, INDENT, out);
	}
}

static void write_spool(const json_t *status, FILE *out)
{
	const json_t *spool = json_object_get(status, "spool");
	char oldest[CELL_SIZE], received[CELL_SIZE], flushed[CELL_SIZE];
	char held[HUMAN_SIZE], is_free[HUMAN_SIZE];
	fprintf(out, "spool     %s to %s, durable to %s\n          %s held, %s free\n",
		text(spool, "oldest_lsn", oldest), text(spool, "received_lsn", received),
		text(spool, "flushed_lsn", flushed), human_bytes(number(spool, "bytes"), held),
		human_bytes(number(spool, "disk_free_bytes"), is_free));
}

/* What is asked before a promotion. */
static void write_drained(const json_t *status, FILE *out)
{
	const json_t *upstream = json_object_get(status, "upstream");
	fprintf(out, "drained: %s\n",
		json_is_true(json_object_get(status, "drained")) ? "yes" : "no");
	if (json_is_true(json_object_get(upstream, "acknowledges_alone"))) {
		fputs("acknowledging alone: too few standbys hold what the primary takes for "
		      "safe\n",
			out);
	}
}

static void write_alerts(const json_t *status, FILE *out)
{
	const json_t *list = json_object_get(status, "alerts");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		char severity[CELL_SIZE], alert[CELL_SIZE], since[CELL_SIZE], said[CELL_SIZE];
		fprintf(out, "%s%-9s %s since %s\n", i == 0 ? "\n" : "",
			text(item, "severity", severity), text(item, "alert", alert),
			text(item, "since", since));
		status_screen_write_paragraph(text(item, "text", said), INDENT, out);
	}
}

static void write_destinations(const json_t *status, FILE *out)
{
	static const int widths[] = {20, 10, -12, -12, -10, -10, -10, -10, -10, -12};
	const json_t *list = json_object_get(status, "destinations");
	char currency[CELL_SIZE], summary[CELL_SIZE], cost[HUMAN_SIZE];
	const char *const names[] = {"destination", "state", "rate", "cap", "today", "limit",
		"month", "limit", "forecast", text(status, "currency", currency)};
	put_head(out, names, widths, sizeof(widths) / sizeof(widths[0]));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		put_text(out, widths[0], item, "name");
		put_text(out, widths[1], item, "state");
		put_rate(out, widths[2], item, "wire_bytes_per_second");
		put_rate(out, widths[3], item, "rate_cap_bytes_per_second");
		put_bytes(out, widths[4], item, "used_day_bytes");
		put_bytes(out, widths[5], item, "daily_limit_bytes");
		put_bytes(out, widths[6], item, "used_month_bytes");
		put_bytes(out, widths[7], item, "monthly_limit_bytes");
		put_bytes(out, widths[8], item, "forecast_month_bytes");
		snprintf(cost, sizeof(cost), "%.4f",
			json_number_value(json_object_get(item, "cost_month")));
		put_cell(out, widths[9], cost);
		end_line(out);
		if (json_is_string(json_object_get(item, "kinds_summary"))) {
			fprintf(out, "  %s\n", text(item, "kinds_summary", summary));
		}
	}
}

static void write_backup(const json_t *backup, FILE *out)
{
	char phase[CELL_SIZE], done[HUMAN_SIZE], total[HUMAN_SIZE];
	uint64_t done_bytes = number(backup, "done_bytes");
	uint64_t total_bytes = number(backup, "total_bytes");
	fprintf(out, "  %s: %s", text(backup, "phase", phase), human_bytes(done_bytes, done));
	if (total_bytes > 0) {
		fprintf(out, " of %s, %.0f %%", human_bytes(total_bytes, total),
			100.0 * (double)done_bytes / (double)total_bytes);
	}
	if (is_known(backup, "bytes_per_second")) {
		fprintf(out, ", %s/s", human_bytes(number(backup, "bytes_per_second"), done));
	}
	if (is_known(backup, "seconds_left")) {
		double seconds = json_number_value(json_object_get(backup, "seconds_left"));
		fprintf(out, ", %s left", human_duration(seconds, done));
	}
	end_line(out);
}

static void write_standbys(const json_t *status, FILE *out)
{
	static const char *const names[] = {"standby", "state", "behind", "lag", "rate",
		"caught up in", "replayed", "destination", "peer"};
	static const int widths[] = {20, 10, -10, -8, -12, -12, 14, 16, 22};
	const json_t *list = json_object_get(status, "standbys");
	put_head(out, names, widths, sizeof(widths) / sizeof(widths[0]));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const json_t *backup = json_object_get(item, "backup");
		put_text(out, widths[0], item, "application_name");
		put_text(out, widths[1], item, "state");
		put_bytes(out, widths[2], item, "lag_bytes");
		put_duration(out, widths[3], item, "replay_lag_seconds");
		put_rate(out, widths[4], item, "wire_bytes_per_second");
		put_duration(out, widths[5], item, "catch_up_seconds");
		put_text(out, widths[6], item, "replay_lsn");
		put_text(out, widths[7], item, "destination");
		put_text(out, widths[8], item, "peer");
		end_line(out);
		if (json_is_object(backup)) {
			write_backup(backup, out);
		}
	}
}

static void write_all(const json_t *status, FILE *out)
{
	char name[CELL_SIZE], version[CELL_SIZE], time[CELL_SIZE];
	fprintf(out, "%s   walrelay %s   %s\n\n", text(status, "name", name),
		text(status, "version", version), text(status, "time", time));
	write_upstream(status, out);
	write_spool(status, out);
	write_drained(status, out);
	write_alerts(status, out);
	write_destinations(status, out);
	write_standbys(status, out);
}

/* The last cell of a line is padded as the others: nobody needs that. */
static void copy_without_padding(const char *at, FILE *out)
{
	while (*at != '\0') {
		size_t length = strcspn(at, "\n");
		size_t shown = length;
		while (shown > 0 && at[shown - 1] == ' ') {
			shown--;
		}
		fprintf(out, "%.*s\n", (int)shown, at);
		at += length + (at[length] == '\n');
	}
}

void status_screen_write(const json_t *status, FILE *out)
{
	char *padded = NULL;
	size_t length;
	FILE *stream = open_memstream(&padded, &length);
	if (stream == NULL) {
		return;
	}
	write_all(status, stream);
	if (fclose(stream) == 0) {
		copy_without_padding(padded, out);
	}
	free(padded);
}
