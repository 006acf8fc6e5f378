/*
 * upstream: the states between which following an upstream moves, and when it is tried again.
 *
 * Owns one attempt at a time. Everything happens on the upstream's loop; other threads post to it,
 * ring the wake, or copy the stats under the mutex.
 */
#include "upstream/upstream.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/wall_clock.h"
#include "upstream/backoff.h"
#include "upstream/error_repeat.h"
#include "upstream/range_skip.h"
#include "upstream/slot_memory.h"
#include "upstream/upstream_attempt.h"
#include "upstream/upstream_failure.h"
#include "upstream/upstream_settings.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SCOPE         "upstream"
#define SLOW_RETRY_US INT64_C(10000000)
#define STOP_FLUSH_US INT64_C(1000000)
/* A stream that lasted this long was a success: the next loss starts from the shortest wait. */
#define STREAM_PROVEN_US  INT64_C(5000000)
#define LINK_FAILURES_MAX 2

enum deadline_reason { DEADLINE_RETRY, DEADLINE_COUNT };

struct upstream {
	struct upstream_options options; /* strings are owned */
	struct upstream_attempt attempt;
	struct deadlines deadlines;
	struct wake *wake;
	struct wal_watcher *watcher;
	enum upstream_state state;
	unsigned failed_tries;
	unsigned refusals; /* in a row, by servers that could not be followed */
	int64_t streaming_since_us;
	struct error_repeat repeat;
	bool has_connected;     /* ever */
	bool slot_is_missing;   /* START_REPLICATION said so */
	unsigned link_failures; /* in a row: the stream had to end */
	lsn_t doubted_lsn; /* flushed when the upstream was last found diverged, until it streams */
	bool is_stopping;
	struct loop *stop_loop;
	loop_call *stopped;
	void *stop_context;

	pthread_mutex_t mutex; /* stats, and wake against upstream_replayed() */
	struct upstream_stats stats;
};

struct reload_request {
	struct upstream *upstream;
	struct upstream_options options;
};

#define TO(state) (1u << UPSTREAM_##state)
static const struct {
	const char *name;
	unsigned successors;
} states[] = {
	[UPSTREAM_IDLE] = {"idle", TO(CONNECTING) | TO(FULL)},
	[UPSTREAM_CONNECTING] = {"connecting",
		TO(STREAMING) | TO(WAITING) | TO(FULL) | TO(STOPPED) | TO(IDLE)},
	[UPSTREAM_STREAMING] = {"streaming",
		TO(CONNECTING) | TO(WAITING) | TO(FULL) | TO(STOPPED) | TO(IDLE)},
	[UPSTREAM_WAITING] = {"waiting", TO(CONNECTING) | TO(FULL) | TO(IDLE)},
	[UPSTREAM_FULL] = {"full", TO(CONNECTING) | TO(IDLE)},
	[UPSTREAM_STOPPED] = {"stopped", TO(CONNECTING) | TO(FULL) | TO(IDLE)},
};

const char *upstream_state_name(enum upstream_state state)
{
	return states[state].name;
}

static void enter(struct upstream *upstream, enum upstream_state state)
{
	assert(states[upstream->state].successors & 1u << state);
	log_debug(SCOPE, "%s -> %s", states[upstream->state].name, states[state].name);
	upstream->state = state;
	pthread_mutex_lock(&upstream->mutex);
	upstream->stats.state = state;
	upstream->stats.state_since_us = wall_clock_unix_us();
	if (state == UPSTREAM_STREAMING) {
		upstream->stats.last_error[0] = '\0';
		upstream->stats.has_gap = false;
		upstream->stats.has_diverged = false;
	}
	pthread_mutex_unlock(&upstream->mutex);
}

/* --- ending a try ---------------------------------------------------------------------------- */

static void finish_stop(void *context);

static void log_failure(struct upstream *upstream, enum log_level level, const struct error *err)
{
	unsigned kept_back;

	if (!error_repeat_should_log(&upstream->repeat, err->message,
		    loop_now_us(upstream->options.loop), &kept_back)) {
		return;
	}
	log_error(level, SCOPE, err);
	if (kept_back > 0) {
		log_write(level, SCOPE, "the same error came %u times more in between", kept_back);
	}
}

