/*
 * downstream_session_slots: a session's dealings with the relay's slots.
 *
 * A slot is stored on the database's thread; the answer comes back to the session's loop by a post.
 * Until then the session waits, and if its client goes meanwhile, the session outlives it until the
 * answer is there: so the answer always finds its session.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "downstream/downstream_session_state.h"
#include "spool/slots.h"
#include "spool/wal_store.h"

#define RESERVE_TRIES 10

struct slot_operation {
	struct downstream_session *session;
	char slot[SLOT_NAME_SIZE];
	bool is_drop;
	bool is_temporary;
	bool ok; /* the outcome, written on the database's thread before the post */
	struct error err;
};

/* --- operations that are stored ----------------------------------------------------------------
 */

static void finish_operation(void *context)
{
	struct slot_operation *operation = context;
	struct downstream_session *session = operation->session;
	struct wire_writer writer;
	session->operation = NULL;
	if (operation->ok && operation->is_temporary) {
		session->has_temporary_slot = true;
	}
	if (session_is_ended(session)) {
		loop_defer(session->host->loop, session_release, session);
	} else if (!operation->ok) {
		session_fail_command(session, &operation->err);
	} else {
		wire_writer_init(&writer);
		if (operation->is_drop) {
			replication_write_slot_dropped(&writer, session_server_version(session));
		} else {
			replication_write_slot_created(
				&writer, operation->slot, session_server_version(session));
		}
		session_finish_command(session, &writer);
	}
	free(operation);
}

static void on_done(void *context, bool ok, const struct error *err)
{
	struct slot_operation *operation = context;
	struct session_host *host = operation->session->host;
	operation->ok = ok;
	if (!ok) {
		operation->err = *err;
	}
	/* The post may be what the host's end waits for: it must be over before the loop goes. */
	pthread_mutex_lock(&host->end_lock);
	loop_post(host->loop, finish_operation, operation);
	pthread_mutex_unlock(&host->end_lock);
}

static struct slot_operation *begin_operation(struct downstream_session *session, const char *slot)
{
	struct slot_operation *operation = memory_new(sizeof(*operation));
	assert(session->operation == NULL);
	operation->session = session;
	snprintf(operation->slot, sizeof(operation->slot), "%s", slot);
	session->operation = operation;
	return operation;
}

static void drop_operation(struct downstream_session *session)
{
	free(session->operation);
	session->operation = NULL;
}

static bool is_held(struct wal_store *store, lsn_t lsn)
{
	struct wal_store_stats stats;
	wal_store_read_stats(store, &stats);
	return lsn >= stats.oldest_lsn;
}

/* As ReplicationSlotReserveWal: the slot holds WAL from when it was there; what it was made with
 * may have gone before, and then a newer redo will do. Retention tells what it takes before it
 * takes it. */
static void reserve_again(
	const struct downstream_shared *shared, const char *slot, struct wal_position restart)
{
	for (int i = 0; i < RESERVE_TRIES && !is_held(shared->store, restart.lsn); i++) {
		restart = wal_store_redo(shared->store);
		slots_confirm(shared->slots, slot, restart.lsn, restart.tli);
	}
}

void session_create_slot(struct downstream_session *session, const struct repl_command *command)
{
	const struct downstream_shared *shared = session->host->shared;
	struct wal_position restart = {0};
	struct error err = {0};
	if (command->reserve_wal) {
		restart = wal_store_redo(shared->store);
	}
	struct slot_operation *operation = begin_operation(session, command->slot);
	operation->is_temporary = command->temporary;
	session_enter(session, SESSION_SLOT_OPERATION);
	if (!slots_create(shared->slots, command->slot, command->temporary, session->pid,
		    restart.lsn, restart.tli, on_done, operation, &err)) {
		drop_operation(session);
		session_fail_command(session, &err);
	} else if (command->reserve_wal) {
		reserve_again(shared, command->slot, restart);
	}
}

/* --- DROP, also of a slot that is in use -------------------------------------------------------
 */

static void stop_waiting(struct downstream_session *session)
{
	if (session->wanted_slot[0] != '\0') {
		session->wanted_slot[0] = '\0';
		atomic_fetch_sub(&session->host->shared->drop_waiters, 1);
	}
}

/* When a slot is free, drop_waiters is looked at; this one counted itself before it tries: so no
 * freeing is missed. */
static void try_drop(struct downstream_session *session, const char *name, bool may_wait)
{
	struct error err = {0};
	struct slot_operation *operation = begin_operation(session, name);
	operation->is_drop = true;
	if (slots_drop(
		    session->host->shared->slots, name, session->pid, on_done, operation, &err)) {
		stop_waiting(session);
		return;
	}
	drop_operation(session);
	if (may_wait && strcmp(err.sqlstate, "55006") == 0) {
		return;
	}
	stop_waiting(session);
	session_fail_command(session, &err);
}

void session_drop_slot(struct downstream_session *session, const struct repl_command *command)
{
	session_enter(session, SESSION_SLOT_OPERATION);
	if (command->wait) {
		snprintf(session->wanted_slot, sizeof(session->wanted_slot), "%s", command->slot);
		atomic_fetch_add(&session->host->shared->drop_waiters, 1);
	}
	try_drop(session, command->slot, command->wait);
}

void downstream_session_on_slot_freed(struct downstream_session *session)
{
	char name[SLOT_NAME_SIZE];
	if (session->wanted_slot[0] == '\0' || session_is_ended(session)) {
		return;
	}
	memcpy(name, session->wanted_slot, sizeof(name));
	try_drop(session, name, true);
}

/* --- the slot that is streamed from ------------------------------------------------------------
 */

static void name_slot(struct downstream_session *session, const char *name)
{
	pthread_mutex_lock(&session->host->stats_lock);
	snprintf(session->slot, sizeof(session->slot), "%s", name);
	pthread_mutex_unlock(&session->host->stats_lock);
}

bool session_acquire_slot(struct downstream_session *session, const char *name, struct error *err)
{
	if (!slots_acquire(session->host->shared->slots, name, session->pid, err)) {
		return false;
	}
	name_slot(session, name);
	return true;
}

void session_release_slot(struct downstream_session *session)
{
	if (session->slot[0] != '\0') {
		slots_release(session->host->shared->slots, session->slot, session->pid);
		name_slot(session, "");
	}
}

void session_forget_slots(struct downstream_session *session)
{
	stop_waiting(session);
	session_release_slot(session);
	if (session->has_temporary_slot) {
		session->has_temporary_slot = false;
		slots_drop_temporary(session->host->shared->slots, session->pid);
	}
}
