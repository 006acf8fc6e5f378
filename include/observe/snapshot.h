/*
 * snapshot: what all parts of the relay say about themselves, read once.
 *
 * Everything that is shown (metrics, status, readiness) is a pure function of a snapshot. Text that
 * came from outside is made printable UTF-8 here, so that whoever shows it only has to escape.
 */
#ifndef OBSERVE_SNAPSHOT_H
#define OBSERVE_SNAPSHOT_H

#include "destination/destinations.h"
#include "downstream/downstream.h"
#include "observe/alert.h"
#include "observe/alert_book.h"
#include "observe/process_stats.h"
#include "spool/cluster.h"
#include "spool/pins.h"
#include "spool/slots.h"
#include "spool/wal_store.h"
#include "upstream/upstream.h"

#include <stddef.h>
#include <stdint.h>

struct alerts;
struct recorder;

struct snapshot_sources {
	const char *relay_name; /* the same over reloads, and so is: */
	const char *page_url;   /* where people reach the status page; NULL or "": not told */
	struct upstream *upstream;
	struct downstream *downstream;
	struct wal_store *store;
	struct slots *slots;
	struct pins *pins;
	struct cluster *cluster;
	struct destinations *destinations; /* its owner's thread takes the snapshot */
	const struct recorder *recorder;   /* NULL: paces are not known */
	struct alerts *alerts;             /* likewise; NULL: none are told of */
};

/* What of late was done a second, and what is left takes; PACE_UNKNOWN (observe/pace). */
struct upstream_pace {
	double wal_per_second;
	double wire_per_second;
	double catch_up_seconds; /* until we have what the upstream has */
};

struct standby_pace {
	double wal_per_second; /* of what it says to have */
	double wire_per_second;
	double catch_up_seconds; /* where it is far behind */
	double backup_per_second;
	double backup_seconds;
};

struct destination_pace {
	double wire_per_second;
	double wal_per_second;
};

struct snapshot {
	const char *relay_name; /* belongs to the sources */
	int64_t time_us;        /* Unix time */
	struct upstream_stats upstream;
	struct upstream_pace upstream_pace;
	struct wal_store_stats store;
	struct cluster_identity identity;
	struct cluster_parameters parameters;
	struct standby_stats *standbys;
	struct standby_pace *standby_paces; /* one for each */
	size_t standby_count;
	struct slot_stats *slots;
	size_t slot_count;
	struct pin_stats *pins;
	size_t pin_count;
	struct destination_stats *destinations;
	struct destination_pace *destination_paces; /* one for each */
	size_t destination_count;
	const char *currency; /* belongs to the sources */
	const char *time_zone;
	size_t connection_count;
	bool is_link_offered;
	struct shared_encoder_stats link; /* of all links toward relays that follow */
	struct alert_entry *alerts;       /* that are on */
	size_t alert_count;
	struct alert_channel_stats alert_channels[ALERT_CHANNELS];
	struct process_stats process;
};

void snapshot_take(const struct snapshot_sources *sources, struct snapshot *snapshot_out);
void snapshot_release(struct snapshot *snapshot);

/* WAL streams to it, now or in a moment: it is counted as a standby. */
bool snapshot_is_streaming(const struct standby_stats *standby);
/* WAL that the upstream last said to have and we have not received; 0: none, or not known. */
uint64_t snapshot_behind_bytes(const struct snapshot *snapshot);
/* The best position it reports; LSN_INVALID: none. */
lsn_t snapshot_position(const struct standby_stats *standby);
/* How far behind what we received it is, by that. */
uint64_t snapshot_lag_bytes(const struct snapshot *snapshot, const struct standby_stats *standby);
/* WAL a slot holds behind what we received; 0 when it holds none. */
uint64_t snapshot_retained_bytes(const struct snapshot *snapshot, const struct slot_stats *slot);
/* Likewise of a pin. */
uint64_t snapshot_pinned_bytes(const struct snapshot *snapshot, const struct pin_stats *pin);

#endif