static int64_t retry_delay_us(struct upstream *upstream)
{
	uint32_t chance = 0;

	if (upstream->state == UPSTREAM_STOPPED || upstream->state == UPSTREAM_FULL) {
		return SLOW_RETRY_US;
	}
	/* Without randomness the wait is only not spread. */
	(void)!getrandom(&chance, sizeof(chance), GRND_NONBLOCK);
	return backoff_delay_us(upstream->failed_tries, chance);
}

static void store_failure(struct upstream *upstream, const struct upstream_failure_rule *rule,
	const struct error *err)
{
	pthread_mutex_lock(&upstream->mutex);
	snprintf(upstream->stats.last_error, sizeof(upstream->stats.last_error), "%s%s%s",
		err->message, err->detail[0] != '\0' ? ": " : "", err->detail);
	upstream->stats.has_gap =
		rule->has_gap || (upstream->stats.has_gap && upstream->refusals > 1);
	upstream->stats.has_diverged = rule->has_diverged;
	if (rule->has_gap) {
		upstream->stats.server_end_lsn = lsn_max(
			upstream->stats.server_end_lsn, upstream->attempt.handshake.server_lsn);
	}
	pthread_mutex_unlock(&upstream->mutex);
	if (rule->has_diverged) {
		upstream->doubted_lsn = wal_store_flushed(upstream->options.store).lsn;
	}
}

/* A link that fails again and again is left for one plain stream. */
static void count_link_failure(struct upstream *upstream)
{
	upstream->link_failures =
		upstream->attempt.receiver.has_link_failed ? upstream->link_failures + 1 : 0;
}

static void on_failed(void *context, enum upstream_failure failure, const struct error *err)
{
	struct upstream *upstream = context;
	const struct upstream_failure_rule *rule =
		upstream_failure_judge(failure, upstream->attempt.candidates, &upstream->refusals);
	int64_t now_us = loop_refresh_now_us(upstream->options.loop);

	if (upstream->is_stopping) {
		loop_defer(upstream->options.loop, finish_stop, upstream);
		return;
	}
	if (upstream->state == UPSTREAM_STREAMING &&
		now_us - upstream->streaming_since_us >= STREAM_PROVEN_US) {
		upstream->failed_tries = 0;
	}
	upstream->failed_tries++;
	count_link_failure(upstream);
	upstream->slot_is_missing =
		failure == UPSTREAM_FAILURE_NO_SLOT && upstream->options.slot[0] != '\0';
	log_failure(upstream, rule->level, err);
	store_failure(upstream, rule, err);
	enter(upstream, rule->state);
	deadlines_set(&upstream->deadlines, DEADLINE_RETRY, now_us + retry_delay_us(upstream));
}

/* --- a try ----------------------------------------------------------------------------------- */

static void on_connected(void *context)
{
	struct upstream *upstream = context;
	const struct upstream_session *session = &upstream->attempt.session;
	struct upstream_stats *stats = &upstream->stats;

	pthread_mutex_lock(&upstream->mutex);
	snprintf(stats->host, sizeof(stats->host), "%s", upstream_session_host(session));
	snprintf(stats->host_address, sizeof(stats->host_address), "%s",
		upstream_session_host_address(session));
	snprintf(stats->port, sizeof(stats->port), "%s", upstream_session_port(session));
	stats->reconnects += upstream->has_connected ? 1 : 0;
	pthread_mutex_unlock(&upstream->mutex);
	upstream->has_connected = true;
}

static void on_handshake(void *context)
{
	struct upstream *upstream = context;
	const struct upstream_handshake *handshake = &upstream->attempt.handshake;

	pthread_mutex_lock(&upstream->mutex);
	upstream_handshake_read_stats(handshake, &upstream->stats);
	pthread_mutex_unlock(&upstream->mutex);
	if (upstream->options.slot[0] != '\0' && handshake->max_slot_wal_keep_bytes == -1 &&
		!handshake->is_again) {
		log_warning(SCOPE,
			"max_slot_wal_keep_size is -1 on the upstream: while this relay is away, "
			"slot \"%s\" holds WAL there until its disk is full",
			upstream->options.slot);
	}
}

