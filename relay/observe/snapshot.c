/*
 * snapshot: asks every stats reader once and makes text from outside harmless.
 */
#include "observe/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "observe/alerts.h"
#include "observe/pace.h"
#include "observe/recorder.h"

/* More than were there a moment ago: sessions come and go between the two questions. */
#define LIST_HEADROOM 16

/* Control characters and what is no UTF-8 become "?". */
static void make_printable(char *text)
{
	unsigned char *at = (unsigned char *)text;
	while (*at != '\0') {
		size_t length = utf8_character_length(at);
		if (length == 0 || utf8_is_control(at)) {
			*at = '?';
			length = 1;
		}
		at += length;
	}
}

static struct standby_stats *find_link_of(
	const struct snapshot *snapshot, const struct standby_stats *lane)
{
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		struct standby_stats *standby = &snapshot->standbys[i];
		if (standby->is_link && !standby->is_lane &&
			strcmp(standby->user, lane->user) == 0 &&
			strcmp(standby->application_name, lane->application_name) == 0) {
			return standby;
		}
	}
	return NULL;
}

/* A lane is no standby: what goes over it counts for its link. */
static void fold_lanes(struct snapshot *snapshot)
{
	size_t kept = 0;
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *lane = &snapshot->standbys[i];
		struct standby_stats *link = lane->is_lane ? find_link_of(snapshot, lane) : NULL;
		if (link != NULL) {
			link->link_lanes = link->link_lanes == 0 ? 2 : link->link_lanes + 1;
			link->wal_bytes += lane->wal_bytes;
			link->wire_sent_bytes += lane->wire_sent_bytes;
			link->wire_received_bytes += lane->wire_received_bytes;
		}
	}
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		if (!snapshot->standbys[i].is_lane) {
			snapshot->standbys[kept++] = snapshot->standbys[i];
		}
	}
	snapshot->standby_count = kept;
}

static void take_standbys(struct downstream *downstream, struct snapshot *snapshot)
{
	size_t capacity = downstream_list(downstream, NULL, 0) + LIST_HEADROOM;
	snapshot->standbys = memory_new(capacity * sizeof(*snapshot->standbys));
	size_t count = downstream_list(downstream, snapshot->standbys, capacity);
	snapshot->standby_count = count < capacity ? count : capacity;
	fold_lanes(snapshot);
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		struct standby_stats *standby = &snapshot->standbys[i];
		make_printable(standby->user);
		make_printable(standby->application_name);
		make_printable(standby->peer);
		make_printable(standby->slot);
	}
}

static void take_slots(struct slots *slots, struct snapshot *snapshot)
{
	size_t capacity = slots_list(slots, NULL, 0) + LIST_HEADROOM;
	snapshot->slots = memory_new(capacity * sizeof(*snapshot->slots));
	size_t count = slots_list(slots, snapshot->slots, capacity);
	snapshot->slot_count = count < capacity ? count : capacity;
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		make_printable(snapshot->slots[i].name);
	}
}

static void take_pins(struct pins *pins, struct snapshot *snapshot)
{
	size_t capacity = pins_list(pins, NULL, 0) + LIST_HEADROOM;
	snapshot->pins = memory_new(capacity * sizeof(*snapshot->pins));
	size_t count = pins_list(pins, snapshot->pins, capacity);
	snapshot->pin_count = count < capacity ? count : capacity;
}

static void take_destinations(const struct destinations *destinations, struct snapshot *snapshot)
{
	size_t count = destinations_list(destinations, NULL, 0);
	snapshot->destinations = memory_new((count + 1) * sizeof(*snapshot->destinations));
	snapshot->destination_count =
		destinations_list(destinations, snapshot->destinations, count);
	snapshot->currency = destinations_currency(destinations);
	snapshot->time_zone = destinations_time_zone(destinations);
}

static void take_paces(const struct recorder *recorder, struct snapshot *snapshot)
{
	snapshot->standby_paces =
		memory_new((snapshot->standby_count + 1) * sizeof(*snapshot->standby_paces));
	snapshot->destination_paces = memory_new(
		(snapshot->destination_count + 1) * sizeof(*snapshot->destination_paces));
	snapshot->upstream_pace = (struct upstream_pace){PACE_UNKNOWN, PACE_UNKNOWN, PACE_UNKNOWN};
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		snapshot->standby_paces[i] = (struct standby_pace){
			PACE_UNKNOWN, PACE_UNKNOWN, PACE_UNKNOWN, PACE_UNKNOWN, PACE_UNKNOWN};
	}
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		snapshot->destination_paces[i] =
			(struct destination_pace){PACE_UNKNOWN, PACE_UNKNOWN};
	}
	if (recorder != NULL) {
		recorder_fill(recorder, snapshot);
	}
}

