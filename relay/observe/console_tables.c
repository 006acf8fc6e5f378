/*
 * console_tables: columns, and one function a table that fills them.
 */
#include "observe/console_tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "observe/console_promotion.h"
#include "observe/slot_outlook.h"
#include "observe/usage.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- columns -----------------------------------------------------------------------------------
 */

static const struct pg_typed_column upstream_columns[] = {
	{"state", PG_TYPE_TEXT},
	{"state_since", PG_TYPE_TIMESTAMPTZ},
	{"host", PG_TYPE_TEXT},
	{"port", PG_TYPE_TEXT},
	{"slot_name", PG_TYPE_NAME},
	{"timeline", PG_TYPE_INT8},
	{"received_lsn", PG_TYPE_LSN},
	{"flushed_lsn", PG_TYPE_LSN},
	{"server_end_lsn", PG_TYPE_LSN},
	{"last_message", PG_TYPE_TIMESTAMPTZ},
	{"is_link", PG_TYPE_BOOL},
	{"wal_bytes", PG_TYPE_INT8},
	{"wire_bytes", PG_TYPE_INT8},
	{"reconnects", PG_TYPE_INT8},
	{"has_gap", PG_TYPE_BOOL},
	{"has_diverged", PG_TYPE_BOOL},
	{"system_identifier", PG_TYPE_TEXT},
	{"server_version", PG_TYPE_TEXT},
	{"last_error", PG_TYPE_TEXT},
};

/* Those of pg_stat_replication first. */
static const struct pg_typed_column standby_columns[] = {
	{"pid", PG_TYPE_INT4},
	{"usesysid", PG_TYPE_OID},
	{"usename", PG_TYPE_NAME},
	{"application_name", PG_TYPE_TEXT},
	{"client_addr", PG_TYPE_INET},
	{"client_hostname", PG_TYPE_TEXT},
	{"client_port", PG_TYPE_INT4},
	{"backend_start", PG_TYPE_TIMESTAMPTZ},
	{"backend_xmin", PG_TYPE_XID},
	{"state", PG_TYPE_TEXT},
	{"sent_lsn", PG_TYPE_LSN},
	{"write_lsn", PG_TYPE_LSN},
	{"flush_lsn", PG_TYPE_LSN},
	{"replay_lsn", PG_TYPE_LSN},
	{"write_lag", PG_TYPE_INTERVAL},
	{"flush_lag", PG_TYPE_INTERVAL},
	{"replay_lag", PG_TYPE_INTERVAL},
	{"sync_priority", PG_TYPE_INT4},
	{"sync_state", PG_TYPE_TEXT},
	{"reply_time", PG_TYPE_TIMESTAMPTZ},
	{"slot_name", PG_TYPE_NAME},
	{"timeline", PG_TYPE_INT8},
	{"lag_bytes", PG_TYPE_INT8},
	{"destination", PG_TYPE_TEXT},
	{"is_link", PG_TYPE_BOOL},
	{"wal_bytes", PG_TYPE_INT8},
	{"backup_bytes", PG_TYPE_INT8},
	{"wire_bytes", PG_TYPE_INT8},
	{"wire_received_bytes", PG_TYPE_INT8},
	{"compression_ratio", PG_TYPE_FLOAT8},
};

