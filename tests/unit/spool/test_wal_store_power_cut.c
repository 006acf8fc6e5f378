/*
 * wal_store: the power is cut after every single write, sync, rename and commit of a workload, and
 * the disk keeps of what was not synced nothing, everything or any part. Each time the store must
 * start, hold every byte it had acknowledged, and go on to the end.
 */
#include "spool/wal_store.h"

#include "support/disk_recorder.h"
#include "support/wal_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN
#define START   (UINT64_C(9) << 32)

enum mark {
	MARK_DATABASE,  /* a commit: the database file and its journal */
	MARK_APPENDING, /* timeline, end */
	MARK_FLUSHED,   /* timeline, LSN */
};

struct drill {
	struct wal_fixture fixture;
	struct disk_recorder *recorder;
	struct durable_operations operations;
	struct wal_maker *makers[3]; /* by timeline, from 1 */
	lsn_t fork;
};

static size_t read_file(const char *path, uint8_t *bytes, size_t capacity)
{
	int fd = open(path, O_RDONLY);
	ssize_t length = fd < 0 ? 0 : read(fd, bytes, capacity);

	assert_true(length >= 0 && (size_t)length < capacity);
	if (fd >= 0) {
		close(fd);
	}
	return (size_t)length;
}

static void write_file(const char *path, const uint8_t *bytes, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), length);
	close(fd);
}

#define DATABASE_BYTES_MAX (4u << 20)

static void snapshot_database(struct drill *drill)
{
	uint8_t *bytes = malloc(2 * DATABASE_BYTES_MAX);
	char path[FIXTURE_PATH_SIZE + 16];
	size_t length, journal;

	assert_non_null(bytes);
	(void)snprintf(path, sizeof(path), "%s/state.db", drill->fixture.path);
	length = read_file(path, bytes, DATABASE_BYTES_MAX);
	(void)snprintf(path, sizeof(path), "%s/state.db-wal", drill->fixture.path);
	journal = read_file(path, bytes + length, DATABASE_BYTES_MAX);
	disk_recorder_mark(drill->recorder, MARK_DATABASE, length, 0, bytes, length + journal);
	free(bytes);
}

static int on_commit(void *context, sqlite3 *connection, const char *name, int pages)
{
	(void)connection;
	(void)name;
	(void)pages;
	snapshot_database(context);
	return SQLITE_OK;
}

static bool hook_job(sqlite3 *connection, void *context, struct error *err)
{
	(void)err;
	sqlite3_wal_hook(connection, on_commit, context);
	return true;
}

static void on_database(struct wal_fixture *fixture)
{
	struct error err = {0};

	assert_true(database_run(fixture->database, hook_job, fixture->context, &err));
	snapshot_database(fixture->context);
}

static void on_flushed(void *context, unsigned events)
{
	struct drill *drill = context;
	struct wal_position flushed = wal_store_flushed(drill->fixture.store);

	(void)events;
	disk_recorder_mark(drill->recorder, MARK_FLUSHED, flushed.tli, flushed.lsn, NULL, 0);
}

/* In random pieces, now and then waiting until it is acknowledged. */
static void append(struct drill *drill, struct wal_maker *maker, lsn_t from, lsn_t to, size_t most)
{
	while (from < to) {
		lsn_t next = lsn_min(from + 1 + wal_maker_random(maker, most), to);

		disk_recorder_mark(drill->recorder, MARK_APPENDING, maker->tli, next, NULL, 0);
		fixture_append(&drill->fixture, maker, from, next, SIZE_MAX);
		if (wal_maker_random(maker, 3) == 0) {
			lsn_t whole = wal_maker_last_end(maker, next);

			if (whole > maker->start) {
				fixture_wait_flushed(&drill->fixture, maker->tli, whole);
			}
		}
		from = next;
	}
}

