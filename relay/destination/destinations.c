/*
 * destinations: an array of accounts in the order of the configuration, the built-in one after
 * them, then those that are no longer configured. The lock guards what destinations_match() looks
 * at.
 */
#include "destination/destinations.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/database.h"
#include "base/log.h"
#include "base/memory.h"
#include "destination/order_rows.h"

#define STEP_BACK_US INT64_C(3600000000)

struct destinations {
	struct database *database;
	struct ledger *ledger;
	unsigned loop_count;
	struct time_zone *zone;
	char *currency;
	int64_t now_us; /* of the last tick */
	struct account *other;
	pthread_mutex_t lock; /* order and rules of accounts, and ranges */
	struct account **accounts;
	size_t count;
	size_t configured_count; /* the first of them */
	struct ip_ranges *ranges;
};

static struct account_time time_now(const struct destinations *destinations)
{
	return (struct account_time){
		.zone = destinations->zone,
		.unix_us = destinations->now_us,
		.today = calendar_day_at(destinations->zone, destinations->now_us),
	};
}

static void take_time(struct destinations *destinations, int64_t unix_now_us)
{
	if (unix_now_us >= destinations->now_us ||
		destinations->now_us - unix_now_us >= STEP_BACK_US) {
		destinations->now_us = unix_now_us;
	}
}

static struct account *find_account(const struct destinations *destinations, const char *name)
{
	for (size_t i = 0; i < destinations->count; i++) {
		if (strcmp(account_name(destinations->accounts[i]), name) == 0) {
			return destinations->accounts[i];
		}
	}
	return NULL;
}

/* --- configuration -----------------------------------------------------------------------------
 */

static struct account *add_account(struct destinations *destinations, const char *name)
{
	struct account *account = account_new(name, destinations->loop_count);
	destinations->accounts =
		memory_grow(destinations->accounts, destinations->count, sizeof(struct account *));
	destinations->accounts[destinations->count++] = account;
	return account;
}

static void move_to(struct destinations *destinations, struct account *account, size_t place)
{
	size_t at = 0;
	while (destinations->accounts[at] != account) {
		at++;
	}
	assert(at >= place);
	memmove(&destinations->accounts[place + 1], &destinations->accounts[place],
		(at - place) * sizeof(struct account *));
	destinations->accounts[place] = account;
}

static void configure_accounts(
	struct destinations *destinations, const struct destinations_options *options)
{
	struct account_time now = time_now(destinations);
	for (size_t i = 0; i < destinations->count; i++) {
		account_configure(destinations->accounts[i], NULL);
	}
	for (size_t i = 0; i < options->count; i++) {
		const struct destination_options *item = &options->items[i];
		struct account *account = find_account(destinations, item->name);
		if (account == NULL) {
			account = add_account(destinations, item->name);
		}
		account_configure(account, item);
		account_reprice(account, destinations->ledger, now.today);
		move_to(destinations, account, i);
	}
	destinations->configured_count = options->count;
	if (!account_is_configured(destinations->other)) {
		move_to(destinations, destinations->other, options->count);
	}
}

bool destinations_configure(struct destinations *destinations,
	const struct destinations_options *options, int64_t unix_now_us, struct error *err)
{
	struct time_zone *zone = time_zone_open(options->time_zone, err);
	if (zone == NULL) {
		return false;
	}
	/* What was counted so far is yet counted by the old rules. */
	(void)destinations_tick(destinations, unix_now_us);
	time_zone_free(&destinations->zone);
	destinations->zone = zone;
	free(destinations->currency);
	destinations->currency = memory_copy_text(options->currency);
	pthread_mutex_lock(&destinations->lock);
	configure_accounts(destinations, options);
	pthread_mutex_unlock(&destinations->lock);
	(void)destinations_tick(destinations, unix_now_us);
	return true;
}

