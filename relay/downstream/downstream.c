/*
 * downstream: hands connections to the sender loops, and adds up what their sessions know.
 *
 * It owns the loops and what all sessions share. The only thing that two loops' sessions ever wait
 * for is a slot that another of them uses.
 */
#include "downstream/downstream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "destination/rate_limiter.h"
#include "downstream/downstream_session.h"
#include "downstream/sender_loop.h"
#include "protocol/backup_command.h"

#define SENDER_THREADS_MAX 256u

struct downstream {
	struct downstream_shared shared;
	char *relay_name;
	char *page_url;
	char *link_congestion;
	struct passthrough passthrough;
	struct sender_loop **senders;
	unsigned sender_count;
	atomic_uint senders_running; /* not yet stopped */
	struct loop *stop_loop;
	loop_call *stopped;
	void *stopped_context;
};

const char *standby_state_name(enum standby_state state)
{
	static const char *const names[] = {
		[STANDBY_STARTUP] = "startup",
		[STANDBY_BACKUP] = "backup",
		[STANDBY_CATCHUP] = "catchup",
		[STANDBY_STREAMING] = "streaming",
		[STANDBY_STOPPING] = "stopping",
	};
	assert((size_t)state < sizeof(names) / sizeof(names[0]));
	return names[state];
}

/* --- beginning and end -------------------------------------------------------------------------
 */

static void on_sender_stopped(void *context)
{
	struct downstream *downstream = context;
	if (atomic_fetch_sub(&downstream->senders_running, 1) == 1) {
		loop_post(downstream->stop_loop, downstream->stopped, downstream->stopped_context);
	}
}

/* Any thread. */
static void on_slot_freed(void *context)
{
	struct downstream *downstream = context;
	if (atomic_load(&downstream->shared.drop_waiters) == 0) {
		return;
	}
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		sender_loop_tell_slot_freed(downstream->senders[i]);
	}
}

static unsigned count_cores(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	return cores > 0 ? (unsigned)cores : 1;
}

unsigned downstream_loop_count(unsigned sender_threads)
{
	unsigned threads = sender_threads == 0 ? count_cores() : sender_threads;
	return threads < SENDER_THREADS_MAX ? threads : SENDER_THREADS_MAX;
}

static bool add_senders(struct downstream *downstream, unsigned count, struct error *err)
{
	bool forward_flushed = downstream->shared.forward_flushed;
	struct sender_loop_options options = {
		.shared = &downstream->shared,
		.store_events = (forward_flushed ? WAL_STORE_FLUSHED : WAL_STORE_RECEIVED) |
				WAL_STORE_PRUNED,
		.on_stopped = on_sender_stopped,
		.context = downstream,
	};
	downstream->senders = memory_new(count * sizeof(struct sender_loop *));
	for (unsigned i = 0; i < count; i++) {
		options.number = i;
		struct sender_loop *sender = sender_loop_new(&options, err);
		if (sender == NULL) {
			return false;
		}
		downstream->senders[downstream->sender_count++] = sender;
	}
	return true;
}

static bool take_mock_key(struct downstream_shared *shared, const uint8_t *given, struct error *err)
{
	if (given != NULL) {
		memcpy(shared->mock_key, given, sizeof(shared->mock_key));
		return true;
	}
	if (getrandom(shared->mock_key, sizeof(shared->mock_key), 0) !=
		(ssize_t)sizeof(shared->mock_key)) {
		return error_set_errno(err, "could not get random bytes");
	}
	return true;
}

