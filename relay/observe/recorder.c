/*
 * recorder: paces by process id and by name, found by halving in arrays that each look makes anew,
 * so that whoever is gone is forgotten.
 */
#include "observe/recorder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "observe/pace.h"
#include "observe/snapshot.h"
#include "observe/standby_labels.h"

/* Of a standby that streams: less than this behind is no catching up. */
#define CATCH_UP_BYTES (UINT64_C(16) << 20)

struct standby_record {
	uint32_t pid;
	struct pace position;
	struct pace wire;
	struct pace backup;
};

struct destination_record {
	char name[DESTINATION_NAME_SIZE];
	struct pace wire;
	struct pace wal;
};

struct recorder {
	int64_t taken_at_us; /* 0: never */
	struct pace received;
	struct pace server_end;
	struct pace upstream_wire;
	struct standby_record *standbys; /* by pid */
	size_t standby_count;
	struct destination_record *destinations;
	size_t destination_count;
	struct history *history;
};

struct recorder *recorder_new(void)
{
	struct recorder *recorder = memory_new(sizeof(*recorder));
	recorder->history = history_new();
	return recorder;
}

void recorder_free(struct recorder **recorder)
{
	struct recorder *gone = *recorder;
	if (gone == NULL) {
		return;
	}
	*recorder = NULL;
	history_free(&gone->history);
	free(gone->standbys);
	free(gone->destinations);
	free(gone);
}

/* --- looking ---------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b)
{
	const struct standby_record *left = a;
	const struct standby_record *right = b;
	return (left->pid > right->pid) - (left->pid < right->pid);
}

static struct standby_record *find_standby(const struct recorder *recorder, uint32_t pid)
{
	const struct standby_record key = {.pid = pid};
	return recorder->standby_count == 0
		       ? NULL
		       : bsearch(&key, recorder->standbys, recorder->standby_count, sizeof(key),
				 compare_records);
}

static void take_standbys(struct recorder *recorder, const struct snapshot *snapshot)
{
	size_t count = snapshot->standby_count;
	struct standby_record *records = memory_new((count + 1) * sizeof(*records));
	for (size_t i = 0; i < count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		const struct standby_record *known = find_standby(recorder, standby->pid);
		lsn_t position = snapshot_position(standby);
		if (known != NULL) {
			records[i] = *known;
		}
		records[i].pid = standby->pid;
		if (position != LSN_INVALID) {
			pace_add(&records[i].position, snapshot->time_us, position);
		}
		pace_add(&records[i].wire, snapshot->time_us, standby->wire_sent_bytes);
		if (standby->backup.phase != BACKUP_PHASE_NONE) {
			pace_add(&records[i].backup, snapshot->time_us, standby->backup.done_bytes);
		}
	}
	qsort(records, count, sizeof(*records), compare_records);
	free(recorder->standbys);
	recorder->standbys = records;
	recorder->standby_count = count;
}

static const struct destination_record *find_destination(
	const struct recorder *recorder, const char *name)
{
	for (size_t i = 0; i < recorder->destination_count; i++) {
		if (strcmp(recorder->destinations[i].name, name) == 0) {
			return &recorder->destinations[i];
		}
	}
	return NULL;
}

static void take_destinations(struct recorder *recorder, const struct snapshot *snapshot)
{
	size_t count = snapshot->destination_count;
	struct destination_record *records = memory_new((count + 1) * sizeof(*records));
	for (size_t i = 0; i < count; i++) {
		const struct destination_stats *destination = &snapshot->destinations[i];
		const struct destination_record *known =
			find_destination(recorder, destination->name);
		if (known != NULL) {
			records[i] = *known;
		}
		memcpy(records[i].name, destination->name, sizeof(records[i].name));
		pace_add(&records[i].wire, snapshot->time_us,
			destination->counted.bytes[METER_WIRE_SENT]);
		pace_add(&records[i].wal, snapshot->time_us, destination->counted.bytes[METER_WAL]);
	}
	free(recorder->destinations);
	recorder->destinations = records;
	recorder->destination_count = count;
}

static void take_upstream(struct recorder *recorder, const struct snapshot *snapshot)
{
	const struct upstream_stats *upstream = &snapshot->upstream;
	if (snapshot->store.received_lsn != LSN_INVALID) {
		pace_add(&recorder->received, snapshot->time_us, snapshot->store.received_lsn);
	}
	if (upstream->server_end_lsn != LSN_INVALID) {
		pace_add(&recorder->server_end, snapshot->time_us, upstream->server_end_lsn);
	}
	pace_add(&recorder->upstream_wire, snapshot->time_us, upstream->wire_bytes);
}

/* --- the history ------------------------------------------------------------------------------ */

static double known_lag_seconds(const struct standby_stats *standby)
{
	return standby->replay_lag_us < 0 ? HISTORY_UNKNOWN : (double)standby->replay_lag_us / 1e6;
}