static const struct pg_typed_column destination_columns[] = {
	{"name", PG_TYPE_TEXT},
	{"provider", PG_TYPE_TEXT},
	{"priority", PG_TYPE_INT4},
	{"state", PG_TYPE_TEXT},
	{"standbys", PG_TYPE_INT8},
	{"rate_cap_bytes_per_second", PG_TYPE_INT8},
	{"used_day_bytes", PG_TYPE_INT8},
	{"daily_limit_bytes", PG_TYPE_INT8},
	{"used_month_bytes", PG_TYPE_INT8},
	{"monthly_limit_bytes", PG_TYPE_INT8},
	{"forecast_month_bytes", PG_TYPE_INT8},
	{"limit_reached_on", PG_TYPE_DATE},
	{"cost_day", PG_TYPE_FLOAT8},
	{"cost_month", PG_TYPE_FLOAT8},
	{"saved_month_bytes", PG_TYPE_INT8},
	{"saved_month_cost", PG_TYPE_FLOAT8},
	{"currency", PG_TYPE_TEXT},
	{"wal_bytes", PG_TYPE_INT8},
	{"backup_bytes", PG_TYPE_INT8},
	{"wire_bytes", PG_TYPE_INT8},
	{"wire_received_bytes", PG_TYPE_INT8},
	{"is_configured", PG_TYPE_BOOL},
};

static const struct pg_typed_column usage_columns[] = {
	{"destination", PG_TYPE_TEXT},
	{"day", PG_TYPE_DATE},
	{"wal_bytes", PG_TYPE_INT8},
	{"backup_bytes", PG_TYPE_INT8},
	{"wire_bytes", PG_TYPE_INT8},
	{"wire_received_bytes", PG_TYPE_INT8},
	{"billed_bytes", PG_TYPE_INT8},
	{"billed_received_bytes", PG_TYPE_INT8},
	{"cost", PG_TYPE_FLOAT8},
	{"saved_bytes", PG_TYPE_INT8},
	{"saved_cost", PG_TYPE_FLOAT8},
	{"currency", PG_TYPE_TEXT},
};

static const struct pg_typed_column slot_columns[] = {
	{"slot_name", PG_TYPE_NAME},
	{"temporary", PG_TYPE_BOOL},
	{"active", PG_TYPE_BOOL},
	{"active_pid", PG_TYPE_INT4},
	{"timeline", PG_TYPE_INT8},
	{"restart_lsn", PG_TYPE_LSN},
	{"retained_bytes", PG_TYPE_INT8},
	{"is_lost", PG_TYPE_BOOL},
	{"wal_status", PG_TYPE_TEXT},
	{"safe_wal_size", PG_TYPE_INT8},
	{"safe_time", PG_TYPE_INTERVAL},
};

static const struct pg_typed_column pin_columns[] = {
	{"pin_name", PG_TYPE_NAME},
	{"lsn", PG_TYPE_LSN},
	{"retained_bytes", PG_TYPE_INT8},
	{"created", PG_TYPE_TIMESTAMPTZ},
	{"expires", PG_TYPE_TIMESTAMPTZ},
	{"is_lost", PG_TYPE_BOOL},
};

static const struct pg_typed_column spool_columns[] = {
	{"item", PG_TYPE_TEXT},
	{"name", PG_TYPE_TEXT},
	{"lsn", PG_TYPE_LSN},
	{"bytes", PG_TYPE_INT8},
	{"detail", PG_TYPE_TEXT},
};

static const struct pg_typed_column config_columns[] = {
	{"section", PG_TYPE_TEXT},
	{"key", PG_TYPE_TEXT},
	{"value", PG_TYPE_TEXT},
	{"is_default", PG_TYPE_BOOL},
};

static const struct pg_typed_column version_columns[] = {{"version", PG_TYPE_TEXT}};
static const struct pg_typed_column help_columns[] = {
	{"command", PG_TYPE_TEXT}, {"purpose", PG_TYPE_TEXT}};
static const struct pg_typed_column number_columns[] = {{"?column?", PG_TYPE_INT4}};