static bool offer_link(
	struct downstream *downstream, const struct downstream_options *options, struct error *err)
{
	struct downstream_shared *shared = &downstream->shared;
	const struct downstream_link *link = &options->link;
	const struct shared_encoder_options encoder = {
		.store = options->store,
		.flushed_only = options->forward_flushed,
		.is_level_auto = link->is_level_auto,
		.level = link->level,
		.reference_bytes = link->reference_bytes,
	};
	if (!link->is_offered) {
		return true;
	}
	link_offer_init(&shared->link_offer);
	bool is_added = link_abilities_add(
		&shared->link_offer.abilities, BACKUP_ABILITY, BACKUP_ABILITY_METHOD);
	assert(is_added);
	if (link->recompresses) {
		link_offer_add_recompress(&shared->link_offer);
	}
	if (link->lanes != 1) {
		is_added = link_abilities_add(
			&shared->link_offer.abilities, LINK_LANES_ABILITY, LINK_LANES_WAY);
		assert(is_added);
	}
	shared->link_lanes.count = link->lanes;
	shared->link_lanes.groups = lane_groups_new();
	downstream->link_congestion = memory_copy_text(link->congestion);
	shared->link_congestion = downstream->link_congestion;
	shared->encoder = shared_encoder_new(&encoder, err);
	return shared->encoder != NULL;
}

struct downstream *downstream_new(const struct downstream_options *options, struct error *err)
{
	struct downstream *downstream = memory_new(sizeof(*downstream));
	struct downstream_shared *shared = &downstream->shared;
	downstream->relay_name = memory_copy_text(options->relay_name);
	downstream->page_url = memory_copy_text(options->page_url != NULL ? options->page_url : "");
	downstream->passthrough = *options->passthrough;
	shared->relay_name = downstream->relay_name;
	shared->page_url = downstream->page_url;
	shared->forward_flushed = options->forward_flushed;
	shared->cluster = options->cluster;
	shared->store = options->store;
	shared->slots = options->slots;
	shared->destinations = options->destinations;
	shared->passthrough = &downstream->passthrough;
	shared->console = options->console;
	shared->registry = connection_registry_new();
	shared->on_replayed = options->on_replayed;
	shared->on_flushed = options->on_flushed;
	shared->replayed_context = options->context;
	atomic_init(&shared->replayed_told, UINT64_MAX);
	shared->limiter = rate_limiter_new();
	rate_limiter_set_egress_cap(shared->limiter, options->limits.egress_cap_bytes);
	shared->limits = live_limits_new(&options->limits, err);
	if (shared->limits != NULL) {
		shared->prefetch = wal_prefetch_new(err);
	}
	if (shared->prefetch == NULL || !take_mock_key(shared, options->mock_key, err) ||
		!offer_link(downstream, options, err) ||
		!add_senders(downstream, downstream_loop_count(options->sender_threads), err)) {
		downstream_free(&downstream);
		return NULL;
	}
	slots_watch(shared->slots, on_slot_freed, downstream);
	return downstream;
}

void downstream_free(struct downstream **downstream)
{
	struct downstream *gone = *downstream;
	if (gone == NULL) {
		return;
	}
	*downstream = NULL;
	slots_watch(gone->shared.slots, NULL, NULL);
	for (unsigned i = 0; i < gone->sender_count; i++) {
		sender_loop_free(&gone->senders[i]);
	}
	lane_groups_free(&gone->shared.link_lanes.groups);
	shared_encoder_free(&gone->shared.encoder);
	wal_prefetch_free(&gone->shared.prefetch);
	rate_limiter_free(&gone->shared.limiter);
	live_limits_free(&gone->shared.limits);
	connection_registry_free(&gone->shared.registry);
	free(gone->senders);
	free(gone->relay_name);
	free(gone->page_url);
	free(gone->link_congestion);
	free(gone);
}

bool downstream_start(struct downstream *downstream, struct error *err)
{
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		if (!sender_loop_start(downstream->senders[i], err)) {
			return false;
		}
	}
	return true;
}

void downstream_stop(struct downstream *downstream, int64_t timeout_us, struct loop *loop,
	loop_call *stopped, void *context)
{
	assert(!atomic_load(&downstream->shared.is_stopping));
	downstream->stop_loop = loop;
	downstream->stopped = stopped;
	downstream->stopped_context = context;
	atomic_store(&downstream->senders_running, downstream->sender_count);
	atomic_store(&downstream->shared.is_stopping, true);
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		sender_loop_stop(downstream->senders[i], timeout_us);
	}
}

