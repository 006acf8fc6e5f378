/*
 * standby_progress: one standby's counters, and what many of them add up to.
 */
#include "downstream/standby_progress.h"

#define FIRST_NORMAL_XID 3u /* src/include/access/transam.h */

static void forget_lags(struct standby_progress *progress)
{
	for (int stage = 0; stage < LAG_STAGES; stage++) {
		progress_set(progress->lag_us[stage], LAG_UNKNOWN);
	}
}

void standby_progress_init(struct standby_progress *progress)
{
	*progress = (struct standby_progress){.state = STANDBY_STARTUP};
	forget_lags(progress);
}

void standby_progress_begin_stream(struct standby_progress *progress, tli_t tli, lsn_t start_lsn)
{
	progress_set(progress->sent_lsn, start_lsn);
	progress_set(progress->write_lsn, LSN_INVALID);
	progress_set(progress->flush_lsn, LSN_INVALID);
	progress_set(progress->replay_lsn, LSN_INVALID);
	forget_lags(progress);
	progress_set(progress->tli, tli);
	progress_set(progress->state, STANDBY_CATCHUP);
}

void standby_progress_end_stream(struct standby_progress *progress)
{
	progress_set(progress->state, STANDBY_STARTUP);
	progress_set(progress->tli, 0);
	progress_set(progress->is_link, false);
	progress_set(progress->is_lane, false);
	forget_lags(progress);
	progress_set(progress->xmin, 0);
	progress_set(progress->catalog_xmin, 0);
}

static void raise(_Atomic lsn_t *place, lsn_t lsn)
{
	if (lsn > progress_get(*place)) {
		progress_set(*place, lsn);
	}
}

void standby_progress_on_status(struct standby_progress *progress,
	const struct standby_status *status, int64_t unix_now_us, const int64_t lag_us[LAG_STAGES])
{
	raise(&progress->write_lsn, status->write_lsn);
	raise(&progress->flush_lsn, status->flush_lsn);
	raise(&progress->replay_lsn, status->apply_lsn);
	progress_set(progress->last_reply_at_us, unix_now_us);
	for (int stage = 0; stage < LAG_STAGES; stage++) {
		progress_set(progress->lag_us[stage], lag_us[stage]);
	}
}

void standby_progress_on_feedback(
	struct standby_progress *progress, const struct standby_feedback *feedback)
{
	progress_set(progress->xmin, feedback_full_xid(feedback->xmin, feedback->xmin_epoch));
	progress_set(progress->catalog_xmin,
		feedback_full_xid(feedback->catalog_xmin, feedback->catalog_xmin_epoch));
}

void standby_progress_on_backup(
	struct standby_progress *progress, const struct backup_progress *backup)
{
	progress_set(progress->backup_done_bytes, backup->done_bytes);
	progress_set(progress->backup_total_bytes, backup->total_bytes);
	progress_set(progress->backup_phase, backup->phase);
}

void standby_progress_end_backup(struct standby_progress *progress)
{
	progress_set(progress->backup_phase, BACKUP_PHASE_NONE);
}

void standby_progress_read(const struct standby_progress *progress, struct standby_stats *stats_out)
{
	stats_out->state = (enum standby_state)progress_get(progress->state);
	stats_out->tli = progress_get(progress->tli);
	stats_out->sent_lsn = progress_get(progress->sent_lsn);
	stats_out->write_lsn = progress_get(progress->write_lsn);
	stats_out->flush_lsn = progress_get(progress->flush_lsn);
	stats_out->replay_lsn = progress_get(progress->replay_lsn);
	stats_out->last_reply_at_us = progress_get(progress->last_reply_at_us);
	stats_out->write_lag_us = progress_get(progress->lag_us[LAG_WRITE]);
	stats_out->flush_lag_us = progress_get(progress->lag_us[LAG_FLUSH]);
	stats_out->replay_lag_us = progress_get(progress->lag_us[LAG_REPLAY]);
	stats_out->xmin = progress_get(progress->xmin);
	stats_out->wal_bytes = progress_get(progress->wal_bytes);
	stats_out->wire_sent_bytes = progress_get(progress->wire_sent_bytes);
	stats_out->wire_received_bytes = progress_get(progress->wire_received_bytes);
	stats_out->backup_bytes = progress_get(progress->backup_bytes);
	stats_out->backup.phase = (enum backup_phase)progress_get(progress->backup_phase);
	stats_out->backup.done_bytes = progress_get(progress->backup_done_bytes);
	stats_out->backup.total_bytes = progress_get(progress->backup_total_bytes);
	stats_out->is_link = progress_get(progress->is_link);
	stats_out->is_lane = progress_get(progress->is_lane);
	stats_out->link_reach_bytes = progress_get(progress->link_reach_bytes);
}

lsn_t standby_progress_replayed(const struct standby_progress *progress, tli_t tli)
{
	uint32_t state = progress_get(progress->state);
	if (progress_get(progress->tli) != tli ||
		(state != STANDBY_STREAMING && state != STANDBY_STOPPING)) {
		return LSN_INVALID;
	}
	return progress_get(progress->replay_lsn);
}

uint64_t feedback_full_xid(uint32_t xid, uint32_t epoch)
{
	return xid < FIRST_NORMAL_XID ? 0 : (uint64_t)epoch << 32 | xid;
}

uint64_t feedback_older(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0) {
		return a | b;
	}
	return a < b ? a : b;
}
