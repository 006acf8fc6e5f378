/*
 * pins: a table in memory, sorted by name, and its image in the state database.
 *
 * Each change is one job of its own: pins are few, and change when somebody says so. The table is
 * the truth while the relay runs; one mutex guards it, and no callback runs under it. A pin holds
 * WAL from before it is stored until after its row is gone, so a crash in between keeps too much
 * rather than too little.
 */
#include "spool/pins.h"

#include "base/log.h"
#include "base/memory.h"
#include "spool/pin_rows.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_SCOPE      "pins"
#define DAY_US         INT64_C(86400000000)
#define WARNING_SHARES 10
#define LEFT_FORMAT    "lost-%u-%X-%X-%X-%X"

struct pin {
	struct pin_stats stats;
	bool is_changing; /* being stored, or its row is being deleted */
	bool is_warned;   /* of its end */
};

struct pins {
	struct database *database;
	pthread_mutex_t lock; /* of everything below */
	struct pin **sorted;
	size_t count;
};

enum pin_change_kind { PIN_ADDED, PIN_DROPPED, PIN_EXPIRED, PIN_LOST };

/* A change on its way through the database. */
struct pin_change {
	struct pins *pins;
	enum pin_change_kind kind;
	struct pin_stats row;
	pins_done *done;
	void *context;
};

/* Of the table: the caller holds the lock. Where name stands, or would. */
static size_t position_of(const struct pins *pins, const char *name)
{
	size_t at = 0;
	while (at < pins->count && strcmp(pins->sorted[at]->stats.name, name) < 0) {
		at++;
	}
	return at;
}

static struct pin *find_pin(const struct pins *pins, const char *name)
{
	size_t at = position_of(pins, name);
	if (at == pins->count || strcmp(pins->sorted[at]->stats.name, name) != 0) {
		return NULL;
	}
	return pins->sorted[at];
}

void pins_name_left(tli_t tli, lsn_t from_lsn, lsn_t end_lsn, char name_out[PIN_NAME_SIZE])
{
	snprintf(name_out, PIN_NAME_SIZE, LEFT_FORMAT, tli, LSN_ARGS(from_lsn), LSN_ARGS(end_lsn));
}

static void read_name(struct pin_stats *stats)
{
	unsigned tli, from[2], end[2];
	char name[PIN_NAME_SIZE];
	if (sscanf(stats->name, LEFT_FORMAT, &tli, &from[0], &from[1], &end[0], &end[1]) != 5) {
		return;
	}
	lsn_t end_lsn = (lsn_t)end[0] << 32 | end[1];
	pins_name_left(tli, (lsn_t)from[0] << 32 | from[1], end_lsn, name);
	if (strcmp(name, stats->name) == 0 && end_lsn > stats->lsn) {
		stats->left_tli = tli;
		stats->left_end_lsn = end_lsn;
	}
}

static struct pin *insert_pin(struct pins *pins, const struct pin_stats *stats)
{
	size_t at = position_of(pins, stats->name);
	struct pin *pin = memory_new(sizeof(*pin));
	pin->stats = *stats;
	read_name(&pin->stats);
	pins->sorted = memory_grow(pins->sorted, pins->count, sizeof(struct pin *));
	memmove(pins->sorted + at + 1, pins->sorted + at,
		(pins->count - at) * sizeof(struct pin *));
	pins->sorted[at] = pin;
	pins->count++;
	return pin;
}

static void remove_pin(struct pins *pins, struct pin *pin)
{
	size_t at = position_of(pins, pin->stats.name);
	assert(pins->sorted[at] == pin);
	pins->count--;
	memmove(pins->sorted + at, pins->sorted + at + 1,
		(pins->count - at) * sizeof(struct pin *));
	free(pin);
}

/* --- opening and closing ------------------------------------------------------------------------
 */

static void load_row(void *context, const struct pin_stats *row)
{
	(void)insert_pin(context, row);
}

static bool load_job(struct sqlite3 *connection, void *context, struct error *err)
{
	return pin_rows_load(connection, load_row, context, err);
}

