/*
 * loop: the event loop of one thread, and the queue by which other threads reach it.
 *
 * Each turn lets libevent wait and run what became ready, then runs what was deferred and what was
 * posted. A poster rings the eventfd only when the loop may be asleep, so a burst of posts costs
 * one write and a busy loop costs none. The eventfd is edge-triggered and never read: each write is
 * an edge of its own.
 */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/monotonic_clock.h"
#include "base/thread.h"

struct call {
	loop_call *call;
	void *context;
};

struct call_queue {
	struct call *calls;
	size_t count;
	size_t capacity;
};

struct loop {
	char name[32];
	struct event_base *base;
	int wake_fd;
	struct event *wake_event;
	struct call_queue deferred;
	struct call_queue running; /* what one round of deferred or posted calls works on */
	LIST_HEAD(, loop_leftover) leftovers;
	int64_t now_us; /* 0: not read in this turn */
	bool stopping;
	bool has_thread;
	pthread_t thread;
	atomic_bool is_running;
	atomic_bool has_posts; /* a hint, for loop_let_posts_in() */
	pthread_mutex_t lock;  /* what follows */
	struct call_queue posted;
	bool asleep; /* may be waiting: a post must ring */
};

static _Thread_local struct loop *current_loop;

static void queue_push(struct call_queue *queue, loop_call *call, void *context)
{
	if (queue->count == queue->capacity) {
		size_t capacity = queue->capacity == 0 ? 16 : queue->capacity * 2;
		struct call *calls = realloc(queue->calls, capacity * sizeof(*calls));
		if (calls == NULL) {
			log_write(LOG_LEVEL_ERROR, NULL, "out of memory");
			abort();
		}
		queue->calls = calls;
		queue->capacity = capacity;
	}
	queue->calls[queue->count].call = call;
	queue->calls[queue->count].context = context;
	queue->count++;
}

static void queue_swap(struct call_queue *a, struct call_queue *b)
{
	struct call_queue held = *a;
	*a = *b;
	*b = held;
}

static void queue_run(struct call_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++) {
		queue->calls[i].call(queue->calls[i].context);
	}
	queue->count = 0;
}

static void run_deferred(struct loop *loop)
{
	if (loop->deferred.count == 0) {
		return;
	}
	queue_swap(&loop->deferred, &loop->running);
	queue_run(&loop->running);
}

static void run_posted(struct loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->asleep = false;
	atomic_store_explicit(&loop->has_posts, false, memory_order_relaxed);
	queue_swap(&loop->posted, &loop->running);
	pthread_mutex_unlock(&loop->lock);
	queue_run(&loop->running);
}

static void on_wake_fd(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	(void)context;
}

static bool open_wake_event(struct loop *loop, struct error *err)
{
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0) {
		return error_set_errno(err, "could not create an eventfd");
	}
	loop->wake_event = event_new(
		loop->base, loop->wake_fd, EV_READ | EV_PERSIST | EV_ET, on_wake_fd, loop);
	if (loop->wake_event == NULL || event_add(loop->wake_event, NULL) != 0) {
		return error_set(err, ERROR_SYSTEM, "could not watch an eventfd");
	}
	return true;
}

static void log_libevent(int severity, const char *message)
{
	bool is_grave = severity == EVENT_LOG_WARN || severity == EVENT_LOG_ERR;
	log_write(is_grave ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "libevent", "%s", message);
}

static void set_libevent_log(void)
{
	event_set_log_callback(log_libevent);
}

static bool open_base(struct loop *loop, struct error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, set_libevent_log);
	struct event_config *config = event_config_new();
	if (config == NULL) {
		return error_set(err, ERROR_SYSTEM, "out of memory");
	}
	event_config_require_features(config, EV_FEATURE_ET);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL) {
		return error_set_errno(err, "could not create an event loop");
	}
	return true;
}

struct loop *loop_new(const char *name, struct error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL) {
		error_set(err, ERROR_SYSTEM, "out of memory");
		return NULL;
	}
	strncpy(loop->name, name, sizeof(loop->name) - 1);
	loop->wake_fd = -1;
	pthread_mutex_init(&loop->lock, NULL);
	if (!open_base(loop, err) || !open_wake_event(loop, err)) {
		loop_free(&loop);
		return NULL;
	}
	return loop;
}

void loop_leftover_init(
	struct loop_leftover *leftover, struct loop *loop, loop_call *call, void *context)
{
	leftover->call = call;
	leftover->context = context;
	LIST_INSERT_HEAD(&loop->leftovers, leftover, link);
}

void loop_leftover_release(struct loop_leftover *leftover)
{
	if (leftover->call != NULL) {
		LIST_REMOVE(leftover, link);
		leftover->call = NULL;
	}
}

static void free_leftovers(struct loop *loop)
{
	struct loop_leftover *leftover;
	while ((leftover = LIST_FIRST(&loop->leftovers)) != NULL) {
		loop_call *call = leftover->call;
		loop_leftover_release(leftover);
		call(leftover->context);
	}
}

void loop_free(struct loop **loop)
{
	if (*loop == NULL) {
		return;
	}
	struct loop *gone = *loop;
	assert(!atomic_load(&gone->is_running));
	assert(!gone->has_thread);
	while (gone->posted.count > 0 || gone->deferred.count > 0 ||
		!LIST_EMPTY(&gone->leftovers)) {
		run_deferred(gone);
		run_posted(gone);
		free_leftovers(gone);
	}
	if (gone->wake_event != NULL) {
		event_free(gone->wake_event);
	}
	if (gone->wake_fd >= 0) {
		close(gone->wake_fd);
	}
	if (gone->base != NULL) {
		event_base_free(gone->base);
	}
	pthread_mutex_destroy(&gone->lock);
	free(gone->posted.calls);
	free(gone->deferred.calls);
	free(gone->running.calls);
	free(gone);
	*loop = NULL;
}

