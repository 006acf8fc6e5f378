/*
 * database: order, group commit, and what a failing job does to its neighbours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/database.h"

#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char directory[40];
	char path[64];
	struct database *database;
};

static bool create_table(sqlite3 *connection, void *context, struct error *err)
{
	(void)context;
	return database_execute(
		connection, "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY)", err);
}

static void open_database(struct fixture *fixture)
{
	struct error err;

	fixture->database = database_open(fixture->path, &err);
	if (fixture->database == NULL) {
		fail_msg("%s", err.message);
	}
	assert_true(database_run(fixture->database, create_table, NULL, &err));
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->directory, "/tmp/test_database.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/state.db", fixture->directory);
	open_database(fixture);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	database_close(&fixture->database);
	assert_null(fixture->database);
	database_close(&fixture->database);
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

/* Rows as text, "1 2 3", seen by a connection of its own: only what is committed. */
static void read_rows(const char *path, char *rows_out, size_t size)
{
	sqlite3 *connection;
	sqlite3_stmt *statement;

	rows_out[0] = '\0';
	assert_int_equal(sqlite3_open(path, &connection), SQLITE_OK);
	assert_int_equal(
		sqlite3_prepare_v2(connection, "SELECT n FROM t ORDER BY n", -1, &statement, NULL),
		SQLITE_OK);
	while (sqlite3_step(statement) == SQLITE_ROW) {
		size_t length = strlen(rows_out);

		(void)snprintf(rows_out + length, size - length, "%s%d", length == 0 ? "" : " ",
			sqlite3_column_int(statement, 0));
	}
	sqlite3_finalize(statement);
	sqlite3_close(connection);
}

/* Holds the database's thread until told to go on, so that what is submitted meanwhile makes one
 * batch. */
struct gate {
	sem_t entered;
	sem_t leave;
	atomic_int commits; /* of the whole connection, from the gate's own on */
};

static int count_commit(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
	return 0;
}

static bool wait_at_gate(sqlite3 *connection, void *context, struct error *err)
{
	struct gate *gate = context;

	(void)err;
	sqlite3_commit_hook(connection, count_commit, &gate->commits);
	sem_post(&gate->entered);
	sem_wait(&gate->leave);
	return true;
}

static void gate_close(struct gate *gate, struct database *database)
{
	sem_init(&gate->entered, 0, 0);
	sem_init(&gate->leave, 0, 0);
	atomic_init(&gate->commits, 0);
	database_submit(database, wait_at_gate, NULL, gate);
	sem_wait(&gate->entered);
}

static void gate_open(struct gate *gate)
{
	sem_post(&gate->leave);
}

struct insert {
	struct fixture *fixture;
	int n;
	bool fails;    /* after it wrote its row */
	bool loses_it; /* and SQLite gives up the transaction, as it does when the disk is full */
	bool was_told;
	bool ok;
	char message[512];
	char rows[256]; /* committed when it was told */
};