/* Everything there is: a switch record, an abandoned record, big and small ones. */
static struct wal_maker *make_wal(uint64_t seed)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, seed);

	if (seed % 2 == 0) {
		(void)wal_maker_leading(maker, 30000);
	}
	wal_maker_fill(maker, START + 200000);
	(void)wal_maker_checkpoint(maker, START + 100000);
	(void)wal_maker_abandon(maker);
	wal_maker_fill(maker, START + SEGMENT + 400000);
	(void)wal_maker_switch(maker);
	wal_maker_fill(maker, START + 2 * SEGMENT + 500000);
	(void)wal_maker_record(maker, SEGMENT + 10000);
	wal_maker_fill(maker, START + 4 * SEGMENT + 100000);
	return maker;
}

static void drill_record(struct drill *drill, uint64_t seed, void (*work)(struct drill *drill))
{
	struct wal_watcher *watcher;

	memset(drill, 0, sizeof(*drill));
	fixture_make_directory(&drill->fixture);
	drill->recorder = disk_recorder_new();
	drill->operations = disk_recorder_operations(drill->recorder);
	drill->makers[1] = make_wal(seed);
	drill->fixture.options.operations = &drill->operations;
	drill->fixture.on_database = on_database;
	drill->fixture.context = drill;
	fixture_start(&drill->fixture);
	watcher = wal_store_add_watcher(drill->fixture.store, WAL_STORE_FLUSHED, on_flushed, drill);
	work(drill);
	wal_store_remove_watcher(drill->fixture.store, &watcher);
	fixture_close(&drill->fixture);
}

static void drill_release(struct drill *drill)
{
	disk_recorder_free(drill->recorder);
	for (size_t i = 1; i < 3; i++) {
		if (drill->makers[i] != NULL) {
			wal_maker_free(drill->makers[i]);
		}
	}
}

/* What the marks before the cut promise. */
struct promise {
	const struct disk_event *database;
	struct wal_position flushed;
	lsn_t appended[3]; /* by timeline */
};

static struct promise find_promise(const struct drill *drill, size_t count)
{
	struct promise promise = {0};

	for (size_t i = 0; i < count; i++) {
		const struct disk_event *event = disk_recorder_event(drill->recorder, i);

		if (event->kind != DISK_MARK) {
			continue;
		}
		if (event->mark == MARK_DATABASE) {
			promise.database = event;
		} else if (event->mark == MARK_FLUSHED) {
			promise.flushed =
				(struct wal_position){(tli_t)event->values[0], event->values[1]};
		} else if (event->values[1] > promise.appended[event->values[0]]) {
			promise.appended[event->values[0]] = event->values[1];
		}
	}
	return promise;
}

static void restore_database(const struct wal_fixture *fixture, const struct disk_event *database)
{
	char path[FIXTURE_PATH_SIZE + 16];
	size_t length = database->values[0];

	(void)snprintf(path, sizeof(path), "%s/state.db", fixture->path);
	write_file(path, database->bytes, length);
	(void)snprintf(path, sizeof(path), "%s/state.db-wal", fixture->path);
	write_file(path, database->bytes + length, database->length - length);
}

/* Nothing that was never received, unless a switch record implies it. */
static void check_not_invented(
	const struct drill *drill, const struct promise *promise, struct wal_position received)
{
	const struct wal_maker *maker = drill->makers[received.tli];
	lsn_t appended = promise->appended[received.tli];

	if (received.lsn <= appended || appended == 0) {
		return;
	}
	assert_int_equal(received.lsn % SEGMENT, 0);
	for (lsn_t lsn = appended; lsn < received.lsn; lsn++) {
		assert_int_equal(*wal_maker_bytes(maker, lsn), 0);
	}
}

static void check_held(
	struct drill *drill, struct wal_fixture *fixture, const struct promise *promise)
{
	struct wal_position received = wal_store_received(fixture->store);
	struct wal_position flushed = wal_store_flushed(fixture->store);
	const struct wal_maker *maker = drill->makers[received.tli];
	struct wal_store_stats stats;

