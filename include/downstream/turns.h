/*
 * turns: who sends next on one sender loop.
 *
 * A turn belongs to one stream and stands in at most one place: at the tip, where only news from
 * the spool wakes it, or where what it needs is being read from disk, or where its destination's
 * cap makes it wait, or among those that have more to send and room for it. Those take turns, one
 * for each round of the loop, so that a standby far behind delays one at the tip by one bounded
 * turn at most. News visits exactly the turns at the tip. Everything but the ringing of the spool,
 * of the disk and for new caps happens on the loop's thread.
 */
#ifndef DOWNSTREAM_TURNS_H
#define DOWNSTREAM_TURNS_H

#include "base/error.h"
#include "net/loop.h"
#include "spool/wal_prefetch.h"
#include "spool/wal_store.h"

#include <stdint.h>
#include <sys/queue.h>

struct turns;

enum turn_place {
	TURN_NOWHERE,
	TURN_AT_TIP,
	TURN_ON_DISK,
	TURN_PACED,
	TURN_READY,
	TURN_VISITED,
	TURN_PLACES,
};

struct disk_wait;

struct turn {
	TAILQ_ENTRY(turn) link;
	enum turn_place place;
	struct disk_wait *disk_wait; /* in TURN_ON_DISK */
	int64_t due_us;              /* in TURN_PACED */
	/* The stream's turn has come; it stands nowhere now and says where it goes next. */
	void (*call)(void *context);
	void *context;
};

/* events: what of the spool's news concerns the turns at the tip. */
struct turns *turns_new(
	struct loop *loop, struct wal_store *store, unsigned events, struct error *err) MUST_CHECK;
/* When the loop does not run; no turn stands anywhere any more. Waits for what is being read. */
void turns_free(struct turns **turns);

/* Wherever the turn stands, it goes there; but one that waits for the disk is not made ready before
 * the disk has answered. */
void turns_wait_at_tip(struct turns *turns, struct turn *turn);
/* Ready when this stretch was read, or could not be. */
void turns_wait_for_disk(struct turns *turns, struct turn *turn, struct wal_prefetch *prefetch,
	const struct wal_on_disk *stretch);
/* Ready at at_us on the loop's clock, or when caps have changed; INT64_MAX: only then. */
void turns_wait_until(struct turns *turns, struct turn *turn, int64_t at_us);
/* Any thread: caps have changed, whoever waits for a time is made ready. */
void turns_tell_caps(struct turns *turns);
void turns_make_ready(struct turns *turns, struct turn *turn);
void turns_leave(struct turns *turns, struct turn *turn);

#endif
