/*
 * alert_watch: a list by name, brought up to date from each snapshot.
 */
#include "observe/alert_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "observe/snapshot.h"

#define FORGOTTEN_AFTER_US (INT64_C(7) * 24 * 3600 * 1000000)

static struct alert_standby *find(const struct alert_watch *watch, const char *name)
{
	for (size_t i = 0; i < watch->count; i++) {
		if (strcmp(watch->standbys[i].name, name) == 0) {
			return &watch->standbys[i];
		}
	}
	return NULL;
}

static struct alert_standby *find_or_add(struct alert_watch *watch, const char *name)
{
	struct alert_standby *standby = find(watch, name);
	if (standby == NULL) {
		watch->standbys =
			memory_grow(watch->standbys, watch->count, sizeof(*watch->standbys));
		standby = &watch->standbys[watch->count++];
		snprintf(standby->name, sizeof(standby->name), "%s", name);
	}
	return standby;
}

static const struct slot_stats *find_slot(const struct snapshot *snapshot, const char *name)
{
	for (size_t i = 0; i < snapshot->slot_count; i++) {
		if (strcmp(snapshot->slots[i].name, name) == 0) {
			return &snapshot->slots[i];
		}
	}
	return NULL;
}

/* "far at 10.0.0.7": its port is another with every connection. */
static void name_without_slot(
	const struct standby_stats *standby, char name_out[ALERT_SUBJECT_SIZE])
{
	const char *application =
		standby->application_name[0] != '\0' ? standby->application_name : "standby";
	const char *port = strrchr(standby->peer, ':');
	int host_length = port != NULL ? (int)(port - standby->peer) : (int)strlen(standby->peer);
	snprintf(name_out, ALERT_SUBJECT_SIZE, "%s%s%.*s", application,
		host_length > 0 ? " at " : "", host_length, standby->peer);
}

static void measure_time(struct alert_standby *standby, const struct snapshot *snapshot,
	const struct standby_stats *stats, int64_t now_us)
{
	lsn_t end_lsn = snapshot->store.received_lsn;
	lsn_t reached_lsn = end_lsn - standby->lag_bytes;
	if (standby->mark_us == 0 || standby->mark_us > now_us ||
		reached_lsn >= standby->mark_lsn) {
		standby->mark_lsn = end_lsn;
		standby->mark_us = now_us;
	}
	int64_t mark_age_us = standby->lag_bytes == 0 ? 0 : now_us - standby->mark_us;
	standby->lag_us = mark_age_us > stats->replay_lag_us ? mark_age_us : stats->replay_lag_us;
}

/* Of two with one name the one further behind counts. */
static void see(struct alert_watch *watch, const struct snapshot *snapshot,
	const struct standby_stats *stats, int64_t now_us)
{
	const struct slot_stats *slot =
		stats->slot[0] != '\0' ? find_slot(snapshot, stats->slot) : NULL;
	char name[ALERT_SUBJECT_SIZE];
	if (!snapshot_is_streaming(stats) || (slot != NULL && slot->temporary)) {
		return;
	}
	name_without_slot(stats, name);
	struct alert_standby *standby = find_or_add(watch, slot != NULL ? slot->name : name);
	uint64_t lag_bytes = snapshot_lag_bytes(snapshot, stats);
	if (standby->is_here && lag_bytes <= standby->lag_bytes) {
		return;
	}
	standby->is_here = true;
	standby->has_slot = slot != NULL;
	standby->seen_us = now_us;
	standby->lag_bytes = lag_bytes;
	snprintf(standby->destination, sizeof(standby->destination), "%s", stats->destination);
	measure_time(standby, snapshot, stats, now_us);
	if (stats->state == STANDBY_STREAMING &&
		(slot != NULL || stats->replay_lsn != LSN_INVALID || stats->is_link)) {
		standby->is_counted_on = true;
	}
}

static bool is_forgotten(
	const struct alert_standby *standby, const struct snapshot *snapshot, int64_t now_us)
{
	if (standby->is_here) {
		return false;
	}
	if (!standby->is_counted_on) {
		return true;
	}
	return standby->has_slot ? find_slot(snapshot, standby->name) == NULL
				 : now_us - standby->seen_us >= FORGOTTEN_AFTER_US;
}

static size_t count_counted_on(const struct alert_watch *watch)
{
	size_t count = 0;
	for (size_t i = 0; i < watch->count; i++) {
		count += watch->standbys[i].is_counted_on;
	}
	return count;
}

bool alert_watch_update(struct alert_watch *watch, const struct snapshot *snapshot, int64_t now_us)
{
	size_t before = count_counted_on(watch);
	size_t kept = 0;
	bool has_forgotten = false;
	for (size_t i = 0; i < watch->count; i++) {
		struct alert_standby *standby = &watch->standbys[i];
		standby->is_here = false;
		standby->seen_us = standby->seen_us > now_us ? now_us : standby->seen_us;
	}
	for (size_t i = 0; i < snapshot->standby_count; i++) {
		see(watch, snapshot, &snapshot->standbys[i], now_us);
	}
	size_t after = count_counted_on(watch);
	for (size_t i = 0; i < watch->count; i++) {
		struct alert_standby *standby = &watch->standbys[i];
		if (is_forgotten(standby, snapshot, now_us)) {
			has_forgotten |= standby->is_counted_on;
		} else {
			memmove(&watch->standbys[kept++], standby, sizeof(*standby));
		}
	}
	watch->count = kept;
	return has_forgotten || after != before;
}

void alert_watch_restore(struct alert_watch *watch, const struct alert_standby *standby)
{
	*find_or_add(watch, standby->name) = *standby;
}

void alert_watch_release(struct alert_watch *watch)
{
	free(watch->standbys);
	*watch = (struct alert_watch){0};
}
