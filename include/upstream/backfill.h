/*
 * backfill: fetches WAL from before what the spool holds, when readers want it and the upstream
 * still has it.
 *
 * A thread of its own and a short connection of its own, so that the stream is never held up. What
 * is taken in is taken in on the upstream's loop. What the upstream does not have, or that cannot
 * be fetched within half a minute, is refused, and its readers are told it is gone.
 */
#ifndef UPSTREAM_BACKFILL_H
#define UPSTREAM_BACKFILL_H

#include "base/error.h"
#include "net/loop.h"
#include "spool/cluster.h"
#include "spool/wal_store.h"

struct backfill;

struct backfill_options {
	const char *conninfo;   /* copied */
	const char *relay_name; /* application_name unless conninfo has one */
	struct loop *loop;      /* the upstream's */
	struct wal_store *store;
	struct cluster *cluster;
};

struct backfill *backfill_start(
	const struct backfill_options *options, struct error *err) MUST_CHECK;
/* Reload. Any thread. */
void backfill_set_conninfo(struct backfill *backfill, const char *conninfo);
/* Ends the thread; may wait for a step of libpq. Accepts NULL. */
void backfill_stop(struct backfill *backfill);
/* After backfill_stop() and the end of the loop. Accepts NULL, sets NULL. */
void backfill_free(struct backfill **backfill);

#endif
