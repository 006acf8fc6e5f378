/* Tests of net/loop: posting, deferring, stopping, waking. */
#include "support/cmocka_all.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"
#include "support/run_until.h"

#define THREADS 4
#define POSTS   5000

struct trace {
	struct loop *loop;
	char text[64];
	atomic_int count;
	sem_t semaphore;
};

static struct loop *new_loop(void)
{
	struct error err = {0};
	struct loop *loop = loop_new("test", &err);
	assert_non_null(loop);
	return loop;
}

static void add_a(void *context)
{
	struct trace *trace = context;
	strcat(trace->text, "a");
}

static void add_b(void *context)
{
	struct trace *trace = context;
	strcat(trace->text, "b");
}

static void count_one(void *context)
{
	struct trace *trace = context;
	atomic_fetch_add(&trace->count, 1);
}

static void test_loop__runs_posts_in_order_before_it_stops(void **state)
{
	(void)state;
	struct trace trace = {.loop = new_loop()};
	loop_post(trace.loop, add_a, &trace);
	loop_post(trace.loop, add_b, &trace);
	loop_stop(trace.loop);
	loop_post(trace.loop, add_a, &trace);
	loop_run(trace.loop);
	assert_true(strncmp(trace.text, "ab", 2) == 0);
	loop_free(&trace.loop);
	assert_null(trace.loop);
	assert_string_equal(trace.text, "aba");
}

static void defer_then_add_a(void *context)
{
	struct trace *trace = context;
	loop_defer(trace->loop, add_b, trace);
	add_a(trace);
}

static void test_loop__runs_what_is_deferred_after_the_callback(void **state)
{
	(void)state;
	struct trace trace = {.loop = new_loop()};
	loop_post(trace.loop, defer_then_add_a, &trace);
	loop_stop(trace.loop);
	loop_run(trace.loop);
	assert_string_equal(trace.text, "ab");
	loop_free(&trace.loop);
}

static void stop_after_three(void *context)
{
	struct trace *trace = context;
	if (atomic_fetch_add(&trace->count, 1) == 2) {
		loop_stop(trace->loop);
	} else {
		loop_defer(trace->loop, stop_after_three, trace);
	}
}

/* Nothing else would wake this loop: it hangs if a deferred call lets it sleep. */
static void test_loop__does_not_sleep_while_something_is_deferred(void **state)
{
	(void)state;
	struct trace trace = {.loop = new_loop()};
	loop_defer(trace.loop, stop_after_three, &trace);
	loop_run(trace.loop);
	assert_int_equal(atomic_load(&trace.count), 3);
	loop_free(&trace.loop);
}

static void test_loop__free_runs_what_was_posted(void **state)
{
	(void)state;
	struct trace trace = {.loop = new_loop()};
	loop_post(trace.loop, defer_then_add_a, &trace);
	loop_free(&trace.loop);
	assert_string_equal(trace.text, "ab");
	loop_free(&trace.loop);
}

static void *post_many(void *context)
{
	struct trace *trace = context;
	for (int i = 0; i < POSTS; i++) {
		loop_post(trace->loop, count_one, trace);
	}
	return NULL;
}

static void test_loop__runs_every_post_of_many_threads_once(void **state)
{
	(void)state;
	struct error err = {0};
	pthread_t threads[THREADS];
	struct trace trace = {.loop = new_loop()};
	assert_true(loop_start(trace.loop, &err));
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, &trace), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	loop_stop(trace.loop);
	loop_join(trace.loop);
	assert_int_equal(atomic_load(&trace.count), THREADS * POSTS);
	loop_free(&trace.loop);
}

/* The loop never reads its eventfd, so the kernel's count is the number of writes. */
static long eventfd_writes(void)
{
	char line[256];
	long writes = -1;
	DIR *folder = opendir("/proc/self/fdinfo");
	assert_non_null(folder);
	for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
		snprintf(line, sizeof(line), "/proc/self/fdinfo/%.200s", entry->d_name);
		FILE *file = fopen(line, "r");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
			long count;
			if (sscanf(line, "eventfd-count: %lx", (unsigned long *)&count) == 1) {
				assert_int_equal(writes, -1);
				writes = count;
			}
		}
		if (file != NULL) {
			fclose(file);
		}
	}
	closedir(folder);
	assert_true(writes >= 0);
	return writes;
}

static void wait_for_semaphore(void *context)
{
	struct trace *trace = context;
	atomic_fetch_add(&trace->count, 1);
	sem_wait(&trace->semaphore);
}