/* --- connections -------------------------------------------------------------------------------
 */

static struct sender_loop *least_loaded(struct downstream *downstream)
{
	struct sender_loop *best = downstream->senders[0];
	for (unsigned i = 1; i < downstream->sender_count; i++) {
		if (sender_loop_load(downstream->senders[i]) < sender_loop_load(best)) {
			best = downstream->senders[i];
		}
	}
	return best;
}

/* Where somebody can make room; NULL: nowhere. */
static struct sender_loop *most_strangers(struct downstream *downstream)
{
	struct sender_loop *best = NULL;
	unsigned most = 0;
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		unsigned strangers = sender_loop_strangers(downstream->senders[i]);
		if (strangers > most) {
			most = strangers;
			best = downstream->senders[i];
		}
	}
	return best;
}

static struct sender_loop *choose_sender(
	struct downstream *downstream, const struct session_arrival *arrival)
{
	struct sender_loop *sender = NULL;
	if (arrival->admission == ADMISSION_TOO_MANY) {
		sender = most_strangers(downstream);
	}
	return sender != NULL ? sender : least_loaded(downstream);
}

void downstream_accept(
	struct downstream *downstream, int fd, const struct sockaddr *peer, size_t peer_length)
{
	struct session_arrival arrival = {.fd = fd};
	struct downstream_limits limits;
	live_limits_take(downstream->shared.limits, &limits);
	const struct connection_limits connection_limits = {
		.connections = limits.max_connections,
		.per_address = limits.max_connections_per_address,
	};
	live_limits_release(&limits);
	arrival.has_peer = peer != NULL && peer_length > 0;
	if (arrival.has_peer) {
		assert(peer_length <= sizeof(arrival.peer));
		memcpy(&arrival.peer, peer, peer_length);
		arrival.expects_proxy_header =
			live_limits_expects_proxy_header(downstream->shared.limits, peer);
	}
	/* Whose connection a load balancer passes on is told by its header. */
	arrival.pid = connection_registry_add(downstream->shared.registry, &connection_limits,
		arrival.expects_proxy_header ? NULL : peer, &arrival.admission);
	if (arrival.pid == 0 || atomic_load(&downstream->shared.is_stopping)) {
		if (arrival.pid != 0) {
			connection_registry_remove(downstream->shared.registry, arrival.pid);
		}
		close(fd);
		return;
	}
	sender_loop_accept(choose_sender(downstream, &arrival), &arrival);
}

void downstream_set_limits(struct downstream *downstream, const struct downstream_limits *limits)
{
	struct error err = {0};
	if (!live_limits_set(downstream->shared.limits, limits, &err)) {
		log_error(LOG_LEVEL_ERROR, "downstream", &err);
	}
	rate_limiter_set_egress_cap(downstream->shared.limiter, limits->egress_cap_bytes);
	downstream_tell_caps(downstream);
}

struct loop *downstream_loop(struct downstream *downstream, unsigned number)
{
	assert(number < downstream->sender_count);
	return sender_loop_thread(downstream->senders[number]);
}

void downstream_tell_caps(struct downstream *downstream)
{
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		sender_loop_tell_caps(downstream->senders[i]);
	}
}

void downstream_match_again(struct downstream *downstream)
{
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		sender_loop_match_again(downstream->senders[i]);
	}
}

void downstream_kill(struct downstream *downstream, uint32_t pid)
{
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		sender_loop_kill(downstream->senders[i], pid);
	}
}

size_t downstream_connection_count(struct downstream *downstream)
{
	return connection_registry_count(downstream->shared.registry);
}

bool downstream_read_link_stats(
	struct downstream *downstream, struct shared_encoder_stats *stats_out)
{
	if (downstream->shared.encoder == NULL) {
		return false;
	}
	shared_encoder_read_stats(downstream->shared.encoder, stats_out);
	return true;
}

/* --- what the sessions know --------------------------------------------------------------------
 */

