/*
 * alerts: the book, the standbys that are watched and the outbox, and one write of them under way
 * at most.
 */
#include "observe/alerts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/database.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "observe/alert_message.h"
#include "observe/alert_rows.h"
#include "observe/alert_watch.h"
#include "observe/snapshot.h"

#define SCOPE        "alert"
#define FORGOTTEN_US (INT64_C(30) * 24 * 3600 * 1000000)

struct alerts {
	struct database *database;
	struct alert_book book;
	struct alert_watch watch;
	struct alert_outbox *outbox;
	struct alert_thresholds thresholds;
	struct alert_certificate *certificates; /* with texts of our own */
	size_t certificate_count;
	struct alert_conditions conditions;
	bool is_changed; /* the book or who is watched, since the last write began */
	bool is_failure_logged;
	struct alert_rows rows; /* being written */
	bool is_storing;
	struct wake *wake;    /* a write is over */
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t over;
	bool is_written; /* and nobody has looked at it */
	bool has_failed;
	struct error failure;
};

/* --- storing ---------------------------------------------------------------------------------- */

static bool write_rows(struct sqlite3 *connection, void *context, struct error *err)
{
	const struct alerts *alerts = context;
	return alert_rows_store(connection, &alerts->rows, err);
}

static void on_written(void *context, bool ok, const struct error *err)
{
	struct alerts *alerts = context;
	pthread_mutex_lock(&alerts->lock);
	alerts->is_written = true;
	alerts->has_failed = !ok;
	if (!ok) {
		alerts->failure = *err;
	}
	/* Under the lock: whoever waits for this may free the wake next. */
	wake_ring(alerts->wake);
	pthread_cond_signal(&alerts->over);
	pthread_mutex_unlock(&alerts->lock);
}

static void collect(struct alerts *alerts)
{
	struct alert_rows *rows = &alerts->rows;
	for (size_t i = 0; i < alerts->book.count; i++) {
		if (alerts->book.entries[i].is_raised) {
			rows->entries = memory_grow(
				rows->entries, rows->entry_count, sizeof(*rows->entries));
			rows->entries[rows->entry_count++] = alerts->book.entries[i];
		}
	}
	for (size_t i = 0; i < alerts->watch.count; i++) {
		if (alerts->watch.standbys[i].is_counted_on) {
			rows->standbys = memory_grow(
				rows->standbys, rows->standby_count, sizeof(*rows->standbys));
			rows->standbys[rows->standby_count++] = alerts->watch.standbys[i];
		}
	}
	alert_outbox_collect(alerts->outbox, rows);
	rows->forget_us = wall_clock_unix_us() - FORGOTTEN_US;
}

static void store(struct alerts *alerts)
{
	if (alerts->is_storing || (!alerts->is_changed && alert_outbox_is_stored(alerts->outbox))) {
		return;
	}
	collect(alerts);
	alerts->is_changed = false;
	alerts->is_storing = true;
	database_submit(alerts->database, write_rows, on_written, alerts);
}

/* What could not be written is written with the next look, as it is then. */
static void take_result(struct alerts *alerts)
{
	bool has_failed = alerts->has_failed;
	alerts->is_written = false;
	if (has_failed && !alerts->is_failure_logged) {
		log_error(LOG_LEVEL_ERROR, SCOPE, &alerts->failure);
	}
	alerts->is_failure_logged = has_failed;
	alerts->is_changed |= has_failed;
	alerts->is_storing = false;
}

static void on_wake(void *context)
{
	struct alerts *alerts = context;
	pthread_mutex_lock(&alerts->lock);
	bool is_over = alerts->is_written;
	bool has_failed = alerts->has_failed;
	if (is_over) {
		take_result(alerts);
	}
	pthread_mutex_unlock(&alerts->lock);
	if (!is_over) {
		return;
	}
	alert_outbox_on_stored(alerts->outbox, &alerts->rows, !has_failed);
	alert_rows_release(&alerts->rows);
	if (!has_failed) {
		store(alerts);
	}
}

static void on_settled(void *context)
{
	store(context);
}

/* --- looking ---------------------------------------------------------------------------------- */

static void tell(void *context, const struct alert_news *news)
{
	struct alerts *alerts = context;
	const struct alert_rule *rule = alert_rule(news->kind);
	char summary[ALERT_TEXT_SIZE];
	enum log_level level = news->event == ALERT_RECOVERED ? LOG_LEVEL_INFO
			       : rule->is_critical            ? LOG_LEVEL_ERROR
							      : LOG_LEVEL_WARNING;
	alert_message_summary(news, summary);
	log_write(level, SCOPE, "%s %s: %s", rule->name, alert_event_name(news->event), summary);
	alert_outbox_add(alerts->outbox, news);
}

void alerts_look(struct alerts *alerts, const struct snapshot *snapshot, int64_t unix_now_us)
{
	const struct alert_input input = {
		.snapshot = snapshot,
		.watch = &alerts->watch,
		.thresholds = &alerts->thresholds,
		.certificates = alerts->certificates,
		.certificate_count = alerts->certificate_count,
		.now_us = unix_now_us,
	};
	alerts->is_changed |= alert_watch_update(&alerts->watch, snapshot, unix_now_us);
	alert_conditions_find(&input, &alerts->conditions);
	alerts->is_changed |=
		alert_book_update(&alerts->book, &alerts->conditions, unix_now_us, tell, alerts);
	store(alerts);
}

