/*
 * alert_rows: three tables; numbers and names as text in and out.
 */
#include "observe/alert_rows.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/database.h"
#include "base/memory.h"
#include "base/sql.h"

#define NUMBER_SIZE 24

#define MESSAGE_COLUMNS                                                                            \
	"id, channel, event, alert, subject, since_us, at_us, text, figures, outcome, outcome_us"

static const char *const outcomes[] = {"pending", "delivered", "dropped"};
static const char *const events[] = {"raised", "repeated", "recovered"};

static const char *number_text(int64_t value, char out[NUMBER_SIZE])
{
	snprintf(out, NUMBER_SIZE, "%" PRId64, value);
	return out;
}

/* --- loading ---------------------------------------------------------------------------------- */

static bool make_tables(struct sqlite3 *connection, struct error *err)
{
	return database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS alerts ("
		       "alert TEXT NOT NULL, subject TEXT NOT NULL, since_us INTEGER NOT NULL, "
		       "told_us INTEGER NOT NULL, text TEXT NOT NULL, figures TEXT NOT NULL, "
		       "PRIMARY KEY (alert, subject)) WITHOUT ROWID",
		       err) &&
	       database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS alert_messages ("
		       "id INTEGER PRIMARY KEY, channel TEXT NOT NULL, event TEXT NOT NULL, "
		       "alert TEXT NOT NULL, subject TEXT NOT NULL, since_us INTEGER NOT NULL, "
		       "at_us INTEGER NOT NULL, text TEXT NOT NULL, figures TEXT NOT NULL, "
		       "outcome TEXT NOT NULL, outcome_us INTEGER NOT NULL)",
		       err) &&
	       database_execute(connection,
		       "CREATE TABLE IF NOT EXISTS alert_standbys ("
		       "name TEXT NOT NULL PRIMARY KEY, destination TEXT NOT NULL, "
		       "has_slot INTEGER NOT NULL, seen_us INTEGER NOT NULL)",
		       err);
}

static bool take_entry(void *context, const char *const *columns, struct error *err)
{
	struct alert_rows *rows = context;
	struct alert_entry entry = {.is_raised = true};
	(void)err;
	if (!alert_kind_find(columns[0], &entry.kind)) {
		return true;
	}
	snprintf(entry.subject, sizeof(entry.subject), "%s", columns[1]);
	entry.since_us = strtoll(columns[2], NULL, 10);
	entry.told_us = strtoll(columns[3], NULL, 10);
	snprintf(entry.text, sizeof(entry.text), "%s", columns[4]);
	snprintf(entry.figures, sizeof(entry.figures), "%s", columns[5]);
	rows->entries = memory_grow(rows->entries, rows->entry_count, sizeof(entry));
	rows->entries[rows->entry_count++] = entry;
	return true;
}

static bool find_event(const char *name, enum alert_event *event_out)
{
	for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(events[i], name) == 0) {
			*event_out = (enum alert_event)i;
			return true;
		}
	}
	return false;
}

static bool take_message(void *context, const char *const *columns, struct error *err)
{
	struct alert_rows *rows = context;
	struct alert_message_row row = {.outcome = ALERT_PENDING};
	struct alert_news *news = &row.message.news;
	(void)err;
	row.message.id = strtoll(columns[0], NULL, 10);
	if (!alert_channel_find(columns[1], &row.message.channel) ||
		!find_event(columns[2], &news->event) ||
		!alert_kind_find(columns[3], &news->kind)) {
		return true;
	}
	snprintf(news->subject, sizeof(news->subject), "%s", columns[4]);
	news->since_us = strtoll(columns[5], NULL, 10);
	news->at_us = strtoll(columns[6], NULL, 10);
	snprintf(news->text, sizeof(news->text), "%s", columns[7]);
	snprintf(news->figures, sizeof(news->figures), "%s", columns[8]);
	rows->messages = memory_grow(rows->messages, rows->message_count, sizeof(row));
	rows->messages[rows->message_count++] = row;
	return true;
}

static bool take_standby(void *context, const char *const *columns, struct error *err)
{
	struct alert_rows *rows = context;
	struct alert_standby standby = {.is_counted_on = true};
	(void)err;
	snprintf(standby.name, sizeof(standby.name), "%s", columns[0]);
	snprintf(standby.destination, sizeof(standby.destination), "%s", columns[1]);
	standby.has_slot = strcmp(columns[2], "0") != 0;
	standby.seen_us = strtoll(columns[3], NULL, 10);
	rows->standbys = memory_grow(rows->standbys, rows->standby_count, sizeof(standby));
	rows->standbys[rows->standby_count++] = standby;
	return true;
}

