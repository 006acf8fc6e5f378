/*
 * sender_loop: the loop, its turns and the list of its sessions. The list changes on the loop's
 * thread alone, under the lock that readers of statistics hold while they walk it.
 */
#include "downstream/sender_loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/memory.h"

/* Together with the pace of the ledger: less than a second from a byte to its row on disk. */
#define COUNT_INTERVAL_US 200000

enum { DEADLINE_COUNT, DEADLINES };

struct member {
	LIST_ENTRY(member) link;
	TAILQ_ENTRY(member) stranger_link;
	bool is_stranger;
	struct downstream_session *session;
};

LIST_HEAD(members, member);
TAILQ_HEAD(strangers, member);

struct sender_loop {
	struct sender_loop_options options;
	struct session_host host;
	struct members members;
	atomic_uint load;
	atomic_uint stranger_count; /* of load */
	struct deadlines deadlines;
	struct strangers strangers; /* what follows is touched on the loop alone; longest first */
	bool is_stopping;
	bool is_stopped_told;
	int64_t stop_timeout_us;
};

struct posted_arrival {
	struct sender_loop *sender;
	struct session_arrival arrival;
};

static void tell_if_stopped(struct sender_loop *sender)
{
	if (sender->is_stopping && !sender->is_stopped_told && LIST_EMPTY(&sender->members)) {
		sender->is_stopped_told = true;
		sender->options.on_stopped(sender->options.context);
	}
}

static void forget_stranger(struct sender_loop *sender, struct member *member)
{
	if (member->is_stranger) {
		member->is_stranger = false;
		TAILQ_REMOVE(&sender->strangers, member, stranger_link);
		atomic_fetch_sub(&sender->stranger_count, 1);
	}
}

static void on_logged_in(void *context, void *seat)
{
	forget_stranger(context, seat);
}

static void on_released(void *context, void *seat)
{
	struct sender_loop *sender = context;
	struct member *member = seat;
	forget_stranger(sender, member);
	pthread_mutex_lock(&sender->host.stats_lock);
	LIST_REMOVE(member, link);
	pthread_mutex_unlock(&sender->host.stats_lock);
	free(member);
	atomic_fetch_sub(&sender->load, 1);
	tell_if_stopped(sender);
}

static void make_room(struct sender_loop *sender, struct session_arrival *arrival)
{
	struct member *longest = TAILQ_FIRST(&sender->strangers);
	if (arrival->admission != ADMISSION_TOO_MANY || longest == NULL) {
		return;
	}
	forget_stranger(sender, longest);
	if (downstream_session_give_way(longest->session)) {
		arrival->admission = ADMISSION_GRANTED;
	}
}

static void add_stranger(struct sender_loop *sender, struct member *member)
{
	member->is_stranger = true;
	TAILQ_INSERT_TAIL(&sender->strangers, member, stranger_link);
}

static void take_arrival(void *context)
{
	struct posted_arrival *posted = context;
	struct sender_loop *sender = posted->sender;
	struct member *member = memory_new(sizeof(*member));
	make_room(sender, &posted->arrival);
	member->session = downstream_session_new(&sender->host, &posted->arrival, member);
	free(posted);
	if (member->session == NULL) {
		free(member);
		atomic_fetch_sub(&sender->load, 1);
		atomic_fetch_sub(&sender->stranger_count, 1);
		return;
	}
	pthread_mutex_lock(&sender->host.stats_lock);
	LIST_INSERT_HEAD(&sender->members, member, link);
	pthread_mutex_unlock(&sender->host.stats_lock);
	add_stranger(sender, member);
	if (sender->is_stopping) {
		downstream_session_stop(member->session, loop_now_us(sender->host.loop));
	}
}

void sender_loop_accept(struct sender_loop *sender, const struct session_arrival *arrival)
{
	struct posted_arrival *posted = memory_new(sizeof(*posted));
	posted->sender = sender;
	posted->arrival = *arrival;
	atomic_fetch_add(&sender->load, 1);
	atomic_fetch_add(&sender->stranger_count, 1);
	loop_post(sender->host.loop, take_arrival, posted);
}

struct loop *sender_loop_thread(struct sender_loop *sender)
{
	return sender->host.loop;
}

unsigned sender_loop_load(const struct sender_loop *sender)
{
	return atomic_load(&sender->load);
}

unsigned sender_loop_strangers(const struct sender_loop *sender)
{
	return atomic_load(&sender->stranger_count);
}

static void stop_sessions(void *context)
{
	struct sender_loop *sender = context;
	struct member *member;
	int64_t at_us = loop_now_us(sender->host.loop) + sender->stop_timeout_us;
	sender->is_stopping = true;
	for (member = LIST_FIRST(&sender->members); member != NULL;
		member = LIST_NEXT(member, link)) {
		downstream_session_stop(member->session, at_us);
	}
	tell_if_stopped(sender);
}

void sender_loop_stop(struct sender_loop *sender, int64_t timeout_us)
{
	sender->stop_timeout_us = timeout_us;
	loop_post(sender->host.loop, stop_sessions, sender);
}

