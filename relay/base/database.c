/*
 * database: one SQLite connection, one thread, group commit.
 *
 * The thread takes everything that is queued, runs it as one transaction with a savepoint a job,
 * and commits once. A job that fails is rolled back to its savepoint and spoils nobody else's. Only
 * when SQLite gives up the transaction as a whole (disk full, I/O error) do the jobs in it fail
 * together.
 */
#include "base/database.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Somebody may look into the file with sqlite3(1) while the relay runs. */
#define BUSY_TIMEOUT_MS 10000

struct job {
	struct job *next;
	database_job *run;
	database_done *done;
	void *context;
	bool ok;
	struct error err;
};

struct database {
	sqlite3 *connection; /* the thread's alone, once it runs */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first;
	struct job **last;
	bool is_closing;
};

static bool set_sqlite_error(struct error *err, sqlite3 *connection, const char *what)
{
	int code = sqlite3_errcode(connection) & 0xff;
	enum error_kind kind = code == SQLITE_FULL                               ? ERROR_FULL
			       : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERROR_INVALID
			       : code == SQLITE_CONSTRAINT                       ? ERROR_CONFLICT
										 : ERROR_SYSTEM;

	return error_set(err, kind, "%s: %s", what, sqlite3_errmsg(connection));
}

bool database_execute(struct sqlite3 *connection, const char *sql, struct error *err)
{
	if (sqlite3_exec(connection, sql, NULL, NULL, NULL) != SQLITE_OK) {
		char what[256];

		(void)snprintf(what, sizeof(what), "could not execute \"%.200s\"", sql);
		return set_sqlite_error(err, connection, what);
	}
	return true;
}

static void fail_jobs(struct job *first, const struct job *end, const struct error *err)
{
	for (struct job *job = first; job != end; job = job->next) {
		if (job->ok) {
			job->ok = false;
			job->err = *err;
		}
	}
}

static bool run_in_savepoint(sqlite3 *connection, struct job *job)
{
	memset(&job->err, 0, sizeof(job->err));
	if (!database_execute(connection, "SAVEPOINT job", &job->err)) {
		return false;
	}
	if (job->run(connection, job->context, &job->err)) {
		return database_execute(connection, "RELEASE job", &job->err);
	}
	assert(job->err.kind != ERROR_NONE);
	if (sqlite3_get_autocommit(connection) == 0) {
		struct error ignored;

		/* Should this fail too, the commit fails, and everybody is told. */
		if (database_execute(connection, "ROLLBACK TO job", &ignored)) {
			(void)!database_execute(connection, "RELEASE job", &ignored);
		}
	}
	return false;
}

/* From first up to the returned job (NULL: the end) in one transaction. */
static struct job *run_transaction(sqlite3 *connection, struct job *first)
{
	struct job *job = first;
	struct error err;

	if (!database_execute(connection, "BEGIN IMMEDIATE", &err)) {
		first->ok = true;
		fail_jobs(first, first->next, &err);
		return first->next;
	}
	while (job != NULL) {
		struct job *next = job->next;

		job->ok = run_in_savepoint(connection, job);
		if (sqlite3_get_autocommit(connection) != 0) {
			assert(!job->ok);
			fail_jobs(first, job, &job->err);
			return next;
		}
		job = next;
	}
	if (!database_execute(connection, "COMMIT", &err)) {
		struct error ignored;

		fail_jobs(first, NULL, &err);
		if (sqlite3_get_autocommit(connection) == 0) {
			(void)!database_execute(connection, "ROLLBACK", &ignored);
		}
	}
	return NULL;
}

static void run_batch(sqlite3 *connection, struct job *first)
{
	struct job *job = first;

	while (job != NULL) {
		job = run_transaction(connection, job);
	}
	while (first != NULL) {
		struct job *next = first->next;

		if (first->done != NULL) {
			first->done(first->context, first->ok, &first->err);
		}
		free(first);
		first = next;
	}
}

static void *database_thread(void *argument)
{
	struct database *database = argument;

	pthread_mutex_lock(&database->lock);
	for (;;) {
		struct job *batch = database->first;

		if (batch == NULL) {
			if (database->is_closing) {
				break;
			}
			pthread_cond_wait(&database->wake, &database->lock);
			continue;
		}
		database->first = NULL;
		database->last = &database->first;
		pthread_mutex_unlock(&database->lock);
		run_batch(database->connection, batch);
		pthread_mutex_lock(&database->lock);
	}
	pthread_mutex_unlock(&database->lock);
	return NULL;
}

/* SQLite makes its journal files with the mode of the main one. */
static bool create_private(const char *path, struct error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		return error_set_errno(err, "could not open database \"%s\"", path);
	}
	close(fd);
	return true;
}