static void post_semaphore(void *context)
{
	struct trace *trace = context;
	sem_post(&trace->semaphore);
}

static void test_loop__a_burst_of_posts_costs_at_most_one_write(void **state)
{
	(void)state;
	struct error err = {0};
	struct trace trace = {.loop = new_loop()};
	sem_init(&trace.semaphore, 0, 0);
	loop_post(trace.loop, wait_for_semaphore, &trace);
	assert_int_equal(eventfd_writes(), 0);
	assert_true(loop_start(trace.loop, &err));
	while (atomic_load(&trace.count) == 0) {
		sched_yield();
	}
	for (int i = 0; i < 1000; i++) {
		loop_post(trace.loop, count_one, &trace);
	}
	assert_true(eventfd_writes() <= 1);
	sem_post(&trace.semaphore);
	loop_stop(trace.loop);
	loop_join(trace.loop);
	assert_int_equal(atomic_load(&trace.count), 1001);
	sem_destroy(&trace.semaphore);
	loop_free(&trace.loop);
}

/* Each round finds the loop asleep, or about to be: a lost ring hangs this test. */
static void test_loop__a_post_wakes_a_sleeping_loop(void **state)
{
	(void)state;
	struct error err = {0};
	struct trace trace = {.loop = new_loop()};
	sem_init(&trace.semaphore, 0, 0);
	assert_true(loop_start(trace.loop, &err));
	for (int i = 0; i < 2000; i++) {
		loop_post(trace.loop, post_semaphore, &trace);
		struct timespec end;
		clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += 10;
		assert_int_equal(sem_timedwait(&trace.semaphore, &end), 0);
	}
	loop_stop(trace.loop);
	loop_join(trace.loop);
	sem_destroy(&trace.semaphore);
	loop_free(&trace.loop);
}

static void check_signals_blocked(void *context)
{
	struct trace *trace = context;
	sigset_t blocked;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	char name[16] = "";
	pthread_getname_np(pthread_self(), name, sizeof(name));
	if (sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP) &&
		strcmp(name, "a-very-long-nam") == 0 && loop_is_current(trace->loop)) {
		count_one(trace);
	}
}

static void test_loop__its_thread_has_a_name_and_takes_no_signals(void **state)
{
	(void)state;
	struct error err = {0};
	struct trace trace = {.loop = loop_new("a-very-long-name-for-a-thread", &err)};
	assert_non_null(trace.loop);
	assert_string_equal(loop_name(trace.loop), "a-very-long-name-for-a-thread");
	assert_true(loop_start(trace.loop, &err));
	loop_post(trace.loop, check_signals_blocked, &trace);
	loop_stop(trace.loop);
	loop_join(trace.loop);
	assert_false(loop_is_current(trace.loop));
	assert_int_equal(atomic_load(&trace.count), 1);
	loop_free(&trace.loop);
}

/* As sched_getattr(2) has it: what the kernel takes as a slice is `runtime_ns`. */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t niceness;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

static struct scheduling scheduling_here(void)
{
	struct scheduling scheduling = {0};
	assert_int_equal(syscall(SYS_sched_getattr, 0, &scheduling, sizeof(scheduling), 0), 0);
	return scheduling;
}

struct slices {
	struct scheduling before;
	struct scheduling on_loop;
};

static void look_at_slices(void *context)
{
	struct slices *slices = context;
	slices->on_loop = scheduling_here();
}

static void test_loop__its_thread_has_short_slices_where_there_are_such(void **state)
{
	(void)state;
	struct slices slices = {.before = scheduling_here()};
	struct error err = {0};
	struct loop *loop = new_loop();
	assert_true(loop_start(loop, &err));
	loop_post(loop, look_at_slices, &slices);
	loop_stop(loop);
	loop_join(loop);
	loop_free(&loop);
	/* And nothing else changes. */
	assert_int_equal(slices.on_loop.policy, slices.before.policy);
	assert_int_equal(slices.on_loop.niceness, slices.before.niceness);
	struct scheduling after = scheduling_here();
	assert_memory_equal(&slices.before, &after, sizeof(after));
	/* Before Linux 6.12 none is told. */
	if (slices.before.policy != SCHED_OTHER || slices.before.runtime_ns == 0) {
		skip();
	}
	assert_true(slices.on_loop.runtime_ns < slices.before.runtime_ns);
}

