/*
 * wal_state: the tables wal_setting and wal_stretch.
 *
 * Each change is one job, so one transaction: a crash finds the stretches as they were before it or
 * as they are after it. LSNs are stored as SQLite's signed integers, bit for bit.
 */
#include "spool/wal_state.h"

#include "base/memory.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

static const char create_tables_sql[] =
	"CREATE TABLE IF NOT EXISTS wal_setting ("
	" name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS wal_stretch ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" range INTEGER NOT NULL,"
	" tli INTEGER NOT NULL,"
	" start_lsn INTEGER NOT NULL,"
	" end_lsn INTEGER," /* NULL: live */
	" good_record_lsn INTEGER NOT NULL DEFAULT 0,"
	" good_end_lsn INTEGER NOT NULL DEFAULT 0,"
	" redo_lsn INTEGER NOT NULL DEFAULT 0)";

/* Runs a statement with integer parameters; row, if any, is called for each row. */
static bool execute(sqlite3 *connection, const char *sql, const int64_t *values, int count,
	void (*row)(void *context, sqlite3_stmt *statement), void *context, struct error *err)
{
	sqlite3_stmt *statement = NULL;
	int result = sqlite3_prepare_v2(connection, sql, -1, &statement, NULL);

	for (int i = 0; i < count && result == SQLITE_OK; i++) {
		result = sqlite3_bind_int64(statement, i + 1, values[i]);
	}
	if (result == SQLITE_OK) {
		while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
			if (row != NULL) {
				row(context, statement);
			}
		}
	}
	if (result != SQLITE_DONE) {
		(void)error_set(err, ERROR_SYSTEM, "could not access the spool's state: %s",
			sqlite3_errmsg(connection));
	}
	sqlite3_finalize(statement);
	return result == SQLITE_DONE;
}

static void load_segment_bytes(void *context, sqlite3_stmt *statement)
{
	struct wal_state *state = context;

	state->segment_bytes = (uint32_t)sqlite3_column_int64(statement, 0);
}

static void load_stretch(void *context, sqlite3_stmt *statement)
{
	struct wal_state *state = context;
	struct wal_stretch *stretch;

	state->stretches = memory_grow(state->stretches, state->count, sizeof(*stretch));
	stretch = &state->stretches[state->count++];
	stretch->id = sqlite3_column_int64(statement, 0);
	stretch->range = sqlite3_column_int64(statement, 1);
	stretch->tli = (tli_t)sqlite3_column_int64(statement, 2);
	stretch->start = (lsn_t)sqlite3_column_int64(statement, 3);
	stretch->end = (lsn_t)sqlite3_column_int64(statement, 4);
	stretch->good.record_lsn = (lsn_t)sqlite3_column_int64(statement, 5);
	stretch->good.end_lsn = (lsn_t)sqlite3_column_int64(statement, 6);
	stretch->good.redo_lsn = (lsn_t)sqlite3_column_int64(statement, 7);
}

static bool load_job(sqlite3 *connection, void *context, struct error *err)
{
	return database_execute(connection, create_tables_sql, err) &&
	       execute(connection, "SELECT value FROM wal_setting WHERE name = 'segment_bytes'",
		       NULL, 0, load_segment_bytes, context, err) &&
	       execute(connection,
		       "SELECT id, range, tli, start_lsn, end_lsn, good_record_lsn, good_end_lsn,"
		       " redo_lsn FROM wal_stretch ORDER BY id",
		       NULL, 0, load_stretch, context, err);
}

static bool state_is_sound(const struct wal_state *state, struct error *err)
{
	if (state->count > 0 && !wal_segment_bytes_is_valid(state->segment_bytes)) {
		return error_set(err, ERROR_INVALID,
			"the spool's state names an impossible segment size: %u",
			state->segment_bytes);
	}
	for (size_t i = 0; i < state->count; i++) {
		const struct wal_stretch *stretch = &state->stretches[i];

		if (stretch->tli == 0 || stretch->start % state->segment_bytes != 0 ||
			(stretch->end == LSN_INVALID && i + 1 != state->count)) {
			return error_set(err, ERROR_INVALID,
				"the spool's state is damaged: stretch %lld",
				(long long)stretch->id);
		}
	}
	return true;
}

bool wal_state_load(struct database *database, struct wal_state *state_out, struct error *err)
{
	struct wal_state state = {0};

	if (!database_run(database, load_job, &state, err) || !state_is_sound(&state, err)) {
		wal_state_release(&state);
		return false;
	}
	*state_out = state;
	return true;
}

void wal_state_release(struct wal_state *state)
{
	free(state->stretches);
	*state = (struct wal_state){0};
}

/* One change: stretches after `keep_count` go, the last kept one ends at end_lsn, one is added. */
struct change {
	const struct wal_state *state;
	size_t keep_count;
	lsn_t end_lsn; /* LSN_INVALID: the last kept one stays as it is */
	uint32_t segment_bytes;
	struct wal_stretch added; /* its id is told by the job */
	bool is_new_range;
};

static bool end_stretches(sqlite3 *connection, const struct change *change, struct error *err)
{
	int64_t last_id =
		change->keep_count > 0 ? change->state->stretches[change->keep_count - 1].id : 0;
	int64_t values[] = {(int64_t)change->end_lsn, last_id};

	if (!execute(connection, "DELETE FROM wal_stretch WHERE id > ?", &last_id, 1, NULL, NULL,
		    err)) {
		return false;
	}
	return change->end_lsn == LSN_INVALID ||
	       execute(connection, "UPDATE wal_stretch SET end_lsn = ? WHERE id = ?", values, 2,
		       NULL, NULL, err);
}

