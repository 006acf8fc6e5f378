/*
 * turns: one list per place and one wake per kind of visit. A visit first moves its list aside, so
 * that turns may join, leave and end during it.
 */
#include "downstream/turns.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

TAILQ_HEAD(turn_list, turn);

struct turns {
	struct wal_store *store;
	struct wal_watcher *watcher;
	struct wake *news;  /* rung by the spool, on any thread */
	struct wake *ready; /* rung here while somebody is ready */
	struct turn_list places[TURN_PLACES];
	/* Somebody is at the tip, or was when the last news came. While it is false the upstream's
	 * thread spares itself a system call an append, and this loop a useless wake-up. */
	atomic_bool is_wanted;
};

static void put(struct turns *turns, struct turn *turn, enum turn_place place)
{
	if (turn->place != TURN_NOWHERE) {
		TAILQ_REMOVE(&turns->places[turn->place], turn, link);
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
	turns->store = store;
	turns->news = wake_new(loop, on_news, turns, err);
	if (turns->news != NULL) {
		turns->ready = wake_new(loop, on_ready, turns, err);
	}
	if (turns->ready == NULL) {
		turns_free(&turns);
		return NULL;
	}
	turns->watcher = wal_store_add_watcher(store, events, on_store_event, turns);
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
	wake_free(&gone->news);
	wake_free(&gone->ready);
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

void turns_make_ready(struct turns *turns, struct turn *turn)
{
	if (turn->place == TURN_READY) {
		return;
	}
	put(turns, turn, TURN_READY);
	wake_ring(turns->ready);
}

void turns_leave(struct turns *turns, struct turn *turn)
{
	put(turns, turn, TURN_NOWHERE);
}