bool console_table_columns(enum console_command_kind kind,
	const struct pg_typed_column **columns_out, size_t *count_out)
{
#define TABLE(columns)                                                                             \
	{                                                                                          \
		columns, COUNT(columns)                                                            \
	}
	static const struct {
		const struct pg_typed_column *columns;
		size_t count;
	} tables[CONSOLE_KINDS] = {
		[CONSOLE_SHOW_UPSTREAM] = TABLE(upstream_columns),
		[CONSOLE_SHOW_STANDBYS] = TABLE(standby_columns),
		[CONSOLE_SHOW_DESTINATIONS] = TABLE(destination_columns),
		[CONSOLE_SHOW_USAGE] = TABLE(usage_columns),
		[CONSOLE_SHOW_USAGE_BY_MONTH] = TABLE(usage_columns),
		[CONSOLE_SHOW_SLOTS] = TABLE(slot_columns),
		[CONSOLE_SHOW_PINS] = TABLE(pin_columns),
		[CONSOLE_SHOW_SPOOL] = TABLE(spool_columns),
		[CONSOLE_SHOW_PROMOTION] = {console_promotion_columns, CONSOLE_PROMOTION_COLUMNS},
		[CONSOLE_SHOW_CONFIG] = TABLE(config_columns),
		[CONSOLE_SHOW_VERSION] = TABLE(version_columns),
		[CONSOLE_SHOW_HELP] = TABLE(help_columns),
		[CONSOLE_SELECT_NUMBER] = TABLE(number_columns),
		[CONSOLE_SELECT_VERSION] = TABLE(version_columns),
	};
#undef TABLE
	assert((unsigned)kind < CONSOLE_KINDS);
	*columns_out = tables[kind].columns;
	*count_out = tables[kind].count;
	return tables[kind].count > 0;
}

/* --- rows --------------------------------------------------------------------------------------
 */

static void fill_upstream(const struct snapshot *snapshot, struct console_result *result)
{
	const struct upstream_stats *upstream = &snapshot->upstream;
	char identifier[24];
	snprintf(identifier, sizeof(identifier), "%llu",
		(unsigned long long)snapshot->identity.system_identifier);
	console_put_text(result, upstream_state_name(upstream->state));
	console_put_time(result, upstream->state_since_us);
	console_put_known(result, upstream->host);
	console_put_known(result, upstream->port);
	console_put_known(result, upstream->slot);
	console_put_number(
		result, snapshot->store.tli == 0 ? CONSOLE_NOT_KNOWN : snapshot->store.tli);
	console_put_lsn(result, snapshot->store.received_lsn);
	console_put_lsn(result, snapshot->store.flushed_lsn);
	console_put_lsn(result, upstream->server_end_lsn);
	console_put_time(result, upstream->last_message_us);
	console_put_bool(result, upstream->link_version != 0);
	console_put_number(result, upstream->wal_bytes);
	console_put_number(result, upstream->wire_bytes);
	console_put_number(result, upstream->reconnects);
	console_put_bool(result, upstream->has_gap);
	console_put_bool(result, upstream->has_diverged);
	console_put_text(result, snapshot->identity.system_identifier == 0 ? NULL : identifier);
	console_put_known(result, snapshot->parameters.server_version);
	console_put_known(result, upstream->last_error);
}

static void put_ratio(struct console_result *result, const struct standby_stats *standby)
{
	if (standby->wal_bytes == 0 || standby->wire_sent_bytes == 0) {
		console_put_null(result);
	} else {
		console_put_float(
			result, (double)standby->wal_bytes / (double)standby->wire_sent_bytes);
	}
}

/* Not known here, and null: the user's oid (a relay has names alone) and the host's name, which is
 * not looked up. sync_state is as of synchronous_standby_names = 'ANY N (*)' where standbys are
 * waited for (acknowledge = standbys N). */
