/*
 * alert_rows: alerts in the state database: which are on, what was and is to be sent, whom they
 * count on. For database jobs, on the database's thread.
 *
 * What is on and who is counted on is written as a whole, and a message row by row with what became
 * of it, so a write that failed is made good by the next one. What was sent stays for 30 days.
 */
#ifndef OBSERVE_ALERT_ROWS_H
#define OBSERVE_ALERT_ROWS_H

#include "base/error.h"
#include "observe/alert_book.h"
#include "observe/alert_message.h"
#include "observe/alert_watch.h"

#include <stdbool.h>
#include <stddef.h>

struct sqlite3;

enum alert_outcome { ALERT_PENDING, ALERT_DELIVERED, ALERT_DROPPED };

struct alert_message_row {
	struct alert_message message;
	enum alert_outcome outcome;
	int64_t outcome_us; /* Unix time; 0 while it is pending */
};

struct alert_rows {
	struct alert_entry *entries; /* raised ones */
	size_t entry_count;
	struct alert_message_row *messages; /* on loading: pending ones, by id */
	size_t message_count;
	struct alert_standby *standbys; /* counted on */
	size_t standby_count;
	int64_t last_id;   /* on loading: the largest ever given */
	int64_t forget_us; /* on storing: what was settled before goes */
};

/* What is not understood (of another version) is passed over. Makes the tables. */
bool alert_rows_load(
	struct sqlite3 *connection, struct alert_rows *rows_out, struct error *err) MUST_CHECK;
bool alert_rows_store(
	struct sqlite3 *connection, const struct alert_rows *rows, struct error *err) MUST_CHECK;
void alert_rows_release(struct alert_rows *rows);

#endif
