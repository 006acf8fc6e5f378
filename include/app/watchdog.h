/*
 * watchdog: tells the service manager that the relay is alive, as long as it is.
 *
 * It is alive while every loop that is watched has run what was posted to it in the round before.
 * systemd ends and starts anew a service that is silent for WatchdogSec=. Loops that may block on
 * names or on a disk are not for it. All on the thread of its own loop.
 */
#ifndef APP_WATCHDOG_H
#define APP_WATCHDOG_H

#include "base/error.h"

#include <stdbool.h>

struct loop;
struct watchdog;

/* loop: where its rounds are made, and so watched itself. */
struct watchdog *watchdog_new(struct loop *loop, struct error *err) MUST_CHECK;
/* Before watchdog_start(). The loop is freed before watchdog_free(): until then it may hold a
 * call of ours. */
void watchdog_watch(struct watchdog *watchdog, struct loop *loop);
/* Rounds from now on, four in the time after which the service manager acts; none where it does
 * not ask for them. */
void watchdog_start(struct watchdog *watchdog);
/* Accepts NULL, sets NULL. */
void watchdog_free(struct watchdog **watchdog);

/* One round. False: a loop has not answered since the last; nothing was told. */
bool watchdog_round(struct watchdog *watchdog);

#endif
