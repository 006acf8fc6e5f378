/*
 * downstream_session: one client from its first byte to its last, on one loop.
 *
 * A state machine: PROXY header, startup, authentication, then commands until one of them streams.
 * Whatever goes wrong ends or costs this client alone. Bounded: it holds no WAL, at most about 10
 * kB of input, and WAL_STREAM_HIGH_WATER of references waiting in its connection. Source: PROTOCOL
 * facts as in src/backend/tcop/backend_startup.c, src/backend/tcop/postgres.c and
 * src/backend/replication/walsender.c of PostgreSQL 13 to 18.
 */
#ifndef DOWNSTREAM_DOWNSTREAM_SESSION_H
#define DOWNSTREAM_DOWNSTREAM_SESSION_H

#include "base/error.h"
#include "downstream/connection_registry.h"
#include "downstream/console_service.h"
#include "downstream/downstream.h"
#include "downstream/link_sender.h"
#include "downstream/live_limits.h"
#include "downstream/mock_key.h"
#include "downstream/standby_progress.h"
#include "downstream/stranger_log.h"
#include "downstream/turns.h"
#include "net/loop.h"
#include "protocol/link_terms.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct downstream_session;
struct shared_encoder;

/* What all sessions of all loops share. */
struct downstream_shared {
	const char *relay_name;
	const char *page_url; /* "": none */
	bool forward_flushed;
	struct cluster *cluster;
	struct wal_store *store;
	struct wal_prefetch *prefetch;
	struct slots *slots;
	const struct passthrough *passthrough;
	const struct console_service *console; /* NULL: there is none */
	struct shared_encoder *encoder; /* NULL: no links */
	struct link_offer link_offer;
	struct link_lane_rules link_lanes;
	const char *link_congestion;
	atomic_bool is_congestion_missed; /* told once */
	struct connection_registry *registry;
	struct live_limits *limits;
	struct destinations *destinations; /* NULL: nobody counts */
	struct rate_limiter *limiter;      /* NULL: there are no caps */
	uint8_t mock_key[MOCK_KEY_BYTES];
	atomic_bool is_stopping;
	atomic_uint drop_waiters; /* sessions that wait for a slot to become free */
	/* What downstream_replayed_lsn() would answer may have moved; NULL: never mind. */
	void (*on_replayed)(void *context);
	void (*on_flushed)(void *context); /* likewise of downstream_flushed_lsn() */
	void *replayed_context;            /* of both */
	_Atomic lsn_t replayed_told; /* what it answered last; UINT64_MAX: it is being asked */
};

/* What the sessions of one loop share. */
struct session_host {
	struct downstream_shared *shared;
	struct loop *loop;
	unsigned number; /* of the loop, among those that count */
	struct turns *turns;
	struct stranger_log *strangers;
	/* Held while a session changes text that downstream_session_read_stats() reads, and while a
	 * reader walks the loop's sessions. */
	pthread_mutex_t stats_lock;
	/* Held while another thread posts to the loop on a session's behalf, and taken before the
	 * loop is freed. */
	pthread_mutex_t end_lock;
	/* The client of this seat has logged in. On the loop. */
	void (*on_logged_in)(void *context, void *seat);
	/* The session of this seat is about to be freed: forget it. On the loop. */
	void (*on_released)(void *context, void *seat);
	void *context;
};

struct session_arrival {
	int fd;
	struct sockaddr_storage peer;
	bool has_peer;
	bool expects_proxy_header;
	uint32_t pid; /* in the registry; the session gives it back */
	enum admission admission;
};

/* Takes fd and pid over, also when it fails (NULL). seat: the host's own name for the session;
 * on_released will be called with it once, never from inside this call. */
struct downstream_session *downstream_session_new(
	struct session_host *host, const struct session_arrival *arrival, void *seat) MUST_CHECK;

/* The relay stops; is_stopping is set already. Streams have until at_us (the loop's clock) to be
 * confirmed, everybody else is told and closed. */
void downstream_session_stop(struct downstream_session *session, int64_t at_us);
/* There are too many, and this client has not logged in: it goes. Answers whether its place was
 * within the limits, so that another may have it. */
bool downstream_session_give_way(struct downstream_session *session);
/* An operator wants it gone; a standby comes back. False: it is not the replication session of pid.
 */
bool downstream_session_kill(struct downstream_session *session, uint32_t pid);
/* A slot was given free somewhere. */
void downstream_session_on_slot_freed(struct downstream_session *session);

/* Hands what was sent since the last time to the destination's meter. */
void downstream_session_count(struct downstream_session *session);
/* Destinations have changed: it may belong to another now. */
void downstream_session_match(struct downstream_session *session);

/* Any thread that holds the host's stats_lock. false: not a replication session past its
 * authentication. */
bool downstream_session_read_stats(
	struct downstream_session *session, struct standby_stats *stats_out);
/* Any thread. */
const struct standby_progress *downstream_session_progress(
	const struct downstream_session *session);

#endif
