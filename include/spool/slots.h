/*
 * slots: the relay's own physical replication slots: names that hold WAL for a standby.
 *
 * Durable slots survive a restart (state database); temporary ones live as long as the session that
 * made them. A slot's restart_lsn follows its standby's flush reports and is written behind: after a
 * crash a slot may stand a little further back, which only keeps more. Any thread.
 * Errors carry PostgreSQL's SQLSTATE and wording: 42710 exists, 42704 does not, 55006 active, 42602
 * bad name, 53400 all in use, 55000 lost.
 */
#ifndef SPOOL_SLOTS_H
#define SPOOL_SLOTS_H

#include "base/database.h"
#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_NAME_SIZE 64
#define SLOTS_MAX      4096

struct slots;

struct slot_stats {
	char name[SLOT_NAME_SIZE];
	lsn_t restart_lsn; /* LSN_INVALID: holds nothing yet */
	tli_t restart_tli;
	uint32_t active_pid; /* 0: nobody streams from it */
	bool temporary;
	bool lost; /* max_size took WAL it needed */
};

typedef void slots_done(void *context, bool ok, const struct error *err);
/* On whatever thread freed it. */
typedef void slots_freed(void *context);

struct slots *slots_open(struct database *database, struct error *err) MUST_CHECK;
/* Stores what was written behind; what was begun is finished, done callbacks included. Accepts NULL,
 * sets NULL. */
void slots_close(struct slots **slots);

/* freed is called after every slot that became free for others: made, released, dropped, or gone
 * with its session. NULL ends that: it is not called any more once this has returned. It must not
 * call back. */
void slots_watch(struct slots *slots, slots_freed *freed, void *context);

/* Checks the name at once (false: done is not called) and takes it: from here on nobody else can
 * create it and it holds WAL. A durable slot is then stored, and done is called on the database's
 * thread; a temporary one needs no storing, and done is called before this returns. owner_pid: of
 * the session. restart_lsn may be LSN_INVALID. */
bool slots_create(struct slots *slots, const char *name, bool temporary, uint32_t owner_pid,
	lsn_t restart_lsn, tli_t restart_tli, slots_done *done, void *context, struct error *err)
	MUST_CHECK;
/* pid: of the session that asks (0: the console); only a temporary slot's own session may drop it.
 * done as above. A slot that is being dropped is still there, and in use, until done. */
bool slots_drop(struct slots *slots, const char *name, uint32_t pid, slots_done *done,
	void *context, struct error *err) MUST_CHECK;
/* Temporary slots of a session that ended. */
void slots_drop_temporary(struct slots *slots, uint32_t owner_pid);

/* A session begins and ends to stream from a slot. */
bool slots_acquire(struct slots *slots, const char *name, uint32_t pid, struct error *err)
	MUST_CHECK;
void slots_release(struct slots *slots, const char *name, uint32_t pid);
/* The standby confirmed: PostgreSQL lets it go backwards too. LSN_INVALID (unknown) and lost slots
 * are passed over. Cheap; stored behind, at most about once a second for all slots together. */
void slots_confirm(struct slots *slots, const char *name, lsn_t flush_lsn, tli_t tli);
/* hot_standby_feedback of the standby that streams from it, epoch << 32 | xid; 0: nothing. A slot
 * holds it, in memory, until the next such message or its end: also while its standby is away. */
void slots_hold_xmin(struct slots *slots, const char *name, uint64_t xmin, uint64_t catalog_xmin);
/* The oldest of each that any slot holds; 0: none does. */
void slots_oldest_xmin(struct slots *slots, uint64_t *xmin_out, uint64_t *catalog_xmin_out);
/* Retention took WAL a slot needed (max_size). It holds nothing from now on, and nobody can stream
 * from it until it was dropped and created again. */
void slots_mark_lost(struct slots *slots, const char *name);

/* false: no such slot. */
bool slots_find(struct slots *slots, const char *name, struct slot_stats *stats_out);
/* Fills at most capacity, in order of names; returns how many there are. */
size_t slots_list(struct slots *slots, struct slot_stats *stats_out, size_t capacity);

#endif