static void on_streaming(void *context)
{
	struct upstream *upstream = context;
	const struct upstream_session *session = &upstream->attempt.session;
	const struct wal_receiver_options *stream = &upstream->attempt.receiver.options;

	upstream->streaming_since_us = loop_now_us(upstream->options.loop);
	upstream->slot_is_missing = false;
	upstream->refusals = 0;
	upstream->doubted_lsn = LSN_INVALID;
	error_repeat_reset(&upstream->repeat);
	enter(upstream, UPSTREAM_STREAMING);
	log_info(SCOPE, "streaming from %s:%s, timeline %u from " LSN_FORMAT,
		upstream_session_host(session), upstream_session_port(session), stream->tli,
		LSN_ARGS(stream->start_lsn));
}

/* Under the mutex. */
static void add_link_stats(struct upstream_stats *stats, struct link_receiver *link)
{
	struct link_receiver_stats more = {0};

	if (link != NULL) {
		link_receiver_take_stats(link, &more);
	}
	stats->link_batches += more.batches;
	stats->link_raw_bytes += more.raw_bytes;
	stats->link_batch_bytes += more.batch_bytes;
	stats->link_plain_requests += more.plain_requests;
	stats->link_decode_us += more.decode_us;
}

static void on_received(void *context)
{
	struct upstream *upstream = context;
	struct wal_receiver *receiver = &upstream->attempt.receiver;
	pthread_mutex_lock(&upstream->mutex);
	upstream->stats.link_lanes = wal_receiver_link_lanes(receiver);
	add_link_stats(&upstream->stats, receiver->link);
	upstream->stats.wal_bytes += receiver->wal_bytes;
	upstream->stats.wire_bytes += receiver->wire_bytes;
	upstream->stats.server_end_lsn = receiver->server_end_lsn;
	upstream->stats.last_message_us = wall_clock_unix_us();
	pthread_mutex_unlock(&upstream->mutex);
	receiver->wal_bytes = receiver->wire_bytes = 0;
}

static void on_timeline_end(void *context)
{
	struct upstream *upstream = context;
	/* A timeline may end before its stream brought a message. */
	if (upstream->state == UPSTREAM_STREAMING) {
		enter(upstream, UPSTREAM_CONNECTING);
	}
}

static void on_stopped(void *context)
{
	loop_defer(((struct upstream *)context)->options.loop, finish_stop, context);
}

/* The spool tells when it has room; the deadline only covers what nobody tells. */
static void enter_full(struct upstream *upstream)
{
	const struct upstream_failure_rule *rule = upstream_failure_rule(UPSTREAM_FAILURE_FULL);
	struct wal_store_stats spool;
	struct error err;

	wal_store_read_stats(upstream->options.store, &spool);
	error_set(&err, ERROR_FULL, "not receiving: %s",
		spool.is_full ? spool.full_reason : "the spool has no room");
	if (upstream->state != UPSTREAM_FULL) {
		log_failure(upstream, rule->level, &err);
		store_failure(upstream, rule, &err);
		enter(upstream, UPSTREAM_FULL);
	}
	deadlines_set(&upstream->deadlines, DEADLINE_RETRY,
		loop_now_us(upstream->options.loop) + SLOW_RETRY_US);
}

static void try_now(struct upstream *upstream)
{
	const struct upstream_attempt_options attempt = {
		.upstream = &upstream->options,
		.slot_is_missing = upstream->slot_is_missing,
		.avoids_link = upstream->link_failures >= LINK_FAILURES_MAX,
		.refusals = upstream->refusals,
		.doubted_lsn = upstream->doubted_lsn,
		.on_connected = on_connected,
		.on_handshake = on_handshake,
		.on_streaming = on_streaming,
		.on_received = on_received,
		.on_timeline_end = on_timeline_end,
		.on_failed = on_failed,
		.on_stopped = on_stopped,
		.context = upstream,
	};
	struct error err;

	deadlines_clear(&upstream->deadlines, DEADLINE_RETRY);
	if (wal_store_is_full(upstream->options.store)) {
		enter_full(upstream);
		return;
	}
	enter(upstream, UPSTREAM_CONNECTING);
	if (!upstream_attempt_start(&upstream->attempt, &attempt, &err)) {
		on_failed(upstream, UPSTREAM_FAILURE_LOST, &err);
	}
}

static void on_deadline(void *context, int reason)
{
	struct upstream *upstream = context;

	assert(reason == DEADLINE_RETRY);
	if (!upstream->is_stopping) {
		try_now(upstream);
	}
}

