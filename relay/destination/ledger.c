/*
 * ledger: a sorted array of days a destination, and at most one flush under way.
 *
 * A flush owns copies of the rows it writes. How it ended is left in an atomic by the database's
 * thread and looked at when the next one is due.
 */
#include "destination/ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/database.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/sql.h"

#define COLUMNS                                                                                    \
	"destination, day, wal_bytes, backup_bytes, wire_sent_bytes, "                             \
	"wire_received_bytes, billed_sent_bytes, billed_received_bytes, "                          \
	"backup_billed_bytes, plain_billed_bytes, cost_nanos, cost_in_nanos"
#define COLUMN_COUNT     12
#define NUMBER_TEXT_SIZE 24

struct entry {
	struct ledger_row row;
	bool is_changed; /* since the last flush began */
};

struct series {
	char *destination;
	struct entry *entries; /* by day */
	size_t count;
	bool has_changes;
};

struct written_row {
	const char *destination; /* of its series, which stays */
	struct ledger_row row;
};

struct flush {
	struct ledger *ledger;
	struct written_row *rows;
	size_t count;
};

struct ledger {
	struct database *database;
	struct series *series; /* by name */
	size_t count;
	bool is_failure_logged;
	struct flush *flush;  /* NULL: none was begun since the last one was looked at */
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t over;
	bool is_flushing;
	bool has_failed;
	struct error failure;
};

/* --- rows in memory ----------------------------------------------------------------------------
 */

static size_t series_place(const struct ledger *ledger, const char *destination)
{
	size_t place = 0;
	while (place < ledger->count &&
		strcmp(ledger->series[place].destination, destination) < 0) {
		place++;
	}
	return place;
}

static struct series *find_series(const struct ledger *ledger, const char *destination)
{
	size_t place = series_place(ledger, destination);
	return place < ledger->count && strcmp(ledger->series[place].destination, destination) == 0
		       ? &ledger->series[place]
		       : NULL;
}

static struct series *make_series(struct ledger *ledger, const char *destination)
{
	struct series *series = find_series(ledger, destination);
	if (series != NULL) {
		return series;
	}
	size_t place = series_place(ledger, destination);
	ledger->series = memory_grow(ledger->series, ledger->count, sizeof(*series));
	series = &ledger->series[place];
	memmove(series + 1, series, (ledger->count - place) * sizeof(*series));
	*series = (struct series){.destination = memory_copy_text(destination)};
	ledger->count++;
	return series;
}

