/*
 * upstream_handshake: from a fresh connection to the point where streaming begins.
 *
 * Asks who the server is, pins that, learns its parameters, compares timelines (and switches ours
 * along them), sees to the slot, and for an empty spool finds the first position. The order of the
 * commands is walreceiver's. Runs again after the end of a timeline, on the same connection. Lives
 * on the upstream's loop, where the state database may block; embedded in its owner.
 */
#ifndef UPSTREAM_UPSTREAM_HANDSHAKE_H
#define UPSTREAM_UPSTREAM_HANDSHAKE_H

#include "base/database.h"
#include "base/error.h"
#include "protocol/link_terms.h"
#include "spool/cluster.h"
#include "spool/timeline_history.h"
#include "spool/wal_store.h"
#include "upstream/start_search.h"
#include "upstream/upstream.h"
#include "upstream/upstream_failure.h"
#include "upstream/upstream_session.h"

#include <stdbool.h>
#include <stdint.h>

struct upstream_handshake_options {
	struct upstream_session *session;
	struct loop *loop;
	struct database *database;
	struct cluster *cluster;
	struct wal_store *store;
	const char *slot;     /* "": none */
	bool slot_is_missing; /* START_REPLICATION said so on an earlier connection */
	bool wants_link;      /* asks for the terms of a link */
	bool recompresses;    /* images that PostgreSQL compressed */
	bool wants_lanes;     /* which may have more than one connection */
	enum upstream_start start;
	lsn_t start_lsn;
	/* One of the two, once a start, last. */
	void (*on_ready)(void *context);
	void (*on_failed)(void *context, enum upstream_failure failure, const struct error *err);
	void *context;
};

enum upstream_slot_state { UPSTREAM_SLOT_UNKNOWN, UPSTREAM_SLOT_EXISTS, UPSTREAM_SLOT_MISSING };

struct upstream_handshake {
	struct upstream_handshake_options options;
	int step;
	bool is_again;  /* after the end of a timeline: slot and settings are known */
	bool has_asked; /* in this run of the present step */
	enum upstream_failure failure; /* set where a step fails for another reason than LOST */
	int64_t asked_us;              /* loop time of the last query */

	struct cluster_identity identity;
	struct cluster_parameters parameters;
	tli_t server_tli;
	lsn_t server_lsn;
	bool has_link; /* the server is a relay that takes these terms */
	struct link_terms link;
	char page_url[LINK_PAGE_URL_SIZE]; /* of a relay's status page; "": none told */
	int64_t max_slot_wal_keep_bytes;   /* -1: no limit; -2: not known */
	struct timeline_history theirs;
	char *history_text; /* of server_tli, as it came */
	size_t history_length;
	tli_t asked_tli;

	bool slot_was_known;
	int64_t slot_remade_us; /* Unix time: it was known, missing, and made again; 0: it was not
				 */
	enum upstream_slot_state slot_state;
	lsn_t slot_restart_lsn;
	struct start_search search;
	bool has_search;
	enum { PROBE_OPEN, PROBE_HELD, PROBE_GONE } probe;
	lsn_t fallback_lsn; /* start_lsn if the server has nothing to compare; else LSN_INVALID */

	/* The outcome. */
	tli_t tli;
	lsn_t start_lsn; /* to be asked for: the start of a segment */
	lsn_t begin_lsn; /* LSN_INVALID: the spool has begun */
};

void upstream_handshake_start(struct upstream_handshake *handshake,
	const struct upstream_handshake_options *options, bool is_again);
/* Forgets what a run left; it may be started again. A zeroed one may be released. */
void upstream_handshake_release(struct upstream_handshake *handshake);
/* Fills in what it has learned. */
void upstream_handshake_read_stats(
	const struct upstream_handshake *handshake, struct upstream_stats *stats_out);

#endif
