/*
 * accounting: keeps the books of all destinations on one loop: counts into the ledger, judges
 * limits, follows the published address ranges.
 *
 * On the main loop. A byte is in the ledger on disk less than a second after it was sent: a fifth
 * of one until its sender loop counts it, seven tenths until it is written, and the disk's time.
 */
#ifndef APP_ACCOUNTING_H
#define APP_ACCOUNTING_H

#include "app/config.h"
#include "base/error.h"
#include "destination/destinations.h"
#include "net/loop.h"

struct accounting;
struct database;

struct accounting_callbacks {
	void (*on_match_changed)(void *context); /* connections are to be matched again */
	void (*on_cap_changed)(void *context);   /* another cap is in force somewhere */
	void *context;
};

struct accounting *accounting_new(struct loop *loop, struct database *database,
	const struct config *config, unsigned loop_count,
	const struct accounting_callbacks *callbacks, struct error *err) MUST_CHECK;
/* Once what it tells by its callbacks can be told. */
void accounting_start(struct accounting *accounting);
/* When nobody counts any more. Accepts NULL, sets NULL. */
void accounting_free(struct accounting **accounting);

void accounting_reload(struct accounting *accounting, const struct config *config);
/* As long as the accounting. */
struct destinations *accounting_destinations(struct accounting *accounting);

#endif