struct replayed {
	tli_t tli;
	lsn_t lowest;
};

static void visit_replayed(void *context, struct downstream_session *session)
{
	struct replayed *replayed = context;
	lsn_t lsn = standby_progress_replayed(downstream_session_progress(session), replayed->tli);
	if (lsn != LSN_INVALID && (replayed->lowest == LSN_INVALID || lsn < replayed->lowest)) {
		replayed->lowest = lsn;
	}
}

static void visit_all(struct downstream *downstream, sender_loop_visit *visit, void *context)
{
	for (unsigned i = 0; i < downstream->sender_count; i++) {
		sender_loop_each(downstream->senders[i], visit, context);
	}
}

lsn_t downstream_replayed_lsn(struct downstream *downstream, tli_t tli)
{
	struct replayed replayed = {.tli = tli, .lowest = LSN_INVALID};
	/* Whatever moves during the walk is rung for. */
	atomic_exchange(&downstream->shared.replayed_told, UINT64_MAX);
	visit_all(downstream, visit_replayed, &replayed);
	atomic_store(&downstream->shared.replayed_told, replayed.lowest);
	return replayed.lowest;
}

struct flushed {
	tli_t tli;
	unsigned count;
	lsn_t highest[DOWNSTREAM_STANDBYS_MAX]; /* the first is the highest */
};

static void visit_flushed(void *context, struct downstream_session *session)
{
	struct flushed *flushed = context;
	const struct standby_progress *progress = downstream_session_progress(session);
	lsn_t lsn = progress_get(progress->flush_lsn);
	if (progress_get(progress->tli) != flushed->tli) {
		return;
	}
	for (unsigned i = 0; i < flushed->count && lsn != LSN_INVALID; i++) {
		lsn_t lower = lsn_min(lsn, flushed->highest[i]);
		flushed->highest[i] = lsn_max(lsn, flushed->highest[i]);
		lsn = lower;
	}
}

lsn_t downstream_flushed_lsn(struct downstream *downstream, tli_t tli, unsigned standbys)
{
	struct flushed flushed = {.tli = tli, .count = standbys};
	assert(standbys >= 1 && standbys <= DOWNSTREAM_STANDBYS_MAX);
	visit_all(downstream, visit_flushed, &flushed);
	return flushed.highest[standbys - 1];
}

struct oldest {
	uint64_t xmin;
	uint64_t catalog_xmin;
};

static void visit_oldest(void *context, struct downstream_session *session)
{
	struct oldest *oldest = context;
	const struct standby_progress *progress = downstream_session_progress(session);
	oldest->xmin = feedback_older(oldest->xmin, progress_get(progress->xmin));
	oldest->catalog_xmin =
		feedback_older(oldest->catalog_xmin, progress_get(progress->catalog_xmin));
}

void downstream_oldest_xmin(
	struct downstream *downstream, uint64_t *xmin_out, uint64_t *catalog_xmin_out)
{
	struct oldest oldest;
	slots_oldest_xmin(downstream->shared.slots, &oldest.xmin, &oldest.catalog_xmin);
	visit_all(downstream, visit_oldest, &oldest);
	*xmin_out = oldest.xmin;
	*catalog_xmin_out = oldest.catalog_xmin;
}

struct listing {
	struct standby_stats *stats;
	size_t capacity;
	size_t count;
	struct standby_stats beyond; /* those that no longer fit */
};

static void visit_listing(void *context, struct downstream_session *session)
{
	struct listing *listing = context;
	struct standby_stats *stats = listing->count < listing->capacity
					      ? &listing->stats[listing->count]
					      : &listing->beyond;
	if (downstream_session_read_stats(session, stats)) {
		listing->count++;
	}
}

size_t downstream_list(
	struct downstream *downstream, struct standby_stats *stats_out, size_t capacity)
{
	struct listing listing = {.stats = stats_out, .capacity = capacity};
	visit_all(downstream, visit_listing, &listing);
	return listing.count;
}
