/*
 * shared_encoder: who follows which chain.
 *
 * A chain that nobody follows stays for a while: what it knows of earlier pages took time to
 * gather, and its batches are there for those who come a little later. Of such chains the one that
 * knows least goes first.
 */
#include "downstream/shared_encoder.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "downstream/shared_encoder_internal.h"
#include "protocol/crc32c.h"
#include "protocol/link_image_index.h"

/* Chains that nobody follows. */
#define IDLE_CHAINS_MAX 2u

#define LEVEL_FIRST 3

struct shared_encoder *shared_encoder_new(
	const struct shared_encoder_options *options, struct error *err)
{
	struct shared_encoder *shared = memory_new(sizeof(*shared));
	shared->options = *options;
	if (shared->options.reference_bytes > LINK_REACH_MAX) {
		shared->options.reference_bytes = LINK_REACH_MAX;
	}
	shared->level = options->is_level_auto ? LEVEL_FIRST : options->level;
	pthread_mutex_init(&shared->lock, NULL);
	pthread_cond_init(&shared->work, NULL);
	TAILQ_INIT(&shared->chains);
	TAILQ_INIT(&shared->seats);
	batch_cache_init(&shared->cache, ENCODER_CACHE_BYTES);
	if (!encoder_workers_start(shared, err)) {
		shared_encoder_free(&shared);
		return NULL;
	}
	return shared;
}

static void remove_chain(struct encoder_chain *chain)
{
	struct shared_encoder *shared = chain->shared;
	TAILQ_REMOVE(&shared->chains, chain, link);
	shared->chain_count--;
	encoder_chain_free(chain);
}

