/*
 * wal_store: appending, what is acknowledged, and what a clean restart finds.
 */
#include "spool/wal_store.h"

#include "spool/wal_segment.h"
#include "support/wal_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
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
#define START   ((UINT64_C(3) << 32) - 2 * SEGMENT)

static void check_position(struct wal_position position, tli_t tli, lsn_t lsn)
{
	assert_int_equal(position.tli, tli);
	assert_int_equal(position.lsn, lsn);
}

static void test_wal_store__is_empty_before_begin(void **state)
{
	struct wal_fixture fixture;
	struct timeline_history history;
	struct wal_store_stats stats;
	struct error err = {0};

	(void)state;
	fixture_open(&fixture);
	check_position(wal_store_received(fixture.store), 0, 0);
	check_position(wal_store_flushed(fixture.store), 0, 0);
	check_position(wal_store_redo(fixture.store), 0, 0);
	assert_int_equal(wal_store_segment_bytes(fixture.store), 0);
	assert_false(wal_store_history(fixture.store, &history));
	wal_store_read_stats(fixture.store, &stats);
	assert_int_equal(stats.spool_bytes, 0);
	assert_false(wal_store_append(fixture.store, START, "x", 1, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_null(wal_cursor_open(fixture.store, 1, START, false, &err));
	fixture_close(&fixture);
}

/* Every segment file is what the maker made, and zeros after that. */
static void check_files(struct wal_fixture *fixture, const struct wal_maker *maker)
{
	uint8_t *expected = calloc(1, maker->segment_bytes);
	uint8_t *found = calloc(1, maker->segment_bytes);

	for (lsn_t lsn = maker->start; lsn < maker->at; lsn += maker->segment_bytes) {
		char name[WAL_SEGMENT_NAME_SIZE], path[2 * FIXTURE_PATH_SIZE];
		size_t length = lsn_min(maker->at - lsn, maker->segment_bytes);
		struct stat status;
		int fd;

		wal_segment_name(
			maker->tli, lsn / maker->segment_bytes, maker->segment_bytes, name);
		(void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
		fd = open(path, O_RDONLY);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(status.st_size, maker->segment_bytes);
		assert_int_equal(status.st_mode & 0777, 0600);
		assert_int_equal(read(fd, found, maker->segment_bytes), maker->segment_bytes);
		close(fd);
		memset(expected, 0, maker->segment_bytes);
		memcpy(expected, wal_maker_bytes(maker, lsn), length);
		assert_memory_equal(found, expected, maker->segment_bytes);
	}
	free(expected);
	free(found);
}

static void append_and_reopen(uint32_t segment_bytes, size_t piece)
{
	lsn_t start = lsn_segment_start(START, segment_bytes);
	struct wal_maker *maker = wal_maker_new(5, start, segment_bytes, piece);
	struct wal_fixture fixture;

	wal_maker_fill(maker, start + 2 * segment_bytes + 12345);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	check_position(wal_store_received(fixture.store), 5, start);
	fixture_append(&fixture, maker, start, maker->at, piece);
	check_position(wal_store_received(fixture.store), 5, maker->at);
	fixture_wait_flushed(&fixture, 5, maker->at);
	fixture_check_bytes(&fixture, maker, 5, start, maker->at);
	fixture_reopen(&fixture);
	check_position(wal_store_received(fixture.store), 5, maker->at);
	check_position(wal_store_flushed(fixture.store), 5, maker->at);
	fixture_check_bytes(&fixture, maker, 5, start, maker->at);
	check_files(&fixture, maker);
	wal_maker_fill(maker, maker->at + segment_bytes);
	fixture_append(&fixture, maker, wal_store_received(fixture.store).lsn, maker->at, piece);
	fixture_wait_flushed(&fixture, 5, maker->at);
	check_files(&fixture, maker);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_store__holds_what_was_appended_over_a_restart(void **state)
{
	(void)state;
	append_and_reopen(SEGMENT, 131072);
	append_and_reopen(SEGMENT, 3 * SEGMENT);
	append_and_reopen(SEGMENT, 777);
	append_and_reopen(4 * SEGMENT, 131072);
	append_and_reopen(16 * SEGMENT, 1000000);
}

static void test_wal_store__acknowledges_whole_records_only(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	lsn_t limit = START;

	(void)state;
	wal_maker_fill(maker, START + SEGMENT + 200000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	while (limit < maker->at) {
		lsn_t next = lsn_min(limit + 1 + wal_maker_random(maker, 30000), maker->at);
		lsn_t whole = wal_maker_last_end(maker, next);

		fixture_append(&fixture, maker, limit, next, SIZE_MAX);
		fixture_wait_flushed(&fixture, 1, lsn_max(whole, START));
		/* The flusher may be on its way, but never past this. */
		check_position(wal_store_flushed(fixture.store), 1, lsn_max(whole, START));
		limit = next;
	}
	fixture_close(&fixture);
	wal_maker_free(maker);
}

/* In the segment file itself. */
static void check_zero_after(const struct wal_fixture *fixture, const char *name, off_t offset)
{
	uint8_t *bytes = calloc(1, SEGMENT);
	char path[2 * FIXTURE_PATH_SIZE];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, bytes, SEGMENT, offset), SEGMENT - offset);
	for (off_t i = 0; i < (off_t)SEGMENT - offset; i++) {
		assert_int_equal(bytes[i], 0);
	}
	close(fd);
	free(bytes);
}

static void test_wal_store__forgets_half_a_record_at_a_restart(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	lsn_t whole, half;

	(void)state;
	wal_maker_fill(maker, START + 50000);
	whole = maker->at;
	wal_maker_record(maker, 2 * SEGMENT);
	half = whole + SEGMENT + SEGMENT / 2;
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, half, 131072);
	fixture_wait_flushed(&fixture, 1, whole);
	check_position(wal_store_received(fixture.store), 1, half);
	fixture_reopen(&fixture);
	check_position(wal_store_received(fixture.store), 1, whole);
	/* What was not proved is neither served nor left lying about. */
	assert_false(fixture_has_file(&fixture, "000000010000000200000FFF"));
	check_zero_after(&fixture, "000000010000000200000FFE", (off_t)(whole - START));
	fixture_append(&fixture, maker, START, maker->at, 131072);
	fixture_wait_flushed(&fixture, 1, maker->at);
	fixture_check_bytes(&fixture, maker, 1, START, maker->at);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_store__refuses_a_gap(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	struct error err = {0};

	(void)state;
	wal_maker_fill(maker, START + 50000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, START + 1000, SIZE_MAX);
	assert_false(wal_store_append(fixture.store, START + 1001, "x", 1, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(err.message, "WAL at 2/FFE003E9 leaves a gap after 2/FFE003E8");
	assert_false(wal_store_append(fixture.store, START - 8, "x", 1, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	check_position(wal_store_received(fixture.store), 1, START + 1000);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_store__compares_what_it_holds(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	struct wal_store_stats stats;
	struct error err = {0};
	lsn_t held;

	(void)state;
	wal_maker_fill(maker, START + 3 * SEGMENT);
	held = wal_maker_last_end(maker, START + 2 * SEGMENT + 5000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, held, 100000);
	fixture_wait_flushed(&fixture, 1, held);
	fixture_reopen(&fixture);
	fixture_append(&fixture, maker, START, held + 100, 300000);
	check_position(wal_store_received(fixture.store), 1, held + 100);
	wal_store_read_stats(fixture.store, &stats);
	assert_int_equal(stats.appended_bytes, 100);
	maker->bytes[SEGMENT + 4711] ^= 1;
	assert_false(wal_store_append(fixture.store, START + SEGMENT - 10,
		wal_maker_bytes(maker, START + SEGMENT - 10), 2 * SEGMENT, &err));
	assert_int_equal(err.kind, ERROR_DIVERGED);
	assert_string_equal(err.message, "upstream has diverged at 2/FFF01267 on timeline 1");
	check_position(wal_store_received(fixture.store), 1, held + 100);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_store__refuses_to_begin_over_what_it_holds(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	struct error err = {0};

	(void)state;
	wal_maker_fill(maker, START + 50000);
	fixture_open(&fixture);
	assert_false(wal_store_begin(fixture.store, 1, START, 3 * SEGMENT, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	fixture_begin(&fixture, maker);
	/* Nothing has come yet: another place may be tried. */
	assert_true(wal_store_begin(fixture.store, 1, START + SEGMENT + 5, SEGMENT, &err));
	check_position(wal_store_received(fixture.store), 1, START + SEGMENT);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, maker->at, SIZE_MAX);
	assert_false(wal_store_begin(fixture.store, 1, START, SEGMENT, &err));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_false(wal_store_begin(fixture.store, 1, START + SEGMENT, 2 * SEGMENT, &err));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_store__knows_the_last_redo_over_a_restart(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	lsn_t redo;

	(void)state;
	wal_maker_fill(maker, START + 50000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, maker->at, SIZE_MAX);
	fixture_wait_flushed(&fixture, 1, maker->at);
	check_position(wal_store_redo(fixture.store), 1, START);
	redo = maker->at;
	wal_maker_checkpoint(maker, redo);
	wal_maker_fill(maker, START + SEGMENT + 50000);
	fixture_append(&fixture, maker, redo, maker->at, SIZE_MAX);
	fixture_wait_flushed(&fixture, 1, maker->at);
	check_position(wal_store_redo(fixture.store), 1, redo);
	fixture_reopen(&fixture);
	check_position(wal_store_redo(fixture.store), 1, redo);
	fixture_close(&fixture);
	wal_maker_free(maker);
}

static void test_wal_store__refuses_to_start_on_damaged_wal(void **state)
{
	struct wal_maker *maker = wal_maker_new(1, START, SEGMENT, 4);
	struct wal_fixture fixture;
	struct error err = {0};
	char path[2 * FIXTURE_PATH_SIZE];
	int fd;

	(void)state;
	wal_maker_fill(maker, START + 50000);
	fixture_open(&fixture);
	fixture_begin(&fixture, maker);
	fixture_append(&fixture, maker, START, maker->at, SIZE_MAX);
	fixture_wait_flushed(&fixture, 1, maker->at);
	fixture_stop(&fixture);
	(void)snprintf(path, sizeof(path), "%s/000000010000000200000FFE", fixture.directory);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "spoilt", 6, (off_t)(maker->previous - START + 10)), 6);
	close(fd);
	assert_false(fixture_try_start(&fixture, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "WAL that was on disk is missing or damaged at"));
	fixture_close(&fixture);
	wal_maker_free(maker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_store__is_empty_before_begin),
		cmocka_unit_test(test_wal_store__holds_what_was_appended_over_a_restart),
		cmocka_unit_test(test_wal_store__acknowledges_whole_records_only),
		cmocka_unit_test(test_wal_store__forgets_half_a_record_at_a_restart),
		cmocka_unit_test(test_wal_store__refuses_a_gap),
		cmocka_unit_test(test_wal_store__compares_what_it_holds),
		cmocka_unit_test(test_wal_store__refuses_to_begin_over_what_it_holds),
		cmocka_unit_test(test_wal_store__knows_the_last_redo_over_a_restart),
		cmocka_unit_test(test_wal_store__refuses_to_start_on_damaged_wal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