static void tell_sessions(void *context)
{
	struct sender_loop *sender = context;
	struct member *member;
	for (member = LIST_FIRST(&sender->members); member != NULL;
		member = LIST_NEXT(member, link)) {
		downstream_session_on_slot_freed(member->session);
	}
}

void sender_loop_tell_slot_freed(struct sender_loop *sender)
{
	loop_post(sender->host.loop, tell_sessions, sender);
}

static void match_sessions(void *context)
{
	struct sender_loop *sender = context;
	struct member *member;
	for (member = LIST_FIRST(&sender->members); member != NULL;
		member = LIST_NEXT(member, link)) {
		downstream_session_match(member->session);
	}
}

void sender_loop_match_again(struct sender_loop *sender)
{
	loop_post(sender->host.loop, match_sessions, sender);
}

struct posted_kill {
	struct sender_loop *sender;
	uint32_t pid;
};

static void kill_session(void *context)
{
	struct posted_kill *posted = context;
	struct member *member = LIST_FIRST(&posted->sender->members);
	while (member != NULL && !downstream_session_kill(member->session, posted->pid)) {
		member = LIST_NEXT(member, link);
	}
	free(posted);
}

void sender_loop_kill(struct sender_loop *sender, uint32_t pid)
{
	struct posted_kill *posted = memory_new(sizeof(*posted));
	*posted = (struct posted_kill){sender, pid};
	loop_post(sender->host.loop, kill_session, posted);
}

static void count_sessions(void *context, int reason)
{
	struct sender_loop *sender = context;
	struct member *member;
	for (member = LIST_FIRST(&sender->members); member != NULL;
		member = LIST_NEXT(member, link)) {
		downstream_session_count(member->session);
	}
	deadlines_set(
		&sender->deadlines, reason, loop_now_us(sender->host.loop) + COUNT_INTERVAL_US);
}

static bool begin_count(struct sender_loop *sender, struct error *err)
{
	if (sender->host.shared->destinations == NULL) {
		return true;
	}
	if (!deadlines_init(&sender->deadlines, sender->host.loop, DEADLINES, count_sessions,
		    sender, err)) {
		return false;
	}
	deadlines_set(&sender->deadlines, DEADLINE_COUNT,
		loop_now_us(sender->host.loop) + COUNT_INTERVAL_US);
	return true;
}

void sender_loop_tell_caps(struct sender_loop *sender)
{
	turns_tell_caps(sender->host.turns);
}

void sender_loop_each(struct sender_loop *sender, sender_loop_visit *visit, void *context)
{
	struct member *member;
	pthread_mutex_lock(&sender->host.stats_lock);
	for (member = LIST_FIRST(&sender->members); member != NULL;
		member = LIST_NEXT(member, link)) {
		visit(context, member->session);
	}
	pthread_mutex_unlock(&sender->host.stats_lock);
}

struct sender_loop *sender_loop_new(const struct sender_loop_options *options, struct error *err)
{
	char name[16];
	struct sender_loop *sender = memory_new(sizeof(*sender));
	sender->options = *options;
	LIST_INIT(&sender->members);
	TAILQ_INIT(&sender->strangers);
	pthread_mutex_init(&sender->host.stats_lock, NULL);
	pthread_mutex_init(&sender->host.end_lock, NULL);
	sender->host.shared = options->shared;
	sender->host.on_logged_in = on_logged_in;
	sender->host.on_released = on_released;
	sender->host.context = sender;
	sender->host.number = options->number;
	snprintf(name, sizeof(name), "sender %u", options->number);
	sender->host.loop = loop_new(name, err);
	if (sender->host.loop != NULL) {
		sender->host.turns = turns_new(
			sender->host.loop, options->shared->store, options->store_events, err);
	}
	if (sender->host.turns != NULL) {
		sender->host.strangers = stranger_log_new(sender->host.loop, err);
	}
	if (sender->host.strangers == NULL || !begin_count(sender, err)) {
		sender_loop_free(&sender);
		return NULL;
	}
	return sender;
}

void sender_loop_free(struct sender_loop **sender)
{
	struct sender_loop *gone = *sender;
	if (gone == NULL) {
		return;
	}
	*sender = NULL;
	if (gone->host.loop != NULL) {
		loop_stop(gone->host.loop);
		loop_join(gone->host.loop);
	}
	assert(LIST_EMPTY(&gone->members));
	turns_free(&gone->host.turns);
	deadlines_release(&gone->deadlines);
	stranger_log_free(&gone->host.strangers);
	pthread_mutex_lock(&gone->host.end_lock);
	pthread_mutex_unlock(&gone->host.end_lock);
	loop_free(&gone->host.loop);
	pthread_mutex_destroy(&gone->host.end_lock);
	pthread_mutex_destroy(&gone->host.stats_lock);
	free(gone);
}

bool sender_loop_start(struct sender_loop *sender, struct error *err)
{
	return loop_start(sender->host.loop, err);
}