static void put_standby(const struct snapshot *snapshot, const struct standby_stats *standby,
	struct console_result *result)
{
	bool is_streaming = snapshot_is_streaming(standby);
	bool is_waited_for = is_streaming && snapshot->upstream.acknowledge_standbys > 0;
	console_put_number(result, standby->pid);
	console_put_null(result);
	console_put_text(result, standby->user);
	console_put_text(result, standby->application_name);
	console_put_address(result, standby->peer);
	console_put_null(result);
	console_put_port(result, standby->peer);
	console_put_time(result, standby->connected_at_us);
	console_put_xid(result, (uint32_t)standby->xmin);
	console_put_text(result, standby_state_name(standby->state));
	console_put_lsn(result, standby->sent_lsn);
	console_put_lsn(result, standby->write_lsn);
	console_put_lsn(result, standby->flush_lsn);
	console_put_lsn(result, standby->replay_lsn);
	console_put_interval(result, standby->write_lag_us);
	console_put_interval(result, standby->flush_lag_us);
	console_put_interval(result, standby->replay_lag_us);
	console_put_number(result, is_waited_for ? 1 : 0);
	console_put_text(result, is_waited_for ? "quorum" : "async");
	console_put_time(result, standby->last_reply_at_us);
	console_put_known(result, standby->slot);
	console_put_number(result, standby->tli == 0 ? CONSOLE_NOT_KNOWN : standby->tli);
	console_put_number(
		result, is_streaming ? snapshot_lag_bytes(snapshot, standby) : CONSOLE_NOT_KNOWN);
	console_put_text(result, standby->destination);
	console_put_bool(result, standby->is_link);
	console_put_number(result, standby->wal_bytes);
	console_put_number(result, standby->backup_bytes);
	console_put_number(result, standby->wire_sent_bytes);
	console_put_number(result, standby->wire_received_bytes);
	put_ratio(result, standby);
}

static void fill_standbys(const struct snapshot *snapshot, struct console_result *result)
{
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		put_standby(snapshot, &snapshot->standbys[i], result);
	}
}

static size_t standbys_of(const struct snapshot *snapshot, const char *destination)
{
	size_t count = 0;
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		count += strcmp(snapshot->standbys[i].destination, destination) == 0;
	}
	return count;
}

static uint64_t limit_or_none(uint64_t bytes)
{
	return bytes == 0 ? CONSOLE_NOT_KNOWN : bytes;
}

static double money(int64_t nanos)
{
	return (double)nanos / 1e9;
}

static void put_destination(const struct snapshot *snapshot,
	const struct destination_stats *destination, struct console_result *result)
{
	const uint64_t *counted = destination->counted.bytes;
	console_put_text(result, destination->name);
	console_put_text(result, destination->provider);
	console_put_signed(result, destination->priority);
	console_put_text(result, quota_state_name(&destination->state));
	console_put_number(result, standbys_of(snapshot, destination->name));
	console_put_number(result, destination->state.cap_bytes == QUOTA_NO_CAP
					   ? CONSOLE_NOT_KNOWN
					   : destination->state.cap_bytes);
	console_put_number(result, destination->used.day_bytes);
	console_put_number(result, limit_or_none(destination->daily_limit_bytes));
	console_put_number(result, destination->used.month_bytes);
	console_put_number(result, limit_or_none(destination->monthly_limit_bytes));
	console_put_number(result, destination->forecast_bytes);
	if (destination->has_limit_day) {
		console_put_date(result, destination->limit_day);
	} else {
		console_put_null(result);
	}
	console_put_float(result, money(destination->day_cost_nanos));
	console_put_float(result, money(destination->month_cost_nanos));
	console_put_number(result, destination->saved_bytes);
	console_put_float(result, money(destination->saved_nanos));
	console_put_text(result, snapshot->currency);
	console_put_number(result, counted[METER_WAL]);
	console_put_number(result, counted[METER_BACKUP]);
	console_put_number(result, counted[METER_WIRE_SENT]);
	console_put_number(result, counted[METER_WIRE_RECEIVED]);
	console_put_bool(result, destination->is_configured);
}

static void fill_destinations(const struct snapshot *snapshot, struct console_result *result)
{
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		put_destination(snapshot, &snapshot->destinations[i], result);
	}
}

