/*
 * slots: a table in memory, sorted by name, and its image in the state database.
 *
 * Creating and dropping are durable before anybody is told. Confirmed positions are written behind:
 * one job for all dirty slots, never a second one waiting, and none sooner than a second after the
 * last began. The table is the truth while the relay runs; one mutex guards it, and no callback
 * runs under it. Who is told of freed slots stands under a mutex of its own, which is held while he
 * is told.
 */
#include "spool/slots.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/monotonic_clock.h"
#include "spool/slot_rows.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WRITE_INTERVAL_US INT64_C(1000000)

enum slot_state {
	SLOT_CREATING, /* taken, not stored yet */
	SLOT_LIVE,
	SLOT_DROPPING, /* its row is being deleted */
};

struct slot {
	struct slot_stats stats;
	enum slot_state state;
	uint32_t owner_pid; /* who creates or drops it, or keeps it as a temporary one */
	uint64_t xmin;      /* hot_standby_feedback, not stored; 0: none */
	uint64_t catalog_xmin;
	bool is_dirty; /* differs from its row */
};

struct slots {
	struct database *database;
	pthread_mutex_t lock; /* of everything below */
	struct slot **sorted;
	size_t count;
	bool is_dirty;  /* some slot is */
	bool is_urgent; /* and one of them was lost */
	bool is_closing;
	bool is_write_waiting;
	int64_t last_write_us;      /* when the last one began, or was asked for */
	bool is_write_failing;      /* not under the lock: the database's thread alone */
	pthread_mutex_t watch_lock; /* of what follows */
	slots_freed *freed;         /* NULL: nobody wants to know */
	void *freed_context;
};

/* A creation or a drop on its way through the database. */
struct slot_change {
	struct slots *slots;
	struct slot *slot;
	struct slot_stats row;
	slots_done *done;
	void *context;
};

/* What one write-behind carries: a failed one makes these dirty again. */
struct slot_write {
	struct slots *slots;
	struct slot_stats *rows;
	size_t count;
};

