/*
 * account: copies of its options, the meter's last reading, and what was judged last.
 */
#include "destination/account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/units.h"

/* The pace is that of so many whole days before today, and today's. */
#define PACE_DAYS   7
#define DAY_SECONDS 86400
#define US          1000000

struct account {
	struct destination *destination;
	bool is_configured;
	char provider[16];
	struct peer_rule *rules;
	size_t rule_count;
	struct quota_limits limits;
	struct quota_window *windows;
	struct price price;
	struct price price_in;
	struct account_orders orders;
	uint64_t ordered_cap_bytes;
	struct meter_counts counted; /* is in the ledger */
	int64_t cost_nanos;          /* of that */
	struct quota_state state;
};

/* --- options -----------------------------------------------------------------------------------
 */

static void *copy_array(const void *items, size_t count, size_t item_size)
{
	void *copy = memory_new((count + 1) * item_size);
	if (count > 0) {
		memcpy(copy, items, count * item_size);
	}
	return copy;
}

static void set_price(struct price *price, const struct price *wanted)
{
	free((void *)(uintptr_t)price->tiers);
	*price = *wanted;
	price->tiers = copy_array(wanted->tiers, wanted->count, sizeof(struct price_tier));
}

static void release_rules(struct account *account)
{
	for (size_t i = 0; i < account->rule_count; i++) {
		free(account->rules[i].text);
	}
	free(account->rules);
	account->rules = NULL;
	account->rule_count = 0;
}

static void set_rules(struct account *account, const struct peer_rule *rules, size_t count)
{
	release_rules(account);
	account->rules = copy_array(rules, count, sizeof(*rules));
	account->rule_count = count;
	for (size_t i = 0; i < count; i++) {
		if (rules[i].text != NULL) {
			account->rules[i].text = memory_copy_text(rules[i].text);
		}
	}
}

static void set_limits(struct account *account, const struct quota_limits *limits)
{
	free(account->windows);
	account->limits = *limits;
	account->windows =
		copy_array(limits->windows, limits->window_count, sizeof(struct quota_window));
	account->limits.windows = account->windows;
}

void account_configure(struct account *account, const struct destination_options *options)
{
	account->is_configured = options != NULL;
	account->ordered_cap_bytes = 0;
	if (options == NULL) {
		static const struct quota_limits no_limits = {0};
		set_rules(account, NULL, 0);
		set_limits(account, &no_limits);
		destination_set_priority(account->destination, 0);
		return;
	}
	snprintf(account->provider, sizeof(account->provider), "%s", options->provider);
	set_rules(account, options->rules, options->rule_count);
	set_limits(account, &options->limits);
	set_price(&account->price, &options->price);
	set_price(&account->price_in, &options->price_in);
	destination_set_priority(account->destination, options->priority);
}

struct account *account_new(const char *name, unsigned loop_count)
{
	static const struct price free_of_charge = {.gb_bytes = UINT64_C(1) << 30};
	struct account *account = memory_new(sizeof(*account));
	account->destination = destination_new(name, loop_count);
	account->orders.let_go_day = CALENDAR_NEVER;
	account->orders.let_go_month = CALENDAR_NEVER;
	account->state.cap_bytes = QUOTA_NO_CAP;
	snprintf(account->provider, sizeof(account->provider), "other");
	set_price(&account->price, &free_of_charge);
	set_price(&account->price_in, &free_of_charge);
	account_configure(account, NULL);
	return account;
}

void account_free(struct account **account)
{
	struct account *gone = *account;
	if (gone == NULL) {
		return;
	}
	*account = NULL;
	destination_free(&gone->destination);
	release_rules(gone);
	free(gone->windows);
	free((void *)(uintptr_t)gone->price.tiers);
	free((void *)(uintptr_t)gone->price_in.tiers);
	free(gone);
}

struct destination *account_destination(const struct account *account)
{
	return account->destination;
}

const char *account_name(const struct account *account)
{
	return destination_name(account->destination);
}

bool account_is_configured(const struct account *account)
{
	return account->is_configured;
}

bool account_matches(
	const struct account *account, const struct ip_ranges *ranges, const struct peer *peer)
{
	return peer_match(account->rules, account->rule_count, ranges, peer);
}

/* --- counting ----------------------------------------------------------------------------------
 */