/* As pg_replication_slots; how long that is at the present pace of the WAL. */
static void put_outlook(const struct snapshot *snapshot, const struct slot_stats *slot,
	struct console_result *result)
{
	struct slot_outlook outlook;
	slot_outlook_find(snapshot, slot->restart_lsn, slot->lost, &outlook);
	console_put_text(result, slot_wal_status_name(outlook.status));
	console_put_number(
		result, outlook.has_limit && !slot->lost ? outlook.safe_bytes : CONSOLE_NOT_KNOWN);
	console_put_interval(
		result, outlook.safe_seconds < 0 ? -1 : (int64_t)(outlook.safe_seconds * 1e6));
}

static void fill_slots(const struct snapshot *snapshot, struct console_result *result)
{
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		const struct slot_stats *slot = &snapshot->slots[i];
		console_put_text(result, slot->name);
		console_put_bool(result, slot->temporary);
		console_put_bool(result, slot->active_pid != 0);
		console_put_number(
			result, slot->active_pid == 0 ? CONSOLE_NOT_KNOWN : slot->active_pid);
		console_put_number(
			result, slot->restart_tli == 0 ? CONSOLE_NOT_KNOWN : slot->restart_tli);
		console_put_lsn(result, slot->restart_lsn);
		console_put_number(result, snapshot_retained_bytes(snapshot, slot));
		console_put_bool(result, slot->lost);
		put_outlook(snapshot, slot, result);
	}
}

static void fill_pins(const struct snapshot *snapshot, struct console_result *result)
{
	for (size_t i = 0; i < snapshot->pin_count; i++) {
		const struct pin_stats *pin = &snapshot->pins[i];
		console_put_text(result, pin->name);
		console_put_lsn(result, pin->lsn);
		console_put_number(result, snapshot_pinned_bytes(snapshot, pin));
		console_put_time(result, pin->created_us);
		console_put_time(result, pin->expires_us);
		console_put_bool(result, pin->lost);
	}
}

/* --- the spool ---------------------------------------------------------------------------------
 */

static void put_item(struct console_result *result, const char *item, const char *name, lsn_t lsn,
	uint64_t bytes, const char *detail)
{
	console_put_text(result, item);
	console_put_known(result, name);
	console_put_lsn(result, lsn);
	console_put_number(result, bytes);
	console_put_known(result, detail);
}

static uint64_t bytes_behind(const struct snapshot *snapshot, lsn_t lsn)
{
	lsn_t end = snapshot->store.received_lsn;
	return lsn == LSN_INVALID ? CONSOLE_NOT_KNOWN : lsn < end ? end - lsn : 0;
}

static void put_slot_item(const struct snapshot *snapshot, const struct slot_stats *slot,
	struct console_result *result)
{
	const char *detail = slot->lost                         ? "lost: holds nothing"
			     : slot->restart_lsn == LSN_INVALID ? "holds nothing yet"
			     : slot->active_pid != 0            ? "active"
								: "nobody streams from it";
	lsn_t lsn = slot->lost ? LSN_INVALID : slot->restart_lsn;
	put_item(result, "slot", slot->name, lsn, bytes_behind(snapshot, lsn), detail);
}

