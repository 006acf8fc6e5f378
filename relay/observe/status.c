/*
 * status: builds the JSON of /api/status; jansson escapes, and what is not known is null.
 */
#include "observe/status.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "observe/history_json.h"
#include "observe/json_values.h"
#include "observe/link_kinds.h"
#include "observe/promotion.h"
#include "observe/slot_outlook.h"
#include "observe/status_alerts.h"
#include "observe/usage.h"

static json_t *cluster_object(const struct snapshot *snapshot)
{
	char identifier[24];
	json_t *object = json_object();
	/* As text: numbers of this size lose digits in most readers of JSON. */
	snprintf(identifier, sizeof(identifier), "%" PRIu64, snapshot->identity.system_identifier);
	bool is_known = snapshot->identity.system_identifier != 0;
	json_put(object, "system_identifier", is_known ? json_string(identifier) : json_null());
	json_put(object, "wal_segment_bytes",
		is_known ? json_integer(snapshot->identity.segment_bytes) : json_null());
	json_put(object, "server_version", json_text(snapshot->parameters.server_version));
	return object;
}

static json_t *upstream_object(const struct snapshot *snapshot)
{
	const struct upstream_stats *upstream = &snapshot->upstream;
	json_t *object = json_object();
	json_put(object, "state", json_string(upstream_state_name(upstream->state)));
	json_put(object, "state_since", json_time(upstream->state_since_us));
	json_put(object, "host", json_text(upstream->host));
	json_put(object, "port", json_text(upstream->port));
	json_put(object, "slot", json_text(upstream->slot));
	json_put(object, "page_url", json_text(upstream->page_url));
	json_put(object, "last_error", json_text(upstream->last_error));
	json_put(object, "has_gap", json_boolean(upstream->has_gap));
	json_put(object, "has_diverged", json_boolean(upstream->has_diverged));
	json_put(object, "last_message", json_time(upstream->last_message_us));
	json_put(object, "server_end_lsn", json_lsn(upstream->server_end_lsn));
	json_put(object, "acknowledges_alone", json_boolean(upstream->is_acknowledging_alone));
	json_put(object, "reconnects", json_bytes(upstream->reconnects));
	json_put(object, "wal_bytes", json_bytes(upstream->wal_bytes));
	json_put(object, "wire_bytes", json_bytes(upstream->wire_bytes));
	json_put(object, "behind_bytes",
		upstream->server_end_lsn == LSN_INVALID
			? json_null()
			: json_bytes(snapshot_behind_bytes(snapshot)));
	json_put(object, "wal_bytes_per_second", json_rate(snapshot->upstream_pace.wal_per_second));
	json_put(object, "wire_bytes_per_second",
		json_rate(snapshot->upstream_pace.wire_per_second));
	json_put(
		object, "catch_up_seconds", json_seconds(snapshot->upstream_pace.catch_up_seconds));
	/* -1: no limit; null: not known. */
	json_put(object, "max_slot_wal_keep_bytes",
		upstream->max_slot_wal_keep_bytes < -1
			? json_null()
			: json_integer(upstream->max_slot_wal_keep_bytes));
	return object;
}

static json_t *spool_object(const struct snapshot *snapshot)
{
	const struct wal_store_stats *store = &snapshot->store;
	json_t *object = json_object();
	json_put(object, "timeline", store->tli == 0 ? json_null() : json_integer(store->tli));
	json_put(object, "oldest_lsn", json_lsn(store->oldest_lsn));
	json_put(object, "received_lsn", json_lsn(store->received_lsn));
	json_put(object, "flushed_lsn", json_lsn(store->flushed_lsn));
	json_put(object, "bytes", json_bytes(store->spool_bytes));
	json_put(object, "disk_free_bytes", json_bytes(store->disk_free_bytes));
	json_put(object, "appended_bytes", json_bytes(store->appended_bytes));
	json_put(object, "flushes", json_bytes(store->flushes));
	json_put(object, "horizon_lsn", json_lsn(store->horizon_lsn));
	json_put(object, "horizon_reason", json_text(store->horizon_reason));
	json_put(object, "lost_timeline",
		store->lost_tli == 0 ? json_null() : json_integer(store->lost_tli));
	json_put(object, "lost_from_lsn", json_lsn(store->lost_from_lsn));
	json_put(object, "lost_to_lsn", json_lsn(store->lost_to_lsn));
	json_put(object, "lost_bytes", json_bytes(store->lost_bytes));
	json_put(object, "is_full", json_boolean(store->is_full));
	json_put(object, "full_reason", json_text(store->full_reason));
	return object;
}

