/*
 * range_skip: a new range of WAL behind a gap, by an operator's order.
 *
 * Nothing that is held is lost by it, but there is a hole for good: so it is refused where there is
 * no gap, and past what the upstream has.
 */
#ifndef UPSTREAM_RANGE_SKIP_H
#define UPSTREAM_RANGE_SKIP_H

#include "base/error.h"
#include "protocol/lsn.h"
#include "spool/wal_store.h"

#include <stdbool.h>

/* An order on its way to the upstream's loop. */
struct range_skip {
	void *owner; /* the upstream */
	lsn_t lsn;   /* the range begins at the start of its segment */
	void (*done)(void *context, bool ok, const struct error *err);
	void *context;
	/* Known there. */
	bool has_gap;         /* the upstream no longer has what comes next */
	lsn_t server_end_lsn; /* as far as the upstream has WAL; LSN_INVALID: not known */
};

/* On the upstream's loop; errors carry SQLSTATE. false: done was told why not. */
bool range_skip_check(const struct range_skip *skip, struct wal_store *store) MUST_CHECK;
/* After that, with no stream open; done is told what came of it. */
void range_skip_carry_out(const struct range_skip *skip, struct wal_store *store);

#endif
