/*
 * backfill: the spool's filler.
 */
#include "upstream/backfill.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/monotonic_clock.h"
#include "base/thread.h"
#include "spool/wal_segment.h"
#include "upstream/fetch_source.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOG_SCOPE   "backfill"
#define RETRY_S     1
#define PATIENCE_US (30 * INT64_C(1000000))
#define NAME_SIZE   (WAL_SEGMENT_NAME_SIZE + 8)

struct backfill {
	struct backfill_options options;
	pthread_t thread;
	struct wal_watcher *watcher;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under lock. */
	char *conninfo;
	bool is_rung;
	atomic_bool is_stopping; /* set under lock */
	atomic_bool is_posted;   /* taking in */
	/* The thread's own. */
	struct fetch_source *source;
	int64_t failing_since_us; /* 0: it does not */
};

static void on_wanted(void *context, unsigned events)
{
	struct backfill *backfill = context;
	(void)events;
	pthread_mutex_lock(&backfill->lock);
	backfill->is_rung = true;
	pthread_cond_signal(&backfill->wake);
	pthread_mutex_unlock(&backfill->lock);
}

/* On the upstream's loop, which may wait for the disk. */
static void take_in(void *context)
{
	struct backfill *backfill = context;
	struct error err = {0};
	atomic_store(&backfill->is_posted, false);
	if (!wal_store_take_in(backfill->options.store, &err)) {
		log_error(LOG_LEVEL_WARNING, LOG_SCOPE, &err);
	}
	/* What was wanted meanwhile was passed over while this was on its way. */
	on_wanted(backfill, WAL_STORE_WANTED);
}

/* --- one segment --------------------------------------------------------------------------------
 */

static bool open_source(struct backfill *backfill, struct error *err)
{
	if (backfill->source != NULL) {
		return true;
	}
	pthread_mutex_lock(&backfill->lock);
	char *conninfo = memory_copy_text(backfill->conninfo);
	pthread_mutex_unlock(&backfill->lock);
	backfill->source = fetch_source_open(
		conninfo, backfill->options.relay_name, &backfill->is_stopping, err);
	free(conninfo);
	return backfill->source != NULL;
}

static bool check_identity(struct backfill *backfill, struct error *err)
{
	struct cluster_identity identity;
	cluster_read_identity(backfill->options.cluster, &identity);
	return fetch_source_system_identifier(backfill->source) == identity.system_identifier ||
	       error_set(err, ERROR_DIVERGED, "the upstream is another cluster");
}

static void name_of(const struct wal_want *want, struct fetched_name *name_out)
{
	char segment[WAL_SEGMENT_NAME_SIZE];
	char name[NAME_SIZE];
	wal_segment_name(want->tli, want->number, want->segment_bytes, segment);
	/* The last of a timeline. */
	snprintf(name, sizeof(name), "%s%s", segment,
		want->end_lsn < want->lsn + want->segment_bytes ? ".partial" : "");
	fetched_name_parse(name, name_out);
}

static enum fetch_result fetch(
	struct backfill *backfill, const struct wal_want *want, struct error *err)
{
	struct fetched_bytes bytes = {0};
	struct fetched_name name;
	name_of(want, &name);
	if (!open_source(backfill, err)) {
		return FETCH_FAILED;
	}
	enum fetch_result result = fetch_source_get(backfill->source, &name, &bytes, err);
	if (result == FETCH_FAILED) {
		fetch_source_close(&backfill->source);
	}
	if (result == FETCH_DONE &&
		(!check_identity(backfill, err) ||
			!wal_store_fill(backfill->options.store, want, bytes.bytes, err))) {
		result = FETCH_ABSENT;
	}
	free(bytes.bytes);
	return result;
}

static void refuse(struct backfill *backfill, const struct wal_want *want, const struct error *err)
{
	char name[WAL_SEGMENT_NAME_SIZE];
	wal_segment_name(want->tli, want->number, want->segment_bytes, name);
	log_warning(LOG_SCOPE, "WAL segment %s is wanted and cannot be had from the upstream: %s",
		name, err->message[0] != '\0' ? err->message : "it has no such segment");
	wal_store_refuse(backfill->options.store, want);
	backfill->failing_since_us = 0;
}

