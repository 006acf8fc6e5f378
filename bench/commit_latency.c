/*
 * commit_latency: how long after a commit returned on one server its row is visible on another.
 *
 * Inserts COUNT rows on the first, one a transaction, and asks the second without pause until it
 * sees each. Prints one figure a row, in nanoseconds: commit's own duration and the time from its
 * return until the row was seen.
 */
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static PGconn *open_connection(const char *conninfo)
{
	PGconn *connection = PQconnectdb(conninfo);
	if (PQstatus(connection) != CONNECTION_OK) {
		fprintf(stderr, "commit_latency: %s", PQerrorMessage(connection));
		exit(1);
	}
	return connection;
}

/* Runs what was prepared with one integer; the caller clears the result. */
static PGresult *execute(PGconn *connection, int number)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", number);
	const char *values[] = {text};
	PGresult *result = PQexecPrepared(connection, "s", 1, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK &&
		PQresultStatus(result) != PGRES_COMMAND_OK) {
		fprintf(stderr, "commit_latency: %s", PQerrorMessage(connection));
		exit(1);
	}
	return result;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: commit_latency PRIMARY STANDBY FIRST COUNT\n");
		return 2;
	}
	PGconn *primary = open_connection(argv[1]);
	PGconn *standby = open_connection(argv[2]);
	int first = atoi(argv[3]);
	int count = atoi(argv[4]);
	PQclear(PQprepare(primary, "s", "INSERT INTO latency VALUES ($1)", 0, NULL));
	PQclear(PQprepare(standby, "s", "SELECT 1 FROM latency WHERE n = $1", 0, NULL));
	for (int i = 0; i < count; i++) {
		int64_t began = now_ns();
		PQclear(execute(primary, first + i));
		int64_t committed = now_ns();
		int seen = 0;
		while (!seen) {
			PGresult *result = execute(standby, first + i);
			seen = PQntuples(result);
			PQclear(result);
		}
		printf("%" PRId64 " %" PRId64 "\n", committed - began, now_ns() - committed);
	}
	PQfinish(primary);
	PQfinish(standby);
	return 0;
}