static bool insert_row(sqlite3 *connection, void *context, struct error *err)
{
	struct insert *insert = context;
	char sql[64];

	(void)snprintf(sql, sizeof(sql), "INSERT INTO t VALUES (%d)", insert->n);
	if (!database_execute(connection, sql, err)) {
		return false;
	}
	if (insert->loses_it) {
		assert_int_equal(sqlite3_exec(connection, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	}
	return !insert->fails || error_set(err, ERROR_INVALID, "job %d fails", insert->n);
}

static void insert_done(void *context, bool ok, const struct error *err)
{
	struct insert *insert = context;

	insert->was_told = true;
	insert->ok = ok;
	(void)snprintf(insert->message, sizeof(insert->message), "%s", ok ? "" : err->message);
	read_rows(insert->fixture->path, insert->rows, sizeof(insert->rows));
}

/* In one batch; returns how many commits they took. */
static int run_batch(struct fixture *fixture, struct insert *inserts, size_t count)
{
	struct gate gate;

	gate_close(&gate, fixture->database);
	for (size_t i = 0; i < count; i++) {
		inserts[i].fixture = fixture;
		database_submit(fixture->database, insert_row, insert_done, &inserts[i]);
	}
	gate_open(&gate);
	database_close(&fixture->database);
	/* Without the gate's own. */
	return atomic_load(&gate.commits) - 1;
}

static void test_database__commits_waiting_jobs_together(void **state)
{
	struct insert inserts[40] = {0};

	for (int i = 0; i < 40; i++) {
		inserts[i].n = 40 - i;
	}
	assert_int_equal(run_batch(*state, inserts, 40), 1);
	for (int i = 0; i < 40; i++) {
		assert_true(inserts[i].was_told);
		assert_true(inserts[i].ok);
		/* All rows are there when the first is told. */
		assert_memory_equal(inserts[i].rows, "1 2 3 ", 6);
	}
}

static bool execute(sqlite3 *connection, void *context, struct error *err)
{
	return database_execute(connection, context, err);
}

static void test_database__runs_jobs_in_order(void **state)
{
	struct fixture *fixture = *state;
	struct error err;

	/* Each needs the one before it. */
	for (int i = 0; i < 200; i++) {
		static char create[] = "CREATE TABLE o (n)", drop[] = "DROP TABLE o";

		database_submit(fixture->database, execute, NULL, i % 2 == 0 ? create : drop);
	}
	assert_true(database_run(fixture->database, execute, "CREATE TABLE o (n)", &err));
	assert_false(database_run(fixture->database, execute, "CREATE TABLE o (n)", &err));
	assert_string_equal(
		err.message, "could not execute \"CREATE TABLE o (n)\": table o already exists");
}

static void test_database__a_failing_job_spoils_no_other(void **state)
{
	struct fixture *fixture = *state;
	struct insert inserts[] = {{.n = 1}, {.n = 2, .fails = true}, {.n = 3}, {.n = 1}, {.n = 4}};

	assert_int_equal(run_batch(fixture, inserts, 5), 1);
	assert_true(inserts[0].ok);
	assert_false(inserts[1].ok);
	assert_string_equal(inserts[1].message, "job 2 fails");
	assert_true(inserts[2].ok);
	assert_false(inserts[3].ok);
	assert_string_equal(inserts[3].message,
		"could not execute \"INSERT INTO t VALUES (1)\": UNIQUE constraint failed: t.n");
	assert_true(inserts[4].ok);
	assert_string_equal(inserts[0].rows, "1 3 4");
}

static void test_database__a_lost_transaction_is_told_to_all_in_it(void **state)
{
	struct fixture *fixture = *state;
	struct insert inserts[] = {{.n = 1}, {.n = 2, .fails = true, .loses_it = true}, {.n = 3}};

	assert_int_equal(run_batch(fixture, inserts, 3), 1);
	assert_false(inserts[0].ok);
	assert_string_equal(inserts[0].message, "job 2 fails");
	assert_false(inserts[1].ok);
	assert_true(inserts[2].ok);
	assert_string_equal(inserts[2].rows, "3");
}

static void test_database__a_failed_commit_is_told_to_all(void **state)
{
	struct fixture *fixture = *state;
	struct insert inserts[] = {{.n = 1}, {.n = 2}};
	struct error err;

	/* A foreign key that is checked only by the commit. */
	assert_true(database_run(fixture->database, execute,
		"CREATE TABLE r (n REFERENCES t DEFERRABLE INITIALLY DEFERRED);"
		"CREATE TRIGGER x AFTER INSERT ON t WHEN new.n = 2 BEGIN "
		"INSERT INTO r VALUES (99); END",
		&err));
	assert_int_equal(run_batch(fixture, inserts, 2), 0);
	assert_false(inserts[0].ok);
	assert_false(inserts[1].ok);
	assert_string_equal(
		inserts[0].message, "could not execute \"COMMIT\": FOREIGN KEY constraint failed");
	assert_string_equal(inserts[1].rows, "");
	/* The next transaction is sound. */
	open_database(fixture);
	inserts[0].n = 5;
	assert_int_equal(run_batch(fixture, inserts, 1), 1);
	assert_true(inserts[0].ok);
}

static void submit_again(void *context, bool ok, const struct error *err)
{
	struct insert *insert = context;

	assert_true(ok);
	(void)err;
	insert->n++;
	database_submit(insert->fixture->database, insert_row,
		insert->n < 5 ? submit_again : insert_done, insert);
}

static void test_database__close_finishes_what_was_submitted(void **state)
{
	struct fixture *fixture = *state;
	struct fixture same = *fixture;
	struct insert insert = {.fixture = &same, .n = 1};

	database_submit(fixture->database, insert_row, submit_again, &insert);
	database_close(&fixture->database);
	assert_true(insert.was_told);
	assert_string_equal(insert.rows, "1 2 3 4 5");
}

static void test_database__run_waits_and_returns_the_error(void **state)
{
	struct fixture *fixture = *state;
	struct insert insert = {.fixture = fixture, .n = 1};
	struct error err;
	char rows[64];

	assert_true(database_run(fixture->database, insert_row, &insert, &err));
	read_rows(fixture->path, rows, sizeof(rows));
	assert_string_equal(rows, "1");
	assert_false(database_run(fixture->database, insert_row, &insert, &err));
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_false(database_run(fixture->database, insert_row, &insert, NULL));
}

static bool read_pragmas(sqlite3 *connection, void *context, struct error *err)
{
	sqlite3_stmt *statement;

	(void)err;
	assert_int_equal(sqlite3_prepare_v2(connection,
				 "SELECT (SELECT journal_mode FROM pragma_journal_mode) || "
				 "(SELECT synchronous FROM pragma_synchronous)",
				 -1, &statement, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	strcpy(context, (const char *)sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	return true;
}

static void test_database__survives_power_loss_by_its_settings(void **state)
{
	struct fixture *fixture = *state;
	char pragmas[32];
	struct stat status;
	struct error err;

	assert_true(database_run(fixture->database, read_pragmas, pragmas, &err));
	assert_string_equal(pragmas, "wal2"); /* 2: FULL */
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_database__keeps_what_was_committed(void **state)
{
	struct fixture *fixture = *state;
	struct insert insert = {.fixture = fixture, .n = 7};
	char rows[64];

	assert_int_equal(run_batch(fixture, &insert, 1), 1);
	open_database(fixture);
	read_rows(fixture->path, rows, sizeof(rows));
	assert_string_equal(rows, "7");
}

static void test_database__says_why_it_cannot_be_opened(void **state)
{
	struct fixture *fixture = *state;
	struct error err;
	FILE *file;

	assert_null(database_open("/nonexistent/state.db", &err));
	assert_string_equal(err.message,
		"could not open database \"/nonexistent/state.db\": No such file or directory");
	database_close(&fixture->database);
	file = fopen(fixture->path, "w");
	for (int i = 0; i < 1000; i++) {
		(void)fputs("this is not a database ", file);
	}
	(void)fclose(file);
	assert_null(database_open(fixture->path, &err));
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.message, "file is not a database"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_database__commits_waiting_jobs_together),
		TEST(test_database__runs_jobs_in_order),
		TEST(test_database__a_failing_job_spoils_no_other),
		TEST(test_database__a_lost_transaction_is_told_to_all_in_it),
		TEST(test_database__a_failed_commit_is_told_to_all),
		TEST(test_database__close_finishes_what_was_submitted),
		TEST(test_database__run_waits_and_returns_the_error),
		TEST(test_database__survives_power_loss_by_its_settings),
		TEST(test_database__keeps_what_was_committed),
		TEST(test_database__says_why_it_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
