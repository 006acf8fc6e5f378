/*
 * wal_fixture: opens, fills and checks stores.
 */
#include "support/wal_fixture.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_S 60

/* Memory, where there is any: a test syncs thousands of times. */
static const char *scratch(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void make_directory_in(struct wal_fixture *fixture, const char *place)
{
	memset(fixture, 0, sizeof(*fixture));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/walrelay_test_XXXXXX", place);
	assert_non_null(mkdtemp(fixture->path));
	(void)snprintf(fixture->directory, sizeof(fixture->directory), "%.200s/wal", fixture->path);
	fixture->options.directory = fixture->directory;
	fixture->options.retain_bytes = UINT64_C(1) << 40;
}

void fixture_make_directory(struct wal_fixture *fixture)
{
	make_directory_in(fixture, scratch());
}

bool fixture_try_start(struct wal_fixture *fixture, struct error *err)
{
	char path[FIXTURE_PATH_SIZE + 16];

	(void)snprintf(path, sizeof(path), "%s/state.db", fixture->path);
	fixture->database = database_open(path, err);
	assert_non_null(fixture->database);
	if (fixture->on_database != NULL) {
		fixture->on_database(fixture);
	}
	fixture->slots = slots_open(fixture->database, err);
	assert_non_null(fixture->slots);
	fixture->pins = pins_open(fixture->database, err);
	assert_non_null(fixture->pins);
	fixture->options.pins = fixture->pins;
	fixture->store = wal_store_open(&fixture->options, fixture->database, fixture->slots, err);
	return fixture->store != NULL;
}

void fixture_start(struct wal_fixture *fixture)
{
	struct error err = {0};

	if (!fixture_try_start(fixture, &err)) {
		fail_msg("%s (%s)", err.message, err.detail);
	}
}

void fixture_open(struct wal_fixture *fixture)
{
	fixture_make_directory(fixture);
	fixture_start(fixture);
}

void fixture_open_on_disk(struct wal_fixture *fixture)
{
	make_directory_in(fixture, "/tmp");
	fixture_start(fixture);
}

void fixture_stop(struct wal_fixture *fixture)
{
	wal_store_close(&fixture->store);
	pins_close(&fixture->pins);
	slots_close(&fixture->slots);
	database_close(&fixture->database);
}

void fixture_reopen(struct wal_fixture *fixture)
{
	fixture_stop(fixture);
	fixture_start(fixture);
}

void fixture_remove_files(const char *directory)
{
	DIR *list = opendir(directory);
	struct dirent *entry;

	while (list != NULL && (entry = readdir(list)) != NULL) {
		char path[2 * FIXTURE_PATH_SIZE];

		(void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (entry->d_type == DT_REG) {
			(void)unlink(path);
		}
	}
	if (list != NULL) {
		closedir(list);
	}
}

void fixture_close(struct wal_fixture *fixture)
{
	fixture_stop(fixture);
	fixture_remove_files(fixture->directory);
	(void)rmdir(fixture->directory);
	fixture_remove_files(fixture->path);
	assert_int_equal(rmdir(fixture->path), 0);
}

bool fixture_has_file(const struct wal_fixture *fixture, const char *name)
{
	char path[FIXTURE_PATH_SIZE + 64];

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	return access(path, F_OK) == 0;
}

void fixture_append(struct wal_fixture *fixture, const struct wal_maker *maker, lsn_t from,
	lsn_t to, size_t piece)
{
	struct error err = {0};

	while (from < to) {
		size_t length = to - from < piece ? to - from : piece;

		if (!wal_store_append(
			    fixture->store, from, wal_maker_bytes(maker, from), length, &err)) {
			fail_msg("%s", err.message);
		}
		from += length;
	}
}

void fixture_begin(struct wal_fixture *fixture, const struct wal_maker *maker)
{
	struct error err = {0};

	if (!wal_store_begin(
		    fixture->store, maker->tli, maker->start, maker->segment_bytes, &err)) {
		fail_msg("%s", err.message);
	}
}

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned events;
};

static void on_event(void *context, unsigned events)
{
	struct waiter *waiter = context;

	pthread_mutex_lock(&waiter->lock);
	waiter->events |= events;
	pthread_cond_signal(&waiter->wake);
	pthread_mutex_unlock(&waiter->lock);
}

static bool wait_event(struct waiter *waiter, time_t until)
{
	struct timespec deadline = {.tv_sec = until};
	int result = 0;

	pthread_mutex_lock(&waiter->lock);
	while (waiter->events == 0 && result == 0) {
		result = pthread_cond_timedwait(&waiter->wake, &waiter->lock, &deadline);
	}
	waiter->events = 0;
	pthread_mutex_unlock(&waiter->lock);
	return result == 0;
}

/* Until check(context) or the deadline. */
static void wait_until(
	struct wal_fixture *fixture, bool (*check)(struct wal_fixture *, void *), void *context)
{
	struct waiter waiter = {
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	time_t until = time(NULL) + DEADLINE_S;
	struct wal_watcher *watcher;

	watcher = wal_store_add_watcher(fixture->store,
		WAL_STORE_RECEIVED | WAL_STORE_FLUSHED | WAL_STORE_FULL | WAL_STORE_PRUNED |
			WAL_STORE_BAD,
		on_event, &waiter);
	while (!check(fixture, context)) {
		if (!wait_event(&waiter, until)) {
			fail_msg("nothing happened in time");
		}
	}
	wal_store_remove_watcher(fixture->store, &watcher);
}

static bool is_flushed(struct wal_fixture *fixture, void *context)
{
	const struct wal_position *wanted = context;
	struct wal_position flushed = wal_store_flushed(fixture->store);

	return flushed.tli == wanted->tli && flushed.lsn >= wanted->lsn;
}

void fixture_wait_flushed(struct wal_fixture *fixture, tli_t tli, lsn_t lsn)
{
	struct wal_position wanted = {tli, lsn};

	wait_until(fixture, is_flushed, &wanted);
}

struct condition {
	bool (*is_true)(struct wal_fixture *fixture);
};

static bool holds(struct wal_fixture *fixture, void *context)
{
	return ((struct condition *)context)->is_true(fixture);
}

void fixture_wait(struct wal_fixture *fixture, bool (*is_true)(struct wal_fixture *fixture))
{
	struct condition condition = {is_true};

	wait_until(fixture, holds, &condition);
}

void fixture_check_bytes(
	struct wal_fixture *fixture, const struct wal_maker *maker, tli_t tli, lsn_t from, lsn_t to)
{
	struct error err = {0};
	struct wal_cursor *cursor = wal_cursor_open(fixture->store, tli, from, false, &err);

	if (cursor == NULL) {
		fail_msg("%s", err.message);
	}
	while (wal_cursor_lsn(cursor) < to) {
		struct wal_span span;
		enum wal_read read = wal_cursor_peek(cursor, 131072, &span, &err);

		if (read != WAL_READ_DATA) {
			fail_msg("read %d at %lX of %lX: %s", read, wal_cursor_lsn(cursor), to,
				err.message);
		}
		assert_int_equal(span.lsn, wal_cursor_lsn(cursor));
		if (span.lsn + span.length > to) {
			span.length = to - span.lsn;
		}
		assert_memory_equal(span.bytes, wal_maker_bytes(maker, span.lsn), span.length);
		wal_cursor_advance(cursor, span.length);
	}
	wal_cursor_close(&cursor);
}

size_t fixture_history(char text_out[256], const struct wal_maker *parent, lsn_t fork)
{
	return (size_t)snprintf(text_out, 256, "%u\t" LSN_FORMAT "\tno recovery target specified\n",
		parent->tli, LSN_ARGS(fork));
}
