/*
 * wal_state: stretches as they change, read back each time.
 */
#include "spool/wal_state.h"

#include "support/wal_fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT WAL_SEGMENT_MIN

struct stored {
	char path[64];
	char file[80];
	struct database *database;
	struct wal_state state;
};

static void stored_open(struct stored *stored)
{
	struct error err = {0};

	(void)snprintf(stored->path, sizeof(stored->path), "/tmp/walrelay_test_XXXXXX");
	assert_non_null(mkdtemp(stored->path));
	(void)snprintf(stored->file, sizeof(stored->file), "%s/state.db", stored->path);
	stored->database = database_open(stored->file, &err);
	assert_non_null(stored->database);
	assert_true(wal_state_load(stored->database, &stored->state, &err));
}

static void stored_close(struct stored *stored)
{
	wal_state_release(&stored->state);
	database_close(&stored->database);
	fixture_remove_files(stored->path);
	assert_int_equal(rmdir(stored->path), 0);
}

/* What is in memory is what the next start reads. */
static void check_stored(struct stored *stored, size_t count)
{
	struct wal_state state;
	struct error err = {0};

	assert_int_equal(stored->state.count, count);
	assert_true(wal_state_load(stored->database, &state, &err));
	assert_int_equal(state.count, count);
	assert_int_equal(state.segment_bytes, stored->state.segment_bytes);
	for (size_t i = 0; i < count; i++) {
		const struct wal_stretch *read = &state.stretches[i];
		const struct wal_stretch *kept = &stored->state.stretches[i];

		assert_int_equal(read->id, kept->id);
		assert_int_equal(read->range, kept->range);
		assert_int_equal(read->tli, kept->tli);
		assert_int_equal(read->start, kept->start);
		assert_int_equal(read->end, kept->end);
	}
	wal_state_release(&state);
}

static void begin(struct stored *stored, tli_t tli, lsn_t start, lsn_t cut)
{
	struct error err = {0};

	assert_true(
		wal_state_begin(stored->database, &stored->state, SEGMENT, tli, start, cut, &err));
}

static void fork_at(struct stored *stored, size_t from, lsn_t fork, tli_t tli)
{
	struct error err = {0};

	assert_true(wal_state_switch(stored->database, &stored->state, from, fork, tli, &err));
}

static void test_wal_state__begins_switches_and_begins_again(void **state)
{
	struct stored stored;
	int64_t first;

	(void)state;
	stored_open(&stored);
	check_stored(&stored, 0);
	begin(&stored, 1, 3 * SEGMENT, LSN_INVALID);
	check_stored(&stored, 1);
	/* Nothing came: the next place replaces it, under another id. */
	first = stored.state.stretches[0].id;
	begin(&stored, 1, 5 * SEGMENT, 3 * SEGMENT);
	check_stored(&stored, 1);
	assert_true(stored.state.stretches[0].id > first);
	fork_at(&stored, 0, 7 * SEGMENT + 800, 2);
	check_stored(&stored, 2);
	assert_int_equal(stored.state.stretches[0].end, 7 * SEGMENT + 800);
	assert_int_equal(stored.state.stretches[1].start, 7 * SEGMENT);
	assert_int_equal(stored.state.stretches[1].range, stored.state.stretches[0].range);
	/* Another timeline leaves the first one earlier. */
	fork_at(&stored, 0, 6 * SEGMENT, 3);
	check_stored(&stored, 2);
	assert_int_equal(stored.state.stretches[0].end, 6 * SEGMENT);
	assert_int_equal(stored.state.stretches[1].tli, 3);
	begin(&stored, 3, 20 * SEGMENT, 9 * SEGMENT + 8);
	check_stored(&stored, 3);
	assert_int_equal(stored.state.stretches[1].end, 9 * SEGMENT + 8);
	assert_int_not_equal(stored.state.stretches[2].range, stored.state.stretches[1].range);
	stored_close(&stored);
}

static void test_wal_state__forgets_the_oldest(void **state)
{
	struct stored stored;
	struct error err = {0};
	int64_t range;

	(void)state;
	stored_open(&stored);
	begin(&stored, 1, SEGMENT, LSN_INVALID);
	range = stored.state.stretches[0].range;
	fork_at(&stored, 0, 3 * SEGMENT, 2);
	fork_at(&stored, 1, 5 * SEGMENT + 8, 3);
	assert_true(wal_state_forget(stored.database, &stored.state, 1, &err));
	check_stored(&stored, 2);
	assert_int_equal(stored.state.stretches[0].tli, 2);
	assert_int_equal(stored.state.stretches[1].tli, 3);
	/* It goes by its old name. */
	fork_at(&stored, 1, 7 * SEGMENT, 4);
	check_stored(&stored, 3);
	assert_int_equal(stored.state.stretches[2].range, range);
	stored_close(&stored);
}

static void test_wal_state__moves_a_good_point_forward_only(void **state)
{
	struct wal_good_point good = {1000, 2000, 500}, older = {800, 1900, 500};
	struct stored stored;
	struct wal_state read;
	struct error err = {0};
	int64_t id;

	(void)state;
	stored_open(&stored);
	begin(&stored, 1, SEGMENT, LSN_INVALID);
	id = stored.state.stretches[0].id;
	assert_true(wal_state_store_good(stored.database, id, &good, &err));
	assert_true(wal_state_store_good(stored.database, id, &older, &err));
	/* A late one for a stretch that is no more. */
	assert_true(wal_state_store_good(stored.database, id + 1, &good, &err));
	fork_at(&stored, 0, 2 * SEGMENT, 2);
	assert_true(wal_state_load(stored.database, &read, &err));
	assert_int_equal(read.stretches[0].good.record_lsn, 1000);
	assert_int_equal(read.stretches[0].good.end_lsn, 2000);
	assert_int_equal(read.stretches[0].good.redo_lsn, 500);
	assert_int_equal(read.stretches[1].good.record_lsn, LSN_INVALID);
	wal_state_release(&read);
	stored_close(&stored);
}

static bool spoil(sqlite3 *connection, void *context, struct error *err)
{
	return database_execute(connection, context, err);
}

static void test_wal_state__refuses_what_cannot_be(void **state)
{
	static const char *const statements[] = {
		"UPDATE wal_stretch SET start_lsn = 77",
		"UPDATE wal_stretch SET tli = 0",
		"UPDATE wal_setting SET value = 1000",
		"INSERT INTO wal_stretch (range, tli, start_lsn) VALUES (9, 1, 0)",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		struct wal_state read;
		struct stored stored;
		struct error err = {0};

		stored_open(&stored);
		begin(&stored, 1, SEGMENT, LSN_INVALID);
		assert_true(database_run(
			stored.database, spoil, (void *)(uintptr_t)statements[i], &err));
		assert_false(wal_state_load(stored.database, &read, &err));
		assert_int_equal(err.kind, ERROR_INVALID);
		stored_close(&stored);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_state__begins_switches_and_begins_again),
		cmocka_unit_test(test_wal_state__forgets_the_oldest),
		cmocka_unit_test(test_wal_state__moves_a_good_point_forward_only),
		cmocka_unit_test(test_wal_state__refuses_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