/* --- news from other threads ----------------------------------------------------------------- */

static void on_store_event(void *context, unsigned events)
{
	struct upstream *upstream = context;

	(void)events;
	wake_ring(upstream->wake);
}

/* Also on an idle stream, and between two. */
static void on_bad_wal(struct upstream *upstream, const struct error *err)
{
	enum upstream_failure failure = upstream_failure_of_error(err);
	const struct upstream_failure_rule *rule = upstream_failure_rule(failure);

	if (upstream->attempt.is_open) {
		upstream_attempt_end(&upstream->attempt);
		on_failed(upstream, failure, err);
	} else {
		log_failure(upstream, rule->level, err);
		store_failure(upstream, rule, err);
	}
}

static void on_wake(void *context)
{
	struct upstream *upstream = context;
	struct error err;

	if (!upstream->is_stopping && !wal_store_cut_bad(upstream->options.store, &err)) {
		on_bad_wal(upstream, &err);
		return;
	}
	if (upstream->state == UPSTREAM_FULL && !upstream->is_stopping) {
		if (!wal_store_is_full(upstream->options.store)) {
			log_info(SCOPE, "the spool has room again");
			try_now(upstream);
		}
		return;
	}
	upstream_attempt_on_news(&upstream->attempt);
}

void upstream_replayed(struct upstream *upstream)
{
	pthread_mutex_lock(&upstream->mutex);
	if (upstream->wake != NULL) {
		wake_ring(upstream->wake);
	}
	pthread_mutex_unlock(&upstream->mutex);
}

void upstream_read_stats(struct upstream *upstream, struct upstream_stats *stats_out)
{
	pthread_mutex_lock(&upstream->mutex);
	*stats_out = upstream->stats;
	stats_out->is_acknowledging_alone = atomic_load(&upstream->attempt.acknowledges_alone);
	pthread_mutex_unlock(&upstream->mutex);
}

/* --- start, stop, reload --------------------------------------------------------------------- */

static void start_on_loop(void *context)
{
	struct upstream *upstream = context;
	assert(upstream->state == UPSTREAM_IDLE);
	try_now(upstream);
}

void upstream_start(struct upstream *upstream)
{
	loop_post(upstream->options.loop, start_on_loop, upstream);
}

static void release_loop_parts(struct upstream *upstream)
{
	struct wake *wake = upstream->wake;

	wal_store_remove_watcher(upstream->options.store, &upstream->watcher);
	pthread_mutex_lock(&upstream->mutex);
	upstream->wake = NULL;
	pthread_mutex_unlock(&upstream->mutex);
	wake_free(&wake);
	deadlines_release(&upstream->deadlines);
}

/* Deferred: not within a callback of what it releases. */
static void finish_stop(void *context)
{
	struct upstream *upstream = context;

	release_loop_parts(upstream);
	if (upstream->state != UPSTREAM_IDLE) {
		enter(upstream, UPSTREAM_IDLE);
	}
	loop_post(upstream->stop_loop, upstream->stopped, upstream->stop_context);
}

static void stop_on_loop(void *context)
{
	struct upstream *upstream = context;

	upstream->is_stopping = true;
	if (upstream->attempt.is_open) {
		upstream_attempt_stop(&upstream->attempt, STOP_FLUSH_US);
	} else {
		finish_stop(upstream);
	}
}

void upstream_stop(struct upstream *upstream, struct loop *loop, loop_call *stopped, void *context)
{
	upstream->stop_loop = loop;
	upstream->stopped = stopped;
	upstream->stop_context = context;
	loop_post(upstream->options.loop, stop_on_loop, upstream);
}

static void show_options(struct upstream *upstream)
{
	pthread_mutex_lock(&upstream->mutex);
	snprintf(upstream->stats.slot, sizeof(upstream->stats.slot), "%s", upstream->options.slot);
	upstream->stats.acknowledge_standbys = upstream->options.acknowledge.standbys;
	pthread_mutex_unlock(&upstream->mutex);
}

/* The attempt, which uses the strings, must have ended. */
static void take_names(struct upstream *upstream, struct upstream_options *options)
{
	struct upstream_options *ours = &upstream->options;

	upstream_names_free(ours);
	ours->relay_name = options->relay_name;
	ours->conninfo = options->conninfo;
	ours->slot = options->slot;
	show_options(upstream);
}