static void price_row(const struct account *account, const struct meter_counts *month_before,
	struct ledger_row *row)
{
	row->cost_nanos = price_of_more(&account->price, month_before->bytes[METER_BILLED_SENT],
		row->counts.bytes[METER_BILLED_SENT]);
	row->cost_in_nanos =
		price_of_more(&account->price_in, month_before->bytes[METER_BILLED_RECEIVED],
			row->counts.bytes[METER_BILLED_RECEIVED]);
}

void account_count(struct account *account, struct ledger *ledger, calendar_day today)
{
	struct meter_counts now;
	struct ledger_row delta = {.day = today};
	meter_read(destination_meter(account->destination), &now);
	if (memcmp(&now, &account->counted, sizeof(now)) == 0) {
		return;
	}
	struct ledger_row month;
	meter_difference(&now, &account->counted, &delta.counts);
	ledger_sum(ledger, account_name(account), calendar_month_start(today),
		calendar_month_end(today), &month);
	price_row(account, &month.counts, &delta);
	ledger_add(ledger, account_name(account), &delta);
	account->counted = now;
	account->cost_nanos += delta.cost_nanos + delta.cost_in_nanos;
}

void account_reprice(struct account *account, struct ledger *ledger, calendar_day today)
{
	struct meter_counts before = {{0}};
	for (calendar_day day = calendar_month_start(today); day < calendar_month_end(today);
		day++) {
		struct ledger_row row;
		ledger_sum(ledger, account_name(account), day, day + 1, &row);
		if (row.day == day) {
			price_row(account, &before, &row);
			ledger_set_cost(ledger, account_name(account), day, row.cost_nanos,
				row.cost_in_nanos);
			meter_sum(&before, &row.counts);
		}
	}
}

/* --- judging -----------------------------------------------------------------------------------
 */

static struct quota_used read_used(
	const struct account *account, const struct ledger *ledger, calendar_day today)
{
	struct ledger_row day, month;
	ledger_sum(ledger, account_name(account), today, today + 1, &day);
	ledger_sum(ledger, account_name(account), calendar_month_start(today),
		calendar_month_end(today), &month);
	return (struct quota_used){.day_bytes = day.counts.bytes[METER_BILLED_SENT],
		.month_bytes = month.counts.bytes[METER_BILLED_SENT]};
}

static void log_change(const struct account *account, const struct quota_state *state,
	const struct quota_used *used)
{
	bool is_month = state->period == QUOTA_MONTH;
	uint64_t limit_bytes =
		is_month ? account->limits.monthly_bytes : account->limits.daily_bytes;
	char limit[UNITS_TEXT_SIZE];
	if (state->rung == account->state.rung &&
		strcmp(quota_state_name(state), quota_state_name(&account->state)) == 0) {
		return;
	}
	if (state->rung == QUOTA_OK) {
		log_info("destination", "\"%s\" is %s", account_name(account),
			state->is_paused ? "paused" : "within its limits");
		return;
	}
	log_warning("destination", "\"%s\" has used %llu bytes of its %s limit of %s: %s%s%s",
		account_name(account),
		(unsigned long long)(is_month ? used->month_bytes : used->day_bytes),
		is_month ? "monthly" : "daily", units_format_size(limit_bytes, limit),
		quota_rung_name(state->rung), state->is_paused || state->is_throttled ? ", " : "",
		state->is_paused || state->is_throttled ? quota_state_name(state) : "");
}

bool account_judge(
	struct account *account, const struct ledger *ledger, const struct account_time *time)
{
	const struct quota_orders orders = {
		.is_paused = account->orders.is_paused,
		.cap_bytes = account->ordered_cap_bytes,
		.is_let_go_day = account->orders.let_go_day == time->today,
		.is_let_go_month =
			account->orders.let_go_month == calendar_month_start(time->today),
	};
	struct quota_used used = read_used(account, ledger, time->today);
	struct quota_state state = quota_judge(
		&account->limits, &orders, &used, calendar_week_minute(time->zone, time->unix_us));
	bool has_changed = state.cap_bytes != account->state.cap_bytes;
	log_change(account, &state, &used);
	account->state = state;
	destination_set_cap(account->destination, state.cap_bytes);
	return has_changed;
}

/* --- orders ------------------------------------------------------------------------------------
 */

void account_order_pause(struct account *account)
{
	account->orders.is_paused = true;
	account->orders.let_go_day = CALENDAR_NEVER;
	account->orders.let_go_month = CALENDAR_NEVER;
}

