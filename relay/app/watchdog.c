/*
 * watchdog: a mark a loop, which the loop itself sets; one round looks at all of them and asks
 * again.
 */
#include "app/watchdog.h"

#include "app/service_manager.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/loop.h"

#include <stdatomic.h>
#include <stdlib.h>

#define ROUNDS 4

enum { DEADLINE_ROUND, DEADLINES };

struct watched {
	struct watched *next;
	struct loop *loop;
	atomic_bool has_answered;
};

struct watchdog {
	struct loop *loop;
	struct deadlines deadlines;
	struct watched *watched;
	int64_t interval_us;
	const struct watched *silent; /* whose silence was logged */
};

static void answer(void *context)
{
	struct watched *watched = context;
	atomic_store(&watched->has_answered, true);
}

static const struct watched *find_silent(const struct watchdog *watchdog)
{
	for (const struct watched *each = watchdog->watched; each != NULL; each = each->next) {
		if (!atomic_load(&each->has_answered)) {
			return each;
		}
	}
	return NULL;
}

bool watchdog_round(struct watchdog *watchdog)
{
	const struct watched *silent = find_silent(watchdog);
	if (silent != NULL) {
		if (watchdog->silent != silent) {
			log_write(LOG_LEVEL_WARNING, NULL,
				"the thread \"%s\" does not answer the watchdog",
				loop_name(silent->loop));
		}
		watchdog->silent = silent;
		return false;
	}
	watchdog->silent = NULL;
	for (struct watched *each = watchdog->watched; each != NULL; each = each->next) {
		atomic_store(&each->has_answered, false);
		loop_post(each->loop, answer, each);
	}
	service_manager_alive();
	return true;
}

static void on_deadline(void *context, int reason)
{
	struct watchdog *watchdog = context;
	(void)watchdog_round(watchdog);
	deadlines_set(
		&watchdog->deadlines, reason, loop_now_us(watchdog->loop) + watchdog->interval_us);
}

struct watchdog *watchdog_new(struct loop *loop, struct error *err)
{
	struct watchdog *watchdog = memory_new(sizeof(*watchdog));
	watchdog->loop = loop;
	watchdog->interval_us = service_manager_watchdog_us() / ROUNDS;
	if (!deadlines_init(&watchdog->deadlines, loop, DEADLINES, on_deadline, watchdog, err)) {
		free(watchdog);
		return NULL;
	}
	return watchdog;
}

void watchdog_watch(struct watchdog *watchdog, struct loop *loop)
{
	struct watched *watched = memory_new(sizeof(*watched));
	watched->loop = loop;
	atomic_init(&watched->has_answered, true);
	watched->next = watchdog->watched;
	watchdog->watched = watched;
}

void watchdog_start(struct watchdog *watchdog)
{
	if (watchdog->interval_us > 0) {
		on_deadline(watchdog, DEADLINE_ROUND);
	}
}

void watchdog_free(struct watchdog **watchdog)
{
	struct watchdog *gone = *watchdog;
	if (gone == NULL) {
		return;
	}
	deadlines_release(&gone->deadlines);
	while (gone->watched != NULL) {
		struct watched *next = gone->watched->next;
		free(gone->watched);
		gone->watched = next;
	}
	free(gone);
	*watchdog = NULL;
}
