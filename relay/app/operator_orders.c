/*
 * operator_orders: each order is a call or two to who carries it out.
 */
#include "app/operator_orders.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/wall_clock.h"
#include "destination/destinations.h"
#include "downstream/downstream.h"
#include "observe/console.h"
#include "spool/pins.h"
#include "spool/slots.h"
#include "spool/wal_store.h"
#include "upstream/upstream.h"

struct operator_orders {
	struct operator_options options;
	struct snapshot_sources sources;
	struct console *console;
};

static bool reload(void *context, struct error *err)
{
	struct operator_orders *ours = context;
	return ours->options.reload(ours->options.context, err);
}

/* --- destinations: whoever waits for his turn is told to ask anew ------------------------------
 */

static bool tell_caps(struct operator_orders *ours, bool is_done)
{
	if (is_done) {
		downstream_tell_caps(ours->sources.downstream);
	}
	return is_done;
}

static bool pause_destination(void *context, const char *destination)
{
	struct operator_orders *ours = context;
	return tell_caps(ours, destinations_pause(ours->sources.destinations, destination));
}

static bool resume_destination(void *context, const char *destination)
{
	struct operator_orders *ours = context;
	return tell_caps(ours, destinations_resume(ours->sources.destinations, destination));
}

static bool set_cap(void *context, const char *destination, uint64_t bytes_per_second)
{
	struct operator_orders *ours = context;
	return tell_caps(ours,
		destinations_set_cap(ours->sources.destinations, destination, bytes_per_second));
}

/* --- what holds WAL ----------------------------------------------------------------------------
 */

static bool drop_slot(
	void *context, const char *name, console_done *done, void *done_context, struct error *err)
{
	struct operator_orders *ours = context;
	return slots_drop(ours->sources.slots, name, 0, done, done_context, err);
}

/* What went already cannot be kept. */
static bool is_there(struct operator_orders *ours, lsn_t lsn, struct error *err)
{
	struct wal_store_stats stats;
	wal_store_read_stats(ours->sources.store, &stats);
	if (lsn == LSN_INVALID) {
		error_set(err, ERROR_INVALID, "the spool is empty");
		return error_sqlstate(err, "55000");
	}
	if (stats.tli != 0 && lsn < stats.oldest_lsn) {
		error_set(err, ERROR_NOT_FOUND,
			"requested WAL at " LSN_FORMAT " has already been removed", LSN_ARGS(lsn));
		error_detail(err, "The oldest WAL that is held begins at " LSN_FORMAT ".",
			LSN_ARGS(stats.oldest_lsn));
		return error_sqlstate(err, "58P01");
	}
	return true;
}

static bool add_pin(void *context, const char *name, lsn_t lsn, int64_t for_us, console_done *done,
	void *done_context, struct error *err)
{
	struct operator_orders *ours = context;
	int64_t now_us = wall_clock_unix_us();
	int64_t ends_us = now_us + (for_us > 0 ? for_us : PIN_USUAL_US);
	if (lsn == LSN_INVALID) {
		lsn = wal_store_redo(ours->sources.store).lsn;
	}
	return is_there(ours, lsn, err) &&
	       pins_add(ours->sources.pins, name, lsn, now_us, ends_us, done, done_context, err);
}

static bool drop_pin(
	void *context, const char *name, console_done *done, void *done_context, struct error *err)
{
	struct operator_orders *ours = context;
	return pins_drop(ours->sources.pins, name, done, done_context, err);
}

/* --- connections -------------------------------------------------------------------------------
 */

static void kill_standby(void *context, uint32_t pid)
{
	struct operator_orders *ours = context;
	downstream_kill(ours->sources.downstream, pid);
}

static bool skip(
	void *context, lsn_t lsn, console_done *done, void *done_context, struct error *err)
{
	struct operator_orders *ours = context;
	(void)err;
	upstream_skip(ours->sources.upstream, lsn, done, done_context);
	return true;
}

/* --- the configuration -------------------------------------------------------------------------
 */

static void each_setting(void *context, console_setting_visit *visit, void *visit_context)
{
	struct operator_orders *ours = context;
	config_each(ours->options.config(ours->options.context), visit, visit_context);
}

/* --- life --------------------------------------------------------------------------------------
 */

static const char *admin_users(const struct operator_orders *orders)
{
	return orders->options.config(orders->options.context)->relay.admin_users;
}

struct operator_orders *operator_orders_new(const struct operator_options *options)
{
	struct operator_orders *ours = memory_new(sizeof(*ours));
	const struct console_orders orders = {
		.context = ours,
		.reload = reload,
		.pause = pause_destination,
		.resume = resume_destination,
		.set_cap = set_cap,
		.drop_slot = drop_slot,
		.kill = kill_standby,
		.skip = skip,
		.add_pin = add_pin,
		.drop_pin = drop_pin,
		.each_setting = each_setting,
	};
	ours->options = *options;
	const struct console_options console = {
		.loop = options->loop,
		.cluster = options->cluster,
		.admin_users = admin_users(ours),
		.orders = &orders,
	};
	ours->console = console_new(&console);
	return ours;
}

void operator_orders_free(struct operator_orders **orders)
{
	if (*orders != NULL) {
		console_free(&(*orders)->console);
		free(*orders);
		*orders = NULL;
	}
}

void operator_orders_connect(struct operator_orders *orders, const struct snapshot_sources *sources)
{
	orders->sources = *sources;
	console_set_sources(orders->console, sources);
}

void operator_orders_reload(struct operator_orders *orders)
{
	console_set_admins(orders->console, admin_users(orders));
}

const struct console_service *operator_orders_console(const struct operator_orders *orders)
{
	return console_interface(orders->console);
}