void alerts_read(const struct alerts *alerts, struct alert_entry **entries_out, size_t *count_out,
	struct alert_channel_stats channels_out[ALERT_CHANNELS])
{
	size_t count = 0;
	struct alert_entry *entries =
		memory_new((alerts->book.count + 1) * sizeof(*alerts->book.entries));
	for (size_t i = 0; i < alerts->book.count; i++) {
		if (alerts->book.entries[i].is_raised) {
			entries[count++] = alerts->book.entries[i];
		}
	}
	for (unsigned i = 0; i < ALERT_CHANNELS; i++) {
		alert_outbox_read_stats(alerts->outbox, (enum alert_channel)i, &channels_out[i]);
	}
	*entries_out = entries;
	*count_out = count;
}

/* --- life ------------------------------------------------------------------------------------- */

static void release_certificates(struct alerts *alerts)
{
	for (size_t i = 0; i < alerts->certificate_count; i++) {
		free((void *)(uintptr_t)alerts->certificates[i].path);
		free((void *)(uintptr_t)alerts->certificates[i].key);
	}
	free(alerts->certificates);
	alerts->certificates = NULL;
	alerts->certificate_count = 0;
}

void alerts_configure(struct alerts *alerts, const struct alerts_options *options)
{
	release_certificates(alerts);
	for (size_t i = 0; i < options->certificate_count; i++) {
		const struct alert_certificate *from = &options->certificates[i];
		alerts->certificates = memory_grow(alerts->certificates, alerts->certificate_count,
			sizeof(*alerts->certificates));
		alerts->certificates[alerts->certificate_count++] = (struct alert_certificate){
			.path = memory_copy_text(from->path),
			.key = memory_copy_text(from->key),
			.not_after_us = from->not_after_us,
		};
	}
	alerts->book.repeat_every_us = options->repeat_every_us;
	alerts->thresholds = options->thresholds;
	alert_outbox_configure(alerts->outbox, &options->delivery);
}

static bool load(struct sqlite3 *connection, void *context, struct error *err)
{
	return alert_rows_load(connection, context, err);
}

static bool was_gone(const struct alert_rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->entry_count; i++) {
		if (rows->entries[i].kind == ALERT_STANDBY_GONE &&
			strcmp(rows->entries[i].subject, name) == 0) {
			return true;
		}
	}
	return false;
}

static void restore(struct alerts *alerts, const struct alert_rows *rows)
{
	for (size_t i = 0; i < rows->entry_count; i++) {
		alert_book_restore(&alerts->book, &rows->entries[i]);
	}
	for (size_t i = 0; i < rows->standby_count; i++) {
		struct alert_standby standby = rows->standbys[i];
		/* When it was seen last was written only when it was missed. */
		if (!was_gone(rows, standby.name)) {
			standby.seen_us = wall_clock_unix_us();
		}
		alert_watch_restore(&alerts->watch, &standby);
	}
	for (size_t i = 0; i < rows->message_count; i++) {
		alert_outbox_restore(alerts->outbox, &rows->messages[i].message);
	}
}

struct alerts *alerts_open(struct loop *loop, struct database *database,
	const struct alerts_options *options, struct error *err)
{
	struct alert_rows rows;
	if (!database_run(database, load, &rows, err)) {
		return NULL;
	}
	struct alerts *alerts = memory_new(sizeof(*alerts));
	alerts->database = database;
	pthread_mutex_init(&alerts->lock, NULL);
	pthread_cond_init(&alerts->over, NULL);
	alerts->outbox = alert_outbox_new(loop, rows.last_id, on_settled, alerts, err);
	alerts->wake = alerts->outbox != NULL ? wake_new(loop, on_wake, alerts, err) : NULL;
	if (alerts->wake != NULL) {
		restore(alerts, &rows);
		alerts_configure(alerts, options);
	} else {
		alerts_close(&alerts);
	}
	alert_rows_release(&rows);
	return alerts;
}

static void wait_for_write(struct alerts *alerts)
{
	pthread_mutex_lock(&alerts->lock);
	while (alerts->is_storing && !alerts->is_written) {
		pthread_cond_wait(&alerts->over, &alerts->lock);
	}
	pthread_mutex_unlock(&alerts->lock);
}

/* What was settled while the last write was under way. */
static void store_last(struct alerts *alerts)
{
	struct error err = {0};
	wait_for_write(alerts);
	alert_rows_release(&alerts->rows);
	/* How it ended nobody has looked at. */
	alerts->is_changed |= alerts->is_storing;
	if (!alerts->is_changed && alert_outbox_is_stored(alerts->outbox)) {
		return;
	}
	collect(alerts);
	if (!database_run(alerts->database, write_rows, alerts, &err)) {
		log_error(LOG_LEVEL_ERROR, SCOPE, &err);
	}
	alert_rows_release(&alerts->rows);
}

void alerts_close(struct alerts **alerts)
{
	struct alerts *gone = *alerts;
	if (gone == NULL) {
		return;
	}
	*alerts = NULL;
	if (gone->wake != NULL) {
		store_last(gone);
	}
	alert_outbox_free(&gone->outbox);
	wake_free(&gone->wake);
	alert_book_release(&gone->book);
	alert_watch_release(&gone->watch);
	alert_conditions_release(&gone->conditions);
	release_certificates(gone);
	pthread_cond_destroy(&gone->over);
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}