void shared_encoder_free(struct shared_encoder **shared)
{
	struct shared_encoder *gone = *shared;
	if (gone == NULL) {
		return;
	}
	*shared = NULL;
	encoder_workers_stop(gone);
	assert(TAILQ_EMPTY(&gone->seats));
	while (!TAILQ_EMPTY(&gone->chains)) {
		remove_chain(TAILQ_FIRST(&gone->chains));
	}
	pthread_cond_destroy(&gone->work);
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

void shared_encoder_read_stats(struct shared_encoder *shared, struct shared_encoder_stats *out)
{
	pthread_mutex_lock(&shared->lock);
	*out = shared->stats;
	out->cache_bytes = shared->cache.bytes;
	out->chains = shared->chain_count;
	out->level = shared->level;
	pthread_mutex_unlock(&shared->lock);
}

/* --- chains ------------------------------------------------------------------------------------
 */

static uint64_t seat_reach(const struct encoder_seat *seat, lsn_t lsn)
{
	return link_reach_of(
		&seat->promise, seat->held_oldest, lsn, seat->shared->options.reference_bytes);
}

uint64_t encoder_chain_next_reach(const struct encoder_chain *chain)
{
	uint64_t least = UINT64_MAX;
	const struct encoder_seat *seat;
	LIST_FOREACH(seat, &chain->seats, in_chain)
	{
		uint64_t reach = seat_reach(seat, chain->position);
		least = reach < least ? reach : least;
	}
	return least == UINT64_MAX ? 0 : least;
}

static bool is_idle(const struct encoder_chain *chain)
{
	return LIST_EMPTY(&chain->seats) && !chain->is_running;
}

/* Of those that nobody follows, the one that knows least, but for `not_this`. */
static struct encoder_chain *least_idle(struct shared_encoder *shared, unsigned *count_out)
{
	struct encoder_chain *least = NULL;
	struct encoder_chain *chain;
	*count_out = 0;
	TAILQ_FOREACH(chain, &shared->chains, link)
	{
		if (!is_idle(chain)) {
			continue;
		}
		(*count_out)++;
		if (least == NULL ||
			chain->position - chain->known_from < least->position - least->known_from) {
			least = chain;
		}
	}
	return least;
}

void encoder_chain_settle(struct encoder_chain *chain)
{
	struct shared_encoder *shared = chain->shared;
	unsigned count;
	assert(LIST_EMPTY(&chain->seats));
	if (chain->is_running) {
		return;
	}
	if (chain->has_failed) {
		remove_chain(chain);
		return;
	}
	chain->is_wanted = false;
	chain->is_cut_wanted = false;
	wal_cursor_close(&chain->cursor);
	if (chain->earlier != NULL) {
		wal_earlier_rest(chain->earlier);
	}
	struct encoder_chain *least = least_idle(shared, &count);
	if (count > IDLE_CHAINS_MAX) {
		remove_chain(least);
	}
}

static void leave(struct encoder_seat *seat)
{
	struct encoder_chain *chain = seat->chain;
	if (chain == NULL) {
		return;
	}
	LIST_REMOVE(seat, in_chain);
	chain->seat_count--;
	seat->chain = NULL;
	if (chain->seat_count == 0) {
		encoder_chain_settle(chain);
	}
}

static void join(struct encoder_seat *seat, struct encoder_chain *chain)
{
	if (seat->chain == chain) {
		return;
	}
	/* First, so that the chain is not taken for one that nobody follows. */
	struct encoder_chain *before = seat->chain;
	if (before != NULL) {
		LIST_REMOVE(seat, in_chain);
		before->seat_count--;
	}
	LIST_INSERT_HEAD(&chain->seats, seat, in_chain);
	chain->seat_count++;
	seat->chain = chain;
	if (before != NULL && before->seat_count == 0) {
		encoder_chain_settle(before);
	}
}

void encoder_chain_abandon(struct encoder_chain *chain)
{
	chain->has_failed = true;
	while (!LIST_EMPTY(&chain->seats)) {
		struct encoder_seat *seat = LIST_FIRST(&chain->seats);
		LIST_REMOVE(seat, in_chain);
		chain->seat_count--;
		seat->chain = NULL;
		seat->plain_until = lsn_max(seat->plain_until, link_batch_limit(chain->position));
		encoder_seat_ring(seat);
	}
	encoder_chain_settle(chain);
}

void encoder_chain_ring(struct encoder_chain *chain)
{
	struct encoder_seat *seat;
	LIST_FOREACH(seat, &chain->seats, in_chain)
	{
		if (seat->is_waiting) {
			encoder_seat_ring(seat);
		}
	}
}

/* --- seats -------------------------------------------------------------------------------------
 */

void encoder_seat_ring(struct encoder_seat *seat)
{
	seat->is_waiting = false;
	if (!seat->is_gone) {
		seat->ring(seat->context);
	}
}

struct encoder_seat *encoder_seat_new(
	struct shared_encoder *shared, tli_t tli, void (*ring)(void *context), void *context)
{
	struct encoder_seat *seat = memory_new(sizeof(*seat));
	seat->shared = shared;
	seat->tli = tli;
	seat->ring = ring;
	seat->context = context;
	pthread_mutex_lock(&shared->lock);
	TAILQ_INSERT_TAIL(&shared->seats, seat, in_encoder);
	pthread_mutex_unlock(&shared->lock);
	return seat;
}

void encoder_seat_release(struct encoder_seat *seat)
{
	TAILQ_REMOVE(&seat->shared->seats, seat, in_encoder);
	wal_cursor_close(&seat->check.cursor);
	free(seat);
}

void encoder_seat_free(struct encoder_seat **seat)
{
	struct encoder_seat *gone = *seat;
	if (gone == NULL) {
		return;
	}
	*seat = NULL;
	struct shared_encoder *shared = gone->shared;
	pthread_mutex_lock(&shared->lock);
	leave(gone);
	gone->is_gone = true;
	gone->check.is_wanted = false;
	if (!gone->check.is_running) {
		encoder_seat_release(gone);
	}
	pthread_mutex_unlock(&shared->lock);
}

void encoder_seat_promise(struct encoder_seat *seat, const struct link_promise *promise)
{
	struct shared_encoder *shared = seat->shared;
	struct wal_store_stats store;
	wal_store_read_stats(shared->options.store, &store);
	pthread_mutex_lock(&shared->lock);
	seat->promise = *promise;
	seat->held_oldest = store.oldest_lsn;
	/* A frame that refers further back than is promised now is followed no further. */
	if (seat->chain != NULL && seat_reach(seat, seat->next) < seat->chain->reach) {
		leave(seat);
	}
	pthread_mutex_unlock(&shared->lock);
}

void encoder_seat_note_plain_request(struct encoder_seat *seat)
{
	pthread_mutex_lock(&seat->shared->lock);
	leave(seat);
	seat->shared->stats.plain_requests++;
	pthread_mutex_unlock(&seat->shared->lock);
}

/* --- taking a batch ----------------------------------------------------------------------------
 */

static bool may_begin(const struct encoder_chain *chain, lsn_t lsn)
{
	if (chain->position != lsn || chain->has_failed) {
		return false;
	}
	if (chain->is_running) {
		return chain->is_beginning;
	}
	return link_batch_limit(lsn) - lsn == LINK_FRAME_BYTES || chain->is_cut_wanted ||
	       lsn == chain->frame_start || lsn - chain->frame_start >= ENCODER_CUT_BYTES;
}

/* Whether the next batch of the chain is of a frame that has begun already. */
static uint64_t reach_at(
	const struct encoder_chain *chain, const struct encoder_seat *seat, lsn_t lsn)
{
	if (chain->is_running || (seat->chain == chain && lsn != chain->frame_start &&
					 link_batch_limit(lsn) - lsn != LINK_FRAME_BYTES)) {
		return chain->reach;
	}
	uint64_t reach = encoder_chain_next_reach(chain);
	return LIST_EMPTY(&chain->seats) ? seat_reach(seat, lsn) : reach;
}

static struct link_option option_of(
	const struct encoder_chain *chain, const struct encoder_seat *seat, lsn_t lsn)
{
	const struct encoded_batch *batch = batch_queue_find(&chain->batches, lsn);
	bool has_followed = seat->chain == chain && seat->next == lsn;
	struct link_option option = {
		.known_from = chain->known_from, .receivers = chain->seat_count};
	if (chain->tli != seat->tli || chain->has_failed) {
		return option;
	}
	option.goes_on = has_followed && (batch != NULL || chain->position == lsn);
	option.has_frame = batch != NULL && batch->begins_frame;
	option.can_begin = may_begin(chain, lsn);
	option.reach = batch != NULL ? batch->reach : reach_at(chain, seat, lsn);
	return option;
}

static struct encoder_chain *make_chain(struct encoder_seat *seat, lsn_t lsn)
{
	struct shared_encoder *shared = seat->shared;
	unsigned idle;
	struct encoder_chain *least = least_idle(shared, &idle);
	if (shared->chain_count == ENCODER_CHAINS_MAX) {
		if (least == NULL) {
			return NULL;
		}
		remove_chain(least);
	}
	struct encoder_chain *chain = encoder_chain_new(shared, seat->tli, lsn);
	TAILQ_INSERT_TAIL(&shared->chains, chain, link);
	shared->chain_count++;
	return chain;
}

/* NULL: there is none, and none can be made. */
static struct encoder_chain *choose(struct encoder_seat *seat, lsn_t lsn)
{
	struct shared_encoder *shared = seat->shared;
	struct link_option options[ENCODER_CHAINS_MAX];
	struct encoder_chain *chains[ENCODER_CHAINS_MAX];
	struct encoder_chain *chain;
	size_t count = 0;
	TAILQ_FOREACH(chain, &shared->chains, link)
	{
		chains[count] = chain;
		options[count++] = option_of(chain, seat, lsn);
	}
	size_t chosen = link_choose(options, count, seat_reach(seat, lsn), lsn);
	if (chosen == LINK_CHOICE_NONE) {
		return make_chain(seat, lsn);
	}
	chain = chains[chosen];
	if (!options[chosen].goes_on && !options[chosen].has_frame && !chain->is_running) {
		chain->is_cut_wanted = lsn != chain->frame_start;
	}
	return chain;
}

static enum encoder_take take(
	struct encoder_seat *seat, lsn_t lsn, struct encoded_batch **batch_out)
{
	struct shared_encoder *shared = seat->shared;
	if (lsn < seat->plain_until) {
		return ENCODER_PLAIN;
	}
	struct encoder_chain *chain = choose(seat, lsn);
	if (chain == NULL) {
		leave(seat);
		seat->plain_until = link_batch_limit(lsn);
		return ENCODER_PLAIN;
	}
	join(seat, chain);
	struct encoded_batch *batch = batch_queue_find(&chain->batches, lsn);
	if (batch == NULL) {
		assert(chain->position == lsn);
		seat->next = lsn;
		seat->is_waiting = true;
		seat->has_waited = true;
		if (!chain->is_wanted && !chain->is_running) {
			chain->is_wanted = true;
			pthread_cond_signal(&shared->work);
		}
		return ENCODER_WAITS;
	}
	seat->next = lsn + batch->raw_bytes;
	shared->stats.cache_hits += !seat->has_waited;
	shared->stats.cache_misses += seat->has_waited;
	seat->has_waited = false;
	*batch_out = encoded_batch_ref(batch);
	return ENCODER_BATCH;
}

enum encoder_take encoder_seat_take(
	struct encoder_seat *seat, lsn_t lsn, struct encoded_batch **batch_out)
{
	pthread_mutex_lock(&seat->shared->lock);
	seat->is_waiting = false;
	enum encoder_take taken = take(seat, lsn, batch_out);
	pthread_mutex_unlock(&seat->shared->lock);
	return taken;
}

enum encoder_check encoder_seat_check(struct encoder_seat *seat, lsn_t from, lsn_t to, uint32_t crc)
{
	struct shared_encoder *shared = seat->shared;
	struct seat_check *check = &seat->check;
	pthread_mutex_lock(&shared->lock);
	if (check->to == LSN_INVALID) {
		*check = (struct seat_check){.state = ENCODER_CHECK_RUNS,
			.is_wanted = true,
			.at = from,
			.to = to,
			.crc = CRC32C_INIT,
			.crc_wanted = crc};
		pthread_cond_signal(&shared->work);
	}
	enum encoder_check state = check->state;
	pthread_mutex_unlock(&shared->lock);
	return state;
}