void snapshot_take(const struct snapshot_sources *sources, struct snapshot *snapshot_out)
{
	struct snapshot snapshot = {.relay_name = sources->relay_name};
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	snapshot.time_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	upstream_read_stats(sources->upstream, &snapshot.upstream);
	make_printable(snapshot.upstream.host);
	make_printable(snapshot.upstream.port);
	make_printable(snapshot.upstream.last_error);
	make_printable(snapshot.upstream.slot);
	make_printable(snapshot.upstream.page_url);
	/* Standbys before the spool: a position confirmed meanwhile must not lie past what we hold.
	 */
	take_standbys(sources->downstream, &snapshot);
	take_slots(sources->slots, &snapshot);
	take_pins(sources->pins, &snapshot);
	take_destinations(sources->destinations, &snapshot);
	snapshot.connection_count = downstream_connection_count(sources->downstream);
	snapshot.is_link_offered = downstream_read_link_stats(sources->downstream, &snapshot.link);
	wal_store_read_stats(sources->store, &snapshot.store);
	make_printable(snapshot.store.horizon_reason);
	make_printable(snapshot.store.full_reason);
	cluster_read_identity(sources->cluster, &snapshot.identity);
	cluster_read_parameters(sources->cluster, &snapshot.parameters);
	make_printable(snapshot.parameters.server_version);
	process_stats_read(&snapshot.process);
	if (sources->alerts != NULL) {
		alerts_read(sources->alerts, &snapshot.alerts, &snapshot.alert_count,
			snapshot.alert_channels);
	}
	take_paces(sources->recorder, &snapshot);
	*snapshot_out = snapshot;
}

void snapshot_release(struct snapshot *snapshot)
{
	free(snapshot->standbys);
	free(snapshot->standby_paces);
	free(snapshot->destination_paces);
	free(snapshot->slots);
	free(snapshot->pins);
	free(snapshot->destinations);
	free(snapshot->alerts);
	memset(snapshot, 0, sizeof(*snapshot));
}

bool snapshot_is_streaming(const struct standby_stats *standby)
{
	return standby->state == STANDBY_CATCHUP || standby->state == STANDBY_STREAMING ||
	       standby->state == STANDBY_STOPPING;
}

static uint64_t bytes_behind(lsn_t end, lsn_t position)
{
	return end > position ? end - position : 0;
}

uint64_t snapshot_behind_bytes(const struct snapshot *snapshot)
{
	lsn_t received_lsn = snapshot->store.received_lsn;
	return received_lsn == LSN_INVALID
		       ? 0
		       : bytes_behind(snapshot->upstream.server_end_lsn, received_lsn);
}

lsn_t snapshot_position(const struct standby_stats *standby)
{
	/* A receiver that replays nothing (pg_receivewal) reports no replay position. */
	const lsn_t reported[] = {
		standby->replay_lsn, standby->flush_lsn, standby->write_lsn, standby->sent_lsn};
	for (size_t i = 0; i < sizeof(reported) / sizeof(reported[0]); i++) {
		if (reported[i] != LSN_INVALID) {
			return reported[i];
		}
	}
	return LSN_INVALID;
}

uint64_t snapshot_lag_bytes(const struct snapshot *snapshot, const struct standby_stats *standby)
{
	lsn_t position = snapshot_position(standby);
	return bytes_behind(snapshot->store.received_lsn,
		position != LSN_INVALID ? position : snapshot->store.oldest_lsn);
}

uint64_t snapshot_retained_bytes(const struct snapshot *snapshot, const struct slot_stats *slot)
{
	if (slot->lost || slot->restart_lsn == LSN_INVALID) {
		return 0;
	}
	return bytes_behind(snapshot->store.received_lsn, slot->restart_lsn);
}

uint64_t snapshot_pinned_bytes(const struct snapshot *snapshot, const struct pin_stats *pin)
{
	return pin->lost ? 0 : bytes_behind(snapshot->store.received_lsn, pin->lsn);
}
