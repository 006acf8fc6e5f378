/*
 * rate_limiter: a shaper for each destination that has connections and one for the egress. A share
 * waits first in its destination's line, then in that of the egress.
 */
#include "destination/rate_limiter.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/memory.h"
#include "destination/rate_shaper.h"

/* The shaper of one destination. */
struct bucket {
	LIST_ENTRY(bucket) link;
	struct destination *destination;
	struct rate_shaper shaper;
	unsigned users;
};

LIST_HEAD(buckets, bucket);

struct rate_limiter {
	_Atomic uint64_t egress_cap; /* bytes a second; 0: none */
	pthread_mutex_t lock;        /* what follows */
	struct rate_shaper egress;
	struct buckets buckets;
};

struct rate_share {
	struct rate_limiter *limiter;
	struct bucket *bucket; /* NULL: no destination */
	enum rate_use use;
	int egress_key;
	struct rate_booking booking;        /* in the bucket's line, */
	struct rate_booking egress_booking; /* then in that of the egress */
	uint64_t charged_bytes;             /* of what the connection sent since it began */
};

struct rate_limiter *rate_limiter_new(void)
{
	struct rate_limiter *limiter = memory_new(sizeof(*limiter));
	pthread_mutex_init(&limiter->lock, NULL);
	rate_shaper_init(&limiter->egress);
	LIST_INIT(&limiter->buckets);
	return limiter;
}

void rate_limiter_free(struct rate_limiter **limiter)
{
	struct rate_limiter *gone = *limiter;
	if (gone == NULL) {
		return;
	}
	*limiter = NULL;
	assert(LIST_EMPTY(&gone->buckets));
	rate_shaper_release(&gone->egress);
	pthread_mutex_destroy(&gone->lock);
	free(gone);
}

void rate_limiter_set_egress_cap(struct rate_limiter *limiter, uint64_t bytes_per_second)
{
	atomic_store(&limiter->egress_cap, bytes_per_second);
}

/* --- a share's places --------------------------------------------------------------------------
 */

/* WAL before backups where the priority is the same. */
static int egress_key(const struct rate_share *share)
{
	const struct bucket *bucket = share->bucket;
	int priority = bucket != NULL ? destination_priority(bucket->destination) : 0;
	return priority * 2 + (int)share->use;
}

static void cancel(struct rate_share *share)
{
	if (share->bucket != NULL) {
		rate_shaper_cancel(&share->bucket->shaper, (int)share->use, &share->booking);
	}
	rate_shaper_cancel(&share->limiter->egress, share->egress_key, &share->egress_booking);
}

static struct bucket *find_bucket(struct rate_limiter *limiter, struct destination *destination)
{
	struct bucket *bucket;
	LIST_FOREACH(bucket, &limiter->buckets, link)
	{
		if (bucket->destination == destination) {
			return bucket;
		}
	}
	bucket = memory_new(sizeof(*bucket));
	bucket->destination = destination;
	rate_shaper_init(&bucket->shaper);
	LIST_INSERT_HEAD(&limiter->buckets, bucket, link);
	return bucket;
}

static void enter(struct rate_share *share, struct destination *destination, enum rate_use use)
{
	share->use = use;
	share->bucket = NULL;
	if (destination != NULL) {
		share->bucket = find_bucket(share->limiter, destination);
		share->bucket->users++;
		rate_shaper_join(&share->bucket->shaper, (int)use);
	}
	share->egress_key = egress_key(share);
	rate_shaper_join(&share->limiter->egress, share->egress_key);
}

static void leave(struct rate_share *share)
{
	struct bucket *bucket = share->bucket;
	cancel(share);
	rate_shaper_leave(&share->limiter->egress, share->egress_key);
	if (bucket == NULL) {
		return;
	}
	rate_shaper_leave(&bucket->shaper, (int)share->use);
	if (--bucket->users == 0) {
		LIST_REMOVE(bucket, link);
		rate_shaper_release(&bucket->shaper);
		free(bucket);
	}
}

static struct destination *destination_of(const struct rate_share *share)
{
	return share->bucket != NULL ? share->bucket->destination : NULL;
}

/* Into the new place before out of the old one, so that a bucket that both have keeps its state. */
static void change(struct rate_share *share, struct destination *destination, enum rate_use use)
{
	struct rate_share old;
	pthread_mutex_lock(&share->limiter->lock);
	cancel(share);
	old = *share;
	enter(share, destination, use);
	leave(&old);
	pthread_mutex_unlock(&share->limiter->lock);
}

