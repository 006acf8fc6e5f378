/*
 * slots_fixture: slots on a real state database in a directory of its own, a gate job that holds
 * the database's thread where a test looks at what is under way, and a view of the file from
 * beside.
 */
#ifndef TESTS_UNIT_SPOOL_SLOTS_FIXTURE_H
#define TESTS_UNIT_SPOOL_SLOTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/slots.h"

#include <pthread.h>

#define DEADLINE_SECONDS 20

extern struct database *database;
extern struct slots *slots;
extern struct error err;

int set_up_slots(void **state);
int tear_down_slots(void **state);
#define SLOTS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_slots, tear_down_slots)

void open_slots(void);
void close_slots(void);

/* What a done callback told. */
struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int calls;
	bool ok;
	pthread_t thread;
};
#define OUTCOME                                                                                    \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER                \
	}

void on_done(void *context, bool ok, const struct error *why);
/* Waits for the one call and returns what it said. */
bool wait_for(struct outcome *outcome);

/* All jobs submitted before have run. */
void drain(void);
/* Between the two, jobs only queue up. */
void close_gate(void);
void open_gate(void);

/* The first column of the last row; "" when there is none. Not to be kept over another call. */
const char *query(const char *sql);
/* From here on, each update of a row of slots adds its name to the table updates. */
void count_updates(void);

void create(const char *name, lsn_t restart_lsn);
bool create_temporary(const char *name, uint32_t pid);
bool drop(const char *name, uint32_t pid);
struct slot_stats stats_of(const char *name);
void assert_error(const char *sqlstate, const char *message);

#endif
