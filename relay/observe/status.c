/*
 * status: builds the JSON of /api/status; jansson escapes, and what is not known is null.
 */
#include "observe/status.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

#include "observe/usage.h"
#include "protocol/lsn.h"

static json_t *lsn_value(lsn_t lsn)
{
	char text[LSN_TEXT_SIZE];
	return lsn == LSN_INVALID ? json_null() : json_string(lsn_format(lsn, text));
}

static json_t *text_value(const char *text)
{
	return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *time_value(int64_t time_us)
{
	char text[64];
	struct tm parts;
	time_t seconds = (time_t)(time_us / 1000000);
	if (time_us <= 0) {
		return json_null();
	}
	gmtime_r(&seconds, &parts);
	size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	snprintf(text + length, sizeof(text) - length, ".%03dZ", (int)(time_us % 1000000 / 1000));
	return json_string(text);
}

static json_t *bytes_value(uint64_t bytes)
{
	return json_integer((json_int_t)bytes);
}

/* Takes value over. */
static void put(json_t *object, const char *key, json_t *value)
{
	int failed = json_object_set_new(object, key, value);
	assert(failed == 0);
}

static json_t *cluster_object(const struct snapshot *snapshot)
{
	char identifier[24];
	json_t *object = json_object();
	/* As text: numbers of this size lose digits in most readers of JSON. */
	snprintf(identifier, sizeof(identifier), "%" PRIu64, snapshot->identity.system_identifier);
	bool is_known = snapshot->identity.system_identifier != 0;
	put(object, "system_identifier", is_known ? json_string(identifier) : json_null());
	put(object, "wal_segment_bytes",
		is_known ? json_integer(snapshot->identity.segment_bytes) : json_null());
	put(object, "server_version", text_value(snapshot->parameters.server_version));
	return object;
}

static json_t *upstream_object(const struct snapshot *snapshot)
{
	const struct upstream_stats *upstream = &snapshot->upstream;
	json_t *object = json_object();
	put(object, "state", json_string(upstream_state_name(upstream->state)));
	put(object, "state_since", time_value(upstream->state_since_us));
	put(object, "host", text_value(upstream->host));
	put(object, "port", text_value(upstream->port));
	put(object, "slot", text_value(upstream->slot));
	put(object, "last_error", text_value(upstream->last_error));
	put(object, "has_gap", json_boolean(upstream->has_gap));
	put(object, "has_diverged", json_boolean(upstream->has_diverged));
	put(object, "last_message", time_value(upstream->last_message_us));
	put(object, "server_end_lsn", lsn_value(upstream->server_end_lsn));
	put(object, "reconnects", bytes_value(upstream->reconnects));
	put(object, "wal_bytes", bytes_value(upstream->wal_bytes));
	put(object, "wire_bytes", bytes_value(upstream->wire_bytes));
	/* -1: no limit; null: not known. */
	put(object, "max_slot_wal_keep_bytes",
		upstream->max_slot_wal_keep_bytes < -1
			? json_null()
			: json_integer(upstream->max_slot_wal_keep_bytes));
	return object;
}

static json_t *spool_object(const struct snapshot *snapshot)
{
	const struct wal_store_stats *store = &snapshot->store;
	json_t *object = json_object();
	put(object, "timeline", store->tli == 0 ? json_null() : json_integer(store->tli));
	put(object, "oldest_lsn", lsn_value(store->oldest_lsn));
	put(object, "received_lsn", lsn_value(store->received_lsn));
	put(object, "flushed_lsn", lsn_value(store->flushed_lsn));
	put(object, "bytes", bytes_value(store->spool_bytes));
	put(object, "disk_free_bytes", bytes_value(store->disk_free_bytes));
	put(object, "appended_bytes", bytes_value(store->appended_bytes));
	put(object, "flushes", bytes_value(store->flushes));
	put(object, "horizon_lsn", lsn_value(store->horizon_lsn));
	put(object, "horizon_reason", text_value(store->horizon_reason));
	put(object, "is_full", json_boolean(store->is_full));
	put(object, "full_reason", text_value(store->full_reason));
	return object;
}

static void put_progress(
	json_t *object, const struct snapshot *snapshot, const struct standby_stats *standby)
{
	bool is_streaming = snapshot_is_streaming(standby);
	put(object, "timeline", standby->tli == 0 ? json_null() : json_integer(standby->tli));
	put(object, "sent_lsn", lsn_value(standby->sent_lsn));
	put(object, "write_lsn", lsn_value(standby->write_lsn));
	put(object, "flush_lsn", lsn_value(standby->flush_lsn));
	put(object, "replay_lsn", lsn_value(standby->replay_lsn));
	put(object, "lag_bytes",
		is_streaming ? bytes_value(snapshot_lag_bytes(snapshot, standby)) : json_null());
	put(object, "replay_lag_seconds",
		is_streaming && standby->replay_lag_us >= 0
			? json_real((double)standby->replay_lag_us / 1e6)
			: json_null());
}

static json_t *standby_object(const struct snapshot *snapshot, const struct standby_stats *standby)
{
	json_t *object = json_object();
	put(object, "pid", json_integer(standby->pid));
	put(object, "user", json_string(standby->user));
	put(object, "application_name", json_string(standby->application_name));
	put(object, "peer", json_string(standby->peer));
	put(object, "slot", text_value(standby->slot));
	put(object, "destination", json_string(standby->destination));
	put(object, "state", json_string(standby_state_name(standby->state)));
	put_progress(object, snapshot, standby);
	put(object, "connected_at", time_value(standby->connected_at_us));
	put(object, "last_reply_at", time_value(standby->last_reply_at_us));
	put(object, "is_link", json_boolean(standby->is_link));
	put(object, "link_reach_bytes",
		standby->is_link ? bytes_value(standby->link_reach_bytes) : json_null());
	put(object, "wal_bytes", bytes_value(standby->wal_bytes));
	put(object, "wire_sent_bytes", bytes_value(standby->wire_sent_bytes));
	put(object, "wire_received_bytes", bytes_value(standby->wire_received_bytes));
	put(object, "backup_bytes", bytes_value(standby->backup_bytes));
	return object;
}

static uint64_t percent_of_images(const struct shared_encoder_stats *link)
{
	uint64_t images = link->sent[LINK_KIND_IMAGE_REFERRED] + link->sent[LINK_KIND_IMAGE_NEW] +
			  link->sent[LINK_KIND_IMAGE_COMPRESSED];
	return link->batch_bytes == 0 ? 0 : images * 100 / link->batch_bytes;
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
	json_t *kinds = json_object();
	for (int kind = 0; kind < LINK_KIND_COUNT; kind++) {
		json_t *bytes = json_object();
		put(bytes, "wal_bytes", bytes_value(link->raw[kind]));
		put(bytes, "encoded_bytes", bytes_value(link->sent[kind]));
		put(kinds, link_kind_name((enum link_kind)kind), bytes);
	}
	snprintf(summary, sizeof(summary),
		"%" PRIu64 " %% of what goes over links is full-page images",
		percent_of_images(link));
	put(object, "wal_bytes", bytes_value(link->raw_bytes));
	put(object, "encoded_bytes", bytes_value(link->batch_bytes));
	put(object, "batches", bytes_value(link->batches));
	put(object, "frames", bytes_value(link->frames));
	put(object, "encode_cpu_seconds", json_real((double)link->encode_cpu_us / 1e6));
	put(object, "level", json_integer(link->level));
	put(object, "chains", json_integer(link->chains));
	put(object, "cache_bytes", bytes_value(link->cache_bytes));
	put(object, "cache_hits", bytes_value(link->cache_hits));
	put(object, "cache_misses", bytes_value(link->cache_misses));
	put(object, "plain_requests", bytes_value(link->plain_requests));
	put(object, "kinds", kinds);
	put(object, "summary", json_string(summary));
	return object;
}

/* null: the stream is plain. */
static json_t *upstream_link_value(const struct upstream_stats *upstream)
{
	if (upstream->link_version == 0) {
		return json_null();
	}
	json_t *object = json_object();
	put(object, "version", json_integer(upstream->link_version));
	put(object, "wal_bytes", bytes_value(upstream->link_raw_bytes));
	put(object, "encoded_bytes", bytes_value(upstream->link_batch_bytes));
	put(object, "batches", bytes_value(upstream->link_batches));
	put(object, "plain_requests", bytes_value(upstream->link_plain_requests));
	put(object, "decode_cpu_seconds", json_real((double)upstream->link_decode_us / 1e6));
	return object;
}

static json_t *slot_object(const struct snapshot *snapshot, const struct slot_stats *slot)
{
	json_t *object = json_object();
	put(object, "name", json_string(slot->name));
	put(object, "temporary", json_boolean(slot->temporary));
	put(object, "active_pid",
		slot->active_pid == 0 ? json_null() : json_integer(slot->active_pid));
	put(object, "restart_lsn", lsn_value(slot->restart_lsn));
	put(object, "restart_timeline",
		slot->restart_tli == 0 ? json_null() : json_integer(slot->restart_tli));
	put(object, "lost", json_boolean(slot->lost));
	put(object, "retained_bytes", bytes_value(snapshot_retained_bytes(snapshot, slot)));
	return object;
}

static json_t *pin_object(const struct snapshot *snapshot, const struct pin_stats *pin)
{
	json_t *object = json_object();
	put(object, "name", json_string(pin->name));
	put(object, "lsn", lsn_value(pin->lsn));
	put(object, "created", time_value(pin->created_us));
	/* null: never. */
	put(object, "expires", time_value(pin->expires_us));
	put(object, "lost", json_boolean(pin->lost));
	put(object, "retained_bytes", bytes_value(snapshot_pinned_bytes(snapshot, pin)));
	return object;
}

char *status_format(const struct snapshot *snapshot)
{
	json_t *root = json_object();
	json_t *standbys = json_array();
	json_t *slots = json_array();
	json_t *pins = json_array();
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		json_array_append_new(standbys, standby_object(snapshot, &snapshot->standbys[i]));
	}
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		json_array_append_new(slots, slot_object(snapshot, &snapshot->slots[i]));
	}
	for (size_t i = 0; i < snapshot->pin_count; i++) {
		json_array_append_new(pins, pin_object(snapshot, &snapshot->pins[i]));
	}
	put(root, "name", json_string(snapshot->relay_name));
	put(root, "version", json_string(WALRELAY_VERSION));
	put(root, "time", time_value(snapshot->time_us));
	put(root, "cluster", cluster_object(snapshot));
	put(root, "upstream", upstream_object(snapshot));
	put(root, "spool", spool_object(snapshot));
	put(root, "connections", bytes_value(snapshot->connection_count));
	put(root, "link", link_value(snapshot));
	put(root, "upstream_link", upstream_link_value(&snapshot->upstream));
	put(root, "standbys", standbys);
	put(root, "destinations", usage_destinations(snapshot));
	put(root, "currency", json_string(snapshot->currency));
	put(root, "time_zone", json_string(snapshot->time_zone));
	put(root, "slots", slots);
	put(root, "pins", pins);
	char *text = json_dumps(root, JSON_INDENT(2));
	assert(text != NULL);
	json_decref(root);
	return text;
}