static json_t *lag_value(bool is_streaming, int64_t lag_us)
{
	return is_streaming && lag_us >= 0 ? json_real((double)lag_us / 1e6) : json_null();
}

static void put_progress(
	json_t *object, const struct snapshot *snapshot, const struct standby_stats *standby)
{
	bool is_streaming = snapshot_is_streaming(standby);
	json_put(object, "timeline", standby->tli == 0 ? json_null() : json_integer(standby->tli));
	json_put(object, "sent_lsn", json_lsn(standby->sent_lsn));
	json_put(object, "write_lsn", json_lsn(standby->write_lsn));
	json_put(object, "flush_lsn", json_lsn(standby->flush_lsn));
	json_put(object, "replay_lsn", json_lsn(standby->replay_lsn));
	json_put(object, "lag_bytes",
		is_streaming ? json_bytes(snapshot_lag_bytes(snapshot, standby)) : json_null());
	json_put(object, "write_lag_seconds", lag_value(is_streaming, standby->write_lag_us));
	json_put(object, "flush_lag_seconds", lag_value(is_streaming, standby->flush_lag_us));
	json_put(object, "replay_lag_seconds", lag_value(is_streaming, standby->replay_lag_us));
}

/* null: none passes through. */
static json_t *backup_value(const struct standby_stats *standby, const struct standby_pace *pace)
{
	const struct standby_backup *backup = &standby->backup;
	if (backup->phase == BACKUP_PHASE_NONE) {
		return json_null();
	}
	json_t *object = json_object();
	json_put(object, "phase", json_string(backup_phase_name(backup->phase)));
	json_put(object, "done_bytes", json_bytes(backup->done_bytes));
	json_put(object, "total_bytes",
		backup->total_bytes == 0 ? json_null() : json_bytes(backup->total_bytes));
	json_put(object, "bytes_per_second", json_rate(pace->backup_per_second));
	json_put(object, "seconds_left", json_seconds(pace->backup_seconds));
	return object;
}

static json_t *standby_object(const struct snapshot *snapshot, size_t index)
{
	const struct standby_stats *standby = &snapshot->standbys[index];
	const struct standby_pace *pace = &snapshot->standby_paces[index];
	json_t *object = json_object();
	json_put(object, "pid", json_integer(standby->pid));
	json_put(object, "user", json_string(standby->user));
	json_put(object, "application_name", json_string(standby->application_name));
	json_put(object, "peer", json_string(standby->peer));
	json_put(object, "slot", json_text(standby->slot));
	json_put(object, "destination", json_string(standby->destination));
	json_put(object, "state", json_string(standby_state_name(standby->state)));
	put_progress(object, snapshot, standby);
	json_put(object, "connected_at", json_time(standby->connected_at_us));
	json_put(object, "last_reply_at", json_time(standby->last_reply_at_us));
	json_put(object, "is_link", json_boolean(standby->is_link));
	json_put(object, "link_lanes",
		standby->is_link ? json_integer(standby->link_lanes) : json_null());
	json_put(object, "link_reach_bytes",
		standby->is_link ? json_bytes(standby->link_reach_bytes) : json_null());
	json_put(object, "wal_bytes", json_bytes(standby->wal_bytes));
	json_put(object, "wire_sent_bytes", json_bytes(standby->wire_sent_bytes));
	json_put(object, "wire_received_bytes", json_bytes(standby->wire_received_bytes));
	json_put(object, "backup_bytes", json_bytes(standby->backup_bytes));
	json_put(object, "wal_bytes_per_second", json_rate(pace->wal_per_second));
	json_put(object, "wire_bytes_per_second", json_rate(pace->wire_per_second));
	json_put(object, "catch_up_seconds", json_seconds(pace->catch_up_seconds));
	json_put(object, "backup", backup_value(standby, pace));
	return object;
}