/* Of the table: the caller holds the lock. Where name stands, or would. */
static size_t position_of(const struct slots *slots, const char *name)
{
	size_t low = 0;
	size_t high = slots->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(slots->sorted[middle]->stats.name, name) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static struct slot *find_slot(const struct slots *slots, const char *name)
{
	size_t at = position_of(slots, name);
	if (at == slots->count || strcmp(slots->sorted[at]->stats.name, name) != 0) {
		return NULL;
	}
	return slots->sorted[at];
}

static struct slot *insert_slot(struct slots *slots, const struct slot_stats *stats)
{
	size_t at = position_of(slots, stats->name);
	struct slot *slot = memory_new(sizeof(*slot));
	slot->stats = *stats;
	slots->sorted = memory_grow(slots->sorted, slots->count, sizeof(struct slot *));
	memmove(slots->sorted + at + 1, slots->sorted + at,
		(slots->count - at) * sizeof(struct slot *));
	slots->sorted[at] = slot;
	slots->count++;
	return slot;
}

static void remove_slot(struct slots *slots, struct slot *slot)
{
	size_t at = position_of(slots, slot->stats.name);
	assert(slots->sorted[at] == slot);
	slots->count--;
	memmove(slots->sorted + at, slots->sorted + at + 1,
		(slots->count - at) * sizeof(struct slot *));
	free(slot);
}

static void make_dirty(struct slots *slots, struct slot *slot)
{
	if (!slot->stats.temporary) {
		slot->is_dirty = true;
		slots->is_dirty = true;
	}
}

/* Takes the dirty rows. What is being created or dropped has a job of its own under way and keeps
 * its mark: an update now could miss the row. */
static void collect_write(struct slot_write *write)
{
	struct slots *slots = write->slots;
	pthread_mutex_lock(&slots->lock);
	slots->last_write_us = monotonic_clock_us();
	slots->is_dirty = false;
	slots->is_urgent = false;
	write->rows = memory_new((slots->count + 1) * sizeof(*write->rows));
	for (size_t i = 0; i < slots->count; i++) {
		struct slot *slot = slots->sorted[i];
		if (slot->is_dirty && slot->state == SLOT_LIVE) {
			slot->is_dirty = false;
			write->rows[write->count++] = slot->stats;
		}
		slots->is_dirty |= slot->is_dirty;
	}
	pthread_mutex_unlock(&slots->lock);
}

static bool write_job(struct sqlite3 *connection, void *context, struct error *err)
{
	struct slot_write *write = context;
	collect_write(write);
	for (size_t i = 0; i < write->count; i++) {
		if (!slot_rows_update(connection, &write->rows[i], err)) {
			return false;
		}
	}
	return true;
}

static void submit_write_if_due(struct slots *slots);

/* A failing database is told of once, and once more when it is well again. */
static void report_write(struct slots *slots, bool ok, const struct error *err)
{
	if (!ok && !slots->is_write_failing) {
		log_error(LOG_LEVEL_WARNING, "slots", err);
	} else if (ok && slots->is_write_failing) {
		log_info("slots", "positions of replication slots are stored again");
	}
	slots->is_write_failing = !ok;
}

static void finish_write(struct slot_write *write, bool ok, const struct error *err)
{
	struct slots *slots = write->slots;
	pthread_mutex_lock(&slots->lock);
	for (size_t i = 0; i < write->count && !ok; i++) {
		struct slot *slot = find_slot(slots, write->rows[i].name);
		if (slot) {
			make_dirty(slots, slot);
		}
	}
	pthread_mutex_unlock(&slots->lock);
	report_write(slots, ok, err);
	free(write->rows);
}

static void write_done(void *context, bool ok, const struct error *err)
{
	struct slot_write *write = context;
	struct slots *slots = write->slots;
	finish_write(write, ok, err);
	free(write);
	pthread_mutex_lock(&slots->lock);
	slots->is_write_waiting = false;
	submit_write_if_due(slots);
	pthread_mutex_unlock(&slots->lock);
}

static void submit_write_if_due(struct slots *slots)
{
	if (!slots->is_dirty || slots->is_write_waiting || slots->is_closing) {
		return;
	}
	int64_t now_us = monotonic_clock_us();
	if (!slots->is_urgent && now_us - slots->last_write_us < WRITE_INTERVAL_US) {
		return;
	}
	slots->last_write_us = now_us;
	struct slot_write *write = memory_new(sizeof(*write));
	write->slots = slots;
	slots->is_write_waiting = true;
	database_submit(slots->database, write_job, write_done, write);
}

static void load_row(void *context, const struct slot_stats *row)
{
	insert_slot(context, row)->state = SLOT_LIVE;
}

static bool load_job(struct sqlite3 *connection, void *context, struct error *err)
{
	return slot_rows_load(connection, load_row, context, err);
}

static void free_slots(struct slots *slots)
{
	for (size_t i = 0; i < slots->count; i++) {
		free(slots->sorted[i]);
	}
	free(slots->sorted);
	pthread_mutex_destroy(&slots->watch_lock);
	pthread_mutex_destroy(&slots->lock);
	free(slots);
}

struct slots *slots_open(struct database *database, struct error *err)
{
	struct slots *slots = memory_new(sizeof(*slots));
	slots->database = database;
	slots->last_write_us = monotonic_clock_us() - WRITE_INTERVAL_US;
	pthread_mutex_init(&slots->lock, NULL);
	pthread_mutex_init(&slots->watch_lock, NULL);
	if (!database_run(database, load_job, slots, err)) {
		error_wrap(err, "could not load the replication slots");
		free_slots(slots);
		return NULL;
	}
	return slots;
}

void slots_close(struct slots **slots)
{
	struct slots *closing = *slots;
	if (!closing) {
		return;
	}
	*slots = NULL;
	pthread_mutex_lock(&closing->lock);
	closing->is_closing = true;
	pthread_mutex_unlock(&closing->lock);
	/* Jobs run in order: when this one is committed, every earlier one has called done. */
	struct slot_write write = {.slots = closing};
	struct error err = {0};
	bool ok = database_run(closing->database, write_job, &write, &err);
	finish_write(&write, ok, &err);
	assert(!closing->is_write_waiting);
	free_slots(closing);
}

void slots_watch(struct slots *slots, slots_freed *freed, void *context)
{
	pthread_mutex_lock(&slots->watch_lock);
	slots->freed = freed;
	slots->freed_context = context;
	pthread_mutex_unlock(&slots->watch_lock);
}

static void tell_freed(struct slots *slots)
{
	pthread_mutex_lock(&slots->watch_lock);
	if (slots->freed) {
		slots->freed(slots->freed_context);
	}
	pthread_mutex_unlock(&slots->watch_lock);
}

static bool check_name(const char *name, struct error *err)
{
	size_t length = strlen(name);
	if (length == 0) {
		error_set(err, ERROR_INVALID, "replication slot name \"%s\" is too short", name);
		return error_sqlstate(err, "42602");
	}
	if (length >= SLOT_NAME_SIZE) {
		error_set(err, ERROR_INVALID, "replication slot name \"%s\" is too long", name);
		return error_sqlstate(err, "42622");
	}
	if (strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != length) {
		error_set(err, ERROR_INVALID,
			"replication slot name \"%s\" contains invalid character", name);
		error_sqlstate(err, "42602");
		return error_hint(err, "Replication slot names may only contain lower case "
				       "letters, numbers, and the underscore character.");
	}
	return true;
}

static bool check_can_create(const struct slots *slots, const char *name, struct error *err)
{
	if (find_slot(slots, name)) {
		error_set(err, ERROR_CONFLICT, "replication slot \"%s\" already exists", name);
		return error_sqlstate(err, "42710");
	}
	if (slots->count >= SLOTS_MAX) {
		error_set(err, ERROR_FULL, "all replication slots are in use");
		error_sqlstate(err, "53400");
		return error_hint(err, "Drop one that is no longer needed.");
	}
	return true;
}

/* The slot, when pid may have it for itself; NULL and err when not. */
static struct slot *claim_slot(
	const struct slots *slots, const char *name, uint32_t pid, struct error *err)
{
	struct slot *slot = find_slot(slots, name);
	if (!slot) {
		error_set(err, ERROR_NOT_FOUND, "replication slot \"%s\" does not exist", name);
		error_sqlstate(err, "42704");
		return NULL;
	}
	uint32_t holder_pid = slot->stats.active_pid ? slot->stats.active_pid : slot->owner_pid;
	if (slot->state != SLOT_LIVE || (holder_pid != 0 && holder_pid != pid)) {
		error_set(err, ERROR_CONFLICT, "replication slot \"%s\" is active for PID %u", name,
			holder_pid);
		error_sqlstate(err, "55006");
		return NULL;
	}
	return slot;
}

static struct slot_change *new_change(
	struct slots *slots, struct slot *slot, slots_done *done, void *context)
{
	struct slot_change *change = memory_new(sizeof(*change));
	*change = (struct slot_change){
		.slots = slots, .slot = slot, .row = slot->stats, .done = done, .context = context};
	return change;
}

static bool create_job(struct sqlite3 *connection, void *context, struct error *err)
{
	struct slot_change *change = context;
	return slot_rows_insert(connection, &change->row, err);
}

static bool drop_job(struct sqlite3 *connection, void *context, struct error *err)
{
	struct slot_change *change = context;
	return slot_rows_delete(connection, change->row.name, err);
}

/* After a change that went through or not, the slot is live, or gone. */
static void finish_change(
	struct slot_change *change, bool is_there, bool ok, const struct error *err)
{
	struct slots *slots = change->slots;
	pthread_mutex_lock(&slots->lock);
	if (is_there) {
		change->slot->state = SLOT_LIVE;
		change->slot->owner_pid = 0;
		submit_write_if_due(slots);
	} else {
		remove_slot(slots, change->slot);
	}
	pthread_mutex_unlock(&slots->lock);
	if (change->done) {
		change->done(change->context, ok, err);
	}
	tell_freed(slots);
	free(change);
}

static void create_done(void *context, bool ok, const struct error *err)
{
	finish_change(context, ok, ok, err);
}

static void drop_done(void *context, bool ok, const struct error *err)
{
	finish_change(context, !ok, ok, err);
}

static void call_done(slots_done *done, void *context)
{
	static const struct error no_error;
	if (done) {
		done(context, true, &no_error);
	}
}

bool slots_create(struct slots *slots, const char *name, bool temporary, uint32_t owner_pid,
	lsn_t restart_lsn, tli_t restart_tli, slots_done *done, void *context, struct error *err)
{
	if (!check_name(name, err)) {
		return false;
	}
	struct slot_stats stats = {
		.restart_lsn = restart_lsn, .restart_tli = restart_tli, .temporary = temporary};
	memcpy(stats.name, name, strlen(name));
	pthread_mutex_lock(&slots->lock);
	bool is_allowed = check_can_create(slots, name, err);
	if (is_allowed) {
		struct slot *slot = insert_slot(slots, &stats);
		slot->owner_pid = owner_pid;
		slot->state = temporary ? SLOT_LIVE : SLOT_CREATING;
		if (!temporary) {
			database_submit(slots->database, create_job, create_done,
				new_change(slots, slot, done, context));
		}
	}
	pthread_mutex_unlock(&slots->lock);
	if (is_allowed && temporary) {
		call_done(done, context);
	}
	return is_allowed;
}

bool slots_drop(struct slots *slots, const char *name, uint32_t pid, slots_done *done,
	void *context, struct error *err)
{
	pthread_mutex_lock(&slots->lock);
	struct slot *slot = claim_slot(slots, name, pid, err);
	bool is_claimed = slot != NULL;
	bool is_temporary = is_claimed && slot->stats.temporary;
	if (is_temporary) {
		remove_slot(slots, slot);
	} else if (is_claimed) {
		slot->state = SLOT_DROPPING;
		slot->owner_pid = pid;
		database_submit(slots->database, drop_job, drop_done,
			new_change(slots, slot, done, context));
	}
	pthread_mutex_unlock(&slots->lock);
	if (is_temporary) {
		call_done(done, context);
		tell_freed(slots);
	}
	return is_claimed;
}

void slots_drop_temporary(struct slots *slots, uint32_t owner_pid)
{
	bool is_any = false;
	pthread_mutex_lock(&slots->lock);
	for (size_t i = slots->count; i-- > 0;) {
		struct slot *slot = slots->sorted[i];
		if (slot->stats.temporary && slot->owner_pid == owner_pid) {
			remove_slot(slots, slot);
			is_any = true;
		}
	}
	pthread_mutex_unlock(&slots->lock);
	if (is_any) {
		tell_freed(slots);
	}
}

bool slots_acquire(struct slots *slots, const char *name, uint32_t pid, struct error *err)
{
	assert(pid != 0);
	pthread_mutex_lock(&slots->lock);
	struct slot *slot = claim_slot(slots, name, pid, err);
	bool is_acquired = slot && !slot->stats.lost;
	if (is_acquired) {
		slot->stats.active_pid = pid;
	} else if (slot) {
		error_set(
			err, ERROR_NOT_FOUND, "can no longer access replication slot \"%s\"", name);
		error_sqlstate(err, "55000");
		error_detail(err, "This replication slot has been invalidated due to "
				  "\"wal_removed\".");
	}
	pthread_mutex_unlock(&slots->lock);
	return is_acquired;
}

void slots_release(struct slots *slots, const char *name, uint32_t pid)
{
	pthread_mutex_lock(&slots->lock);
	struct slot *slot = find_slot(slots, name);
	bool is_released = slot && slot->stats.active_pid == pid;
	if (is_released) {
		slot->stats.active_pid = 0;
	}
	pthread_mutex_unlock(&slots->lock);
	if (is_released) {
		tell_freed(slots);
	}
}

void slots_confirm(struct slots *slots, const char *name, lsn_t flush_lsn, tli_t tli)
{
	if (flush_lsn == LSN_INVALID) {
		return;
	}
	pthread_mutex_lock(&slots->lock);
	struct slot *slot = find_slot(slots, name);
	if (slot && !slot->stats.lost &&
		(slot->stats.restart_lsn != flush_lsn || slot->stats.restart_tli != tli)) {
		slot->stats.restart_lsn = flush_lsn;
		slot->stats.restart_tli = tli;
		make_dirty(slots, slot);
	}
	submit_write_if_due(slots);
	pthread_mutex_unlock(&slots->lock);
}

void slots_hold_xmin(struct slots *slots, const char *name, uint64_t xmin, uint64_t catalog_xmin)
{
	pthread_mutex_lock(&slots->lock);
	struct slot *slot = find_slot(slots, name);
	if (slot && !slot->stats.lost) {
		slot->xmin = xmin;
		slot->catalog_xmin = catalog_xmin;
	}
	pthread_mutex_unlock(&slots->lock);
}

/* 0 holds nothing. */
static uint64_t older_xmin(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0) {
		return a | b;
	}
	return a < b ? a : b;
}