	assert_int_equal(flushed.tli, received.tli);
	assert_int_equal(flushed.lsn, received.lsn);
	if (received.tli == 0) {
		assert_int_equal(promise->flushed.tli, 0);
		return;
	}
	assert_true(received.tli >= promise->flushed.tli);
	if (received.tli == promise->flushed.tli) {
		assert_true(received.lsn >= promise->flushed.lsn);
	}
	check_not_invented(drill, promise, received);
	wal_store_read_stats(fixture->store, &stats);
	if (received.tli == 2) {
		struct timeline_history history;

		assert_true(wal_store_history(fixture->store, &history));
		assert_int_equal(history.count, 2);
		timeline_history_release(&history);
		if (stats.oldest_lsn < drill->fork) {
			fixture_check_bytes(
				fixture, drill->makers[1], 1, stats.oldest_lsn, drill->fork);
		}
	}
	fixture_check_bytes(fixture, maker, received.tli, lsn_max(stats.oldest_lsn, maker->start),
		received.lsn);
}

static void check_goes_on(struct drill *drill, struct wal_fixture *fixture)
{
	struct wal_position received = wal_store_received(fixture->store);
	const struct wal_maker *maker = drill->makers[received.tli];

	if (received.tli == 0) {
		return;
	}
	fixture_append(fixture, maker, lsn_segment_start(received.lsn, SEGMENT), maker->at, 100000);
	fixture_wait_flushed(fixture, received.tli, maker->at);
	fixture_stop(fixture);
	fixture_start(fixture);
	assert_int_equal(wal_store_received(fixture->store).lsn, maker->at);
	fixture_check_bytes(
		fixture, maker, received.tli, lsn_segment_start(received.lsn, SEGMENT), maker->at);
}

static void cut(struct drill *drill, size_t count, enum disk_loss loss, uint64_t seed)
{
	struct promise promise = find_promise(drill, count);
	struct wal_fixture fixture;

	fixture_make_directory(&fixture);
	assert_int_equal(mkdir(fixture.directory, 0700), 0);
	disk_recorder_build(drill->recorder, count, loss, seed, fixture.directory);
	if (promise.database != NULL) {
		restore_database(&fixture, promise.database);
	}
	fixture_start(&fixture);
	check_held(drill, &fixture, &promise);
	if (seed % 4 == 0) {
		check_goes_on(drill, &fixture);
	}
	fixture_close(&fixture);
}

/* WALRELAY_TEST_ROUNDS multiplies how many random outcomes are tried. */
static size_t rounds(void)
{
	const char *text = getenv("WALRELAY_TEST_ROUNDS");

	return text == NULL ? 1 : strtoul(text, NULL, 10);
}

static void drill_cut_everywhere(struct drill *drill, size_t from)
{
	size_t events = disk_recorder_count(drill->recorder);

	for (size_t count = from; count <= events; count += FIXTURE_CALL_STEP) {
		bool is_mark = count > 0 &&
			       disk_recorder_event(drill->recorder, count - 1)->kind == DISK_MARK;

		if (!is_mark) {
			cut(drill, count, DISK_LOSES_NOTHING, 2 * count);
			cut(drill, count, DISK_LOSES_ALL, 2 * count + 1);
		}
		for (size_t round = 0; round < rounds(); round++) {
			cut(drill, count, DISK_LOSES_SOME, count + 1000003 * round);
		}
	}
}

static void run_drill(uint64_t seed, void (*work)(struct drill *drill))
{
	struct drill drill;

	drill_record(&drill, seed, work);
	drill_cut_everywhere(&drill, 0);
	drill_release(&drill);
}

static void work_stream(struct drill *drill)
{
	struct wal_maker *maker = drill->makers[1];

	fixture_begin(&drill->fixture, maker);
	append(drill, maker, START, maker->at, 150000);
}

static void test_wal_store_power_cut__while_streaming(void **state)
{
	(void)state;
	run_drill(1, work_stream);
	run_drill(2, work_stream);
}

static void work_switch(struct drill *drill)
{
	struct wal_maker *old = drill->makers[1];
	struct error err = {0};
	char history[256];
	size_t length;

	drill->fork = wal_maker_last_end(old, START + SEGMENT + 300000);
	drill->makers[2] = wal_maker_fork(old, 2, drill->fork);
	wal_maker_fill(drill->makers[2], drill->makers[2]->start + SEGMENT + 300000);
	fixture_begin(&drill->fixture, old);
	append(drill, old, START, drill->fork + 5000, 150000);
	length = fixture_history(history, old, drill->fork);
	assert_true(wal_store_put_history(drill->fixture.store, 2, history, length, &err));
	assert_true(wal_store_switch_timeline(drill->fixture.store, 2, &err));
	append(drill, drill->makers[2], drill->makers[2]->start, drill->makers[2]->at, 100000);
}

