/*
 * slot_memory: the table upstream_slot.
 */
#include "upstream/slot_memory.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>

struct memory_job {
	const char *slot;
	char system_identifier[24]; /* text: SQLite's integers have a sign */
	bool is_known;
};

static bool fail(sqlite3 *connection, struct error *err)
{
	return error_set(err, ERROR_SYSTEM, "could not remember the upstream slot: %s",
		sqlite3_errmsg(connection));
}

/* false: the statement failed. *has_row_out may be NULL. */
static bool run(sqlite3 *connection, const char *sql, const struct memory_job *job,
	bool *has_row_out, struct error *err)
{
	sqlite3_stmt *statement;
	int status;

	if (sqlite3_prepare_v2(connection, sql, -1, &statement, NULL) != SQLITE_OK) {
		return fail(connection, err);
	}
	sqlite3_bind_text(statement, 1, job->slot, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, job->system_identifier, -1, SQLITE_STATIC);
	status = sqlite3_step(statement);
	sqlite3_finalize(statement);
	if (status != SQLITE_ROW && status != SQLITE_DONE) {
		return fail(connection, err);
	}
	if (has_row_out != NULL) {
		*has_row_out = status == SQLITE_ROW;
	}
	return true;
}

static bool create_table(struct sqlite3 *connection, void *context, struct error *err)
{
	(void)context;
	return database_execute(connection,
		"CREATE TABLE IF NOT EXISTS upstream_slot ("
		" name TEXT NOT NULL, system_identifier TEXT NOT NULL,"
		" PRIMARY KEY (name, system_identifier)) WITHOUT ROWID",
		err);
}

static bool find_slot(struct sqlite3 *connection, void *context, struct error *err)
{
	struct memory_job *job = context;

	return run(connection,
		"SELECT 1 FROM upstream_slot WHERE name = ?1 AND system_identifier = ?2", job,
		&job->is_known, err);
}

static bool store_slot(struct sqlite3 *connection, void *context, struct error *err)
{
	return run(connection,
		"INSERT OR IGNORE INTO upstream_slot (name, system_identifier) VALUES (?1, ?2)",
		context, NULL, err);
}

static struct memory_job new_job(const char *slot, uint64_t system_identifier)
{
	struct memory_job job = {.slot = slot};

	snprintf(job.system_identifier, sizeof(job.system_identifier), "%" PRIu64,
		system_identifier);
	return job;
}

bool slot_memory_open(struct database *database, struct error *err)
{
	return database_run(database, create_table, NULL, err);
}

bool slot_memory_find(struct database *database, const char *slot, uint64_t system_identifier,
	bool *is_known_out, struct error *err)
{
	struct memory_job job = new_job(slot, system_identifier);

	if (!database_run(database, find_slot, &job, err)) {
		return false;
	}
	*is_known_out = job.is_known;
	return true;
}

bool slot_memory_store(
	struct database *database, const char *slot, uint64_t system_identifier, struct error *err)
{
	struct memory_job job = new_job(slot, system_identifier);

	return database_run(database, store_slot, &job, err);
}