static bool change_job(sqlite3 *connection, void *context, struct error *err)
{
	struct change *change = context;
	int64_t segment_bytes = change->segment_bytes;
	int64_t values[] = {change->added.range, change->added.tli, (int64_t)change->added.start};

	if (!end_stretches(connection, change, err) ||
		!execute(connection,
			"INSERT OR REPLACE INTO wal_setting VALUES ('segment_bytes', ?)",
			&segment_bytes, 1, NULL, NULL, err) ||
		!execute(connection,
			"INSERT INTO wal_stretch (range, tli, start_lsn) VALUES (?, ?, ?)", values,
			3, NULL, NULL, err)) {
		return false;
	}
	change->added.id = sqlite3_last_insert_rowid(connection);
	if (!change->is_new_range) {
		return true;
	}
	/* A range is named after its first stretch. */
	change->added.range = change->added.id;
	return execute(connection, "UPDATE wal_stretch SET range = id WHERE id = ?",
		&change->added.id, 1, NULL, NULL, err);
}

static bool apply_change(struct database *database, struct wal_state *state, struct change *change,
	struct error *err)
{
	if (!database_run(database, change_job, change, err)) {
		return false;
	}
	state->segment_bytes = change->segment_bytes;
	if (change->end_lsn != LSN_INVALID) {
		state->stretches[change->keep_count - 1].end = change->end_lsn;
	}
	state->stretches =
		reallocarray(state->stretches, change->keep_count + 1, sizeof(*state->stretches));
	assert(state->stretches != NULL);
	state->stretches[change->keep_count] = change->added;
	state->count = change->keep_count + 1;
	return true;
}

bool wal_state_begin(struct database *database, struct wal_state *state, uint32_t segment_bytes,
	tli_t tli, lsn_t start, lsn_t cut_lsn, struct error *err)
{
	struct change change = {.state = state,
		.keep_count = state->count,
		.segment_bytes = segment_bytes,
		.added = {.tli = tli, .start = start},
		.is_new_range = true};

	if (state->count > 0 && state->stretches[state->count - 1].end == LSN_INVALID) {
		if (cut_lsn <= state->stretches[state->count - 1].start) {
			change.keep_count--;
		} else {
			change.end_lsn = cut_lsn;
		}
	}
	return apply_change(database, state, &change, err);
}

bool wal_state_switch(struct database *database, struct wal_state *state, size_t from,
	lsn_t fork_lsn, tli_t tli, struct error *err)
{
	struct change change = {.state = state,
		.keep_count = from + 1,
		.end_lsn = fork_lsn,
		.segment_bytes = state->segment_bytes,
		.added = {.range = state->stretches[from].range,
			.tli = tli,
			.start = lsn_segment_start(fork_lsn, state->segment_bytes)}};

	assert(from < state->count && fork_lsn != LSN_INVALID);
	return apply_change(database, state, &change, err);
}

static bool forget_job(sqlite3 *connection, void *context, struct error *err)
{
	const int64_t *first_kept_id = context;

	return execute(connection, "DELETE FROM wal_stretch WHERE id < ?", first_kept_id, 1, NULL,
		NULL, err);
}

bool wal_state_forget(
	struct database *database, struct wal_state *state, size_t count, struct error *err)
{
	assert(count < state->count);
	if (!database_run(database, forget_job, &state->stretches[count].id, err)) {
		return false;
	}
	state->count -= count;
	memmove(state->stretches, state->stretches + count,
		state->count * sizeof(*state->stretches));
	return true;
}

static bool extend_job(sqlite3 *connection, void *context, struct error *err)
{
	const int64_t *values = context;

	return execute(connection, "UPDATE wal_stretch SET start_lsn = ? WHERE id = ?", values, 2,
		NULL, NULL, err);
}

bool wal_state_extend(struct database *database, struct wal_state *state, size_t index, lsn_t start,
	struct error *err)
{
	struct wal_stretch *stretch = &state->stretches[index];
	int64_t values[] = {(int64_t)start, stretch->id};

	assert(index < state->count && start <= stretch->start);
	if (!database_run(database, extend_job, values, err)) {
		return false;
	}
	stretch->start = start;
	return true;
}

struct good_job {
	int64_t stretch_id;
	struct wal_good_point good;
};

static bool good_job_run(sqlite3 *connection, void *context, struct error *err)
{
	const struct good_job *job = context;
	int64_t values[] = {(int64_t)job->good.record_lsn, (int64_t)job->good.end_lsn,
		(int64_t)job->good.redo_lsn, job->stretch_id};

	return execute(connection,
		"UPDATE wal_stretch SET good_record_lsn = ?1, good_end_lsn = ?2, redo_lsn = ?3"
		" WHERE id = ?4 AND good_end_lsn < ?2",
		values, 4, NULL, NULL, err);
}

bool wal_state_store_good(struct database *database, int64_t stretch_id,
	const struct wal_good_point *good, struct error *err)
{
	struct good_job job = {.stretch_id = stretch_id, .good = *good};

	return database_run(database, good_job_run, &job, err);
}
