/*
 * ledger: what each destination was sent on each day, kept for ever in the state database.
 *
 * Rows live in memory too (some hundred bytes a destination and day) and are the truth while the
 * process runs: one is written whole, never as a difference, so that whatever became of a write,
 * the next one sets it right and nothing is counted twice. One thread; the disk is touched by the
 * database's. Money is in nanos of the currency, at the prices in force when it was counted.
 */
#ifndef DESTINATION_LEDGER_H
#define DESTINATION_LEDGER_H

#include "base/error.h"
#include "destination/calendar.h"
#include "destination/meter.h"

#include <stdbool.h>
#include <stdint.h>

struct database;
struct ledger;

struct ledger_row {
	calendar_day day;
	struct meter_counts counts;
	int64_t cost_nanos;    /* of what was sent */
	int64_t cost_in_nanos; /* of what was received */
};

/* Blocks: reads everything. */
struct ledger *ledger_open(struct database *database, struct error *err) MUST_CHECK;
/* Waits for a write under way, and writes what is not written yet. Accepts NULL, sets NULL. */
void ledger_close(struct ledger **ledger);

/* The row is made where there is none, and is written with the next flush. */
void ledger_add(struct ledger *ledger, const char *destination, const struct ledger_row *delta);
/* Gives the costs of a row that is there anew. */
void ledger_set_cost(struct ledger *ledger, const char *destination, calendar_day day,
	int64_t cost_nanos, int64_t cost_in_nanos);
/* Hands what has changed to the database, unless the last flush is still under way. Never blocks.
 */
void ledger_flush(struct ledger *ledger);

/* Sum of the rows from first up to, without, end; its day is that of the first row, or end. */
void ledger_sum(const struct ledger *ledger, const char *destination, calendar_day first,
	calendar_day end, struct ledger_row *sum_out);
typedef void ledger_visit(void *context, const char *destination, const struct ledger_row *row);
/* Every row from first up to, without, end, by destination (in order of names) and day. destination
 * NULL: of all. */
void ledger_each(const struct ledger *ledger, const char *destination, calendar_day first,
	calendar_day end, ledger_visit *visit, void *context);

#endif