static void free_pins(struct pins *pins)
{
	for (size_t i = 0; i < pins->count; i++) {
		free(pins->sorted[i]);
	}
	free(pins->sorted);
	pthread_mutex_destroy(&pins->lock);
	free(pins);
}

struct pins *pins_open(struct database *database, struct error *err)
{
	struct pins *pins = memory_new(sizeof(*pins));
	pins->database = database;
	pthread_mutex_init(&pins->lock, NULL);
	if (!database_run(database, load_job, pins, err)) {
		error_wrap(err, "could not load the pins");
		free_pins(pins);
		return NULL;
	}
	return pins;
}

static bool pass_job(struct sqlite3 *connection, void *context, struct error *err)
{
	(void)connection;
	(void)context;
	(void)err;
	return true;
}

void pins_close(struct pins **pins)
{
	struct pins *closing = *pins;
	struct error ignored;
	if (closing == NULL) {
		return;
	}
	*pins = NULL;
	/* Jobs run in order: when this one is committed, every earlier one has called done. */
	(void)!database_run(closing->database, pass_job, NULL, &ignored);
	free_pins(closing);
}

/* --- changes ------------------------------------------------------------------------------------
 */

static bool change_job(struct sqlite3 *connection, void *context, struct error *err)
{
	const struct pin_change *change = context;
	switch (change->kind) {
	case PIN_ADDED: return pin_rows_insert(connection, &change->row, err);
	case PIN_LOST: return pin_rows_mark_lost(connection, change->row.name, err);
	case PIN_DROPPED:
	case PIN_EXPIRED: return pin_rows_delete(connection, change->row.name, err);
	}
	return false;
}

/* A pin that could not be stored is none; one whose row could not be deleted still is. That its
 * time has come does not wait for the disk: a restart ends it again. */
static void settle(struct pin_change *change, bool ok)
{
	struct pins *pins = change->pins;
	bool goes = change->kind == PIN_ADDED ? !ok : change->kind == PIN_DROPPED && ok;
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = find_pin(pins, change->row.name);
	if (pin != NULL && change->kind != PIN_LOST && pin->is_changing) {
		pin->is_changing = false;
		if (goes || change->kind == PIN_EXPIRED) {
			remove_pin(pins, pin);
		}
	}
	pthread_mutex_unlock(&pins->lock);
}

static void change_done(void *context, bool ok, const struct error *err)
{
	struct pin_change *change = context;
	settle(change, ok);
	if (change->done != NULL) {
		change->done(change->context, ok, err);
	} else if (!ok) {
		log_error(LOG_LEVEL_WARNING, LOG_SCOPE, err);
	}
	free(change);
}

/* The caller holds the lock. */
static void submit(struct pins *pins, enum pin_change_kind kind, const struct pin *pin,
	pins_done *done, void *context)
{
	struct pin_change *change = memory_new(sizeof(*change));
	*change = (struct pin_change){pins, kind, pin->stats, done, context};
	database_submit(pins->database, change_job, change_done, change);
}

static bool check_name(const char *name, struct error *err)
{
	size_t length = strlen(name);
	if (length == 0 || length >= PIN_NAME_SIZE) {
		error_set(err, ERROR_INVALID, "pin name \"%.80s\" is too %s", name,
			length == 0 ? "short" : "long");
		return error_sqlstate(err, "42602");
	}
	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") !=
		length) {
		error_set(err, ERROR_INVALID, "pin name \"%s\" contains invalid character", name);
		error_sqlstate(err, "42602");
		return error_hint(err, "Pin names may only contain letters, numbers, \"_\", \"-\" "
				       "and \".\".");
	}
	return true;
}

static bool check_can_add(const struct pins *pins, const char *name, struct error *err)
{
	if (find_pin(pins, name) != NULL) {
		error_set(err, ERROR_CONFLICT, "pin \"%s\" already exists", name);
		return error_sqlstate(err, "42710");
	}
	if (pins->count >= PINS_MAX) {
		error_set(err, ERROR_FULL, "there are already %d pins", PINS_MAX);
		error_sqlstate(err, "53400");
		return error_hint(err, "Drop one that is no longer needed.");
	}
	return true;
}