/* The first entry of that day or a later one. */
static size_t entry_place(const struct series *series, calendar_day day)
{
	size_t low = 0;
	size_t high = series->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (series->entries[middle].row.day < day) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static struct entry *make_entry(struct series *series, calendar_day day)
{
	size_t place = entry_place(series, day);
	if (place < series->count && series->entries[place].row.day == day) {
		return &series->entries[place];
	}
	series->entries = memory_grow(series->entries, series->count, sizeof(struct entry));
	struct entry *entry = &series->entries[place];
	memmove(entry + 1, entry, (series->count - place) * sizeof(*entry));
	*entry = (struct entry){.row = {.day = day}};
	series->count++;
	return entry;
}

static void add_row(struct ledger_row *sum, const struct ledger_row *row)
{
	meter_sum(&sum->counts, &row->counts);
	sum->cost_nanos += row->cost_nanos;
	sum->cost_in_nanos += row->cost_in_nanos;
}

static void note_change(struct series *series, struct entry *entry)
{
	entry->is_changed = true;
	series->has_changes = true;
}

void ledger_add(struct ledger *ledger, const char *destination, const struct ledger_row *delta)
{
	struct series *series = make_series(ledger, destination);
	struct entry *entry = make_entry(series, delta->day);
	add_row(&entry->row, delta);
	note_change(series, entry);
}

void ledger_set_cost(struct ledger *ledger, const char *destination, calendar_day day,
	int64_t cost_nanos, int64_t cost_in_nanos)
{
	struct series *series = make_series(ledger, destination);
	struct entry *entry = make_entry(series, day);
	if (entry->row.cost_nanos != cost_nanos || entry->row.cost_in_nanos != cost_in_nanos) {
		entry->row.cost_nanos = cost_nanos;
		entry->row.cost_in_nanos = cost_in_nanos;
		note_change(series, entry);
	}
}

static void visit_series(const struct series *series, calendar_day first, calendar_day end,
	ledger_visit *visit, void *context)
{
	for (size_t i = entry_place(series, first);
		i < series->count && series->entries[i].row.day < end; i++) {
		visit(context, series->destination, &series->entries[i].row);
	}
}

void ledger_each(const struct ledger *ledger, const char *destination, calendar_day first,
	calendar_day end, ledger_visit *visit, void *context)
{
	for (size_t i = 0; i < ledger->count; i++) {
		if (destination == NULL ||
			strcmp(ledger->series[i].destination, destination) == 0) {
			visit_series(&ledger->series[i], first, end, visit, context);
		}
	}
}

static void visit_sum(void *context, const char *destination, const struct ledger_row *row)
{
	struct ledger_row *sum = context;
	(void)destination;
	if (row->day < sum->day) {
		sum->day = row->day;
	}
	add_row(sum, row);
}

void ledger_sum(const struct ledger *ledger, const char *destination, calendar_day first,
	calendar_day end, struct ledger_row *sum_out)
{
	*sum_out = (struct ledger_row){.day = end};
	ledger_each(ledger, destination, first, end, visit_sum, sum_out);
}

/* --- rows on disk ------------------------------------------------------------------------------
 */

static bool take_row(void *context, const char *const *columns, struct error *err)
{
	struct ledger *ledger = context;
	struct ledger_row row = {0};
	if (!calendar_parse_day(columns[1], &row.day)) {
		return error_set(err, ERROR_INVALID,
			"state database: usage of \"%s\" on \"%s\" is invalid", columns[0],
			columns[1]);
	}
	for (int i = 0; i < METER_COUNTERS; i++) {
		row.counts.bytes[i] = strtoull(columns[2 + i], NULL, 10);
	}
	row.cost_nanos = strtoll(columns[2 + METER_COUNTERS], NULL, 10);
	row.cost_in_nanos = strtoll(columns[3 + METER_COUNTERS], NULL, 10);
	make_entry(make_series(ledger, columns[0]), row.day)->row = row;
	return true;
}

static bool load(struct sqlite3 *connection, void *context, struct error *err)
{
	_Static_assert(COLUMN_COUNT == 4 + METER_COUNTERS, "a column a counter");
	return database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS usage ("
		       "destination TEXT NOT NULL, day TEXT NOT NULL, "
		       "wal_bytes INTEGER NOT NULL, backup_bytes INTEGER NOT NULL, "
		       "wire_sent_bytes INTEGER NOT NULL, wire_received_bytes INTEGER NOT NULL, "
		       "billed_sent_bytes INTEGER NOT NULL, "
		       "billed_received_bytes INTEGER NOT NULL, "
		       "backup_billed_bytes INTEGER NOT NULL, "
		       "plain_billed_bytes INTEGER NOT NULL, "
		       "cost_nanos INTEGER NOT NULL, cost_in_nanos INTEGER NOT NULL, "
		       "PRIMARY KEY (destination, day)) WITHOUT ROWID",
		       err) &&
	       sql_run(connection, "SELECT " COLUMNS " FROM usage ORDER BY destination, day", NULL,
		       0, take_row, context, err);
}

static bool write_row(
	struct sqlite3 *connection, const struct written_row *written, struct error *err)
{
	char day[CALENDAR_DAY_TEXT_SIZE];
	char numbers[COLUMN_COUNT - 2][NUMBER_TEXT_SIZE];
	const char *parameters[COLUMN_COUNT] = {
		written->destination, calendar_format_day(written->row.day, day)};
	for (int i = 0; i < METER_COUNTERS; i++) {
		snprintf(numbers[i], NUMBER_TEXT_SIZE, "%" PRIu64, written->row.counts.bytes[i]);
	}
	snprintf(numbers[METER_COUNTERS], NUMBER_TEXT_SIZE, "%" PRId64, written->row.cost_nanos);
	snprintf(numbers[METER_COUNTERS + 1], NUMBER_TEXT_SIZE, "%" PRId64,
		written->row.cost_in_nanos);
	for (int i = 2; i < COLUMN_COUNT; i++) {
		parameters[i] = numbers[i - 2];
	}
	return sql_run(connection,
		"INSERT OR REPLACE INTO usage (" COLUMNS ") VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
		parameters, COLUMN_COUNT, NULL, NULL, err);
}

static bool write_flush(struct sqlite3 *connection, void *context, struct error *err)
{
	const struct flush *flush = context;
	for (size_t i = 0; i < flush->count; i++) {
		if (!write_row(connection, &flush->rows[i], err)) {
			return false;
		}
	}
	return true;
}

static void on_flushed(void *context, bool ok, const struct error *err)
{
	struct ledger *ledger = ((struct flush *)context)->ledger;
	pthread_mutex_lock(&ledger->lock);
	ledger->is_flushing = false;
	ledger->has_failed = !ok;
	if (!ok) {
		ledger->failure = *err;
	}
	pthread_cond_signal(&ledger->over);
	pthread_mutex_unlock(&ledger->lock);
}

static void collect_series(struct series *series, struct flush *flush)
{
	for (size_t i = 0; i < series->count; i++) {
		struct entry *entry = &series->entries[i];
		if (entry->is_changed) {
			entry->is_changed = false;
			flush->rows =
				memory_grow(flush->rows, flush->count, sizeof(struct written_row));
			flush->rows[flush->count++] =
				(struct written_row){series->destination, entry->row};
		}
	}
	series->has_changes = false;
}

static void collect_changes(struct ledger *ledger, struct flush *flush)
{
	for (size_t i = 0; i < ledger->count; i++) {
		if (ledger->series[i].has_changes) {
			collect_series(&ledger->series[i], flush);
		}
	}
}

static void free_flush(struct ledger *ledger)
{
	free(ledger->flush->rows);
	free(ledger->flush);
	ledger->flush = NULL;
}

/* What could not be written is written with the next flush, as it is then. */
static void look_at_last(struct ledger *ledger)
{
	if (ledger->has_failed) {
		if (!ledger->is_failure_logged) {
			log_error(LOG_LEVEL_ERROR, "usage", &ledger->failure);
		}
		for (size_t i = 0; i < ledger->flush->count; i++) {
			const struct written_row *row = &ledger->flush->rows[i];
			struct series *series = find_series(ledger, row->destination);
			note_change(series, make_entry(series, row->row.day));
		}
	}
	ledger->is_failure_logged = ledger->has_failed;
	free_flush(ledger);
}

void ledger_flush(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->lock);
	bool is_busy = ledger->is_flushing;
	pthread_mutex_unlock(&ledger->lock);
	if (is_busy) {
		return;
	}
	if (ledger->flush != NULL) {
		look_at_last(ledger);
	}
	struct flush *flush = memory_new(sizeof(*flush));
	flush->ledger = ledger;
	collect_changes(ledger, flush);
	if (flush->count == 0) {
		free(flush);
		return;
	}
	ledger->flush = flush;
	ledger->is_flushing = true;
	database_submit(ledger->database, write_flush, on_flushed, flush);
}