/* null: no links are offered. */
static json_t *link_value(const struct snapshot *snapshot)
{
	const struct shared_encoder_stats *link = &snapshot->link;
	char summary[80];
	if (!snapshot->is_link_offered) {
		return json_null();
	}
	json_t *object = json_object();
	snprintf(summary, sizeof(summary), "%u %% of what goes over links is full-page images",
		link_kinds_percent_of_images(link->sent, link->batch_bytes));
	json_put(object, "wal_bytes", json_bytes(link->raw_bytes));
	json_put(object, "encoded_bytes", json_bytes(link->batch_bytes));
	json_put(object, "batches", json_bytes(link->batches));
	json_put(object, "frames", json_bytes(link->frames));
	json_put(object, "encode_cpu_seconds", json_real((double)link->encode_cpu_us / 1e6));
	json_put(object, "level", json_integer(link->level));
	json_put(object, "encoders", json_integer(link->encoders));
	json_put(object, "cache_bytes", json_bytes(link->cache_bytes));
	json_put(object, "cache_hits", json_bytes(link->cache_hits));
	json_put(object, "cache_misses", json_bytes(link->cache_misses));
	json_put(object, "plain_requests", json_bytes(link->plain_requests));
	json_put(object, "kinds", link_kinds_object(link->raw, link->sent));
	json_put(object, "summary", json_string(summary));
	return object;
}

/* null: the stream is plain. */
static json_t *upstream_link_value(const struct upstream_stats *upstream)
{
	if (upstream->link_version == 0) {
		return json_null();
	}
	json_t *object = json_object();
	json_put(object, "version", json_integer(upstream->link_version));
	json_put(object, "lanes", json_integer(upstream->link_lanes));
	json_put(object, "wal_bytes", json_bytes(upstream->link_raw_bytes));
	json_put(object, "encoded_bytes", json_bytes(upstream->link_batch_bytes));
	json_put(object, "batches", json_bytes(upstream->link_batches));
	json_put(object, "plain_requests", json_bytes(upstream->link_plain_requests));
	json_put(object, "decode_cpu_seconds", json_real((double)upstream->link_decode_us / 1e6));
	return object;
}

/* null: max_size sets no bounds, or it holds nothing. */
static void put_outlook(
	json_t *object, const struct snapshot *snapshot, const struct slot_stats *slot)
{
	struct slot_outlook outlook;
	slot_outlook_find(snapshot, slot->restart_lsn, slot->lost, &outlook);
	const char *status = slot_wal_status_name(outlook.status);
	json_put(object, "wal_status", status == NULL ? json_null() : json_string(status));
	json_put(object, "safe_wal_bytes",
		outlook.has_limit ? json_bytes(outlook.safe_bytes) : json_null());
	json_put(object, "safe_seconds", json_seconds(outlook.safe_seconds));
}

static json_t *slot_object(const struct snapshot *snapshot, const struct slot_stats *slot)
{
	json_t *object = json_object();
	json_put(object, "name", json_string(slot->name));
	json_put(object, "temporary", json_boolean(slot->temporary));
	json_put(object, "active_pid",
		slot->active_pid == 0 ? json_null() : json_integer(slot->active_pid));
	json_put(object, "restart_lsn", json_lsn(slot->restart_lsn));
	json_put(object, "restart_timeline",
		slot->restart_tli == 0 ? json_null() : json_integer(slot->restart_tli));
	json_put(object, "lost", json_boolean(slot->lost));
	json_put(object, "retained_bytes", json_bytes(snapshot_retained_bytes(snapshot, slot)));
	put_outlook(object, snapshot, slot);
	return object;
}

