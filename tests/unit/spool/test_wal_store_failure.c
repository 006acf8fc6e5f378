/*
 * wal_store: every system call of a workload fails in turn. A failed sync of what was promised ends
 * the process; anything else is reported, and the work goes on once it is tried again. Either way a
 * restart finds what was acknowledged.
 */
#include "spool/wal_store.h"

#include "support/disk_recorder.h"
#include "support/wal_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT   WAL_SEGMENT_MIN
#define START     (UINT64_C(9) << 32)
#define TRIES_MAX 3000

/* What the child tells, also when it aborts. */
struct shared {
	_Atomic uint64_t flushed[3]; /* by timeline */
	atomic_bool has_failed;
};

struct work {
	struct wal_fixture fixture;
	struct disk_recorder *recorder;
	struct wal_maker *old;
	struct wal_maker *forked;
	lsn_t fork;
	struct shared *shared;
};

static void on_flushed(void *context, unsigned events)
{
	struct work *work = context;
	struct wal_position flushed = wal_store_flushed(work->fixture.store);

	(void)events;
	atomic_store(&work->shared->flushed[flushed.tli], flushed.lsn);
}

/* The child's end: no clean-up that could hide anything. */
static void child_exit(struct work *work, int code)
{
	enum disk_event_kind kind = DISK_MARK;

	atomic_store(&work->shared->has_failed, disk_recorder_failed(work->recorder, &kind));
	_exit(code);
}

static void retry(struct work *work, int *tries)
{
	if (++*tries > TRIES_MAX) {
		child_exit(work, 4);
	}
	usleep(5000);
}

static void append(struct work *work, const struct wal_maker *maker, lsn_t to)
{
	lsn_t lsn = maker->start;
	struct error err = {0};
	int tries = 0;

	while (lsn < to) {
		size_t length = to - lsn < 200000 ? to - lsn : 200000;

		if (wal_store_append(
			    work->fixture.store, lsn, wal_maker_bytes(maker, lsn), length, &err)) {
			lsn += length;
		} else if (err.kind == ERROR_FULL || err.kind == ERROR_SYSTEM) {
			retry(work, &tries);
		} else {
			child_exit(work, 5);
		}
	}
	while (wal_store_flushed(work->fixture.store).lsn < wal_maker_last_end(maker, to)) {
		retry(work, &tries);
	}
}

static void switch_timeline(struct work *work)
{
	struct error err = {0};
	char history[256];
	size_t length = fixture_history(history, work->old, work->fork);
	int tries = 0;

	while (!wal_store_put_history(work->fixture.store, 2, history, length, &err)) {
		retry(work, &tries);
	}
	while (!wal_store_switch_timeline(work->fixture.store, 2, &err)) {
		retry(work, &tries);
	}
}

static void child(struct work *work, size_t nth, int error_number)
{
	struct durable_operations operations;
	struct wal_watcher *watcher;

	signal(SIGABRT, SIG_DFL);
	work->recorder = disk_recorder_new();
	operations = disk_recorder_operations(work->recorder);
	work->fixture.options.operations = &operations;
	work->fixture.options.max_bytes = 4 * SEGMENT;
	fixture_start(&work->fixture);
	watcher = wal_store_add_watcher(work->fixture.store, WAL_STORE_FLUSHED, on_flushed, work);
	disk_recorder_fail(work->recorder, nth, error_number, false);
	fixture_begin(&work->fixture, work->old);
	append(work, work->old, work->old->at);
	switch_timeline(work);
	append(work, work->forked, work->forked->at);
	wal_store_remove_watcher(work->fixture.store, &watcher);
	fixture_stop(&work->fixture);
	child_exit(work, 0);
}

static void check_restart(struct work *work)
{
	struct wal_fixture *fixture = &work->fixture;
	struct wal_position received;
	struct wal_store_stats stats;

	fixture->options.operations = NULL;
	fixture_start(fixture);
	received = wal_store_received(fixture->store);
	wal_store_read_stats(fixture->store, &stats);
	assert_true(received.tli == 2 || atomic_load(&work->shared->flushed[2]) == 0);
	if (received.tli > 0) {
		const struct wal_maker *maker = received.tli == 2 ? work->forked : work->old;

		assert_true(received.lsn >= atomic_load(&work->shared->flushed[received.tli]));
		fixture_check_bytes(fixture, maker, received.tli,
			lsn_max(stats.oldest_lsn, maker->start), received.lsn);
		fixture_append(fixture, maker, lsn_segment_start(received.lsn, SEGMENT), maker->at,
			131072);
		fixture_wait_flushed(fixture, received.tli, maker->at);
	}
	fixture_close(fixture);
}

static void work_prepare(struct work *work)
{
	memset(work, 0, sizeof(*work));
	work->old = wal_maker_new(1, START, SEGMENT, 3);
	wal_maker_fill(work->old, START + 4 * SEGMENT + SEGMENT / 2);
	work->fork = wal_maker_last_end(work->old, work->old->at - 100000);
	work->forked = wal_maker_fork(work->old, 2, work->fork);
	wal_maker_fill(work->forked, work->forked->start + SEGMENT + 300000);
}

/* False: the workload has no n-th call. */
static bool fail_nth(
	const struct work *prepared, size_t nth, int error_number, struct shared *shared)
{
	struct work work = *prepared;
	bool is_promise_lost;
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	work.shared = shared;
	fixture_make_directory(&work.fixture);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child(&work, nth, error_number);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* The only other way out is a clean end. */
	is_promise_lost = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
	if (!is_promise_lost && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
		fail_msg("call %zu: status %x", nth, status);
	}
	check_restart(&work);
	return is_promise_lost || atomic_load(&shared->has_failed);
}

static void fail_all(int error_number)
{
	struct shared *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct work prepared;
	size_t nth = 1;

	assert_true(shared != MAP_FAILED);
	work_prepare(&prepared);
	while (fail_nth(&prepared, nth, error_number, shared)) {
		nth += FIXTURE_CALL_STEP;
	}
	/* It did run into them all. */
	assert_in_range(nth, 50, 1000);
	wal_maker_free(prepared.old);
	wal_maker_free(prepared.forked);
	munmap(shared, sizeof(*shared));
}

static void test_wal_store_failure__survives_each_call_that_fails(void **state)
{
	(void)state;
	fail_all(EIO);
}

static void test_wal_store_failure__survives_each_call_without_space(void **state)
{
	(void)state;
	fail_all(ENOSPC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_store_failure__survives_each_call_that_fails),
		cmocka_unit_test(test_wal_store_failure__survives_each_call_without_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