struct rate_share *rate_share_new(struct rate_limiter *limiter, struct destination *destination)
{
	struct rate_share *share = memory_new(sizeof(*share));
	share->limiter = limiter;
	pthread_mutex_lock(&limiter->lock);
	enter(share, destination, RATE_WAL);
	pthread_mutex_unlock(&limiter->lock);
	return share;
}

void rate_share_free(struct rate_share **share)
{
	struct rate_share *gone = *share;
	if (gone == NULL) {
		return;
	}
	*share = NULL;
	pthread_mutex_lock(&gone->limiter->lock);
	leave(gone);
	pthread_mutex_unlock(&gone->limiter->lock);
	free(gone);
}

void rate_share_move(struct rate_share *share, struct destination *destination)
{
	if (destination_of(share) != destination) {
		change(share, destination, share->use);
	}
}

void rate_share_set_use(struct rate_share *share, enum rate_use use)
{
	if (share != NULL && share->use != use) {
		change(share, destination_of(share), use);
	}
}

/* --- leave -------------------------------------------------------------------------------------
 */

static uint64_t cap_of(const struct rate_share *share)
{
	return share->bucket != NULL ? destination_cap(share->bucket->destination) : QUOTA_NO_CAP;
}

static uint64_t egress_cap_of(const struct rate_share *share)
{
	return atomic_load_explicit(&share->limiter->egress_cap, memory_order_relaxed);
}

static bool is_capped(const struct rate_share *share)
{
	return cap_of(share) != QUOTA_NO_CAP || egress_cap_of(share) > 0;
}

static uint32_t stretch_of(const struct rate_shaper *shaper)
{
	return rate_shaper_stretch(shaper->bytes_per_second, shaper->users);
}

static uint32_t bounded(size_t wanted, uint32_t stretch)
{
	return wanted < stretch ? (uint32_t)wanted : stretch;
}

/* A booking in one line, and when its turn comes. */
static int64_t wait_in_line(struct rate_shaper *shaper, int key, const struct rate_wish *wish,
	int64_t now_us, struct rate_booking *booking)
{
	size_t stretch = stretch_of(shaper);
	size_t most = wish->least > stretch ? wish->least : stretch;
	/* The cap was larger when it was booked. */
	if (booking->bytes / 2 > most) {
		rate_shaper_cancel(shaper, key, booking);
	}
	if (booking->bytes == 0) {
		uint32_t bytes =
			bounded(wish->wanted, most < UINT32_MAX ? (uint32_t)most : UINT32_MAX);
		rate_shaper_book(shaper, key, bytes, now_us, booking);
	}
	return rate_shaper_due_us(shaper, key, booking, now_us);
}

/* Where the destination has a cap; true: its turn has come. */
static bool pass_bucket(struct rate_share *share, const struct rate_wish *wish, int64_t now_us,
	int64_t *retry_at_us_out)
{
	struct rate_shaper *shaper = &share->bucket->shaper;
	uint64_t cap = cap_of(share);
	rate_shaper_set(shaper, cap, now_us);
	if (cap == QUOTA_PAUSED) {
		cancel(share);
		*retry_at_us_out = RATE_LIMITER_NEVER;
		return false;
	}
	*retry_at_us_out = wait_in_line(shaper, (int)share->use, wish, now_us, &share->booking);
	return *retry_at_us_out <= now_us;
}

static void follow_priority(struct rate_share *share)
{
	int key = egress_key(share);
	if (key != share->egress_key) {
		struct rate_shaper *egress = &share->limiter->egress;
		rate_shaper_cancel(egress, share->egress_key, &share->egress_booking);
		rate_shaper_join(egress, key);
		rate_shaper_leave(egress, share->egress_key);
		share->egress_key = key;
	}
}

static bool pass_egress(struct rate_share *share, const struct rate_wish *wish, int64_t now_us,
	int64_t *retry_at_us_out)
{
	struct rate_shaper *egress = &share->limiter->egress;
	rate_shaper_set(egress, egress_cap_of(share), now_us);
	follow_priority(share);
	*retry_at_us_out =
		wait_in_line(egress, share->egress_key, wish, now_us, &share->egress_booking);
	return *retry_at_us_out <= now_us;
}

