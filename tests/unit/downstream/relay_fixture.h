/*
 * relay_fixture: a whole downstream half in a scratch directory: a real spool fed with made-up WAL,
 * slots, what is known of a cluster, and sessions over socket pairs.
 */
#ifndef TESTS_RELAY_FIXTURE_H
#define TESTS_RELAY_FIXTURE_H

#include "base/database.h"
#include "destination/destinations.h"
#include "downstream/downstream.h"
#include "spool/cluster.h"
#include "spool/slots.h"
#include "spool/wal_store.h"
#include "support/raw_client.h"
#include "support/wal_maker.h"

#include <pthread.h>
#include <stdbool.h>

#define FIXTURE_SEGMENT (1u << 20)
#define FIXTURE_START   ((lsn_t)0x1000000)
#define FIXTURE_SYSTEM  UINT64_C(7300000000000000001)

struct relay_fixture_options {
	int version;             /* server_version_num; 0: 150018 */
	const char *in_recovery; /* in_hot_standby; NULL: off */
	bool is_unknown;         /* the upstream was never reached */
	bool forward_flushed;
	unsigned sender_threads;           /* 0: one */
	unsigned max_connections;          /* 0: 100 */
	int64_t authentication_timeout_us; /* 0: 10 s */
	int64_t wal_sender_timeout_us;
	uint64_t egress_cap_bytes;
	bool is_tcp; /* what clients come by; else a pair of Unix sockets */
	bool proxy_protocol;
	const char *proxy_from;
	const struct passthrough *passthrough;
	const struct console_service *console; /* NULL: there is none */
	const struct downstream_link *link;    /* NULL: not offered */
	bool has_destinations;                 /* the built-in one alone, DESTINATION_OTHER */
	void (*on_replayed)(void *context);
	void *context; /* on_replayed's */
};

struct relay_fixture {
	char directory[64];
	struct database *database;
	struct slots *slots;
	struct cluster *cluster;
	struct wal_store *store;
	struct destinations *destinations; /* NULL: nothing is counted */
	struct downstream *downstream;
	struct downstream_limits limits;
	struct wal_maker *maker;
	bool is_tcp;
	int accepted_fd;        /* the relay's end of the last client's connection */
	lsn_t appended;         /* of the maker's */
	struct loop *stop_loop; /* runs in stop_thread until everybody is gone */
	pthread_t stop_thread;
	bool is_stopped;
};

struct relay_fixture *relay_fixture_new(const struct relay_fixture_options *options);
/* Stops if it was not stopped yet. */
void relay_fixture_free(struct relay_fixture *fixture);
/* Waits until everybody is gone; clients may take part meanwhile in their own thread. */
void relay_fixture_begin_stop(struct relay_fixture *fixture, int64_t timeout_us);
void relay_fixture_wait_stopped(struct relay_fixture *fixture);

/* More WAL, appended in one piece; answers its end. */
lsn_t relay_fixture_append(struct relay_fixture *fixture, size_t bytes);
/* The segment that holds lsn is written back and dropped, so that only the disk has it. All of it
 * is flushed. false: here it stays in memory. */
bool relay_fixture_drop_from_memory(struct relay_fixture *fixture, lsn_t lsn);
/* The live timeline becomes tli, forked at the end of what is there (or of `at`). */
void relay_fixture_promote(struct relay_fixture *fixture, tli_t tli, lsn_t fork);
void relay_fixture_set_recovery(struct relay_fixture *fixture, const char *in_recovery);

/* A client that has said nothing yet. */
void relay_fixture_connect(struct relay_fixture *fixture, struct raw_client *client);
/* A client that has come as far as ReadyForQuery. */
void relay_fixture_log_in(struct relay_fixture *fixture, struct raw_client *client);
/* The statistics of the only standby there is; waits for it. */
struct standby_stats relay_fixture_standby(struct relay_fixture *fixture);

/* Waits until a condition holds; fails the test after 10 s. */
#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		int wait_until_left = 10000;                                                       \
		while (!(condition)) {                                                             \
			assert_true(wait_until_left-- > 0);                                        \
			relay_fixture_pause();                                                     \
		}                                                                                  \
	} while (0)
void relay_fixture_pause(void);

#endif
