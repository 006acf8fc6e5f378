/*
 * alert_watch: the standbys somebody counts on, so that one that is gone is missed, and how far
 * behind each is in time.
 *
 * Known by the slot it streams from, without one by its application name and address. Counted on is
 * who has caught up once and holds a slot, replays, or is a relay; not what only takes WAL for a
 * while (pg_basebackup, pg_receivewal without a slot). One with a slot is forgotten when the slot
 * is dropped, one without when it has been away for a week. Pure: snapshots and the time go in.
 *
 * A standby's own figure of its lag stands still when it stops answering, so here a mark is set
 * where the WAL ends, and its age counts until the standby has passed it.
 */
#ifndef OBSERVE_ALERT_WATCH_H
#define OBSERVE_ALERT_WATCH_H

#include "destination/account.h"
#include "observe/alert.h"
#include "protocol/lsn.h"

struct snapshot;

struct alert_standby {
	char name[ALERT_SUBJECT_SIZE];
	char destination[DESTINATION_NAME_SIZE];
	bool has_slot;
	bool is_counted_on;
	bool is_here;
	int64_t seen_us; /* Unix time; last */
	uint64_t lag_bytes;
	int64_t lag_us;
	/* The mark. */
	lsn_t mark_lsn;
	int64_t mark_us;
};

struct alert_watch {
	struct alert_standby *standbys;
	size_t count;
};

/* After a restart: it was counted on then. */
void alert_watch_restore(struct alert_watch *watch, const struct alert_standby *standby);
/* True when others are counted on than before. */
bool alert_watch_update(
	struct alert_watch *watch, const struct snapshot *snapshot, int64_t now_us);
void alert_watch_release(struct alert_watch *watch);

#endif
