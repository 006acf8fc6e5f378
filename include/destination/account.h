/*
 * account: one destination as its owner's thread sees it: whom it matches, what it may use, what it
 * costs, and where it stands.
 *
 * The sender loops see the struct destination inside. Counting moves what its meter has counted
 * since the last time into the ledger, under today; judging then says what follows from it.
 */
#ifndef DESTINATION_ACCOUNT_H
#define DESTINATION_ACCOUNT_H

#include "destination/calendar.h"
#include "destination/destination.h"
#include "destination/ledger.h"
#include "destination/peer_match.h"
#include "destination/price.h"
#include "destination/quota.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DESTINATION_NAME_SIZE 80

/* What the configuration says; copied by whoever takes it. */
struct destination_options {
	const char *name;
	const char *provider; /* a label */
	const struct peer_rule *rules;
	size_t rule_count;
	struct quota_limits limits;
	struct price price;
	struct price price_in;
	int priority;
};

struct destination_stats {
	char name[DESTINATION_NAME_SIZE];
	char provider[16];
	bool is_configured; /* false: a reload has dropped it, or it is the built-in one */
	int priority;
	struct meter_counts counted; /* since the process began */
	struct meter_kinds kinds;    /* likewise, and up to this moment */
	int64_t cost_nanos;          /* likewise, both directions */
	struct quota_state state;
	struct quota_used used;
	uint64_t daily_limit_bytes;   /* 0: none */
	uint64_t monthly_limit_bytes; /* likewise */
	unsigned warn_at_basis_points;
	uint64_t forecast_bytes; /* by the month's end */
	bool has_limit_day;
	calendar_day limit_day; /* the monthly limit is reached then, at the present pace */
	int64_t day_cost_nanos; /* both directions */
	int64_t month_cost_nanos;
	uint64_t saved_bytes; /* this month */
	int64_t saved_nanos;
};

/* The moment that things are judged at. */
struct account_time {
	const struct time_zone *zone;
	int64_t unix_us;
	calendar_day today;
};

struct account;

/* Matches nobody and allows everything until it is configured. */
struct account *account_new(const char *name, unsigned loop_count);
/* Accepts NULL, sets NULL. */
void account_free(struct account **account);

struct destination *account_destination(const struct account *account);
const char *account_name(const struct account *account);
/* NULL: no longer in the configuration. A cap set by hand ends. */
void account_configure(struct account *account, const struct destination_options *options);
bool account_is_configured(const struct account *account);
bool account_matches(
	const struct account *account, const struct ip_ranges *ranges, const struct peer *peer);
/* The prices that have come to hold for this month's days. */
void account_reprice(struct account *account, struct ledger *ledger, calendar_day today);

void account_count(struct account *account, struct ledger *ledger, calendar_day today);
/* True when another cap is in force than before. */
bool account_judge(
	struct account *account, const struct ledger *ledger, const struct account_time *time);

/* By an operator's hand; they take effect when it is next judged. */
void account_order_pause(struct account *account);
/* Ends a pause, and passes over the limits that are reached until their day or month ends. */
void account_order_resume(struct account *account, const struct ledger *ledger, calendar_day today);
/* 0: as configured. */
void account_order_cap(struct account *account, uint64_t bytes_per_second);
/* What must outlive the process. */
struct account_orders {
	bool is_paused;
	calendar_day let_go_day;   /* the day whose limit is passed over; CALENDAR_NEVER: none */
	calendar_day let_go_month; /* likewise the first day of a month */
};
struct account_orders account_orders(const struct account *account);
void account_restore_orders(struct account *account, const struct account_orders *orders);

void account_read_stats(const struct account *account, const struct ledger *ledger,
	const struct account_time *time, struct destination_stats *stats_out);
/* What saved_bytes would have cost on top of what the month had cost up to and with that day. */
int64_t account_saved_nanos(const struct account *account, const struct ledger *ledger,
	calendar_day day, uint64_t saved_bytes);

#endif