void account_order_resume(struct account *account, const struct ledger *ledger, calendar_day today)
{
	const struct quota_limits *limits = &account->limits;
	struct quota_used used = read_used(account, ledger, today);
	account->orders.is_paused = false;
	if (limits->daily_bytes != 0 && used.day_bytes >= limits->daily_bytes) {
		account->orders.let_go_day = today;
	}
	if (limits->monthly_bytes != 0 && used.month_bytes >= limits->monthly_bytes) {
		account->orders.let_go_month = calendar_month_start(today);
	}
}

void account_order_cap(struct account *account, uint64_t bytes_per_second)
{
	account->ordered_cap_bytes = bytes_per_second;
}

struct account_orders account_orders(const struct account *account)
{
	return account->orders;
}

void account_restore_orders(struct account *account, const struct account_orders *orders)
{
	account->orders = *orders;
}

/* --- statistics --------------------------------------------------------------------------------
 */

/* Today's bytes alone would make the first minutes of the first day look like a flood, so the pace
 * is over a day at least. */
static struct quota_pace read_pace(
	const struct account *account, const struct ledger *ledger, const struct account_time *time)
{
	struct ledger_row row;
	ledger_sum(ledger, account_name(account), time->today - PACE_DAYS, time->today + 1, &row);
	if (row.day > time->today) {
		return (struct quota_pace){0};
	}
	int64_t began_us = calendar_day_start_us(time->zone, row.day);
	int64_t seconds = (time->unix_us - began_us) / US;
	return (struct quota_pace){
		.bytes = row.counts.bytes[METER_BILLED_SENT],
		.seconds = seconds > DAY_SECONDS ? seconds : DAY_SECONDS,
	};
}

static void read_forecast(const struct account *account, const struct ledger *ledger,
	const struct account_time *time, struct destination_stats *stats)
{
	struct quota_pace pace = read_pace(account, ledger, time);
	int64_t month_end_us = calendar_day_start_us(time->zone, calendar_month_end(time->today));
	int64_t seconds_left = (month_end_us - time->unix_us) / US;
	int64_t to_limit = quota_seconds_to_limit(
		stats->used.month_bytes, account->limits.monthly_bytes, &pace);
	stats->forecast_bytes = quota_forecast(stats->used.month_bytes, &pace, seconds_left);
	stats->has_limit_day = to_limit >= 0 && to_limit < seconds_left;
	if (stats->has_limit_day) {
		stats->limit_day = calendar_day_at(time->zone, time->unix_us + to_limit * US);
	}
}

int64_t account_saved_nanos(const struct account *account, const struct ledger *ledger,
	calendar_day day, uint64_t saved_bytes)
{
	struct ledger_row month;
	ledger_sum(ledger, account_name(account), calendar_month_start(day), day + 1, &month);
	return price_of_more(&account->price, month.counts.bytes[METER_BILLED_SENT], saved_bytes);
}

void account_read_stats(const struct account *account, const struct ledger *ledger,
	const struct account_time *time, struct destination_stats *stats_out)
{
	struct destination_stats stats = {
		.is_configured = account->is_configured,
		.priority = destination_priority(account->destination),
		.counted = account->counted,
		.cost_nanos = account->cost_nanos,
		.state = account->state,
		.used = read_used(account, ledger, time->today),
		.daily_limit_bytes = account->limits.daily_bytes,
		.monthly_limit_bytes = account->limits.monthly_bytes,
		.warn_at_basis_points = account->limits.warn_at_basis_points,
	};
	struct ledger_row day, month;
	snprintf(stats.name, sizeof(stats.name), "%s", account_name(account));
	snprintf(stats.provider, sizeof(stats.provider), "%s", account->provider);
	ledger_sum(ledger, account_name(account), time->today, time->today + 1, &day);
	ledger_sum(ledger, account_name(account), calendar_month_start(time->today),
		calendar_month_end(time->today), &month);
	stats.day_cost_nanos = day.cost_nanos + day.cost_in_nanos;
	stats.month_cost_nanos = month.cost_nanos + month.cost_in_nanos;
	stats.saved_bytes = meter_saved(&month.counts);
	stats.saved_nanos = account_saved_nanos(account, ledger, time->today, stats.saved_bytes);
	meter_read_kinds(destination_meter(account->destination), &stats.kinds);
	read_forecast(account, ledger, time, &stats);
	*stats_out = stats;
}
