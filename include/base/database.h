/*
 * database: the SQLite file that holds the relay's state, and the one thread that touches it.
 *
 * Callers on a loop hand in jobs and go on; the job runs on the database's thread inside a
 * transaction of its own, in order of submission. Jobs submitted while one runs are committed
 * together (one sync for many). The file is in WAL mode with synchronous=FULL: what was committed
 * survives power loss.
 */
#ifndef BASE_DATABASE_H
#define BASE_DATABASE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct database;
struct sqlite3;

/* Runs on the database's thread. Returning false rolls this job back (and no other; when SQLite
 * gives up the whole transaction, as on a full disk, all jobs in it are told that they failed). It
 * neither begins nor ends a transaction. */
typedef bool database_job(struct sqlite3 *connection, void *context, struct error *err);
/* Runs on the database's thread after the commit (ok) or the rollback (not ok, err says why): post
 * to your loop from here. May be NULL. */
typedef void database_done(void *context, bool ok, const struct error *err);

struct database *database_open(const char *path, struct error *err) MUST_CHECK;
/* Finishes what was submitted. Accepts NULL, sets NULL. */
void database_close(struct database **database);

/* Any thread; never blocks on the disk. */
void database_submit(
	struct database *database, database_job *job, database_done *done, void *context);
/* Any thread that may block: runs the job and waits until it is committed. */
bool database_run(
	struct database *database, database_job *job, void *context, struct error *err) MUST_CHECK;
/* Convenience for a job: run SQL without results; err names the statement. */
bool database_execute(struct sqlite3 *connection, const char *sql, struct error *err) MUST_CHECK;

#endif