static void check_now(void *context)
{
	struct trace *trace = context;
	int64_t first_us = loop_now_us(trace->loop);
	for (int i = 0; i < 1000000 && loop_refresh_now_us(trace->loop) == first_us; i++) {
	}
	int64_t later_us = loop_now_us(trace->loop);
	if (later_us > first_us && loop_now_us(trace->loop) == later_us) {
		count_one(trace);
	}
}

static void test_loop__time_stands_within_a_turn_unless_refreshed(void **state)
{
	(void)state;
	struct trace trace = {.loop = new_loop()};
	loop_post(trace.loop, check_now, &trace);
	loop_stop(trace.loop);
	loop_run(trace.loop);
	assert_int_equal(atomic_load(&trace.count), 1);
	loop_free(&trace.loop);
}

struct waking {
	struct loop *loop;
	struct wake *wake;
	int runs;
	int rings_in_call;
};

static void on_wake(void *context)
{
	struct waking *waking = context;
	waking->runs++;
	if (waking->rings_in_call > 0) {
		waking->rings_in_call--;
		wake_ring(waking->wake);
	}
}

static void test_loop__many_rings_wake_once(void **state)
{
	(void)state;
	struct error err = {0};
	struct waking waking = {.loop = new_loop()};
	waking.wake = wake_new(waking.loop, on_wake, &waking, &err);
	assert_non_null(waking.wake);
	for (int i = 0; i < 100; i++) {
		wake_ring(waking.wake);
	}
	RUN_TICKS(waking.loop, 2);
	assert_int_equal(waking.runs, 1);
	waking.rings_in_call = 1;
	wake_ring(waking.wake);
	RUN_UNTIL(waking.loop, waking.runs == 3);
	wake_free(&waking.wake);
	loop_free(&waking.loop);
}

static void test_loop__a_freed_wake_does_not_run(void **state)
{
	(void)state;
	struct error err = {0};
	struct waking waking = {.loop = new_loop()};
	waking.wake = wake_new(waking.loop, on_wake, &waking, &err);
	wake_ring(waking.wake);
	wake_free(&waking.wake);
	assert_null(waking.wake);
	wake_free(&waking.wake);
	RUN_TICKS(waking.loop, 2);
	assert_int_equal(waking.runs, 0);
	loop_free(&waking.loop);
}

struct published {
	struct loop *loop;
	struct wake *wake;
	atomic_int value;
	int seen;
};

static void on_published(void *context)
{
	struct published *published = context;
	published->seen = atomic_load_explicit(&published->value, memory_order_relaxed);
	if (published->seen == POSTS) {
		loop_stop(published->loop);
	}
}

static void *publish_many(void *context)
{
	struct published *published = context;
	for (int i = 1; i <= POSTS; i++) {
		atomic_store_explicit(&published->value, i, memory_order_relaxed);
		wake_ring(published->wake);
	}
	return NULL;
}

/* A ring that is swallowed by one already pending must still be seen: else the last is missed. */
static void test_loop__the_last_ring_is_never_lost(void **state)
{
	(void)state;
	struct error err = {0};
	pthread_t thread;
	struct published published = {.loop = new_loop()};
	published.wake = wake_new(published.loop, on_published, &published, &err);
	assert_int_equal(pthread_create(&thread, NULL, publish_many, &published), 0);
	loop_run(published.loop);
	pthread_join(thread, NULL);
	assert_int_equal(published.seen, POSTS);
	wake_free(&published.wake);
	loop_free(&published.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loop__runs_posts_in_order_before_it_stops),
		cmocka_unit_test(test_loop__runs_what_is_deferred_after_the_callback),
		cmocka_unit_test(test_loop__does_not_sleep_while_something_is_deferred),
		cmocka_unit_test(test_loop__free_runs_what_was_posted),
		cmocka_unit_test(test_loop__runs_every_post_of_many_threads_once),
		cmocka_unit_test(test_loop__a_burst_of_posts_costs_at_most_one_write),
		cmocka_unit_test(test_loop__a_post_wakes_a_sleeping_loop),
		cmocka_unit_test(test_loop__its_thread_has_a_name_and_takes_no_signals),
		cmocka_unit_test(test_loop__its_thread_has_short_slices_where_there_are_such),
		cmocka_unit_test(test_loop__time_stands_within_a_turn_unless_refreshed),
		cmocka_unit_test(test_loop__many_rings_wake_once),
		cmocka_unit_test(test_loop__a_freed_wake_does_not_run),
		cmocka_unit_test(test_loop__the_last_ring_is_never_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