void destinations_set_ranges(struct destinations *destinations, struct ip_ranges *ranges)
{
	pthread_mutex_lock(&destinations->lock);
	struct ip_ranges *old = destinations->ranges;
	destinations->ranges = ranges;
	pthread_mutex_unlock(&destinations->lock);
	ip_ranges_free(&old);
}

/* --- life --------------------------------------------------------------------------------------
 */

static void restore_orders(void *context, const char *name, const struct account_orders *orders)
{
	struct destinations *destinations = context;
	struct account *account = find_account(destinations, name);
	if (account != NULL) {
		account_restore_orders(account, orders);
	}
}

static bool load_orders(struct sqlite3 *connection, void *context, struct error *err)
{
	return order_rows_load(connection, restore_orders, context, err);
}

struct destinations *destinations_new(struct database *database, unsigned loop_count,
	const struct destinations_options *options, int64_t unix_now_us, struct error *err)
{
	struct destinations *destinations = memory_new(sizeof(*destinations));
	destinations->database = database;
	destinations->loop_count = loop_count;
	destinations->now_us = unix_now_us;
	pthread_mutex_init(&destinations->lock, NULL);
	destinations->ledger = ledger_open(database, err);
	destinations->zone =
		destinations->ledger != NULL ? time_zone_open(options->time_zone, err) : NULL;
	if (destinations->zone == NULL) {
		destinations_free(&destinations, unix_now_us);
		return NULL;
	}
	destinations->currency = memory_copy_text(options->currency);
	destinations->other = add_account(destinations, DESTINATION_OTHER);
	configure_accounts(destinations, options);
	if (!database_run(database, load_orders, destinations, err)) {
		destinations_free(&destinations, unix_now_us);
		return NULL;
	}
	(void)destinations_tick(destinations, unix_now_us);
	return destinations;
}