static void test_wal_store_power_cut__while_the_timeline_switches(void **state)
{
	(void)state;
	run_drill(3, work_switch);
}

static void work_gap(struct drill *drill)
{
	struct wal_maker *maker = drill->makers[1];
	struct error err = {0};
	lsn_t again = START + 3 * SEGMENT;

	fixture_begin(&drill->fixture, maker);
	append(drill, maker, START, START + SEGMENT + 100000, 150000);
	disk_recorder_mark(drill->recorder, MARK_APPENDING, 1, again, NULL, 0);
	assert_true(wal_store_begin(drill->fixture.store, 1, again, SEGMENT, &err));
	append(drill, maker, again, maker->at, 100000);
}

static void test_wal_store_power_cut__after_a_gap(void **state)
{
	(void)state;
	run_drill(5, work_gap);
}

static void work_prune(struct drill *drill)
{
	struct wal_store_options limits = drill->fixture.options;
	struct wal_maker *maker = drill->makers[1];

	limits.retain_bytes = 0;
	limits.max_bytes = 4 * SEGMENT;
	wal_store_set_limits(drill->fixture.store, &limits);
	fixture_begin(&drill->fixture, maker);
	append(drill, maker, START, maker->at, 200000);
}

static void test_wal_store_power_cut__while_old_segments_go(void **state)
{
	(void)state;
	run_drill(7, work_prune);
}

/* The program is killed after count events: what it wrote is in the page cache, not on disk. It
 * starts again, acknowledges what it finds and a little more, and then the power goes. */
static void second_life(struct drill *first, size_t count)
{
	struct promise promise = find_promise(first, count);
	struct drill second = *first;
	struct wal_position received;
	struct wal_watcher *watcher;

	second.recorder = disk_recorder_continue(first->recorder, count);
	second.operations = disk_recorder_operations(second.recorder);
	fixture_make_directory(&second.fixture);
	assert_int_equal(mkdir(second.fixture.directory, 0700), 0);
	disk_recorder_build(
		first->recorder, count, DISK_LOSES_NOTHING, 1, second.fixture.directory);
	restore_database(&second.fixture, promise.database);
	second.fixture.options.operations = &second.operations;
	second.fixture.on_database = on_database;
	second.fixture.context = &second;
	fixture_start(&second.fixture);
	received = wal_store_received(second.fixture.store);
	if (received.tli != 0) {
		struct wal_maker *maker = second.makers[received.tli];

		/* Found is acknowledged. */
		on_flushed(&second, WAL_STORE_FLUSHED);
		watcher = wal_store_add_watcher(
			second.fixture.store, WAL_STORE_FLUSHED, on_flushed, &second);
		append(&second, maker, received.lsn, lsn_min(received.lsn + 300000, maker->at),
			100000);
		wal_store_remove_watcher(second.fixture.store, &watcher);
	}
	fixture_close(&second.fixture);
	drill_cut_everywhere(&second, count);
	disk_recorder_free(second.recorder);
}

static void test_wal_store_power_cut__after_the_program_was_killed(void **state)
{
	struct drill drill;
	size_t events;

	(void)state;
	drill_record(&drill, 8, work_switch);
	events = disk_recorder_count(drill.recorder);
	/* Where a new name and what is written under it are not yet on disk, and here and there. */
	for (size_t i = 0; i < events; i++) {
		if (disk_recorder_event(drill.recorder, i)->kind == DISK_RENAME) {
			second_life(&drill, lsn_min(i + 3, events));
		}
	}
	for (size_t i = 1; i < 6; i++) {
		second_life(&drill, events * i / 6);
	}
	drill_release(&drill);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_store_power_cut__while_streaming),
		cmocka_unit_test(test_wal_store_power_cut__while_the_timeline_switches),
		cmocka_unit_test(test_wal_store_power_cut__after_a_gap),
		cmocka_unit_test(test_wal_store_power_cut__while_old_segments_go),
		cmocka_unit_test(test_wal_store_power_cut__after_the_program_was_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
