/*
 * turns: who sends next on one sender loop.
 *
 * A turn belongs to one stream and stands in at most one place: at the tip, where only news from
 * the spool wakes it, or among those that have more to send and room for it. Those take turns, one
 * for each round of the loop, so that a standby far behind delays one at the tip by one bounded
 * turn at most. News visits exactly the turns at the tip. Everything but the spool's ringing
 * happens on the loop's thread.
 */
#ifndef DOWNSTREAM_TURNS_H
#define DOWNSTREAM_TURNS_H

#include "base/error.h"
#include "net/loop.h"
#include "spool/wal_store.h"

#include <sys/queue.h>

struct turns;

enum turn_place { TURN_NOWHERE, TURN_AT_TIP, TURN_READY, TURN_VISITED, TURN_PLACES };

struct turn {
	TAILQ_ENTRY(turn) link;
	enum turn_place place;
	/* The stream's turn has come; it stands nowhere now and says where it goes next. */
	void (*call)(void *context);
	void *context;
};

/* events: what of the spool's news concerns the turns at the tip. */
struct turns *turns_new(
	struct loop *loop, struct wal_store *store, unsigned events, struct error *err) MUST_CHECK;
/* On the loop's thread or when it does not run; no turn stands anywhere any more. */
void turns_free(struct turns **turns);

/* Wherever the turn stands, it goes there. */
void turns_wait_at_tip(struct turns *turns, struct turn *turn);
void turns_make_ready(struct turns *turns, struct turn *turn);
void turns_leave(struct turns *turns, struct turn *turn);

#endif