static void wait_for_flush(struct ledger *ledger)
{
	pthread_mutex_lock(&ledger->lock);
	while (ledger->is_flushing) {
		pthread_cond_wait(&ledger->over, &ledger->lock);
	}
	pthread_mutex_unlock(&ledger->lock);
}

/* --- life --------------------------------------------------------------------------------------
 */

static void free_all(struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->count; i++) {
		free(ledger->series[i].destination);
		free(ledger->series[i].entries);
	}
	free(ledger->series);
	pthread_cond_destroy(&ledger->over);
	pthread_mutex_destroy(&ledger->lock);
	free(ledger);
}

struct ledger *ledger_open(struct database *database, struct error *err)
{
	struct ledger *ledger = memory_new(sizeof(*ledger));
	ledger->database = database;
	pthread_mutex_init(&ledger->lock, NULL);
	pthread_cond_init(&ledger->over, NULL);
	if (!database_run(database, load, ledger, err)) {
		free_all(ledger);
		return NULL;
	}
	return ledger;
}

void ledger_close(struct ledger **ledger)
{
	struct ledger *gone = *ledger;
	if (gone == NULL) {
		return;
	}
	*ledger = NULL;
	/* The first takes up a failure of the one before it. */
	for (int i = 0; i < 2; i++) {
		wait_for_flush(gone);
		ledger_flush(gone);
	}
	wait_for_flush(gone);
	if (gone->flush != NULL) {
		look_at_last(gone);
	}
	free_all(gone);
}