static void connect_anew(struct upstream *upstream)
{
	upstream->failed_tries = 0;
	upstream->refusals = 0;
	upstream->slot_is_missing = false;
	error_repeat_reset(&upstream->repeat);
	if (upstream->state == UPSTREAM_CONNECTING) {
		enter(upstream, UPSTREAM_WAITING);
	}
	try_now(upstream);
}

static void reload_on_loop(void *context)
{
	struct reload_request *request = context;
	struct upstream *upstream = request->upstream;

	upstream_limits_take(&upstream->options, &request->options);
	show_options(upstream);
	upstream_attempt_on_limits(&upstream->attempt);
	if (upstream->is_stopping ||
		!upstream_names_differ(&upstream->options, &request->options)) {
		upstream_names_free(&request->options);
	} else {
		upstream_attempt_end(&upstream->attempt);
		take_names(upstream, &request->options);
		if (upstream->state != UPSTREAM_IDLE) {
			log_info(SCOPE, "conninfo or slot changed: connecting anew");
			connect_anew(upstream);
		}
	}
	free(request);
}

void upstream_reload(struct upstream *upstream, const struct upstream_options *options)
{
	struct reload_request *request = memory_new(sizeof(*request));
	request->upstream = upstream;
	request->options = *options;
	upstream_names_copy(&request->options);
	loop_post(upstream->options.loop, reload_on_loop, request);
}

static void skip_on_loop(void *context)
{
	struct range_skip *skip = context;
	struct upstream *upstream = skip->owner;

	skip->has_gap = upstream->stats.has_gap && !upstream->is_stopping;
	skip->server_end_lsn = upstream->stats.server_end_lsn;
	if (range_skip_check(skip, upstream->options.store)) {
		upstream_attempt_end(&upstream->attempt);
		range_skip_carry_out(skip, upstream->options.store);
		connect_anew(upstream);
	}
	free(skip);
}

void upstream_skip(struct upstream *upstream, lsn_t lsn, upstream_done *done, void *context)
{
	struct range_skip *skip = memory_new(sizeof(*skip));
	*skip = (struct range_skip){upstream, lsn, done, context, false, LSN_INVALID};
	loop_post(upstream->options.loop, skip_on_loop, skip);
}

/* --- new and free ---------------------------------------------------------------------------- */

static bool init_loop_parts(struct upstream *upstream, struct error *err)
{
	const struct upstream_options *options = &upstream->options;

	if (!deadlines_init(&upstream->deadlines, options->loop, DEADLINE_COUNT, on_deadline,
		    upstream, err)) {
		return false;
	}
	upstream->wake = wake_new(options->loop, on_wake, upstream, err);
	if (upstream->wake == NULL) {
		deadlines_release(&upstream->deadlines);
		return false;
	}
	upstream->watcher = wal_store_add_watcher(options->store,
		WAL_STORE_FLUSHED | WAL_STORE_SYNCED | WAL_STORE_FULL | WAL_STORE_BAD |
			WAL_STORE_LINK,
		on_store_event, upstream);
	return true;
}

struct upstream *upstream_new(const struct upstream_options *options, struct error *err)
{
	struct upstream *upstream;

	if (!slot_memory_open(options->database, err)) {
		return NULL;
	}
	upstream = memory_new(sizeof(*upstream));
	upstream->options = *options;
	upstream_names_copy(&upstream->options);
	pthread_mutex_init(&upstream->mutex, NULL);
	upstream->stats.max_slot_wal_keep_bytes = -2;
	upstream->stats.state_since_us = wall_clock_unix_us();
	show_options(upstream);
	if (!init_loop_parts(upstream, err)) {
		upstream_free(&upstream);
		return NULL;
	}
	return upstream;
}

void upstream_free(struct upstream **upstream)
{
	struct upstream *old = *upstream;

	if (old == NULL) {
		return;
	}
	assert(old->state == UPSTREAM_IDLE);
	if (old->wake != NULL) {
		release_loop_parts(old);
	}
	upstream_names_free(&old->options);
	pthread_mutex_destroy(&old->mutex);
	free(old);
	*upstream = NULL;
}