void slots_oldest_xmin(struct slots *slots, uint64_t *xmin_out, uint64_t *catalog_xmin_out)
{
	uint64_t xmin = 0;
	uint64_t catalog_xmin = 0;
	pthread_mutex_lock(&slots->lock);
	for (size_t i = 0; i < slots->count; i++) {
		xmin = older_xmin(xmin, slots->sorted[i]->xmin);
		catalog_xmin = older_xmin(catalog_xmin, slots->sorted[i]->catalog_xmin);
	}
	pthread_mutex_unlock(&slots->lock);
	*xmin_out = xmin;
	*catalog_xmin_out = catalog_xmin;
}

void slots_mark_lost(struct slots *slots, const char *name)
{
	pthread_mutex_lock(&slots->lock);
	struct slot *slot = find_slot(slots, name);
	if (slot && !slot->stats.lost) {
		slot->stats.lost = true;
		slot->stats.restart_lsn = LSN_INVALID;
		slot->xmin = 0;
		slot->catalog_xmin = 0;
		make_dirty(slots, slot);
		slots->is_urgent = true;
		submit_write_if_due(slots);
	}
	pthread_mutex_unlock(&slots->lock);
}

bool slots_find(struct slots *slots, const char *name, struct slot_stats *stats_out)
{
	pthread_mutex_lock(&slots->lock);
	const struct slot *slot = find_slot(slots, name);
	if (slot) {
		*stats_out = slot->stats;
	}
	pthread_mutex_unlock(&slots->lock);
	return slot != NULL;
}

size_t slots_list(struct slots *slots, struct slot_stats *stats_out, size_t capacity)
{
	pthread_mutex_lock(&slots->lock);
	size_t count = slots->count;
	for (size_t i = 0; i < count && i < capacity; i++) {
		stats_out[i] = slots->sorted[i]->stats;
	}
	pthread_mutex_unlock(&slots->lock);
	return count;
}