static void put_standbys(struct history *history, const struct snapshot *snapshot)
{
	char(*labels)[STANDBY_LABEL_SIZE] =
		memory_new((snapshot->standby_count + 1) * sizeof(*labels));
	standby_labels_make(snapshot->standbys, snapshot->standby_count, labels);
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		const struct standby_stats *standby = &snapshot->standbys[i];
		const double values[HISTORY_VALUES] = {
			(double)snapshot_lag_bytes(snapshot, standby), known_lag_seconds(standby)};
		if (snapshot_is_streaming(standby)) {
			(void)history_put(history, HISTORY_STANDBY, labels[i], values);
		}
	}
	free(labels);
}

static void put_sample(struct recorder *recorder, const struct snapshot *snapshot)
{
	struct history *history = recorder->history;
	bool is_connected = snapshot->upstream.state == UPSTREAM_STREAMING;
	const double upstream[HISTORY_VALUES] = {pace_per_second(&recorder->received),
		is_connected ? (double)snapshot_behind_bytes(snapshot) : HISTORY_UNKNOWN};
	history_begin(history, snapshot->time_us);
	(void)history_put(history, HISTORY_UPSTREAM, "upstream", upstream);
	for (size_t i = 0; i < recorder->destination_count; i++) {
		const struct destination_record *record = &recorder->destinations[i];
		const double values[HISTORY_VALUES] = {
			pace_per_second(&record->wire), pace_per_second(&record->wal)};
		(void)history_put(history, HISTORY_DESTINATION, record->name, values);
	}
	put_standbys(history, snapshot);
}

void recorder_take(struct recorder *recorder, const struct snapshot *snapshot)
{
	int64_t passed_us = snapshot->time_us - recorder->taken_at_us;
	if (passed_us >= 0 && passed_us < RECORDER_INTERVAL_US) {
		return;
	}
	recorder->taken_at_us = snapshot->time_us;
	take_upstream(recorder, snapshot);
	take_destinations(recorder, snapshot);
	take_standbys(recorder, snapshot);
	if (history_is_due(recorder->history, snapshot->time_us)) {
		put_sample(recorder, snapshot);
	}
}

/* --- filling in ------------------------------------------------------------------------------- */

/* What is left melts by what the follower gains on what it follows. */
static double catch_up_seconds(uint64_t behind, double own, double ahead)
{
	return pace_seconds_left(behind, own - (ahead > 0 ? ahead : 0));
}

static void fill_standby(
	const struct recorder *recorder, struct snapshot *snapshot, size_t index, double received)
{
	const struct standby_stats *standby = &snapshot->standbys[index];
	const struct standby_record *record = find_standby(recorder, standby->pid);
	struct standby_pace *pace = &snapshot->standby_paces[index];
	if (record == NULL) {
		return;
	}
	uint64_t behind = snapshot_lag_bytes(snapshot, standby);
	pace->wire_per_second = pace_per_second(&record->wire);
	if (standby->backup.phase != BACKUP_PHASE_NONE) {
		pace->backup_per_second = pace_per_second(&record->backup);
		if (standby->backup.total_bytes > standby->backup.done_bytes) {
			pace->backup_seconds = pace_seconds_left(
				standby->backup.total_bytes - standby->backup.done_bytes,
				pace->backup_per_second);
		}
	}
	if (!snapshot_is_streaming(standby)) {
		return;
	}
	pace->wal_per_second = pace_per_second(&record->position);
	if (standby->state == STANDBY_CATCHUP || behind > CATCH_UP_BYTES) {
		pace->catch_up_seconds = catch_up_seconds(behind, pace->wal_per_second, received);
	}
}

static void fill_upstream(const struct recorder *recorder, struct snapshot *snapshot)
{
	struct upstream_pace *pace = &snapshot->upstream_pace;
	pace->wal_per_second = pace_per_second(&recorder->received);
	pace->wire_per_second = pace_per_second(&recorder->upstream_wire);
	uint64_t behind = snapshot_behind_bytes(snapshot);
	if (snapshot->upstream.state == UPSTREAM_STREAMING && behind > 0) {
		pace->catch_up_seconds = catch_up_seconds(
			behind, pace->wal_per_second, pace_per_second(&recorder->server_end));
	}
}

void recorder_fill(const struct recorder *recorder, struct snapshot *snapshot)
{
	fill_upstream(recorder, snapshot);
	for (size_t i = 0; i < snapshot->destination_count; i++) {
		const struct destination_record *record =
			find_destination(recorder, snapshot->destinations[i].name);
		if (record != NULL) {
			snapshot->destination_paces[i].wire_per_second =
				pace_per_second(&record->wire);
			snapshot->destination_paces[i].wal_per_second =
				pace_per_second(&record->wal);
		}
	}
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		fill_standby(recorder, snapshot, i, snapshot->upstream_pace.wal_per_second);
	}
}

const struct history *recorder_history(const struct recorder *recorder)
{
	return recorder->history;
}
