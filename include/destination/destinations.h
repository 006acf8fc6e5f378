/*
 * destinations: all accounts of the relay, the ledger they are counted in, and who belongs to
 * which.
 *
 * One thread owns it and makes every call but destinations_match(), which is any thread. The first
 * account in the order of the configuration that matches a peer takes it; nobody's peer belongs to
 * the built-in "other". An account that a reload drops is kept for the connections that point to
 * it.
 *
 * A clock that steps back by less than an hour is taken for standing still until it has caught up,
 * so that a small correction at midnight does not open yesterday's books again; one that steps
 * further back is believed.
 */
#ifndef DESTINATION_DESTINATIONS_H
#define DESTINATION_DESTINATIONS_H

#include "base/error.h"
#include "destination/account.h"
#include "destination/ip_ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct database;
struct destinations;

struct destinations_options {
	const struct destination_options *items; /* in the order of the configuration */
	size_t count;
	const char *time_zone;
	const char *currency;
};

/* loop_count: how many loops will count. unix_now_us: the wall clock. Blocks on the database. */
struct destinations *destinations_new(struct database *database, unsigned loop_count,
	const struct destinations_options *options, int64_t unix_now_us,
	struct error *err) MUST_CHECK;
/* After everybody who counts has stopped: takes in what they have counted last and waits until all
 * is written. Accepts NULL, sets NULL. */
void destinations_free(struct destinations **destinations, int64_t unix_now_us);

/* A reload; connections are to be matched again. Nothing is changed on failure. */
bool destinations_configure(struct destinations *destinations,
	const struct destinations_options *options, int64_t unix_now_us,
	struct error *err) MUST_CHECK;
/* Takes ranges over; connections are to be matched again. */
void destinations_set_ranges(struct destinations *destinations, struct ip_ranges *ranges);

/* Any thread. Never NULL; valid until destinations_free(). */
struct destination *destinations_match(struct destinations *destinations, const struct peer *peer);

/* Now and then, less than a second apart: from meters into the ledger, from the ledger to caps.
 * True when another cap is in force somewhere than before. */
bool destinations_tick(struct destinations *destinations, int64_t unix_now_us);

/* An operator's orders; false: there is no such destination. They take effect at once. */
bool destinations_pause(struct destinations *destinations, const char *name);
bool destinations_resume(struct destinations *destinations, const char *name);
bool destinations_set_cap(
	struct destinations *destinations, const char *name, uint64_t bytes_per_second);

const char *destinations_currency(const struct destinations *destinations);
const char *destinations_time_zone(const struct destinations *destinations);
calendar_day destinations_today(const struct destinations *destinations);
/* As of the last tick: those of the configuration in its order, "other", those that were dropped.
 * Fills at most capacity, returns how many there are. */
size_t destinations_list(const struct destinations *destinations,
	struct destination_stats *stats_out, size_t capacity);

struct usage_query {
	const char *destination; /* NULL: all, also those that only the ledger knows */
	calendar_day first;
	calendar_day end; /* without it */
	bool by_month;
};

struct usage_line {
	const char *destination;
	calendar_day day; /* the first of the month with by_month */
	struct meter_counts counts;
	int64_t cost_nanos;
	int64_t cost_in_nanos;
	uint64_t saved_bytes;
	int64_t saved_nanos;
};

/* Lines by destination and time; they belong to the call. */
typedef void usage_visit(void *context, const struct usage_line *line);
void destinations_usage(const struct destinations *destinations, const struct usage_query *query,
	usage_visit *visit, void *context);

#endif