static bool take_last_id(void *context, const char *const *columns, struct error *err)
{
	struct alert_rows *rows = context;
	(void)err;
	rows->last_id = strtoll(columns[0], NULL, 10);
	return true;
}

bool alert_rows_load(struct sqlite3 *connection, struct alert_rows *rows_out, struct error *err)
{
	struct alert_rows rows = {0};
	if (!make_tables(connection, err) ||
		!sql_run(connection,
			"SELECT alert, subject, since_us, told_us, text, figures FROM alerts", NULL,
			0, take_entry, &rows, err) ||
		!sql_run(connection,
			"SELECT " MESSAGE_COLUMNS
			" FROM alert_messages WHERE outcome = 'pending' ORDER BY id",
			NULL, 0, take_message, &rows, err) ||
		!sql_run(connection,
			"SELECT name, destination, has_slot, seen_us FROM alert_standbys", NULL, 0,
			take_standby, &rows, err) ||
		!sql_run(connection, "SELECT coalesce(max(id), 0) FROM alert_messages", NULL, 0,
			take_last_id, &rows, err)) {
		alert_rows_release(&rows);
		return false;
	}
	*rows_out = rows;
	return true;
}

/* --- storing ---------------------------------------------------------------------------------- */

static bool store_entry(
	struct sqlite3 *connection, const struct alert_entry *entry, struct error *err)
{
	char since[NUMBER_SIZE], told[NUMBER_SIZE];
	const char *parameters[] = {alert_rule(entry->kind)->name, entry->subject,
		number_text(entry->since_us, since), number_text(entry->told_us, told), entry->text,
		entry->figures};
	return sql_run(connection,
		"INSERT OR REPLACE INTO alerts (alert, subject, since_us, told_us, text, figures) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		parameters, 6, NULL, NULL, err);
}

static bool store_message(
	struct sqlite3 *connection, const struct alert_message_row *row, struct error *err)
{
	const struct alert_news *news = &row->message.news;
	char id[NUMBER_SIZE], since[NUMBER_SIZE], at[NUMBER_SIZE], outcome_us[NUMBER_SIZE];
	const char *parameters[] = {number_text(row->message.id, id),
		alert_channel_name(row->message.channel), alert_event_name(news->event),
		alert_rule(news->kind)->name, news->subject, number_text(news->since_us, since),
		number_text(news->at_us, at), news->text, news->figures, outcomes[row->outcome],
		number_text(row->outcome_us, outcome_us)};
	return sql_run(connection,
		"INSERT OR REPLACE INTO alert_messages (" MESSAGE_COLUMNS ") VALUES "
		"(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
		parameters, 11, NULL, NULL, err);
}

static bool store_standby(
	struct sqlite3 *connection, const struct alert_standby *standby, struct error *err)
{
	char seen[NUMBER_SIZE];
	const char *parameters[] = {standby->name, standby->destination,
		standby->has_slot ? "1" : "0", number_text(standby->seen_us, seen)};
	return sql_run(connection,
		"INSERT OR REPLACE INTO alert_standbys (name, destination, has_slot, seen_us) "
		"VALUES (?1, ?2, ?3, ?4)",
		parameters, 4, NULL, NULL, err);
}

/* The last message stays, whatever became of it: ids are counted on from it. */
static bool forget_messages(struct sqlite3 *connection, int64_t before_us, struct error *err)
{
	char before[NUMBER_SIZE];
	const char *parameters[] = {number_text(before_us, before)};
	return sql_run(connection,
		"DELETE FROM alert_messages WHERE outcome <> 'pending' AND outcome_us < ?1 "
		"AND id < (SELECT max(id) FROM alert_messages)",
		parameters, 1, NULL, NULL, err);
}

bool alert_rows_store(struct sqlite3 *connection, const struct alert_rows *rows, struct error *err)
{
	if (!database_execute(connection, "DELETE FROM alerts", err) ||
		!database_execute(connection, "DELETE FROM alert_standbys", err)) {
		return false;
	}
	for (size_t i = 0; i < rows->entry_count; i++) {
		if (!store_entry(connection, &rows->entries[i], err)) {
			return false;
		}
	}
	for (size_t i = 0; i < rows->standby_count; i++) {
		if (!store_standby(connection, &rows->standbys[i], err)) {
			return false;
		}
	}
	for (size_t i = 0; i < rows->message_count; i++) {
		if (!store_message(connection, &rows->messages[i], err)) {
			return false;
		}
	}
	return forget_messages(connection, rows->forget_us, err);
}

void alert_rows_release(struct alert_rows *rows)
{
	free(rows->entries);
	free(rows->messages);
	free(rows->standbys);
	*rows = (struct alert_rows){0};
}
