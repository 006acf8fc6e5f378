/*
 * turns: one list per place and one wake per kind of visit. A visit first moves its list aside, so
 * that turns may join, leave and end during it. A turn may also leave while its stretch is being
 * read: what the disk answers finds its disk_wait, and that no longer has a turn.
 */
#include "downstream/turns.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

TAILQ_HEAD(turn_list, turn);

struct disk_wait {
	struct turns *turns;
	struct turn *turn; /* NULL: it has gone elsewhere */
};

struct turns {
	struct loop *loop;
	struct wal_store *store;
	struct wal_watcher *watcher;
	struct wake *news;  /* rung by the spool, on any thread */
	struct wake *ready; /* rung here while somebody is ready */
	struct wake *caps;  /* rung when caps have changed, on any thread */
	struct deadlines
		timer; /* for the first of those in TURN_PACED, which stand in order of time */
	struct turn_list places[TURN_PLACES];
	/* Somebody is at the tip, or was when the last news came. While it is false the upstream's
	 * thread spares itself a system call an append, and this loop a useless wake-up. */
	atomic_bool is_wanted;
	pthread_mutex_t lock; /* what follows */
	pthread_cond_t no_disk_wait;
	size_t disk_waits; /* the disk's thread will yet post to the loop */
};

static void put(struct turns *turns, struct turn *turn, enum turn_place place)
{
	if (turn->place != TURN_NOWHERE) {
		TAILQ_REMOVE(&turns->places[turn->place], turn, link);
	}
	if (turn->disk_wait != NULL) {
		turn->disk_wait->turn = NULL;
		turn->disk_wait = NULL;
	}
	turn->place = place;
	if (place != TURN_NOWHERE) {
		TAILQ_INSERT_TAIL(&turns->places[place], turn, link);
	}
}

static void take_first(struct turns *turns, enum turn_place place)
{
	struct turn *turn = TAILQ_FIRST(&turns->places[place]);
	put(turns, turn, TURN_NOWHERE);
	turn->call(turn->context);
}

static void on_news(void *context)
{
	struct turns *turns = context;
	struct turn *turn;
	while ((turn = TAILQ_FIRST(&turns->places[TURN_AT_TIP])) != NULL) {
		put(turns, turn, TURN_VISITED);
	}
	while (!TAILQ_EMPTY(&turns->places[TURN_VISITED])) {
		take_first(turns, TURN_VISITED);
	}
	if (TAILQ_EMPTY(&turns->places[TURN_AT_TIP])) {
		atomic_store(&turns->is_wanted, false);
	}
}

static void on_ready(void *context)
{
	struct turns *turns = context;
	if (!TAILQ_EMPTY(&turns->places[TURN_READY])) {
		take_first(turns, TURN_READY);
	}
	if (!TAILQ_EMPTY(&turns->places[TURN_READY])) {
		wake_ring(turns->ready);
	}
}

static void set_timer(struct turns *turns)
{
	const struct turn *first = TAILQ_FIRST(&turns->places[TURN_PACED]);
	if (first != NULL && first->due_us != INT64_MAX) {
		deadlines_set(&turns->timer, 0, first->due_us);
	} else {
		deadlines_clear(&turns->timer, 0);
	}
}

static void on_timer(void *context, int reason)
{
	struct turns *turns = context;
	struct turn *turn;
	int64_t now_us = loop_now_us(turns->loop);
	(void)reason;
	while ((turn = TAILQ_FIRST(&turns->places[TURN_PACED])) != NULL && turn->due_us <= now_us) {
		turns_make_ready(turns, turn);
	}
	set_timer(turns);
}

static void on_caps(void *context)
{
	struct turns *turns = context;
	struct turn *turn;
	while ((turn = TAILQ_FIRST(&turns->places[TURN_PACED])) != NULL) {
		turns_make_ready(turns, turn);
	}
}

static void on_store_event(void *context, unsigned events)
{
	(void)events;
	struct turns *turns = context;
	if (atomic_load(&turns->is_wanted)) {
		wake_ring(turns->news);
	}
}