static bool set_journal_mode(sqlite3 *connection, struct error *err)
{
	sqlite3_stmt *statement;
	bool ok;

	if (sqlite3_prepare_v2(connection, "PRAGMA journal_mode = WAL", -1, &statement, NULL) !=
		SQLITE_OK) {
		return set_sqlite_error(err, connection, "could not set the journal mode");
	}
	ok = sqlite3_step(statement) == SQLITE_ROW &&
	     strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
	if (!ok) {
		(void)set_sqlite_error(err, connection, "could not set the journal mode");
	}
	sqlite3_finalize(statement);
	return ok;
}

static bool open_connection(const char *path, sqlite3 **connection_out, struct error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	sqlite3 *connection = NULL;

	if (!create_private(path, err)) {
		return false;
	}
	if (sqlite3_open_v2(path, &connection, flags, NULL) != SQLITE_OK) {
		(void)error_set(err, ERROR_SYSTEM, "%s",
			connection == NULL ? "out of memory" : sqlite3_errmsg(connection));
		goto failed;
	}
	sqlite3_extended_result_codes(connection, 1);
	sqlite3_busy_timeout(connection, BUSY_TIMEOUT_MS);
	if (!set_journal_mode(connection, err) ||
		!database_execute(connection, "PRAGMA synchronous = FULL", err) ||
		!database_execute(connection, "PRAGMA foreign_keys = ON", err)) {
		goto failed;
	}
	*connection_out = connection;
	return true;

failed:
	sqlite3_close(connection);
	return error_wrap(err, "could not open database \"%s\"", path);
}

/* Signals are for the loops. */
static int start_thread(struct database *database)
{
	sigset_t all, before;
	int result;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&database->thread, NULL, database_thread, database);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result == 0) {
		(void)pthread_setname_np(database->thread, "database");
	}
	return result;
}

struct database *database_open(const char *path, struct error *err)
{
	struct database *database = memory_new(sizeof(*database));

	if (!open_connection(path, &database->connection, err)) {
		free(database);
		return NULL;
	}
	pthread_mutex_init(&database->lock, NULL);
	pthread_cond_init(&database->wake, NULL);
	database->last = &database->first;
	errno = start_thread(database);
	if (errno != 0) {
		(void)error_set_errno(err, "could not start the database thread");
		sqlite3_close(database->connection);
		pthread_cond_destroy(&database->wake);
		pthread_mutex_destroy(&database->lock);
		free(database);
		return NULL;
	}
	return database;
}

void database_close(struct database **database)
{
	struct database *closing = *database;

	if (closing == NULL) {
		return;
	}
	*database = NULL;
	pthread_mutex_lock(&closing->lock);
	closing->is_closing = true;
	pthread_cond_signal(&closing->wake);
	pthread_mutex_unlock(&closing->lock);
	pthread_join(closing->thread, NULL);
	assert(closing->first == NULL);
	sqlite3_close(closing->connection);
	pthread_cond_destroy(&closing->wake);
	pthread_mutex_destroy(&closing->lock);
	free(closing);
}

void database_submit(
	struct database *database, database_job *run, database_done *done, void *context)
{
	struct job *job = memory_new(sizeof(*job));

	job->run = run;
	job->done = done;
	job->context = context;
	pthread_mutex_lock(&database->lock);
	*database->last = job;
	database->last = &job->next;
	pthread_cond_signal(&database->wake);
	pthread_mutex_unlock(&database->lock);
}

struct waiting_job {
	database_job *run;
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool is_done;
	bool ok;
	struct error err;
};

static bool waiting_run(sqlite3 *connection, void *context, struct error *err)
{
	struct waiting_job *waiting = context;

	return waiting->run(connection, waiting->context, err);
}

static void waiting_done(void *context, bool ok, const struct error *err)
{
	struct waiting_job *waiting = context;

	pthread_mutex_lock(&waiting->lock);
	waiting->is_done = true;
	waiting->ok = ok;
	waiting->err = *err;
	pthread_cond_signal(&waiting->wake);
	pthread_mutex_unlock(&waiting->lock);
}

bool database_run(struct database *database, database_job *job, void *context, struct error *err)
{
	struct waiting_job waiting = {.run = job,
		.context = context,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.wake = PTHREAD_COND_INITIALIZER};

	/* A job that waits for another would wait for ever. */
	assert(!pthread_equal(pthread_self(), database->thread));
	database_submit(database, waiting_run, waiting_done, &waiting);
	pthread_mutex_lock(&waiting.lock);
	while (!waiting.is_done) {
		pthread_cond_wait(&waiting.wake, &waiting.lock);
	}
	pthread_mutex_unlock(&waiting.lock);
	pthread_cond_destroy(&waiting.wake);
	pthread_mutex_destroy(&waiting.lock);
	if (!waiting.ok && err != NULL) {
		*err = waiting.err;
	}
	return waiting.ok;
}