/* What cannot be cut may have grown since it was booked: then the rest is paid afterwards. */
static size_t granted(const struct rate_share *share, const struct rate_wish *wish)
{
	size_t bytes = wish->wanted;
	if (share->booking.bytes > 0) {
		bytes = bounded(bytes, share->booking.bytes);
	}
	if (share->egress_booking.bytes > 0) {
		bytes = bounded(bytes, share->egress_booking.bytes);
	}
	return bytes > wish->least ? bytes : wish->least;
}

/* What was booked in either line and is more than what was granted goes back. */
static void pay(struct rate_share *share, size_t bytes, int64_t now_us)
{
	struct rate_shaper *egress = &share->limiter->egress;
	if (share->booking.bytes > 0) {
		struct rate_shaper *shaper = &share->bucket->shaper;
		int64_t more = (int64_t)bytes - (int64_t)share->booking.bytes;
		rate_shaper_redeem(shaper, (int)share->use, &share->booking);
		rate_shaper_charge(shaper, (int)share->use, more, now_us);
	}
	if (share->egress_booking.bytes > 0) {
		int64_t more = (int64_t)bytes - (int64_t)share->egress_booking.bytes;
		rate_shaper_redeem(egress, share->egress_key, &share->egress_booking);
		rate_shaper_charge(egress, share->egress_key, more, now_us);
	}
	share->charged_bytes += bytes;
}

size_t rate_share_take(struct rate_share *share, const struct rate_wish *wish, int64_t now_us,
	int64_t *retry_at_us_out)
{
	size_t bytes = 0;
	assert(wish->least > 0);
	assert(wish->wanted >= wish->least);
	if (share == NULL || (!is_capped(share) && share->booking.bytes == 0 &&
				     share->egress_booking.bytes == 0)) {
		return wish->wanted;
	}
	pthread_mutex_lock(&share->limiter->lock);
	struct rate_wish in_egress = *wish;
	bool may_pass = true;
	if (cap_of(share) != QUOTA_NO_CAP) {
		may_pass = pass_bucket(share, wish, now_us, retry_at_us_out);
		in_egress.wanted = granted(share, wish);
	}
	if (may_pass && egress_cap_of(share) > 0) {
		may_pass = pass_egress(share, &in_egress, now_us, retry_at_us_out);
	}
	if (may_pass) {
		bytes = granted(share, wish);
		pay(share, bytes, now_us);
	}
	pthread_mutex_unlock(&share->limiter->lock);
	return bytes;
}

void rate_share_cancel(struct rate_share *share)
{
	if (share != NULL && (share->booking.bytes > 0 || share->egress_booking.bytes > 0)) {
		pthread_mutex_lock(&share->limiter->lock);
		cancel(share);
		pthread_mutex_unlock(&share->limiter->lock);
	}
}

void rate_share_settle(struct rate_share *share, uint64_t sent_bytes, int64_t now_us)
{
	if (share == NULL) {
		return;
	}
	int64_t more = (int64_t)(sent_bytes - share->charged_bytes);
	share->charged_bytes = sent_bytes;
	if (more == 0 || !is_capped(share)) {
		return;
	}
	pthread_mutex_lock(&share->limiter->lock);
	if (cap_of(share) != QUOTA_NO_CAP) {
		rate_shaper_charge(&share->bucket->shaper, (int)share->use, more, now_us);
	}
	if (egress_cap_of(share) > 0) {
		rate_shaper_charge(&share->limiter->egress, share->egress_key, more, now_us);
	}
	pthread_mutex_unlock(&share->limiter->lock);
}

size_t rate_share_stretch(const struct rate_share *share)
{
	size_t bytes = SIZE_MAX;
	if (share == NULL || !is_capped(share)) {
		return SIZE_MAX;
	}
	pthread_mutex_lock(&share->limiter->lock);
	uint64_t cap = cap_of(share);
	if (cap != QUOTA_NO_CAP) {
		bytes = rate_shaper_stretch(cap, share->bucket->shaper.users);
	}
	cap = egress_cap_of(share);
	if (cap > 0) {
		bytes = bounded(bytes, rate_shaper_stretch(cap, share->limiter->egress.users));
	}
	pthread_mutex_unlock(&share->limiter->lock);
	return bytes;
}