/* false: to be tried again later. */
static bool fetch_or_refuse(struct backfill *backfill, const struct wal_want *want)
{
	struct error err = {0};
	enum fetch_result result = fetch(backfill, want, &err);
	if (result == FETCH_DONE) {
		backfill->failing_since_us = 0;
		return true;
	}
	if (result == FETCH_FAILED && backfill->failing_since_us == 0) {
		backfill->failing_since_us = monotonic_clock_us();
	}
	if (result == FETCH_FAILED &&
		monotonic_clock_us() - backfill->failing_since_us < PATIENCE_US) {
		log_debug(LOG_SCOPE, "%s", err.message);
		return false;
	}
	refuse(backfill, want, &err);
	return true;
}

/* --- the thread ---------------------------------------------------------------------------------
 */

/* Until something is wanted, or it is time to try again. false: it is to end. */
static bool wait(struct backfill *backfill, bool may_retry)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RETRY_S;
	pthread_mutex_lock(&backfill->lock);
	while (!atomic_load(&backfill->is_stopping) && !backfill->is_rung) {
		if (!may_retry) {
			pthread_cond_wait(&backfill->wake, &backfill->lock);
		} else if (pthread_cond_timedwait(&backfill->wake, &backfill->lock, &until) != 0) {
			break;
		}
	}
	backfill->is_rung = false;
	bool goes_on = !atomic_load(&backfill->is_stopping);
	pthread_mutex_unlock(&backfill->lock);
	return goes_on;
}

/* All that can be done now. true: some of it has to be tried again. */
static bool work(struct backfill *backfill)
{
	struct wal_store *store = backfill->options.store;
	struct wal_want want;
	enum wal_want_step step;
	while ((step = wal_store_next_want(store, &want)) == WAL_WANT_SEGMENT &&
		!atomic_load(&backfill->is_stopping)) {
		if (!fetch_or_refuse(backfill, &want)) {
			return true;
		}
	}
	if (step == WAL_WANT_COMPLETE && !atomic_exchange(&backfill->is_posted, true)) {
		loop_post(backfill->options.loop, take_in, backfill);
	}
	fetch_source_close(&backfill->source);
	return false;
}

static void *run(void *context)
{
	struct backfill *backfill = context;
	bool may_retry = false;
	while (wait(backfill, may_retry)) {
		may_retry = work(backfill);
	}
	fetch_source_close(&backfill->source);
	return NULL;
}

struct backfill *backfill_start(const struct backfill_options *options, struct error *err)
{
	struct backfill *backfill = memory_new(sizeof(*backfill));
	backfill->options = *options;
	backfill->options.conninfo = NULL;
	backfill->conninfo = memory_copy_text(options->conninfo);
	backfill->options.relay_name = memory_copy_text(options->relay_name);
	pthread_mutex_init(&backfill->lock, NULL);
	pthread_cond_init(&backfill->wake, NULL);
	if (!thread_start(&backfill->thread, "backfill", run, backfill, err)) {
		backfill_free(&backfill);
		return NULL;
	}
	backfill->watcher =
		wal_store_add_watcher(options->store, WAL_STORE_WANTED, on_wanted, backfill);
	wal_store_set_filler(options->store, true);
	return backfill;
}

void backfill_set_conninfo(struct backfill *backfill, const char *conninfo)
{
	pthread_mutex_lock(&backfill->lock);
	free(backfill->conninfo);
	backfill->conninfo = memory_copy_text(conninfo);
	pthread_mutex_unlock(&backfill->lock);
}

void backfill_stop(struct backfill *backfill)
{
	if (backfill == NULL) {
		return;
	}
	wal_store_set_filler(backfill->options.store, false);
	wal_store_remove_watcher(backfill->options.store, &backfill->watcher);
	pthread_mutex_lock(&backfill->lock);
	atomic_store(&backfill->is_stopping, true);
	pthread_cond_signal(&backfill->wake);
	pthread_mutex_unlock(&backfill->lock);
	pthread_join(backfill->thread, NULL);
}

void backfill_free(struct backfill **backfill)
{
	struct backfill *old = *backfill;
	if (old == NULL) {
		return;
	}
	*backfill = NULL;
	pthread_cond_destroy(&old->wake);
	pthread_mutex_destroy(&old->lock);
	free((char *)old->options.relay_name);
	free(old->conninfo);
	free(old);
}
