/*
 * standby_progress: what is known of one standby in numbers, written by its session, read by any
 * thread.
 *
 * Plain counters with relaxed atomics: each is right by itself, none waits for a lock. Reported
 * positions are the highest ever reported on the connection's timeline, because walreceivers report
 * write positions that go back (they ask again from the start of a segment).
 */
#ifndef DOWNSTREAM_STANDBY_PROGRESS_H
#define DOWNSTREAM_STANDBY_PROGRESS_H

#include "downstream/downstream.h"
#include "downstream/lag_tracker.h"
#include "protocol/lsn.h"
#include "protocol/repl_message.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct standby_progress {
	_Atomic uint32_t state; /* enum standby_state */
	_Atomic tli_t tli;      /* 0: not streaming */
	_Atomic lsn_t sent_lsn;
	_Atomic lsn_t write_lsn;
	_Atomic lsn_t flush_lsn;
	_Atomic lsn_t replay_lsn;
	_Atomic int64_t last_reply_at_us; /* Unix time */
	_Atomic int64_t lag_us[LAG_STAGES];
	_Atomic uint64_t wal_bytes;
	_Atomic uint64_t wire_sent_bytes;
	_Atomic uint64_t wire_received_bytes;
	_Atomic uint64_t backup_bytes;
	_Atomic uint32_t backup_phase; /* enum backup_phase */
	_Atomic uint64_t backup_done_bytes;
	_Atomic uint64_t backup_total_bytes;
	_Atomic bool is_link;
	_Atomic bool is_lane;
	_Atomic uint64_t link_reach_bytes;
	_Atomic uint64_t xmin; /* epoch << 32 | xid; 0: none */
	_Atomic uint64_t catalog_xmin;
};

#define progress_set(place, value) atomic_store_explicit(&(place), (value), memory_order_relaxed)
#define progress_get(place)        atomic_load_explicit(&(place), memory_order_relaxed)

void standby_progress_init(struct standby_progress *progress);
/* A stream begins or ends (tli 0): positions are those of one stream. */
void standby_progress_begin_stream(struct standby_progress *progress, tli_t tli, lsn_t start_lsn);
void standby_progress_end_stream(struct standby_progress *progress);
void standby_progress_on_status(struct standby_progress *progress,
	const struct standby_status *status, int64_t unix_now_us, const int64_t lag_us[LAG_STAGES]);
void standby_progress_on_feedback(
	struct standby_progress *progress, const struct standby_feedback *feedback);
void standby_progress_on_backup(
	struct standby_progress *progress, const struct backup_progress *backup);
void standby_progress_end_backup(struct standby_progress *progress);
/* Fills what numbers there are into stats_out. */
void standby_progress_read(
	const struct standby_progress *progress, struct standby_stats *stats_out);
/* Replay position that counts for what is replayed everywhere: of a standby on tli that has once
 * been sent everything and reports it; LSN_INVALID otherwise. */
lsn_t standby_progress_replayed(const struct standby_progress *progress, tli_t tli);

/* The transaction id with its epoch; 0 for what is no normal transaction id. */
uint64_t feedback_full_xid(uint32_t xid, uint32_t epoch);
/* The one that holds back more; 0 holds back nothing. */
uint64_t feedback_older(uint64_t a, uint64_t b);

#endif
