#include "slots_fixture.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/test_slots.XXXXXX";
static char path[64];
struct database *database;
struct slots *slots;
struct error err;

void on_done(void *context, bool ok, const struct error *why)
{
	struct outcome *outcome = context;
	assert_non_null(why);
	pthread_mutex_lock(&outcome->lock);
	outcome->calls++;
	outcome->ok = ok;
	outcome->thread = pthread_self();
	pthread_cond_signal(&outcome->wake);
	pthread_mutex_unlock(&outcome->lock);
}

bool wait_for(struct outcome *outcome)
{
	struct timespec deadline;
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += DEADLINE_SECONDS;
	pthread_mutex_lock(&outcome->lock);
	while (outcome->calls == 0) {
		assert_int_equal(
			pthread_cond_timedwait(&outcome->wake, &outcome->lock, &deadline), 0);
	}
	assert_int_equal(outcome->calls, 1);
	bool ok = outcome->ok;
	pthread_mutex_unlock(&outcome->lock);
	return ok;
}

static bool pass_job(struct sqlite3 *connection, void *context, struct error *job_err)
{
	(void)connection;
	(void)context;
	(void)job_err;
	return true;
}

void drain(void)
{
	assert_true(database_run(database, pass_job, NULL, &err));
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static bool gate_job(struct sqlite3 *connection, void *context, struct error *job_err)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return pass_job(connection, context, job_err);
}

void close_gate(void)
{
	pthread_mutex_lock(&gate);
	database_submit(database, gate_job, NULL, NULL);
}

void open_gate(void)
{
	pthread_mutex_unlock(&gate);
}

static int keep_text(void *context, int count, char **values, char **names)
{
	(void)count;
	(void)names;
	snprintf(context, 64, "%s", values[0] ? values[0] : "NULL");
	return 0;
}

const char *query(const char *sql)
{
	static char text[64];
	sqlite3 *connection;
	text[0] = '\0';
	assert_int_equal(sqlite3_open(path, &connection), SQLITE_OK);
	sqlite3_busy_timeout(connection, DEADLINE_SECONDS * 1000);
	if (sqlite3_exec(connection, sql, keep_text, text, NULL) != SQLITE_OK) {
		fail_msg("%s: %s", sql, sqlite3_errmsg(connection));
	}
	sqlite3_close(connection);
	return text;
}

void count_updates(void)
{
	query("CREATE TABLE updates (name TEXT);"
	      "CREATE TRIGGER counting AFTER UPDATE ON slots "
	      "BEGIN INSERT INTO updates VALUES (new.name); END");
}

void open_slots(void)
{
	database = database_open(path, &err);
	assert_non_null(database);
	slots = slots_open(database, &err);
	assert_non_null(slots);
}

void close_slots(void)
{
	slots_close(&slots);
	assert_null(slots);
	database_close(&database);
}

int set_up_slots(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_slots.XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/state.db", directory);
	memset(&err, 0, sizeof(err));
	open_slots();
	return 0;
}

int tear_down_slots(void **state)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	(void)state;
	close_slots();
	for (size_t i = 0; i < 3; i++) {
		char file[80];
		snprintf(file, sizeof(file), "%s%s", path, suffixes[i]);
		unlink(file);
	}
	return rmdir(directory);
}

void create(const char *name, lsn_t restart_lsn)
{
	struct outcome outcome = OUTCOME;
	assert_true(slots_create(slots, name, false, 7, restart_lsn, 1, on_done, &outcome, &err));
	assert_true(wait_for(&outcome));
}

bool create_temporary(const char *name, uint32_t pid)
{
	return slots_create(slots, name, true, pid, 0x100, 1, NULL, NULL, &err);
}

bool drop(const char *name, uint32_t pid)
{
	struct outcome outcome = OUTCOME;
	if (!slots_drop(slots, name, pid, on_done, &outcome, &err)) {
		assert_int_equal(outcome.calls, 0);
		return false;
	}
	return wait_for(&outcome);
}

struct slot_stats stats_of(const char *name)
{
	struct slot_stats stats;
	assert_true(slots_find(slots, name, &stats));
	return stats;
}

void assert_error(const char *sqlstate, const char *message)
{
	assert_string_equal(err.sqlstate, sqlstate);
	assert_string_equal(err.message, message);
}
