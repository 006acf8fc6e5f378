/*
 * range_skip: the checks, and one call to the store.
 */
#include "upstream/range_skip.h"

#include "base/log.h"

static bool is_possible(const struct range_skip *skip, struct wal_store *store, struct error *err)
{
	struct wal_position held = wal_store_received(store);
	lsn_t begin_lsn;

	if (held.tli == 0) {
		(void)error_set(err, ERROR_INVALID, "the spool is empty");
		(void)error_hint(err, "\"start\" in [upstream] says where an empty spool begins.");
		return error_sqlstate(err, "55000");
	}
	begin_lsn = lsn_segment_start(skip->lsn, wal_store_segment_bytes(store));
	if (!skip->has_gap || begin_lsn <= held.lsn) {
		(void)error_set(err, ERROR_INVALID, "there is no gap to skip");
		(void)error_detail(err,
			"WAL up to " LSN_FORMAT " is held, and the segment of " LSN_FORMAT
			" begins at " LSN_FORMAT ".",
			LSN_ARGS(held.lsn), LSN_ARGS(skip->lsn), LSN_ARGS(begin_lsn));
		(void)error_hint(err, "SHOW UPSTREAM tells whether the upstream still has the WAL "
				      "that comes next.");
		return error_sqlstate(err, "55000");
	}
	if (skip->server_end_lsn != LSN_INVALID && skip->lsn > skip->server_end_lsn) {
		(void)error_set(err, ERROR_INVALID, "the upstream has WAL only up to " LSN_FORMAT,
			LSN_ARGS(skip->server_end_lsn));
		return error_sqlstate(err, "22023");
	}
	return true;
}

bool range_skip_check(const struct range_skip *skip, struct wal_store *store)
{
	struct error err = {0};
	bool ok = is_possible(skip, store, &err);

	if (!ok) {
		skip->done(skip->context, false, &err);
	}
	return ok;
}

void range_skip_carry_out(const struct range_skip *skip, struct wal_store *store)
{
	struct wal_position held = wal_store_received(store);
	uint32_t segment_bytes = wal_store_segment_bytes(store);
	lsn_t begin_lsn = lsn_segment_start(skip->lsn, segment_bytes);
	struct error err = {0};
	bool ok = wal_store_begin(store, held.tli, begin_lsn, segment_bytes, &err);

	if (ok) {
		log_warning("upstream",
			"WAL from " LSN_FORMAT " to " LSN_FORMAT
			" is skipped: no standby is served across this hole",
			LSN_ARGS(held.lsn), LSN_ARGS(begin_lsn));
	}
	skip->done(skip->context, ok, &err);
}