void destinations_free(struct destinations **destinations, int64_t unix_now_us)
{
	struct destinations *gone = *destinations;
	if (gone == NULL) {
		return;
	}
	*destinations = NULL;
	if (gone->zone != NULL) {
		(void)destinations_tick(gone, unix_now_us);
	}
	ledger_close(&gone->ledger);
	for (size_t i = 0; i < gone->count; i++) {
		account_free(&gone->accounts[i]);
	}
	free(gone->accounts);
	ip_ranges_free(&gone->ranges);
	time_zone_free(&gone->zone);
	free(gone->currency);
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

/* --- matching and counting ---------------------------------------------------------------------
 */

struct destination *destinations_match(struct destinations *destinations, const struct peer *peer)
{
	struct account *found = destinations->other;
	pthread_mutex_lock(&destinations->lock);
	for (size_t i = 0; i < destinations->configured_count; i++) {
		if (account_matches(destinations->accounts[i], destinations->ranges, peer)) {
			found = destinations->accounts[i];
			break;
		}
	}
	pthread_mutex_unlock(&destinations->lock);
	return account_destination(found);
}

static bool judge_all(struct destinations *destinations)
{
	struct account_time now = time_now(destinations);
	bool has_changed = false;
	for (size_t i = 0; i < destinations->count; i++) {
		has_changed |= account_judge(destinations->accounts[i], destinations->ledger, &now);
	}
	return has_changed;
}

bool destinations_tick(struct destinations *destinations, int64_t unix_now_us)
{
	take_time(destinations, unix_now_us);
	struct account_time now = time_now(destinations);
	for (size_t i = 0; i < destinations->count; i++) {
		account_count(destinations->accounts[i], destinations->ledger, now.today);
	}
	ledger_flush(destinations->ledger);
	return judge_all(destinations);
}

/* --- orders ------------------------------------------------------------------------------------
 */

struct stored_order {
	char name[DESTINATION_NAME_SIZE];
	struct account_orders orders;
};

static bool store_order(struct sqlite3 *connection, void *context, struct error *err)
{
	const struct stored_order *stored = context;
	return order_rows_store(connection, stored->name, &stored->orders, err);
}

static void on_order_stored(void *context, bool ok, const struct error *err)
{
	if (!ok) {
		log_error(LOG_LEVEL_ERROR, "destination", err);
	}
	free(context);
}

static void keep_orders(struct destinations *destinations, const struct account *account)
{
	struct stored_order *stored = memory_new(sizeof(*stored));
	strncpy(stored->name, account_name(account), sizeof(stored->name) - 1);
	stored->orders = account_orders(account);
	database_submit(destinations->database, store_order, on_order_stored, stored);
	(void)judge_all(destinations);
}

bool destinations_pause(struct destinations *destinations, const char *name)
{
	struct account *account = find_account(destinations, name);
	if (account == NULL) {
		return false;
	}
	account_order_pause(account);
	keep_orders(destinations, account);
	return true;
}

bool destinations_resume(struct destinations *destinations, const char *name)
{
	struct account *account = find_account(destinations, name);
	if (account == NULL) {
		return false;
	}
	account_order_resume(account, destinations->ledger, time_now(destinations).today);
	keep_orders(destinations, account);
	return true;
}

bool destinations_set_cap(
	struct destinations *destinations, const char *name, uint64_t bytes_per_second)
{
	struct account *account = find_account(destinations, name);
	if (account == NULL) {
		return false;
	}
	account_order_cap(account, bytes_per_second);
	(void)judge_all(destinations);
	return true;
}

/* --- what is shown -----------------------------------------------------------------------------
 */

const char *destinations_currency(const struct destinations *destinations)
{
	return destinations->currency;
}

const char *destinations_time_zone(const struct destinations *destinations)
{
	return time_zone_name(destinations->zone);
}

calendar_day destinations_today(const struct destinations *destinations)
{
	return time_now(destinations).today;
}

size_t destinations_list(const struct destinations *destinations,
	struct destination_stats *stats_out, size_t capacity)
{
	struct account_time now = time_now(destinations);
	for (size_t i = 0; i < destinations->count && i < capacity; i++) {
		account_read_stats(
			destinations->accounts[i], destinations->ledger, &now, &stats_out[i]);
	}
	return destinations->count;
}

struct usage_walk {
	const struct destinations *destinations;
	bool by_month;
	usage_visit *visit;
	void *context;
	struct usage_line line; /* of the period that is being summed */
	bool has_line;
	calendar_day last_day; /* of it */
};

static void end_line(struct usage_walk *walk)
{
	if (!walk->has_line) {
		return;
	}
	struct usage_line *line = &walk->line;
	const struct account *account = find_account(walk->destinations, line->destination);
	line->saved_bytes = meter_saved(&line->counts);
	if (account != NULL) {
		line->saved_nanos = account_saved_nanos(
			account, walk->destinations->ledger, walk->last_day, line->saved_bytes);
	}
	walk->visit(walk->context, line);
	walk->has_line = false;
}

static void visit_usage(void *context, const char *destination, const struct ledger_row *row)
{
	struct usage_walk *walk = context;
	calendar_day period = walk->by_month ? calendar_month_start(row->day) : row->day;
	if (walk->has_line &&
		(strcmp(walk->line.destination, destination) != 0 || walk->line.day != period)) {
		end_line(walk);
	}
	if (!walk->has_line) {
		walk->line = (struct usage_line){.destination = destination, .day = period};
		walk->has_line = true;
	}
	meter_sum(&walk->line.counts, &row->counts);
	walk->line.cost_nanos += row->cost_nanos;
	walk->line.cost_in_nanos += row->cost_in_nanos;
	walk->last_day = row->day;
}

void destinations_usage(const struct destinations *destinations, const struct usage_query *query,
	usage_visit *visit, void *context)
{
	struct usage_walk walk = {.destinations = destinations,
		.by_month = query->by_month,
		.visit = visit,
		.context = context};
	ledger_each(destinations->ledger, query->destination, query->first, query->end, visit_usage,
		&walk);
	end_line(&walk);
}
