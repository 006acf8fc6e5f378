/*
 * fake_readers: answers from one global struct that the test fills.
 */
#include "fake_readers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct fake_readers fake_readers;

void fake_readers_reset(void)
{
	memset(&fake_readers, 0, sizeof(fake_readers));
	fake_readers.upstream = (struct upstream_stats){
		.state = UPSTREAM_STREAMING,
		.host = "db1",
		.port = "5432",
		.slot = "walrelay_r",
		.state_since_us = 1767323045678000,
		.last_message_us = 1767323045678000,
		.reconnects = 3,
		.wal_bytes = 1000,
		.wire_bytes = 1100,
		.server_end_lsn = 0x3000100,
		.max_slot_wal_keep_bytes = -1,
	};
	fake_readers.store = (struct wal_store_stats){
		.tli = 2,
		.oldest_lsn = 0x1000000,
		.received_lsn = 0x3000100,
		.flushed_lsn = 0x3000060,
		.redo_lsn = 0x2800000,
		.spool_bytes = 50331648,
		.disk_free_bytes = 1234567890123,
		.horizon_lsn = 0x1000000,
		.horizon_reason = "retain_size",
	};
	fake_readers.identity.system_identifier = 7600000000000000001;
	fake_readers.identity.segment_bytes = 16777216;
	strcpy(fake_readers.parameters.server_version, "15.18");
	fake_readers_add_standby("s1", 101);
	fake_readers_add_destination("other");
}

struct standby_stats *fake_readers_add_standby(const char *application_name, uint32_t pid)
{
	assert(fake_readers.standby_count < FAKES_MAX);
	struct standby_stats *standby = &fake_readers.standbys[fake_readers.standby_count++];
	*standby = (struct standby_stats){
		.pid = pid,
		.user = "rep",
		.peer = "10.0.0.7:4321",
		.destination = "other",
		.state = STANDBY_STREAMING,
		.tli = 2,
		.sent_lsn = 0x3000100,
		.write_lsn = 0x3000100,
		.flush_lsn = 0x3000080,
		.replay_lsn = 0x3000000,
		.write_lag_us = 250000,
		.flush_lag_us = 500000,
		.replay_lag_us = 1500000,
	};
	snprintf(standby->application_name, sizeof(standby->application_name), "%s",
		application_name);
	return standby;
}

struct destination_stats *fake_readers_add_destination(const char *name)
{
	assert(fake_readers.destination_count < FAKES_MAX);
	struct destination_stats *destination =
		&fake_readers.destinations[fake_readers.destination_count++];
	*destination = (struct destination_stats){
		.provider = "other", .state = {.cap_bytes = QUOTA_NO_CAP}};
	snprintf(destination->name, sizeof(destination->name), "%s", name);
	return destination;
}

struct slot_stats *fake_readers_add_slot(const char *name, lsn_t restart_lsn)
{
	assert(fake_readers.slot_count < FAKES_MAX);
	struct slot_stats *slot = &fake_readers.slots[fake_readers.slot_count++];
	*slot = (struct slot_stats){.restart_lsn = restart_lsn, .restart_tli = 2};
	snprintf(slot->name, sizeof(slot->name), "%s", name);
	return slot;
}

struct pin_stats *fake_readers_add_pin(const char *name, lsn_t lsn)
{
	assert(fake_readers.pin_count < FAKES_MAX);
	struct pin_stats *pin = &fake_readers.pins[fake_readers.pin_count++];
	*pin = (struct pin_stats){.lsn = lsn, .created_us = 1000000};
	snprintf(pin->name, sizeof(pin->name), "%s", name);
	return pin;
}

const char *upstream_state_name(enum upstream_state state)
{
	static const char *const names[] = {
		"idle", "connecting", "streaming", "waiting", "full", "stopped"};
	return names[state];
}

const char *standby_state_name(enum standby_state state)
{
	static const char *const names[] = {
		"startup", "backup", "catchup", "streaming", "stopping"};
	return names[state];
}

void upstream_read_stats(struct upstream *upstream, struct upstream_stats *stats_out)
{
	(void)upstream;
	*stats_out = fake_readers.upstream;
}

void wal_store_read_stats(struct wal_store *store, struct wal_store_stats *stats_out)
{
	(void)store;
	*stats_out = fake_readers.store;
}

void cluster_read_identity(struct cluster *cluster, struct cluster_identity *identity_out)
{
	(void)cluster;
	*identity_out = fake_readers.identity;
}

void cluster_read_parameters(struct cluster *cluster, struct cluster_parameters *parameters_out)
{
	(void)cluster;
	*parameters_out = fake_readers.parameters;
}

size_t downstream_list(
	struct downstream *downstream, struct standby_stats *stats_out, size_t capacity)
{
	(void)downstream;
	size_t count = fake_readers.standby_count - fake_readers.late_standbys;
	size_t filled = count < capacity ? count : capacity;
	if (filled > 0) {
		memcpy(stats_out, fake_readers.standbys, filled * sizeof(*stats_out));
	}
	fake_readers.late_standbys = 0;
	return count;
}

size_t destinations_list(const struct destinations *destinations,
	struct destination_stats *stats_out, size_t capacity)
{
	(void)destinations;
	for (size_t i = 0; i < fake_readers.destination_count && i < capacity; i++) {
		stats_out[i] = fake_readers.destinations[i];
	}
	return fake_readers.destination_count;
}

const char *destinations_currency(const struct destinations *destinations)
{
	(void)destinations;
	return "EUR";
}

const char *destinations_time_zone(const struct destinations *destinations)
{
	(void)destinations;
	return "Europe/Berlin";
}

calendar_day destinations_today(const struct destinations *destinations)
{
	(void)destinations;
	return calendar_day_of_date(2026, 3, 15);
}

void destinations_usage(const struct destinations *destinations, const struct usage_query *query,
	usage_visit *visit, void *context)
{
	(void)destinations;
	fake_readers.asked = *query;
	snprintf(fake_readers.asked_destination, sizeof(fake_readers.asked_destination), "%s",
		query->destination != NULL ? query->destination : "");
	for (size_t i = 0; i < fake_readers.usage_count; i++) {
		visit(context, &fake_readers.usage[i]);
	}
}

size_t downstream_connection_count(struct downstream *downstream)
{
	(void)downstream;
	return fake_readers.connection_count;
}

bool downstream_read_link_stats(
	struct downstream *downstream, struct shared_encoder_stats *stats_out)
{
	(void)downstream;
	*stats_out = fake_readers.link;
	return fake_readers.is_link_offered;
}

size_t slots_list(struct slots *slots, struct slot_stats *stats_out, size_t capacity)
{
	(void)slots;
	size_t filled = fake_readers.slot_count < capacity ? fake_readers.slot_count : capacity;
	if (filled > 0) {
		memcpy(stats_out, fake_readers.slots, filled * sizeof(*stats_out));
	}
	return fake_readers.slot_count;
}

/* An hour before. */
int64_t pins_warning_us(const struct pin_stats *pin)
{
	return pin->expires_us - INT64_C(3600) * 1000000;
}

size_t pins_list(struct pins *pins, struct pin_stats *stats_out, size_t capacity)
{
	(void)pins;
	size_t filled = fake_readers.pin_count < capacity ? fake_readers.pin_count : capacity;
	if (filled > 0) {
		memcpy(stats_out, fake_readers.pins, filled * sizeof(*stats_out));
	}
	return fake_readers.pin_count;
}