/* Whole segments are kept, so what the horizon holds may begin before its holder. */
static void fill_spool(const struct snapshot *snapshot, struct console_result *result)
{
	const struct wal_store_stats *store = &snapshot->store;
	put_item(result, "disk", NULL, LSN_INVALID, store->spool_bytes,
		store->is_full ? store->full_reason : NULL);
	put_item(result, "free", NULL, LSN_INVALID, store->disk_free_bytes, NULL);
	put_item(result, "oldest", NULL, store->oldest_lsn,
		bytes_behind(snapshot, store->oldest_lsn), NULL);
	put_item(result, "checkpoint", NULL, store->redo_lsn,
		bytes_behind(snapshot, store->redo_lsn), "redo of the last one received");
	put_item(result, "horizon", NULL, store->horizon_lsn,
		bytes_behind(snapshot, store->horizon_lsn), store->horizon_reason);
	put_item(result, "received", NULL, store->received_lsn, 0, NULL);
	put_item(result, "flushed", NULL, store->flushed_lsn,
		bytes_behind(snapshot, store->flushed_lsn), NULL);
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		put_slot_item(snapshot, &snapshot->slots[i], result);
	}
	for (size_t i = 0; i < snapshot->pin_count; i++) {
		const struct pin_stats *pin = &snapshot->pins[i];
		put_item(result, "pin", pin->name, pin->lost ? LSN_INVALID : pin->lsn,
			snapshot_pinned_bytes(snapshot, pin),
			pin->lost ? "lost: holds nothing" : NULL);
	}
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		if (snapshot_is_streaming(standby)) {
			put_item(result, "standby", standby->application_name, standby->sent_lsn,
				bytes_behind(snapshot, standby->sent_lsn),
				standby_state_name(standby->state));
		}
	}
}

void console_table_fill(enum console_command_kind kind, const struct snapshot *snapshot,
	struct console_result *result)
{
	switch (kind) {
	case CONSOLE_SHOW_UPSTREAM: fill_upstream(snapshot, result); return;
	case CONSOLE_SHOW_STANDBYS: fill_standbys(snapshot, result); return;
	case CONSOLE_SHOW_DESTINATIONS: fill_destinations(snapshot, result); return;
	case CONSOLE_SHOW_SLOTS: fill_slots(snapshot, result); return;
	case CONSOLE_SHOW_PINS: fill_pins(snapshot, result); return;
	case CONSOLE_SHOW_SPOOL: fill_spool(snapshot, result); return;
	case CONSOLE_SHOW_PROMOTION: console_promotion_fill(snapshot, result); return;
	default: break;
	}
	assert(kind == CONSOLE_SHOW_PROMOTION);
}

/* --- what is not of the snapshot ---------------------------------------------------------------
 */

struct usage_filling {
	struct console_result *result;
	const char *currency;
};

static void put_usage(void *context, const struct usage_line *line)
{
	struct usage_filling *filling = context;
	struct console_result *result = filling->result;
	const uint64_t *bytes = line->counts.bytes;
	console_put_text(result, line->destination);
	console_put_date(result, line->day);
	console_put_number(result, bytes[METER_WAL]);
	console_put_number(result, bytes[METER_BACKUP]);
	console_put_number(result, bytes[METER_WIRE_SENT]);
	console_put_number(result, bytes[METER_WIRE_RECEIVED]);
	console_put_number(result, bytes[METER_BILLED_SENT]);
	console_put_number(result, bytes[METER_BILLED_RECEIVED]);
	console_put_float(result, money(line->cost_nanos + line->cost_in_nanos));
	console_put_number(result, line->saved_bytes);
	console_put_float(result, money(line->saved_nanos));
	console_put_text(result, filling->currency);
}

void console_table_fill_usage(bool by_month, const struct snapshot *snapshot,
	const struct destinations *destinations, struct console_result *result)
{
	struct usage_filling filling = {result, snapshot->currency};
	struct usage_request request;
	struct error err;
	bool ok = usage_request_read(NULL, NULL, by_month ? "month" : "day", NULL,
		destinations_today(destinations), &request, &err);
	assert(ok);
	const struct usage_query query = {
		.first = request.first, .end = request.last + 1, .by_month = by_month};
	destinations_usage(destinations, &query, put_usage, &filling);
}

void console_table_fill_help(struct console_result *result)
{
	const char *purpose, *form;
	for (size_t i = 0; (form = console_command_form(i, &purpose)) != NULL; i++) {
		console_put_text(result, form);
		console_put_text(result, purpose);
	}
}

void console_table_fill_version(struct console_result *result)
{
	console_put_text(result, "walrelay " WALRELAY_VERSION);
}
