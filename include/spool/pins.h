/*
 * pins: named promises to keep WAL from an LSN, for what is not connected yet: a standby that will
 * be started from a snapshot or a backup, or somebody who has to look at what was lost.
 *
 * Durable, and each ends by itself at its time unless it has none. Retention holds WAL for them as
 * for slots; max_size takes it all the same, from those that hold most first. Any thread.
 * Errors carry SQLSTATEs as slots' do: 42710 exists, 42704 does not, 42602 bad name, 53400 too
 * many.
 */
#ifndef SPOOL_PINS_H
#define SPOOL_PINS_H

#include "base/database.h"
#include "base/error.h"
#include "protocol/lsn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIN_NAME_SIZE  64
#define PINS_MAX       1024
#define PIN_USUAL_US   INT64_C(604800000000) /* a week: for whom nobody says how long */
#define PIN_FOREVER_US INT64_C(0)

struct pins;

struct pin_stats {
	char name[PIN_NAME_SIZE];
	lsn_t lsn;
	int64_t created_us; /* Unix time */
	int64_t expires_us; /* PIN_FOREVER_US: never */
	bool lost;          /* max_size took WAL it was to keep */
	/* Of one that keeps acknowledged WAL which a promotion left behind, from lsn on: its
	 * timeline (0: it is another pin) and its end. */
	tli_t left_tli;
	lsn_t left_end_lsn;
};

/* On the thread of the database. */
typedef void pins_done(void *context, bool ok, const struct error *err);

struct pins *pins_open(struct database *database, struct error *err) MUST_CHECK;
/* What was begun is finished, done callbacks included. Accepts NULL, sets NULL. */
void pins_close(struct pins **pins);

/* Checks at once (false: done is not called); the pin holds WAL from here on, and is stored when
 * done says so. A name is 1 to 63 letters, digits, "_", "-" and ".". done may be NULL: a failure is
 * logged then. */
bool pins_add(struct pins *pins, const char *name, lsn_t lsn, int64_t now_us, int64_t expires_us,
	pins_done *done, void *context, struct error *err) MUST_CHECK;
/* The pin is there until done. */
bool pins_drop(struct pins *pins, const char *name, pins_done *done, void *context,
	struct error *err) MUST_CHECK;
/* max_size took what it held. It stays, as lost, until it is dropped or its time comes. */
void pins_mark_lost(struct pins *pins, const char *name);

/* The name by which a pin is known to keep what was left behind, over restarts too:
 * "lost-TIMELINE-LSN-LSN", with a "-" for the "/" of LSNs. */
void pins_name_left(tli_t tli, lsn_t from_lsn, lsn_t end_lsn, char name_out[PIN_NAME_SIZE]);

/* When a pin's end is warned of: a day before, or a tenth of its time when that is less. */
int64_t pins_warning_us(const struct pin_stats *pin);
/* Ends those whose time has come and warns, once each, of those whose time is near. Cheap. */
void pins_expire(struct pins *pins, int64_t now_us);

/* false: no such pin. */
bool pins_find(struct pins *pins, const char *name, struct pin_stats *stats_out);
/* Fills at most capacity, in order of names; returns how many there are. */
size_t pins_list(struct pins *pins, struct pin_stats *stats_out, size_t capacity);

#endif