/* True when nothing is left to run: posters ring from here on. */
static bool fall_asleep(struct loop *loop)
{
	if (loop->stopping || loop->deferred.count > 0) {
		return false;
	}
	pthread_mutex_lock(&loop->lock);
	loop->asleep = loop->posted.count == 0;
	bool asleep = loop->asleep;
	pthread_mutex_unlock(&loop->lock);
	return asleep;
}

void loop_run(struct loop *loop)
{
	struct loop *outer = current_loop;
	assert(!atomic_load(&loop->is_running));
	atomic_store(&loop->is_running, true);
	current_loop = loop;
	while (!loop->stopping || loop->deferred.count > 0) {
		bool may_wait = fall_asleep(loop);
		loop->now_us = 0;
		event_base_loop(loop->base, may_wait ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
		run_deferred(loop);
		run_posted(loop);
	}
	loop->stopping = false;
	loop->now_us = 0;
	current_loop = outer;
	atomic_store(&loop->is_running, false);
}

static void *run_thread(void *context)
{
	struct loop *loop = context;
	char name[16];
	memcpy(name, loop->name, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	pthread_setname_np(pthread_self(), name);
	thread_make_prompt();
	loop_run(loop);
	return NULL;
}

bool loop_start(struct loop *loop, struct error *err)
{
	assert(!loop->has_thread);
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	/* A fault of the thread's own, which guarded_copy() survives. */
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failure = pthread_create(&loop->thread, NULL, run_thread, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failure != 0) {
		errno = failure;
		return error_set_errno(
			err, "could not start the thread of loop \"%s\"", loop->name);
	}
	loop->has_thread = true;
	return true;
}

void loop_join(struct loop *loop)
{
	if (loop->has_thread) {
		pthread_join(loop->thread, NULL);
		loop->has_thread = false;
	}
}

static void stop_here(void *context)
{
	struct loop *loop = context;
	loop->stopping = true;
}

void loop_stop(struct loop *loop)
{
	loop_post(loop, stop_here, loop);
}

struct event_base *loop_event_base(struct loop *loop)
{
	return loop->base;
}

const char *loop_name(const struct loop *loop)
{
	return loop->name;
}

bool loop_is_current(const struct loop *loop)
{
	return current_loop == loop;
}

int64_t loop_refresh_now_us(struct loop *loop)
{
	int64_t now_us = monotonic_clock_us();
	if (loop_is_current(loop)) {
		loop->now_us = now_us;
	}
	return now_us;
}

int64_t loop_now_us(struct loop *loop)
{
	if (loop_is_current(loop) && loop->now_us != 0) {
		return loop->now_us;
	}
	return loop_refresh_now_us(loop);
}

static void ring(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t written;
	do {
		written = write(loop->wake_fd, &one, sizeof(one));
	} while (written < 0 && errno == EINTR);
	assert(written == (ssize_t)sizeof(one));
}

void loop_post(struct loop *loop, loop_call *call, void *context)
{
	pthread_mutex_lock(&loop->lock);
	queue_push(&loop->posted, call, context);
	atomic_store_explicit(&loop->has_posts, true, memory_order_relaxed);
	bool must_ring = loop->asleep && !loop_is_current(loop);
	if (must_ring) {
		loop->asleep = false;
	}
	/* Under the lock: once the call may run, the loop may be gone. */
	if (must_ring) {
		ring(loop);
	}
	pthread_mutex_unlock(&loop->lock);
}

void loop_let_posts_in(struct loop *loop)
{
	assert(loop_is_current(loop));
	if (atomic_load_explicit(&loop->has_posts, memory_order_relaxed)) {
		/* What else was ready stays so, in its order, for the next round. */
		event_base_loopbreak(loop->base);
	}
}

void loop_defer(struct loop *loop, loop_call *call, void *context)
{
	assert(loop_is_current(loop) || !atomic_load(&loop->is_running));
	queue_push(&loop->deferred, call, context);
}

struct wake {
	struct loop *loop;
	loop_call *call; /* NULL: freed while a ring was on its way */
	void *context;
	atomic_bool pending;
};

struct wake *wake_new(struct loop *loop, loop_call *call, void *context, struct error *err)
{
	assert(call != NULL);
	struct wake *wake = calloc(1, sizeof(*wake));
	if (wake == NULL) {
		error_set(err, ERROR_SYSTEM, "out of memory");
		return NULL;
	}
	wake->loop = loop;
	wake->call = call;
	wake->context = context;
	return wake;
}

static void wake_run(void *context)
{
	struct wake *wake = context;
	if (wake->call == NULL) {
		free(wake);
		return;
	}
	/* Cleared before the call: news that comes meanwhile rings again. A swap, not a store, so
	 * that this thread sees what was published before a ring that found one pending. */
	atomic_exchange(&wake->pending, false);
	wake->call(wake->context);
}

void wake_ring(struct wake *wake)
{
	if (!atomic_exchange(&wake->pending, true)) {
		loop_post(wake->loop, wake_run, wake);
	}
}

void wake_free(struct wake **wake)
{
	if (*wake == NULL) {
		return;
	}
	assert(loop_is_current((*wake)->loop) || !atomic_load(&(*wake)->loop->is_running));
	if (atomic_load(&(*wake)->pending)) {
		(*wake)->call = NULL;
	} else {
		free(*wake);
	}
	*wake = NULL;
}