bool pins_add(struct pins *pins, const char *name, lsn_t lsn, int64_t now_us, int64_t expires_us,
	pins_done *done, void *context, struct error *err)
{
	if (!check_name(name, err)) {
		return false;
	}
	if (lsn == LSN_INVALID) {
		error_set(err, ERROR_INVALID, "a pin needs an LSN");
		return error_sqlstate(err, "22023");
	}
	struct pin_stats stats = {.lsn = lsn, .created_us = now_us, .expires_us = expires_us};
	memcpy(stats.name, name, strlen(name));
	pthread_mutex_lock(&pins->lock);
	bool is_allowed = check_can_add(pins, name, err);
	if (is_allowed) {
		struct pin *pin = insert_pin(pins, &stats);
		pin->is_changing = true;
		submit(pins, PIN_ADDED, pin, done, context);
	}
	pthread_mutex_unlock(&pins->lock);
	return is_allowed;
}

bool pins_drop(
	struct pins *pins, const char *name, pins_done *done, void *context, struct error *err)
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = find_pin(pins, name);
	bool is_allowed = pin != NULL && !pin->is_changing;
	if (is_allowed) {
		pin->is_changing = true;
		submit(pins, PIN_DROPPED, pin, done, context);
	} else if (pin == NULL) {
		error_set(err, ERROR_NOT_FOUND, "pin \"%s\" does not exist", name);
		error_sqlstate(err, "42704");
	} else {
		error_set(err, ERROR_CONFLICT, "pin \"%s\" is being changed", name);
		error_sqlstate(err, "55006");
	}
	pthread_mutex_unlock(&pins->lock);
	return is_allowed;
}

void pins_mark_lost(struct pins *pins, const char *name)
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = find_pin(pins, name);
	if (pin != NULL && !pin->stats.lost) {
		pin->stats.lost = true;
		submit(pins, PIN_LOST, pin, NULL, NULL);
	}
	pthread_mutex_unlock(&pins->lock);
}

/* --- time ---------------------------------------------------------------------------------------
 */

int64_t pins_warning_us(const struct pin_stats *pin)
{
	int64_t before_us = (pin->expires_us - pin->created_us) / WARNING_SHARES;
	return pin->expires_us - (before_us < DAY_US ? before_us : DAY_US);
}

void pins_expire(struct pins *pins, int64_t now_us)
{
	pthread_mutex_lock(&pins->lock);
	for (size_t i = 0; i < pins->count; i++) {
		struct pin *pin = pins->sorted[i];
		if (pin->is_changing || pin->stats.expires_us == PIN_FOREVER_US) {
			continue;
		}
		if (now_us >= pin->stats.expires_us) {
			log_info(LOG_SCOPE,
				"the time of pin \"%s\" at " LSN_FORMAT " is over, it is dropped",
				pin->stats.name, LSN_ARGS(pin->stats.lsn));
			pin->is_changing = true;
			submit(pins, PIN_EXPIRED, pin, NULL, NULL);
		} else if (!pin->is_warned && now_us >= pins_warning_us(&pin->stats)) {
			log_warning(LOG_SCOPE, "pin \"%s\" at " LSN_FORMAT " ends in %lld minutes",
				pin->stats.name, LSN_ARGS(pin->stats.lsn),
				(long long)((pin->stats.expires_us - now_us) / 60000000));
			pin->is_warned = true;
		}
	}
	pthread_mutex_unlock(&pins->lock);
}

/* --- readers ------------------------------------------------------------------------------------
 */

bool pins_find(struct pins *pins, const char *name, struct pin_stats *stats_out)
{
	pthread_mutex_lock(&pins->lock);
	const struct pin *pin = find_pin(pins, name);
	if (pin != NULL) {
		*stats_out = pin->stats;
	}
	pthread_mutex_unlock(&pins->lock);
	return pin != NULL;
}

size_t pins_list(struct pins *pins, struct pin_stats *stats_out, size_t capacity)
{
	pthread_mutex_lock(&pins->lock);
	size_t count = pins->count;
	for (size_t i = 0; i < count && i < capacity; i++) {
		stats_out[i] = pins->sorted[i]->stats;
	}
	pthread_mutex_unlock(&pins->lock);
	return count;
}