static json_t *pin_object(const struct snapshot *snapshot, const struct pin_stats *pin)
{
	json_t *object = json_object();
	json_put(object, "name", json_string(pin->name));
	json_put(object, "lsn", json_lsn(pin->lsn));
	json_put(object, "created", json_time(pin->created_us));
	/* null: never. */
	json_put(object, "expires", json_time(pin->expires_us));
	json_put(object, "lost", json_boolean(pin->lost));
	json_put(object, "retained_bytes", json_bytes(snapshot_pinned_bytes(snapshot, pin)));
	return object;
}

static json_t *candidate_object(const struct promotion_candidate *candidate)
{
	const struct standby_stats *standby = candidate->standby;
	bool is_known = candidate->is_known;
	json_t *object = json_object();
	json_put(
		object, "rank", candidate->rank == 0 ? json_null() : json_integer(candidate->rank));
	json_put(object, "pid", json_integer(standby->pid));
	json_put(object, "application_name", json_string(standby->application_name));
	json_put(object, "peer", json_string(standby->peer));
	json_put(object, "kind", json_string(promotion_kind_name(candidate->kind)));
	json_put(object, "timeline", standby->tli == 0 ? json_null() : json_integer(standby->tli));
	json_put(object, "flush_lsn", json_lsn(standby->flush_lsn));
	json_put(object, "replay_lsn", json_lsn(standby->replay_lsn));
	json_put(object, "missing_bytes",
		is_known ? json_bytes(candidate->missing_bytes) : json_null());
	json_put(object, "would_lose_bytes",
		is_known ? json_bytes(candidate->would_lose_bytes) : json_null());
	json_put(object, "drained", json_boolean(candidate->is_drained));
	return object;
}

/* As SHOW PROMOTION: the one to promote first. */
static json_t *promotion_array(const struct snapshot *snapshot)
{
	struct promotion_candidate *candidates =
		memory_new((snapshot->standby_count + 1) * sizeof(*candidates));
	json_t *array = json_array();
	size_t count = promotion_rank(snapshot, candidates);
	for (size_t i = 0; i < count; i++) {
		json_array_append_new(array, candidate_object(&candidates[i]));
	}
	free(candidates);
	return array;
}

char *status_format(const struct snapshot *snapshot, const struct history *history)
{
	json_t *root = json_object();
	json_t *standbys = json_array();
	json_t *slots = json_array();
	json_t *pins = json_array();
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		json_array_append_new(standbys, standby_object(snapshot, i));
	}
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		json_array_append_new(slots, slot_object(snapshot, &snapshot->slots[i]));
	}
	for (size_t i = 0; i < snapshot->pin_count; i++) {
		json_array_append_new(pins, pin_object(snapshot, &snapshot->pins[i]));
	}
	json_put(root, "name", json_string(snapshot->relay_name));
	json_put(root, "version", json_string(WALRELAY_VERSION));
	json_put(root, "time", json_time(snapshot->time_us));
	json_put(root, "cluster", cluster_object(snapshot));
	json_put(root, "upstream", upstream_object(snapshot));
	json_put(root, "spool", spool_object(snapshot));
	json_put(root, "connections", json_bytes(snapshot->connection_count));
	json_put(root, "link", link_value(snapshot));
	json_put(root, "upstream_link", upstream_link_value(&snapshot->upstream));
	json_put(root, "standbys", standbys);
	json_put(root, "destinations", usage_destinations(snapshot));
	json_put(root, "currency", json_string(snapshot->currency));
	json_put(root, "time_zone", json_string(snapshot->time_zone));
	json_put(root, "slots", slots);
	json_put(root, "pins", pins);
	json_put(root, "drained", json_boolean(promotion_is_drained(snapshot)));
	json_put(root, "promotion", promotion_array(snapshot));
	json_put(root, "alerts", status_alerts(snapshot));
	json_put(root, "alert_channels", status_alert_channels(snapshot));
	if (history != NULL) {
		json_put(root, "history", history_json(history));
	}
	char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	assert(text != NULL);
	json_decref(root);
	return text;
}