struct turns *turns_new(
	struct loop *loop, struct wal_store *store, unsigned events, struct error *err)
{
	struct turns *turns = memory_new(sizeof(*turns));
	for (int place = 0; place < TURN_PLACES; place++) {
		TAILQ_INIT(&turns->places[place]);
	}
	turns->loop = loop;
	turns->store = store;
	pthread_mutex_init(&turns->lock, NULL);
	pthread_cond_init(&turns->no_disk_wait, NULL);
	turns->news = wake_new(loop, on_news, turns, err);
	if (turns->news != NULL) {
		turns->ready = wake_new(loop, on_ready, turns, err);
	}
	if (turns->ready != NULL) {
		turns->caps = wake_new(loop, on_caps, turns, err);
	}
	if (turns->caps == NULL || !deadlines_init(&turns->timer, loop, 1, on_timer, turns, err)) {
		turns_free(&turns);
		return NULL;
	}
	turns->watcher =
		wal_store_add_watcher(store, events | WAL_STORE_FILLED, on_store_event, turns);
	return turns;
}

void turns_free(struct turns **turns)
{
	struct turns *gone = *turns;
	if (gone == NULL) {
		return;
	}
	*turns = NULL;
	if (gone->watcher != NULL) {
		wal_store_remove_watcher(gone->store, &gone->watcher);
	}
	for (int place = 0; place < TURN_PLACES; place++) {
		assert(TAILQ_EMPTY(&gone->places[place]));
	}
	pthread_mutex_lock(&gone->lock);
	while (gone->disk_waits > 0) {
		pthread_cond_wait(&gone->no_disk_wait, &gone->lock);
	}
	pthread_mutex_unlock(&gone->lock);
	pthread_cond_destroy(&gone->no_disk_wait);
	pthread_mutex_destroy(&gone->lock);
	wake_free(&gone->news);
	wake_free(&gone->ready);
	wake_free(&gone->caps);
	deadlines_release(&gone->timer);
	free(gone);
}

void turns_wait_at_tip(struct turns *turns, struct turn *turn)
{
	put(turns, turn, TURN_AT_TIP);
	/* What was appended between its last look and this went by unheard: look once more. */
	if (!atomic_exchange(&turns->is_wanted, true)) {
		wake_ring(turns->news);
	}
}

/* On the loop; or, the turns being gone already, when the loop is freed. */
static void end_disk_wait(void *context)
{
	struct disk_wait *wait = context;
	struct turn *turn = wait->turn;
	if (turn != NULL) {
		put(wait->turns, turn, TURN_NOWHERE);
		turns_make_ready(wait->turns, turn);
	}
	free(wait);
}

/* On the disk's thread. */
static void on_read(void *context)
{
	struct disk_wait *wait = context;
	struct turns *turns = wait->turns;
	pthread_mutex_lock(&turns->lock);
	loop_post(turns->loop, end_disk_wait, wait);
	turns->disk_waits--;
	pthread_cond_signal(&turns->no_disk_wait);
	pthread_mutex_unlock(&turns->lock);
}

void turns_wait_for_disk(struct turns *turns, struct turn *turn, struct wal_prefetch *prefetch,
	const struct wal_on_disk *stretch)
{
	struct disk_wait *wait = memory_new(sizeof(*wait));
	*wait = (struct disk_wait){.turns = turns, .turn = turn};
	put(turns, turn, TURN_ON_DISK);
	turn->disk_wait = wait;
	pthread_mutex_lock(&turns->lock);
	turns->disk_waits++;
	pthread_mutex_unlock(&turns->lock);
	wal_prefetch_read(prefetch, stretch, on_read, wait);
}

void turns_wait_until(struct turns *turns, struct turn *turn, int64_t at_us)
{
	put(turns, turn, TURN_NOWHERE);
	struct turn_list *list = &turns->places[TURN_PACED];
	struct turn *before = TAILQ_LAST(list, turn_list);
	while (before != NULL && before->due_us > at_us) {
		before = TAILQ_PREV(before, turn_list, link);
	}
	turn->place = TURN_PACED;
	turn->due_us = at_us;
	if (before != NULL) {
		TAILQ_INSERT_AFTER(list, before, turn, link);
	} else {
		TAILQ_INSERT_HEAD(list, turn, link);
	}
	set_timer(turns);
}

void turns_tell_caps(struct turns *turns)
{
	wake_ring(turns->caps);
}

void turns_make_ready(struct turns *turns, struct turn *turn)
{
	if (turn->place == TURN_READY || turn->place == TURN_ON_DISK) {
		return;
	}
	put(turns, turn, TURN_READY);
	wake_ring(turns->ready);
}

void turns_leave(struct turns *turns, struct turn *turn)
{
	put(turns, turn, TURN_NOWHERE);
}
